//! Gradients that are too long together are shortened: Pascanu et al., "On the Difficulty of Training Recurrent
//! Neural Networks", 2013.

use crate::error::{Error, Result};
use crate::kernels::norm::{Scale, SumOfSquares};
use crate::simd::{Dispatch, Isa};

/// Kept from 0, as in PyTorch.
const LEAST: f64 = 1e-6;

/// Shortens gradients whose Euclidean norm is above `most` to that norm, and gives back the norm that they had.
/// If that is no finite number they stay as they are: there is nothing to be saved, and the caller can see it.
///
/// ```
/// let mut gradients = [3.0f32, 4.0];
/// assert_eq!(gru_rs::clip_by_norm(&mut gradients, 1.0)?, 5.0);
/// assert!((gradients[0] - 0.6).abs() < 1e-6);
/// # Ok::<(), gru_rs::Error>(())
/// ```
pub fn clip_by_norm<F: Dispatch>(gradients: &mut [F], most: f64) -> Result<f64> {
    if most.is_nan() || most <= 0.0 {
        return Err(Error::value("max_norm", "a number > 0", most));
    }
    let isa = Isa::chosen()?;
    let norm = F::dispatch(isa, SumOfSquares(gradients)).sqrt();
    let factor = most / (norm + LEAST);
    if norm.is_finite() && factor < 1.0 {
        F::dispatch(isa, Scale(gradients, F::from_f64(factor)));
    }
    Ok(norm)
}
