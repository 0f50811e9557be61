//! What stands before and behind a recurrent stack: embedding, dropout, pooling, a linear head, losses. Each
//! a few functions over slices, forward first, with its gradient below. They must not know stacks or time's
//! order; which parameters lie where is told by the caller.

pub mod attention;
pub mod convolution;
pub mod crf;
pub mod ctc;
pub mod embedding;
pub mod linear;
pub mod loss;
pub mod pooling;
pub mod targets;
pub mod units;
