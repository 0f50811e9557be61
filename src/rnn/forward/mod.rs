//! Forward: a scan of one direction, what it keeps, and a layer of them on several threads.

pub mod kept;
pub mod layer;
pub mod scan;
pub mod workspace;
