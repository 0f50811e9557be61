//! The gradients of an encoder with its decoder, from the head back to the source.

use super::{EncoderDecoder, Lesson, Record, Source};
use crate::buffer::zeros;
use crate::error::Result;
use crate::model::config::{Inputs, Numbers};
use crate::nn::attention::{AttendGradients, Attention, tanh_layer_backward};
use crate::nn::embedding;
use crate::nn::linear::{Linear, LinearGradients};
use crate::nn::pooling;
use crate::parallel;
use crate::rnn::tape::Gradients;
use crate::simd::Dispatch;
use std::ops::Range;

impl<F: Dispatch> EncoderDecoder<F> {
    #[expect(clippy::too_many_arguments, reason = "what a gradient is of")]
    pub(super) fn backward(
        &self, flat: &[F], record: Record<F>, inputs: &Inputs<'_, F>, lesson: &Lesson, seed: u64, d_scores: &[F],
        gradient: &mut [F],
    ) -> Result<()> {
        let Record { tapes, source, ends, rows, queries, weights, joined, combined, features } = record;
        let Some((mut encoder_tape, mut decoder_tape)) = tapes else { return Ok(()) };
        let masks = self.masks(seed);
        let mut d = self.matrix(flat, gradient, &self.places.head, self.head(), &features, d_scores)?;
        masks[2].apply(&mut d)?;
        let mut d_y = zeros(source.y.len(), "gradients")?;
        if self.config.attention.is_some() {
            let linear = self.combine();
            let (w, b) = Self::split(&self.places.combine, linear);
            let (d_w, d_b) = gradient[w.start..b.end].split_at_mut(w.len());
            let mut sums = LinearGradients { w: d_w, b: d_b };
            let d_joined = tanh_layer_backward(linear, &flat[w], &joined, &combined, &d, &mut sums)?;
            d = self.attend_backward(
                flat,
                gradient,
                &source,
                lesson,
                (&rows, &queries, &weights),
                &d_joined,
                &mut d_y,
            )?;
        }
        let d_out = pooling::each_backward(d, self.steps(inputs.batch, lesson))?;
        let Gradients { x: mut d_x, states: d_initial, flat: d_decoder } = decoder_tape.gradients(Some(&d_out), &[])?;
        gradient[self.places.decoder.clone()].copy_from_slice(&d_decoder);
        masks[1].apply(&mut d_x)?;
        let d_table = &mut gradient[self.places.target.clone()];
        embedding::backward(&d_x, self.written(lesson), self.config.embedding, d_table);

        let d_states = self.cross_backward(flat, gradient, inputs.batch, &source.initial, &ends, d_initial)?;
        let d_states: Vec<&[F]> = d_states.iter().map(|d| &d[..]).collect();
        let d_y = self.config.attention.map(|_| &d_y[..]);
        let Gradients { x: mut d_x, flat: d_encoder, .. } = encoder_tape.gradients(d_y, &d_states)?;
        gradient[self.places.encoder.clone()].copy_from_slice(&d_encoder);
        if let Numbers::Tokens(tokens) = inputs.numbers {
            masks[0].apply(&mut d_x)?;
            let d_table = &mut gradient[self.places.source.clone()];
            embedding::backward(&d_x, inputs.tokens(tokens), self.config.encoder.input, d_table);
        }
        Ok(())
    }

    /// d x of a matrix with its bias behind it, whose gradients are added to.
    fn matrix(
        &self, flat: &[F], gradient: &mut [F], place: &Range<usize>, linear: Linear, x: &[F], d_y: &[F],
    ) -> Result<Vec<F>> {
        let (w, b) = Self::split(place, linear);
        let (d_w, d_b) = gradient[w.start..b.end].split_at_mut(w.len());
        let mut sums = LinearGradients { w: d_w, b: d_b };
        linear.backward(&flat[w], x, d_y, x.len() / linear.inputs, &mut sums)
    }

    /// The gradient at the decoder's outputs; that of the encoder's is added to `d_y`.
    #[expect(clippy::too_many_arguments, reason = "what a gradient is of")]
    fn attend_backward(
        &self, flat: &[F], gradient: &mut [F], source: &Source<F>, lesson: &Lesson,
        (rows, queries, weights): (&[F], &[F], &[Vec<F>]), d_joined: &[F], d_y: &mut [F],
    ) -> Result<Vec<F>> {
        let Some(kind) = self.config.attention else { return Ok(vec![]) };
        let (n, width) = (self.config.encoder.hidden, self.config.encoder.outputs());
        let mut d_rows = zeros(rows.len(), "gradients")?;
        let mut d_context = zeros(rows.len() / n * width, "gradients")?;
        let out = d_rows.chunks_exact_mut(n).zip(d_context.chunks_exact_mut(width));
        for ((d_row, d_context), d) in out.zip(d_joined.chunks_exact(width + n)) {
            d_context.copy_from_slice(&d[..width]);
            d_row.copy_from_slice(&d[width..]);
        }
        let mut d_keys: Vec<F> = zeros(source.keys.len(), "gradients")?;
        let mut found: Vec<(Vec<F>, Vec<F>)> = vec![(vec![], vec![]); lesson.lengths.len()];
        let (mut tasks, mut operations) = (Vec::with_capacity(found.len()), 0);
        let (mut q, mut d_c) = (queries, &d_context[..]);
        let of_keys = d_keys.chunks_mut((source.seq * n).max(1));
        let of_values = d_y.chunks_mut((source.seq * width).max(1));
        for (row, ((found, d_k), d_v)) in found.iter_mut().zip(of_keys).zip(of_values).enumerate() {
            let length = lesson.lengths[row];
            tasks.push((row, &q[..length * n], &d_c[..length * width], found, d_k, d_v));
            (q, d_c) = (&q[length * n..], &d_c[length * width..]);
            operations += length * source.lengths[row] * (n + width) * 4;
        }
        parallel::for_each(parallel::worth(operations)?, tasks, |(row, q, d_c, found, d_k, d_values), _| {
            let others = source.lengths[row];
            let mut d_v = zeros(self.places.v.len(), "gradients")?;
            let (keys, values) = (&mut d_k[..others * n], &mut d_values[..others * width]);
            let mut sums = AttendGradients { keys, values, v: &mut d_v };
            let d_q = self.attend_to(&flat[self.places.v.clone()], source, row, kind).backward(
                q,
                &weights[row],
                d_c,
                &mut sums,
            )?;
            *found = (d_q, d_v);
            Ok(())
        })?;
        // Without steps in the source no task was made, and nothing was seen.
        let mut d_queries = Vec::with_capacity(queries.len());
        for (row, (d_q, d_v)) in found.into_iter().enumerate() {
            d_queries.extend(if d_q.is_empty() { zeros(lesson.lengths[row] * n, "gradients")? } else { d_q });
            gradient[self.places.v.clone()].iter_mut().zip(d_v).for_each(|(sum, d)| *sum += d);
        }
        let d_from_queries = self.queries_backward(flat, gradient, kind, rows, d_queries)?;
        d_rows.iter_mut().zip(d_from_queries).for_each(|(sum, d)| *sum += d);
        if !d_keys.is_empty() {
            let (w, mut b) = (self.places.keys.clone(), zeros(n, "gradients")?);
            let mut sums = LinearGradients { w: &mut gradient[w.clone()], b: &mut b };
            let d = self.attention_layer().backward(&flat[w], &source.y, &d_keys, d_keys.len() / n, &mut sums)?;
            d_y.iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
        }
        Ok(d_rows)
    }

    /// The gradient at the decoder's outputs from that of what attention asks with.
    fn queries_backward(
        &self, flat: &[F], gradient: &mut [F], kind: Attention, rows: &[F], d_queries: Vec<F>,
    ) -> Result<Vec<F>> {
        match kind {
            Attention::Dot => Ok(d_queries),
            Attention::Additive => {
                let n = self.config.encoder.hidden;
                let (w, mut b) = (self.places.queries.clone(), zeros(n, "gradients")?);
                let mut sums = LinearGradients { w: &mut gradient[w.clone()], b: &mut b };
                self.square().backward(&flat[w], rows, &d_queries, rows.len() / n, &mut sums)
            }
        }
    }

    /// The gradients at the encoder's last states from those at the decoder's first ones.
    fn cross_backward(
        &self, flat: &[F], gradient: &mut [F], batch: usize, initial: &[Vec<F>], ends: &[Vec<F>],
        d_initial: Vec<Vec<F>>,
    ) -> Result<Vec<Vec<F>>> {
        let (hidden, layers) = (self.config.encoder.hidden, self.config.encoder.layers);
        if !self.config.encoder.bidirectional {
            return Ok(d_initial);
        }
        let mut d_states = Vec::new();
        for (kind, (initial, d_initial)) in initial.iter().zip(&d_initial).enumerate() {
            let mut d_state = zeros(2 * layers * batch * hidden, "gradients")?;
            for layer in 0..layers {
                let (index, of) = (kind * layers + layer, layer * batch * hidden..(layer + 1) * batch * hidden);
                let (w, b) = Self::split(&self.bridge_place(index), self.bridge());
                let (d_w, d_b) = gradient[w.start..b.end].split_at_mut(w.len());
                let mut sums = LinearGradients { w: d_w, b: d_b };
                let (y, d_y) = (&initial[of.clone()], &d_initial[of]);
                let d_both = tanh_layer_backward(self.bridge(), &flat[w], &ends[index], y, d_y, &mut sums)?;
                for (row, d) in d_both.chunks_exact(2 * hidden).enumerate() {
                    for way in 0..2 {
                        let to = ((2 * layer + way) * batch + row) * hidden;
                        d_state[to..to + hidden].copy_from_slice(&d[way * hidden..][..hidden]);
                    }
                }
            }
            d_states.push(d_state);
        }
        Ok(d_states)
    }
}
