//! Element-wise work on whole buffers: the optimizers' updates. Only operations that
//! round the same everywhere, so plain loops that the compiler turns into vectors. Moments of weights that get
//! no gradient fade, and end as 0 rather than as numbers too small to be fast.

use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// One step of stochastic gradient descent with momentum, as PyTorch's `SGD`:
/// g += λ w;  v = μ v + g;  w −= η (g + μ v if Nesterov, else v).
#[derive(Debug)]
pub struct Sgd<'a, F> {
    /// Weights.
    pub weights: &'a mut [F],
    /// Gradients.
    pub gradients: &'a [F],
    /// The momentum buffer; empty without momentum.
    pub velocity: &'a mut [F],
    /// η
    pub learning_rate: F,
    /// μ
    pub momentum: F,
    /// λ
    pub weight_decay: F,
    /// Look ahead along the velocity.
    pub nesterov: bool,
    /// The buffer is empty: v = g.
    pub first: bool,
}

impl<F: Float> Kernel<F> for Sgd<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, _: S) {
        let (rate, momentum, decay) = (self.learning_rate, self.momentum, self.weight_decay);
        if self.velocity.is_empty() {
            for (w, &g) in self.weights.iter_mut().zip(self.gradients) {
                *w = *w - rate * (g + decay * *w);
            }
            return;
        }
        for ((w, &g), v) in self.weights.iter_mut().zip(self.gradients).zip(self.velocity) {
            let g = g + decay * *w;
            *v = if self.first { g } else { momentum * *v + g }.flush(F::MIN_NORMAL);
            *w = *w - rate * if self.nesterov { g + momentum * *v } else { *v };
        }
    }
}

/// Numbers that are gone over three times while they are near. In one go the stores of one buffer would look to the
/// processor, which compares twelve bits of addresses, like the loads of the next, as large buffers all begin at the same
/// place of a page: half the speed, or not, as luck will have it.
const BLOCK: usize = 512;

/// One step of Adam (Kingma and Ba, 2015), with the weight decay inside the gradient as PyTorch's
/// `Adam` or apart from it as `AdamW` (Loshchilov and Hutter, 2019):
/// m = β₁ m + (1 − β₁) g;  v = β₂ v + (1 − β₂) g²;  w −= η / (1 − β₁ᵗ) · m / (√(v / (1 − β₂ᵗ)) + ε).
#[derive(Debug)]
pub struct Adam<'a, F> {
    /// Weights.
    pub weights: &'a mut [F],
    /// Gradients.
    pub gradients: &'a [F],
    /// m
    pub mean: &'a mut [F],
    /// v
    pub square: &'a mut [F],
    /// (β₁, β₂)
    pub betas: (F, F),
    /// (1 − β₁, 1 − β₂), rounded once: from a rounded β₂ near 1 the difference would keep few digits.
    pub complements: (F, F),
    /// η / (1 − β₁ᵗ)
    pub rate: F,
    /// 1 / √(1 − β₂ᵗ)
    pub scale: F,
    /// ε
    pub epsilon: F,
    /// λ, added to the gradient.
    pub weight_decay: F,
    /// 1 − η λ, by which the weights shrink when the decay is decoupled.
    pub shrink: F,
}

impl<F: Float> Kernel<F> for Adam<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, _: S) {
        let (b1, b2) = self.betas;
        let (c1, c2) = self.complements;
        let (weights, gradients) = (self.weights.chunks_mut(BLOCK), self.gradients.chunks(BLOCK));
        let moments = self.mean.chunks_mut(BLOCK).zip(self.square.chunks_mut(BLOCK));
        for ((w, g), (m, v)) in weights.zip(gradients).zip(moments) {
            let decayed = |&g: &F, &w: &F| g + self.weight_decay * w;
            for (m, g) in m.iter_mut().zip(g.iter().zip(&*w).map(|(g, w)| decayed(g, w))) {
                *m = (b1 * *m + c1 * g).flush(F::MIN_NORMAL);
            }
            for (v, g) in v.iter_mut().zip(g.iter().zip(&*w).map(|(g, w)| decayed(g, w))) {
                *v = (b2 * *v + c2 * g * g).flush(F::MIN_NORMAL);
            }
            for (w, (&m, &v)) in w.iter_mut().zip(m.iter().zip(&*v)) {
                *w = *w * self.shrink - self.rate * (m / (v.sqrt() * self.scale + self.epsilon));
            }
        }
    }
}
