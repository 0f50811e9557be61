//! What the gates and the candidate do with their pre-activations: σ and tanh, compiled by themselves, or any
//! [`Functions`], chosen as the kernel runs. Derivatives are made from values, which are all that training keeps.

use super::activation::{divide, divide_both, sigmoid, tanh};
use crate::float::Float;
use crate::function::{Function, Functions};
use crate::simd::Simd;

/// The functions of a cell, and their derivatives where their values are known.
pub trait Squash<F: Float>: Copy {
    /// Two gates.
    fn gates<S: Simd<F>>(self, s: S, a: S::V, b: S::V) -> (S::V, S::V);
    /// A candidate.
    fn candidate<S: Simd<F>>(self, s: S, x: S::V) -> S::V;
    /// A candidate and a gate.
    fn candidate_and_gate<S: Simd<F>>(self, s: S, candidate: S::V, gate: S::V) -> (S::V, S::V);
    /// What goes out of an LSTM's cell: the candidate's function without the bound, which is one of gates.
    fn out<S: Simd<F>>(self, s: S, c: S::V) -> S::V;
    /// The derivative of a gate of value v.
    fn d_gate<S: Simd<F>>(self, s: S, v: S::V) -> S::V;
    /// The derivative of a candidate of value v.
    fn d_candidate<S: Simd<F>>(self, s: S, v: S::V) -> S::V;
    /// The derivative of what goes out of value v.
    fn d_out<S: Simd<F>>(self, s: S, v: S::V) -> S::V;
}

/// v (1 − v): the derivative of the sigmoid whose value is v.
#[inline(always)]
fn d_sigmoid<F: Float, S: Simd<F>>(s: S, v: S::V) -> S::V {
    s.neg_mul_add(v, v, v)
}

/// 1 − v²: the derivative of the tanh whose value is v.
#[inline(always)]
fn d_tanh<F: Float, S: Simd<F>>(s: S, v: S::V) -> S::V {
    s.neg_mul_add(v, v, s.splat(F::ONE))
}

/// σ for the gates, tanh for the candidate, no bound. Two of them share a division.
#[derive(Clone, Copy, Debug)]
pub struct Standard;

impl<F: Float> Squash<F> for Standard {
    #[inline(always)]
    fn gates<S: Simd<F>>(self, s: S, a: S::V, b: S::V) -> (S::V, S::V) {
        divide_both(s, sigmoid(s, a), sigmoid(s, b))
    }

    #[inline(always)]
    fn candidate<S: Simd<F>>(self, s: S, x: S::V) -> S::V {
        divide(s, tanh(s, x))
    }

    #[inline(always)]
    fn candidate_and_gate<S: Simd<F>>(self, s: S, candidate: S::V, gate: S::V) -> (S::V, S::V) {
        divide_both(s, tanh(s, candidate), sigmoid(s, gate))
    }

    #[inline(always)]
    fn out<S: Simd<F>>(self, s: S, c: S::V) -> S::V {
        divide(s, tanh(s, c))
    }

    #[inline(always)]
    fn d_gate<S: Simd<F>>(self, s: S, v: S::V) -> S::V {
        d_sigmoid(s, v)
    }

    #[inline(always)]
    fn d_candidate<S: Simd<F>>(self, s: S, v: S::V) -> S::V {
        d_tanh(s, v)
    }

    #[inline(always)]
    fn d_out<S: Simd<F>>(self, s: S, v: S::V) -> S::V {
        d_tanh(s, v)
    }
}

/// Any functions.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<F> {
    gate: Function,
    candidate: Function,
    bound: F,
}

impl<F: Float> Chosen<F> {
    /// Those.
    pub fn new(functions: Functions) -> Self {
        let Functions { gate, candidate, clip } = functions;
        Self { gate, candidate, bound: F::from_f64(clip.unwrap_or(f64::INFINITY)) }
    }

    fn unbounded(self) -> Self {
        Self { bound: F::from_f64(f64::INFINITY), ..self }
    }

    /// The function's value, of an argument within ± the bound.
    #[inline(always)]
    fn value<S: Simd<F>>(self, s: S, function: Function, x: S::V) -> S::V {
        let x = s.min(s.splat(self.bound), s.max(s.splat(-self.bound), x));
        match function {
            Function::Sigmoid => divide(s, sigmoid(s, x)),
            Function::Tanh => divide(s, tanh(s, x)),
            Function::Relu => s.max(s.splat(F::ZERO), x),
            Function::HardSigmoid | Function::HardSigmoidFifth => {
                let line = s.mul_add(s.splat(F::from_f64(function.slope())), x, s.splat(F::from_f64(0.5)));
                s.min(s.splat(F::ONE), s.max(s.splat(F::ZERO), line))
            }
        }
    }

    /// The derivative where the value is v. All functions rise, so where an argument is at a bound, or on a
    /// line's flat end, is where the value is that of a bound: there it is 0.
    #[inline(always)]
    fn slope<S: Simd<F>>(self, s: S, function: Function, v: S::V) -> S::V {
        let inside = match function {
            Function::Sigmoid => d_sigmoid(s, v),
            Function::Tanh => d_tanh(s, v),
            _ => s.splat(F::from_f64(function.slope())),
        };
        let low = self.value(s, function, s.splat(-self.bound));
        let high = self.value(s, function, s.splat(self.bound));
        s.mul(s.mul(inside, positive(s, s.sub(v, low))), positive(s, s.sub(high, v)))
    }
}

/// 1 where a number is positive, 0 where it is not: from the operations that every instruction set has.
#[inline(always)]
fn positive<F: Float, S: Simd<F>>(s: S, v: S::V) -> S::V {
    let large = s.splat(F::ONE / F::MIN_NORMAL);
    s.min(s.splat(F::ONE), s.max(s.splat(F::ZERO), s.mul(v, large)))
}

impl<F: Float> Squash<F> for Chosen<F> {
    #[inline(always)]
    fn gates<S: Simd<F>>(self, s: S, a: S::V, b: S::V) -> (S::V, S::V) {
        (self.value(s, self.gate, a), self.value(s, self.gate, b))
    }

    #[inline(always)]
    fn candidate<S: Simd<F>>(self, s: S, x: S::V) -> S::V {
        self.value(s, self.candidate, x)
    }

    #[inline(always)]
    fn candidate_and_gate<S: Simd<F>>(self, s: S, candidate: S::V, gate: S::V) -> (S::V, S::V) {
        (self.value(s, self.candidate, candidate), self.value(s, self.gate, gate))
    }

    #[inline(always)]
    fn out<S: Simd<F>>(self, s: S, c: S::V) -> S::V {
        self.unbounded().candidate(s, c)
    }

    #[inline(always)]
    fn d_gate<S: Simd<F>>(self, s: S, v: S::V) -> S::V {
        self.slope(s, self.gate, v)
    }

    #[inline(always)]
    fn d_candidate<S: Simd<F>>(self, s: S, v: S::V) -> S::V {
        self.slope(s, self.candidate, v)
    }

    #[inline(always)]
    fn d_out<S: Simd<F>>(self, s: S, v: S::V) -> S::V {
        self.unbounded().d_candidate(s, v)
    }
}
