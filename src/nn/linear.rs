//! y = W x + b for some rows, and its gradients:
//!
//! ```text
//! dx = Wᵀ dy        dW = Σ dy xᵀ        db = Σ dy
//! ```

use crate::buffer::{Aligned, zeros};
use crate::error::Result;
use crate::kernels::pack;
use crate::kernels::product::{At, BLOCK, Bias, Left, Outputs, Product, Rows, Sum, tallest};
use crate::kernels::sums::ColumnSums;
use crate::simd::{Dispatch, Isa};

/// Rows whose outer products are packed at once. Whole blocks, so that any number gives the same bits.
const CHUNK: usize = 2 * BLOCK;

/// The sizes of W, `(outputs, inputs)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// The instruction set.
    pub isa: Isa,
    /// Numbers in a row of x.
    pub inputs: usize,
    /// Numbers in a row of y.
    pub outputs: usize,
}

/// The gradients of W and b, to be added to.
#[derive(Debug)]
pub struct LinearGradients<'a, F> {
    /// `(outputs, inputs)`
    pub w: &'a mut [F],
    /// `(outputs,)`
    pub b: &'a mut [F],
}

fn rows_of<F>(data: &[F], stride: usize) -> Rows<'_, F> {
    Rows { data, at: At::Stride { offset: 0, stride } }
}

impl Linear {
    /// y, `(rows, outputs)`, from x, `(rows, inputs)`. Each output is one chain from its bias over the inputs.
    pub fn forward<F: Dispatch>(&self, w: &[F], b: &[F], x: &[F], rows: usize) -> Result<Vec<F>> {
        let (lanes, outputs) = (F::lanes(self.isa), self.outputs);
        let packed = pack::by_units(w, &[0], outputs, self.inputs, lanes)?;
        let padded = outputs.next_multiple_of(lanes);
        let mut bias = Aligned::zeros(padded, "scratch")?;
        bias[..outputs].copy_from_slice(b);
        let bias = Bias { data: &bias, panel: lanes, from: 0 };
        let mut y = zeros(rows * outputs, "output")?;
        let mut scratch = Aligned::zeros(rows.min(CHUNK) * padded, "scratch")?;
        let chunks = x.chunks(CHUNK * self.inputs).zip(y.chunks_mut(CHUNK * outputs));
        for (x, y) in chunks {
            let rows = y.len() / outputs;
            let a = Left::Rows(rows_of(x, self.inputs));
            let c = Outputs { data: &mut scratch, row: padded, panel: lanes };
            let (w, panels) = (packed.panels(), 0..padded / lanes);
            F::dispatch(self.isa, Product { a, rows, w, panels, backwards: false, sum: Sum::Chain(bias), c });
            for (y, from) in y.chunks_exact_mut(outputs).zip(scratch.chunks_exact(padded)) {
                y.copy_from_slice(&from[..outputs]);
            }
        }
        Ok(y)
    }

    /// dx, `(rows, inputs)`, from dy, `(rows, outputs)`; dW and db are added to what is there.
    pub fn backward<F: Dispatch>(
        &self, w: &[F], x: &[F], d_y: &[F], rows: usize, sums: &mut LinearGradients<'_, F>,
    ) -> Result<Vec<F>> {
        let bias = ColumnSums { rows: d_y, stride: self.outputs, count: rows, sums: sums.b };
        F::dispatch(self.isa, bias);
        self.weights(x, d_y, sums.w)?;
        self.inputs(w, d_y, rows)
    }

    fn inputs<F: Dispatch>(&self, w: &[F], d_y: &[F], rows: usize) -> Result<Vec<F>> {
        let packed = pack::by_columns(w, &[0], self.outputs, self.inputs, F::lanes(self.isa))?;
        let w = packed.panels();
        let wide = w.width * F::lanes(self.isa);
        let padded = self.inputs.next_multiple_of(wide);
        let mut scratch = Aligned::zeros(rows.min(CHUNK) * padded, "scratch")?;
        let mut d_x = zeros(rows * self.inputs, "gradients")?;
        for (d_y, d_x) in d_y.chunks(CHUNK * self.outputs).zip(d_x.chunks_mut(CHUNK * self.inputs)) {
            let rows = d_x.len() / self.inputs;
            scratch.fill(F::ZERO);
            let a = Left::Rows(rows_of(d_y, self.outputs));
            let c = Outputs { data: &mut scratch, row: padded, panel: wide };
            let panels = 0..padded / wide;
            F::dispatch(self.isa, Product { a, rows, w, panels, backwards: false, sum: Sum::Blocks, c });
            for (d_x, from) in d_x.chunks_exact_mut(self.inputs).zip(scratch.chunks_exact(padded)) {
                d_x.copy_from_slice(&from[..self.inputs]);
            }
        }
        Ok(d_x)
    }

    fn weights<F: Dispatch>(&self, x: &[F], d_y: &[F], d_w: &mut [F]) -> Result<()> {
        let lanes = F::lanes(self.isa);
        let width = pack::best_width(self.inputs, lanes);
        let wide = width * lanes;
        let padded = self.inputs.next_multiple_of(wide);
        let chunk = CHUNK.min(x.len() / self.inputs);
        let mut panels = Aligned::zeros(chunk * padded, "scratch")?;
        let mut tiles = Aligned::zeros(chunk * self.outputs, "scratch")?;
        let mut sums = Aligned::zeros(self.outputs * padded, "gradients")?;
        for (x, d_y) in x.chunks(CHUNK * self.inputs).zip(d_y.chunks(CHUNK * self.outputs)) {
            let rows = x.len() / self.inputs;
            let w = pack::rows_as_panels(&rows_of(x, self.inputs), rows, self.inputs, width, lanes, &mut panels);
            pack::columns_as_tiles(&rows_of(d_y, self.outputs), rows, 0, self.outputs, tallest(width), &mut tiles);
            let a = Left::Tiles(&tiles);
            let c = Outputs { data: &mut sums, row: padded, panel: wide };
            let (rows, panels) = (self.outputs, 0..padded / wide);
            F::dispatch(self.isa, Product { a, rows, w, panels, backwards: false, sum: Sum::Blocks, c });
        }
        for (d_w, from) in d_w.chunks_exact_mut(self.inputs).zip(sums.chunks_exact(padded)) {
            d_w.iter_mut().zip(from).for_each(|(sum, &d)| *sum += d);
        }
        Ok(())
    }
}
