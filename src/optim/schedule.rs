//! Learning rates over time. It must not know weights.

use crate::error::{Error, Result};

/// Down along half a cosine to `least`, after a straight rise: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent
/// with Warm Restarts", 2017, without restarts.
///
/// ```
/// let cosine = gru_rs::Cosine::new(0.1, 100, 10, 0.0)?;
/// assert_eq!([cosine.rate(4), cosine.rate(9), cosine.rate(55), cosine.rate(100)], [0.05, 0.1, 0.05, 0.0]);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cosine {
    first: f64,
    steps: u64,
    warm_up: u64,
    least: f64,
}

impl Cosine {
    /// From `first`, reached after `warm_up` steps, to `least` after `steps`.
    pub fn new(first: f64, steps: u64, warm_up: u64, least: f64) -> Result<Self> {
        rate("lr", first)?;
        rate("min_lr", least)?;
        if warm_up > steps {
            return Err(Error::value("warmup_steps", format!("a number up to {steps}, that of all steps"), warm_up));
        }
        Ok(Self { first, steps, warm_up, least })
    }

    /// Of a step, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warm_up {
            // At the end of the range of floats the product is infinite.
            return (self.first * (step + 1) as f64 / self.warm_up as f64).min(self.first);
        }
        let past = (step.min(self.steps) - self.warm_up) as f64 / (self.steps - self.warm_up).max(1) as f64;
        let past = if step >= self.steps { 1.0 } else { past };
        self.least + (self.first - self.least) * (0.5 + 0.5 * cos_of_half_turns(past))
    }
}

/// A smaller rate whenever a loss has not become smaller for some epochs, as PyTorch's ReduceLROnPlateau. What differs:
/// a loss below 0 must become smaller to count, too, where PyTorch lets it become one part in 10,000 larger.
///
/// ```
/// let mut plateau = gru_rs::Plateau::new(0.1, 0.5, 1, 0.0)?;
/// assert_eq!([1.0, 0.9, 0.9, 0.9].map(|loss| plateau.end_of_epoch(loss)), [0.1, 0.1, 0.1, 0.05]);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    rate: f64,
    factor: f64,
    patience: u64,
    least: f64,
    best: f64,
    waiting: u64,
}

impl Plateau {
    /// How much smaller than the best a loss must be to count, relative to it.
    const THRESHOLD: f64 = 1e-4;
    /// A rate that would become smaller by no more than this stays.
    const LEAST_DECAY: f64 = 1e-8;

    /// From `first`, times `factor` after more than `patience` epochs without improvement, down to `least`.
    pub fn new(first: f64, factor: f64, patience: u64, least: f64) -> Result<Self> {
        rate("lr", first)?;
        rate("min_lr", least)?;
        if !(factor > 0.0 && factor < 1.0) {
            return Err(Error::value("factor", "a number of (0, 1)", factor));
        }
        Ok(Self { rate: first, factor, patience, least, best: f64::INFINITY, waiting: 0 })
    }

    /// The rate from now on, after an epoch with this loss.
    pub fn end_of_epoch(&mut self, loss: f64) -> f64 {
        if loss < self.best * (1.0 - Self::THRESHOLD.copysign(self.best)) {
            (self.best, self.waiting) = (loss, 0);
        } else {
            self.waiting += 1;
        }
        if self.waiting > self.patience {
            self.waiting = 0;
            let lower = (self.rate * self.factor).max(self.least);
            if self.rate - lower > Self::LEAST_DECAY {
                self.rate = lower;
            }
        }
        self.rate
    }

    /// What it goes on from: the rate, the best loss, and the epochs since.
    pub fn state(&self) -> (f64, f64, u64) {
        (self.rate, self.best, self.waiting)
    }

    /// Goes on from what [`state`](Self::state) gave.
    pub fn resume(&mut self, now: f64, best: f64, waiting: u64) -> Result<()> {
        rate("lr", now)?;
        (self.rate, self.best, self.waiting) = (now, best, waiting);
        Ok(())
    }
}

fn rate(argument: &'static str, rate: f64) -> Result<()> {
    if rate.is_finite() && rate >= 0.0 { Ok(()) } else { Err(Error::value(argument, "a finite number ≥ 0", rate)) }
}

/// cos πt for t of [0, 1], without a library, whose last bits differ between machines.
fn cos_of_half_turns(t: f64) -> f64 {
    if t > 0.5 {
        -cos_of_half_turns(1.0 - t)
    } else if t > 0.25 {
        sin_of_half_turns(0.5 - t)
    } else {
        let sine = sin_of_half_turns(0.5 * t);
        1.0 - 2.0 * sine * sine
    }
}

/// sin πt for t of [0, ¼] by Taylor's series, whose next term is below 1e-22.
fn sin_of_half_turns(t: f64) -> f64 {
    let x = std::f64::consts::PI * t;
    x * (1..=10).rev().fold(1.0, |sum, k| 1.0 - x * x / f64::from(2 * k * (2 * k + 1)) * sum)
}
