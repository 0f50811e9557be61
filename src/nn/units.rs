//! What stands before and behind a network that was trained: the units of its inputs, and what its scores say. It must not
//! know where either comes from.

use crate::float::Float;
use crate::kernels::exponential::Softmax;
use crate::simd::{Dispatch, Isa};

/// Of each number of a row its mean, and a factor or a deviation.
pub type Units = (Vec<f64>, Vec<f64>);

/// x as a network takes it: `(x − mean) · factor` in f64, rounded once.
pub fn in_units<F: Float>(units: Option<&Units>, feature: usize, x: f64) -> F {
    F::from_f64(match units {
        Some((mean, factor)) => (x - mean[feature]) * factor[feature],
        None => x,
    })
}

/// Puts rows of so many numbers behind others that are in units; false, and nothing put, if one is not finite there.
pub fn push_in_units<X: Float, F: Float>(units: Option<&Units>, width: usize, rows: &[X], to: &mut Vec<F>) -> bool {
    let begin = to.len();
    for row in rows.chunks_exact(width) {
        to.extend(row.iter().enumerate().map(|(feature, x)| in_units::<F>(units, feature, x.to_f64())));
    }
    let finite = to[begin..].iter().all(|x| x.to_f64().is_finite());
    if !finite {
        to.truncate(begin);
    }
    finite
}

/// Makes probabilities of rows of so many scores: of all of a row together, or of `each` by itself.
pub fn probabilities<F: Dispatch>(isa: Isa, scores: &mut [F], columns: usize, each: bool) {
    if each {
        // 1 / (1 + e⁻ˣ) is the softmax of x beside 0.
        for x in scores {
            let mut pair = [*x, F::ZERO];
            F::dispatch(isa, Softmax { rows: &mut pair, columns: 2, log_sums: &mut [0.0] });
            *x = pair[0];
        }
        return;
    }
    for row in scores.chunks_exact_mut(columns) {
        F::dispatch(isa, Softmax { rows: row, columns, log_sums: &mut [0.0] });
    }
}

/// Takes rows of so many scores out of the units of targets.
pub fn out_of_units<F: Float>(units: Option<&Units>, columns: usize, scores: &[F], to: &mut [f64]) {
    to.iter_mut().zip(scores).for_each(|(to, score)| *to = score.to_f64());
    if let Some((mean, deviation)) = units {
        for row in to.chunks_exact_mut(columns) {
            row.iter_mut().zip(mean).zip(deviation).for_each(|((y, mean), deviation)| *y = *y * deviation + mean);
        }
    }
}
