//! Losses of rows of scores, each with its gradient: a weighted mean, as PyTorch's of the same names. Added up
//! in f64, in order.
//!
//! ```text
//! cross-entropy    l = Σ_c q_c v_c (ln Σ_k eˣᵏ − x_c)        q = (1 − ε) [c = target] + ε / C
//!                  over Σ v_target, v the classes' weights
//! squared          l = (x − y)²            absolute    l = |x − y|
//! quantile         l = τ (y − x) above x, (1 − τ) (x − y) below
//! Huber            l = (x − y)² / 2 up to |x − y| = δ, δ (|x − y| − δ/2) beyond
//! binary           l = ln(1 + eˣ) − x y      y of [0, 1], each score by itself
//! ```
//! Label smoothing: Szegedy et al., "Rethinking the Inception Architecture", 2016. Quantiles: Koenker and
//! Bassett, "Regression Quantiles", 1978. Huber, "Robust Estimation of a Location Parameter", 1964.

use super::targets::Targets;

use super::targets::check_weights;
use crate::buffer::{copied, zeros};
use crate::error::{Error, Result};
use crate::kernels::exponential::Softmax;
use crate::parallel;
use crate::shape;
use crate::simd::{Dispatch, Isa};

/// Floating-point operations that take as long as a score.
const OPERATIONS: usize = 64;
/// Rows of a thread's task.
const PART: usize = 256;

/// What is lost by scores that are not the targets.
///
/// ```
/// let loss = gru_rs::Loss::quantile(vec![0.1, 0.5, 0.9])?;
/// assert_eq!(loss.scores_per_target(), 3);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// Of a class among as many as there are scores.
    CrossEntropy {
        /// ε of [0, 1): the share of the target that goes to all classes alike.
        label_smoothing: f64,
        /// How much each class counts; all alike when there is none.
        class_weights: Vec<f64>,
    },
    /// Of one number for each score.
    Squared,
    /// Of one number for each score.
    Absolute,
    /// Of one number for as many scores as there are levels τ, which stand side by side.
    Quantile(Vec<f64>),
    /// Of one number for each score: half the square up to δ, straight beyond.
    Huber(f64),
    /// Of a share of [0, 1] for each score, of which σ is the probability: labels that do not exclude each other.
    BinaryCrossEntropy,
    /// Of a shorter sequence of labels, under the scores of all steps; see [`super::ctc`].
    Ctc {
        /// The label that is no label.
        blank: u32,
    },
}

/// Levels of (0, 1).
fn level(tau: &f64) -> bool {
    *tau > 0.0 && *tau < 1.0
}

impl Loss {
    /// Whether what the scores should be are classes or labels, and no numbers.
    pub fn of_classes(&self) -> bool {
        match self {
            Self::CrossEntropy { .. } | Self::Ctc { .. } => true,
            Self::Squared | Self::Absolute | Self::Quantile(_) | Self::Huber(_) | Self::BinaryCrossEntropy => false,
        }
    }

    /// Cross-entropy of classes that all count alike.
    pub fn cross_entropy() -> Self {
        Self::CrossEntropy { label_smoothing: 0.0, class_weights: vec![] }
    }

    /// Quantiles at levels of (0, 1), at least one.
    pub fn quantile(levels: Vec<f64>) -> Result<Self> {
        match levels.iter().find(|&tau| !level(tau)) {
            Some(tau) => Err(Error::value("levels", "levels of (0, 1)", tau)),
            None if levels.is_empty() => Err(Error::value("levels", "at least one level", "none")),
            None => Ok(Self::Quantile(levels)),
        }
    }

    /// Scores side by side that share a target.
    pub fn scores_per_target(&self) -> usize {
        match self {
            Self::Quantile(levels) => levels.len(),
            Self::CrossEntropy { .. } | Self::Ctc { .. } | Self::BinaryCrossEntropy => 1,
            Self::Squared | Self::Absolute | Self::Huber(_) => 1,
        }
    }

    /// Whether the numbers make sense, for so many scores if there is a model.
    pub fn check(&self, scores: Option<usize>) -> Result<()> {
        match self {
            Self::CrossEntropy { label_smoothing, class_weights } => {
                if !(0.0..1.0).contains(label_smoothing) {
                    return Err(Error::value("label_smoothing", "a number of [0, 1)", label_smoothing));
                }
                if let Some(scores) = scores.filter(|_| !class_weights.is_empty()) {
                    shape::expect_len("class_weights", class_weights.len(), &[scores])?;
                }
                let wrong = class_weights.iter().find(|&&weight| !weight.is_finite() || weight < 0.0);
                wrong.map_or(Ok(()), |weight| Err(Error::value("class_weights", "finite numbers ≥ 0", weight)))
            }
            Self::Quantile(levels) => {
                Self::quantile(levels.clone())?;
                let Some(scores) = scores.filter(|scores| scores % levels.len() != 0) else { return Ok(()) };
                let expected = format!("a multiple of the {} quantiles", levels.len());
                Err(Error::value("output_size", expected, scores))
            }
            Self::Ctc { blank } => match scores.filter(|&scores| *blank as usize >= scores) {
                Some(scores) => Err(Error::value("blank", format!("a label below {scores}"), blank)),
                None => Ok(()),
            },
            Self::Huber(delta) if !(*delta > 0.0 && delta.is_finite()) => {
                Err(Error::value("delta", "a positive finite number", delta))
            }
            Self::Huber(_) | Self::Squared | Self::Absolute | Self::BinaryCrossEntropy => Ok(()),
        }
    }

    /// The mean loss of rows of `columns` scores, and its gradient, shaped as they. `weights`: how much each
    /// row counts. When nothing counts, both are 0.
    pub fn of<F: Dispatch>(
        &self, isa: Isa, scores: &[F], columns: usize, targets: Targets<'_, F>, weights: Option<&[F]>,
    ) -> Result<(f64, Vec<F>)> {
        let rows = scores.len() / columns.max(1);
        check_weights(weights, rows)?;
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row].to_f64());
        match self {
            Self::CrossEntropy { label_smoothing, class_weights } => {
                let Targets::Classes(targets) = targets else {
                    return Err(Error::value("targets", "classes for cross-entropy", targets.kind()));
                };
                shape::expect_len("targets", targets.len(), &[rows])?;
                if let Some((row, class)) = targets.iter().enumerate().find(|&(_, &class)| class as usize >= columns) {
                    let expected = format!("classes below {columns}");
                    return Err(Error::value("targets", expected, format!("{class} in row {row}")));
                }
                let entropy = CrossEntropy { smoothing: *label_smoothing, classes: class_weights, columns };
                entropy.of(isa, scores, targets, weight)
            }
            Self::Squared | Self::Absolute | Self::Quantile(_) | Self::Huber(_) | Self::BinaryCrossEntropy => {
                let Targets::Numbers(targets) = targets else {
                    return Err(Error::value("targets", "numbers for this loss", targets.kind()));
                };
                shape::expect_len("targets", targets.len(), &[rows, columns / self.scores_per_target()])?;
                if *self == Self::BinaryCrossEntropy {
                    return binary(isa, scores, columns, targets, weight);
                }
                self.of_numbers(scores, columns, targets, weight)
            }
            Self::Ctc { .. } => Err(Error::value("loss", "a loss of rows by themselves", "CTC")),
        }
    }

    fn of_numbers<F: Dispatch>(
        &self, scores: &[F], columns: usize, targets: &[F], weight: impl Fn(usize) -> f64,
    ) -> Result<(f64, Vec<F>)> {
        let share = share(scores.len(), columns, &weight);
        let levels = self.scores_per_target();
        let (mut loss, mut gradient) = (0.0, zeros(scores.len(), "gradients")?);
        for (i, (d, x)) in gradient.iter_mut().zip(scores).enumerate() {
            let off = x.to_f64() - targets[i / levels].to_f64();
            let (lost, slope) = self.number(off, i % levels);
            let weight = weight(i / columns) * share;
            loss += weight * lost;
            *d = F::from_f64(weight * slope);
        }
        Ok((loss, gradient))
    }

    /// Loss and slope of a score that is `off` its target.
    fn number(&self, off: f64, level: usize) -> (f64, f64) {
        // NaN stays NaN.
        let sign = if off > 0.0 {
            1.0
        } else if off < 0.0 {
            -1.0
        } else {
            off
        };
        match self {
            Self::Quantile(levels) => {
                let slope = if off > 0.0 { 1.0 - levels[level] } else { levels[level] };
                (slope * off.abs(), slope * sign)
            }
            Self::Absolute => (off.abs(), sign),
            Self::Squared => (off * off, 2.0 * off),
            Self::Huber(delta) if off.abs() > *delta => (delta * (off.abs() - 0.5 * delta), delta * sign),
            Self::Huber(_) => (0.5 * off * off, off),
            Self::CrossEntropy { .. } | Self::Ctc { .. } | Self::BinaryCrossEntropy => {
                unreachable!("no loss of how far a number is off")
            }
        }
    }
}

/// What a score of weight 1 counts in the mean over all.
fn share(scores: usize, columns: usize, weight: impl Fn(usize) -> f64) -> f64 {
    let all: f64 = (0..scores / columns).map(weight).sum::<f64>() * columns as f64;
    if all > 0.0 { 1.0 / all } else { 0.0 }
}

/// As the softmax of each score beside a score of 0, whose exponentials are the same on every machine.
fn binary<F: Dispatch>(
    isa: Isa, scores: &[F], columns: usize, targets: &[F], weight: impl Fn(usize) -> f64,
) -> Result<(f64, Vec<F>)> {
    let within = |y: &F| (0.0..=1.0).contains(&y.to_f64());
    if let Some(place) = targets.iter().position(|y| !within(y)) {
        let got = format!("{} in row {}", targets[place].to_f64(), place / columns);
        return Err(Error::value("targets", "numbers from 0 to 1", got));
    }
    let share = share(scores.len(), columns, &weight);
    let (mut pairs, mut log_sums) = (zeros(2 * scores.len(), "scratch")?, zeros(scores.len(), "scratch")?);
    pairs.chunks_exact_mut(2).zip(scores).for_each(|(pair, &x)| pair[0] = x);
    F::dispatch(isa, Softmax { rows: &mut pairs, columns: 2, log_sums: &mut log_sums });
    let (mut loss, mut gradient) = (0.0, zeros(scores.len(), "gradients")?);
    for (i, (d, x)) in gradient.iter_mut().zip(scores).enumerate() {
        let (weight, y, p) = (weight(i / columns) * share, targets[i].to_f64(), pairs[2 * i].to_f64());
        loss += weight * (log_sums[i] - x.to_f64() * y);
        *d = F::from_f64(weight * (p - y));
    }
    Ok((loss, gradient))
}

struct CrossEntropy<'a> {
    smoothing: f64,
    classes: &'a [f64],
    columns: usize,
}

impl CrossEntropy<'_> {
    fn class(&self, class: usize) -> f64 {
        self.classes.get(class).copied().unwrap_or(1.0)
    }

    fn of<F: Dispatch>(
        &self, isa: Isa, scores: &[F], targets: &[u32], weight: impl Fn(usize) -> f64 + Sync,
    ) -> Result<(f64, Vec<F>)> {
        let columns = self.columns;
        let mut gradient = copied(scores, "gradients")?;
        let of_target = |row: usize| self.class(targets[row] as usize);
        let all: f64 = (0..targets.len()).map(|row| weight(row) * of_target(row)).sum();
        let share = if all > 0.0 { 1.0 / all } else { 0.0 };
        let even = self.smoothing / columns as f64;
        let mean_class: f64 = (0..columns).map(|class| self.class(class)).sum::<f64>() * even;
        // What each row loses; added up in their order, whoever found them.
        let mut losses: Vec<f64> = zeros(targets.len(), "scratch")?;
        let parts = gradient.chunks_mut(PART * columns).zip(scores.chunks(PART * columns)).zip(losses.chunks_mut(PART));
        let threads = parallel::worth(scores.len().saturating_mul(OPERATIONS))?;
        parallel::for_each(threads, parts.enumerate().collect(), |(part, ((gradient, scores), losses)), _| {
            F::dispatch(isa, Softmax { rows: gradient, columns, log_sums: losses });
            let rows = gradient.chunks_exact_mut(columns).zip(scores.chunks_exact(columns));
            for (i, ((p, x), loss)) in rows.zip(losses).enumerate() {
                let row = part * PART + i;
                let (target, weight) = (targets[row] as usize, weight(row) * share);
                let (log_sum, sharp) = (*loss, (1.0 - self.smoothing) * of_target(row));
                let mut lost = sharp * (log_sum - x[target].to_f64());
                let right = p[target].to_f64();
                let slope = |p: f64| p * (sharp + mean_class);
                if self.smoothing > 0.0 {
                    let smooth = x.iter().enumerate().map(|(c, x)| self.class(c) * (log_sum - x.to_f64()));
                    lost += even * smooth.sum::<f64>();
                    for (class, p) in p.iter_mut().enumerate() {
                        *p = F::from_f64(weight * (slope(p.to_f64()) - even * self.class(class)));
                    }
                } else {
                    p.iter_mut().for_each(|p| *p = F::from_f64(weight * slope(p.to_f64())));
                }
                *loss = weight * lost;
                p[target] = F::from_f64(weight * (slope(right) - sharp - even * self.class(target)));
            }
            Ok(())
        })?;
        let loss = losses.iter().sum();
        Ok((loss, gradient))
    }
}
