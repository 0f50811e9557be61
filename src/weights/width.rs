//! The widths of weights: what the numbers of a matrix are kept in once it has learnt. It must not know how they are
//! multiplied.
//!
//! ```text
//! int8       w ≈ s q, q of −127 … 127, s = max |w| / 127 of each row
//! float16    w ≈ the nearest of 16 bits
//! bfloat16   w ≈ the nearest of 16 bits, of which 8 are the exponent's
//! ```

/// What the numbers of a network's matrices are kept in, once it has learnt all it shall.
///
/// ```
/// use gru_rs::{Batch, Config, Rnn, Width};
/// let gru = Rnn::<f32>::new(Config::gru(64, 128))?;
/// let small = gru.quantized(Width::Int8)?;
/// assert!(small.bytes() * 100 < gru.bytes() * 27);
/// let x = vec![0.5; 20 * 64];
/// let batch = Batch { x: &x, batch: 1, seq: 20, states: &[], lengths: None, resets: None };
/// let (y, expected) = (small.run(&batch)?.y, gru.run(&batch)?.y);
/// assert!(y.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.01));
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits, with a scale for each row; what they multiply is rounded to 8 bits too, by a scale of its own each time.
    Int8,
    /// 16 bits; what they multiply stays as it is.
    Float16,
    /// 16 bits with the exponents of 32; what they multiply is rounded to them, too.
    Bfloat16,
}

/// The largest of the bytes; −128 is none of them.
pub const LARGEST: f64 = 127.0;

/// Bytes of a row whose products, however they are raised, add up in 32 bits.
pub const DEEPEST: usize = (i32::MAX / (255 * 127)) as usize;
