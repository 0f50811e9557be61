//! Attention: which steps of one sequence matter at a step of another.
//!
//! ```text
//! dot        s_tj = q_t · k_j / √n                    Luong et al., 2015; Vaswani et al., 2017
//! additive   s_tj = v · tanh (q_t + k_j)              Bahdanau et al., 2015
//! a_t = softmax (s_t)        c_t = Σ_j a_tj y_j
//! ```
//! for one row of a batch: queries q, `(steps, n)`, keys k, `(others, n)`, values y, `(others, width)`. All sums are
//! products of [`Linear`], with q, k or y in the place of weights.

use super::linear::{Linear, LinearGradients};
use crate::buffer::{copied, zeros};
use crate::error::Result;
use crate::kernels::activation::Tanh;
use crate::kernels::exponential::{Softmax, sum};
use crate::simd::{Dispatch, Isa};
use crate::weights::Matrix;

/// How queries and keys are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// By their product.
    Dot,
    /// By a layer of their sum.
    Additive,
}

/// One row's attention.
#[derive(Clone, Copy, Debug)]
pub struct Attend<'a, F> {
    /// The instruction set.
    pub isa: Isa,
    /// How queries and keys are compared.
    pub kind: Attention,
    /// v, `(n,)`; empty for [`Attention::Dot`].
    pub v: &'a [F],
    /// `(others, n)`
    pub keys: &'a [F],
    /// `(others, width)`
    pub values: &'a [F],
    /// n
    pub n: usize,
    /// Numbers of a value.
    pub width: usize,
}

/// The gradients of a row, to be added to.
#[derive(Debug)]
pub struct AttendGradients<'a, F> {
    /// As the keys.
    pub keys: &'a mut [F],
    /// As the values.
    pub values: &'a mut [F],
    /// As v.
    pub v: &'a mut [F],
}

impl<F: Dispatch> Attend<'_, F> {
    fn others(&self) -> usize {
        self.keys.len() / self.n
    }

    /// Products with one of the others' arrays, `(others, inputs)`.
    fn linear(&self, inputs: usize, outputs: usize) -> Linear {
        // Rows of a batch are spread by the caller.
        Linear { isa: self.isa, inputs, outputs, spread: false }
    }

    fn scale(&self) -> F {
        F::from_f64(1.0 / (self.n as f64).sqrt())
    }

    /// tanh (q_t + k_j), `(steps, others, n)`.
    fn layer(&self, queries: &[F]) -> Result<Vec<F>> {
        let mut layer = zeros(queries.len() * self.others(), "attention")?;
        let pairs = queries.chunks_exact(self.n).flat_map(|q| self.keys.chunks_exact(self.n).map(move |k| (q, k)));
        for (out, (q, k)) in layer.chunks_exact_mut(self.n).zip(pairs) {
            out.iter_mut().zip(q.iter().zip(k)).for_each(|(out, (&q, &k))| *out = q + k);
        }
        F::dispatch(self.isa, Tanh(&mut layer));
        Ok(layer)
    }

    /// a, `(steps, others)`, and c, `(steps, width)`, which is 0 where there are no others.
    pub fn forward(&self, queries: &[F]) -> Result<(Vec<F>, Vec<F>)> {
        let (steps, others) = (queries.len() / self.n, self.others());
        if others == 0 || steps == 0 {
            return Ok((vec![], zeros(steps * self.width, "attention")?));
        }
        let mut weights = match self.kind {
            Attention::Dot => {
                let none = zeros(others, "attention")?;
                let mut scores = self.linear(self.n, others).forward(self.keys, &none, queries, steps)?;
                let scale = self.scale();
                scores.iter_mut().for_each(|s| *s = *s * scale);
                scores
            }
            Attention::Additive => {
                let layer = self.layer(queries)?;
                self.linear(self.n, 1).forward(self.v, &[F::ZERO], &layer, steps * others)?
            }
        };
        let mut log_sums = zeros(steps, "attention")?;
        F::dispatch(self.isa, Softmax { rows: &mut weights, columns: others, log_sums: &mut log_sums });
        let context = self.linear(self.width, others).transposed(self.values, &weights, steps)?;
        Ok((weights, context))
    }

    /// d q from d c; the other gradients are added to what is there.
    pub fn backward(
        &self, queries: &[F], weights: &[F], d_context: &[F], d: &mut AttendGradients<'_, F>,
    ) -> Result<Vec<F>> {
        let (steps, others) = (queries.len() / self.n, self.others());
        if others == 0 || steps == 0 {
            return zeros(queries.len(), "gradients");
        }
        let values = self.linear(self.width, others);
        let none = zeros(others, "attention")?;
        let mut d_scores = values.forward(self.values, &none, d_context, steps)?;
        values.weights(d_context, weights, d.values)?;
        let mut products = zeros(others, "attention")?;
        for (d, a) in d_scores.chunks_exact_mut(others).zip(weights.chunks_exact(others)) {
            products.iter_mut().zip(d.iter().zip(a)).for_each(|(p, (&d, &a))| *p = d * a);
            let mean = sum(&products);
            d.iter_mut().zip(a).for_each(|(d, &a)| *d = a * (*d - mean));
        }
        match self.kind {
            Attention::Dot => {
                let scale = self.scale();
                d_scores.iter_mut().for_each(|d| *d = *d * scale);
                let keys = self.linear(self.n, others);
                keys.weights(queries, &d_scores, d.keys)?;
                keys.transposed(self.keys, &d_scores, steps)
            }
            Attention::Additive => self.backward_layer(queries, &d_scores, d),
        }
    }

    fn backward_layer(&self, queries: &[F], d_scores: &[F], d: &mut AttendGradients<'_, F>) -> Result<Vec<F>> {
        let (layer, mut b) = (self.layer(queries)?, [F::ZERO]);
        let mut sums = LinearGradients { w: &mut *d.v, b: &mut b };
        let linear = self.linear(self.n, 1);
        let mut d_layer = linear.backward(self.v, &layer, d_scores, d_scores.len(), &mut sums)?;
        d_layer.iter_mut().zip(&layer).for_each(|(d, &y)| *d = *d * (F::ONE - y * y));
        let mut d_queries = zeros(queries.len(), "gradients")?;
        let step = self.keys.len();
        for (d_query, d_layer) in d_queries.chunks_exact_mut(self.n).zip(d_layer.chunks_exact(step)) {
            for (d_key, d) in d.keys.chunks_exact_mut(self.n).zip(d_layer.chunks_exact(self.n)) {
                d_query.iter_mut().zip(d).for_each(|(sum, &d)| *sum += d);
                d_key.iter_mut().zip(d).for_each(|(sum, &d)| *sum += d);
            }
        }
        Ok(d_queries)
    }
}

/// tanh (W x + b) for some rows, and what its backward needs beside x: itself.
pub fn tanh_layer<F: Dispatch>(linear: Linear, w: Matrix<'_, F>, b: &[F], x: &[F], rows: usize) -> Result<Vec<F>> {
    let mut y = linear.forward(w, b, x, rows)?;
    F::dispatch(linear.isa, Tanh(&mut y));
    Ok(y)
}

/// d x from d y; the gradients of W and b are added to what is there.
pub fn tanh_layer_backward<F: Dispatch>(
    linear: Linear, w: &[F], x: &[F], y: &[F], d_y: &[F], sums: &mut LinearGradients<'_, F>,
) -> Result<Vec<F>> {
    let mut d = copied(d_y, "gradients")?;
    d.iter_mut().zip(y).for_each(|(d, &y)| *d = *d * (F::ONE - y * y));
    linear.backward(w, x, &d, y.len() / linear.outputs, sums)
}
