//! Optimizers over a layer's flat parameters. Each keeps its moments for every layer it has stepped.
//! It must not know what the parameters mean.

pub mod clip;
pub mod schedule;

use crate::buffer::zeros;
use crate::error::{Error, Result};
use crate::kernels::update;
use crate::rnn::parameters::Parameters;
use crate::shape;
use crate::simd::{Dispatch, Isa};

/// Stochastic gradient descent, as PyTorch's.
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    /// η > 0
    pub learning_rate: f64,
    /// μ ≥ 0
    pub momentum: f64,
    /// Look ahead along the velocity; needs momentum.
    pub nesterov: bool,
    /// λ ≥ 0
    pub weight_decay: f64,
}

/// Adam, as PyTorch's, or AdamW when the decay is decoupled.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// η > 0
    pub learning_rate: f64,
    /// Of [0, 1) each.
    pub betas: (f64, f64),
    /// ε ≥ 0
    pub epsilon: f64,
    /// λ ≥ 0
    pub weight_decay: f64,
    /// AdamW: the decay shrinks the weights and stays out of the moments.
    pub decoupled: bool,
}

/// How weights follow gradients.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// [`Sgd`]
    Sgd(Sgd),
    /// [`Adam`]
    Adam(Adam),
}

/// What a rule remembers of one network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory<F> {
    /// Velocity; or mean and mean square.
    pub moments: Vec<Vec<F>>,
    /// Steps taken.
    pub steps: u64,
    /// β₁ᵗ and β₂ᵗ, by repeated multiplication: the same on every machine, as no library's power is.
    pub powers: (f64, f64),
}

fn expect(argument: &'static str, expected: &'static str, good: bool, got: f64) -> Result<()> {
    if good { Ok(()) } else { Err(Error::value(argument, expected, got)) }
}

impl Rule {
    /// Whether the numbers make sense.
    pub fn check(&self) -> Result<()> {
        let (rate, decay) = match self {
            Rule::Sgd(sgd) => (sgd.learning_rate, sgd.weight_decay),
            Rule::Adam(adam) => (adam.learning_rate, adam.weight_decay),
        };
        let not_negative = |x: f64| x.is_finite() && x >= 0.0;
        expect("lr", "a finite number ≥ 0", not_negative(rate), rate)?;
        expect("weight_decay", "a finite number ≥ 0", not_negative(decay), decay)?;
        match self {
            Rule::Sgd(sgd) => {
                expect("momentum", "a finite number ≥ 0", not_negative(sgd.momentum), sgd.momentum)?;
                let good = !sgd.nesterov || sgd.momentum > 0.0;
                expect("nesterov", "momentum > 0 beside it", good, sgd.momentum)
            }
            Rule::Adam(adam) => {
                expect("eps", "a finite number ≥ 0", not_negative(adam.epsilon), adam.epsilon)?;
                let unit = |x: f64| (0.0..1.0).contains(&x);
                expect("betas", "numbers of [0, 1)", unit(adam.betas.0), adam.betas.0)?;
                expect("betas", "numbers of [0, 1)", unit(adam.betas.1), adam.betas.1)
            }
        }
    }

    fn moments(&self) -> usize {
        match self {
            Rule::Sgd(sgd) => usize::from(sgd.momentum > 0.0),
            Rule::Adam(_) => 2,
        }
    }

    /// One step of a network's parameters along their gradients.
    ///
    /// ```
    /// use gru_rs::{Config, Gru, Memory, Rule, Sgd};
    /// let gru = Gru::<f32>::new(Config::gru(2, 4))?;
    /// let rule = Rule::Sgd(Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    /// let before = gru.flat();
    /// rule.step(&gru, &vec![1.0; before.len()], &mut Memory::default())?;
    /// assert_eq!(gru.flat()[0], before[0] - 0.1);
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn step<F: Dispatch>(&self, parameters: &Parameters<F>, gradients: &[F], memory: &mut Memory<F>) -> Result<()> {
        let len = parameters.weights().store.flat()?.len();
        shape::expect_len("grads", gradients.len(), &[len])?;
        if memory.moments.is_empty() {
            memory.moments = (0..self.moments()).map(|_| zeros(len, "optimizer")).collect::<Result<_>>()?;
        }
        if memory.moments.len() != self.moments() || memory.moments.iter().any(|moment| moment.len() != len) {
            let found: Vec<_> = memory.moments.iter().map(Vec::len).collect();
            return Err(Error::value(
                "memory",
                format!("{} moments of {len} numbers", self.moments()),
                format!("{found:?}"),
            ));
        }
        parameters.update(|weights| {
            self.write(parameters.isa(), weights, gradients, memory);
            Ok(())
        })
    }

    fn write<F: Dispatch>(&self, isa: Isa, weights: &mut [F], gradients: &[F], memory: &mut Memory<F>) {
        let f = F::from_f64;
        memory.steps += 1;
        match self {
            Rule::Sgd(sgd) => {
                let step = update::Sgd {
                    weights,
                    gradients,
                    velocity: memory.moments.first_mut().map_or(&mut [], |v| &mut v[..]),
                    learning_rate: f(sgd.learning_rate),
                    momentum: f(sgd.momentum),
                    weight_decay: f(sgd.weight_decay),
                    nesterov: sgd.nesterov,
                    first: memory.steps == 1,
                };
                F::dispatch(isa, step);
            }
            Rule::Adam(adam) => {
                let [mean, square] = &mut memory.moments[..] else { return };
                let (b1, b2) = if memory.steps == 1 { (1.0, 1.0) } else { memory.powers };
                memory.powers = (b1 * adam.betas.0, b2 * adam.betas.1);
                let decay = adam.learning_rate * adam.weight_decay;
                let step = update::Adam {
                    weights,
                    gradients,
                    mean,
                    square,
                    betas: (f(adam.betas.0), f(adam.betas.1)),
                    complements: (f(1.0 - adam.betas.0), f(1.0 - adam.betas.1)),
                    rate: f(adam.learning_rate / (1.0 - memory.powers.0)),
                    scale: f(1.0 / (1.0 - memory.powers.1).sqrt()),
                    epsilon: f(adam.epsilon),
                    weight_decay: if adam.decoupled { F::ZERO } else { f(adam.weight_decay) },
                    shrink: if adam.decoupled { f(1.0 - decay) } else { F::ONE },
                };
                F::dispatch(isa, step);
            }
        }
    }
}
