//! y = W x + b for some rows, and its gradients:
//!
//! ```text
//! dx = Wᵀ dy        dW = Σ dy xᵀ        db = Σ dy
//! ```

use crate::buffer::{Aligned, zeros};
use crate::error::Result;
use crate::kernels::outer::Columns;
use crate::kernels::pack::{self, Operands, PackedMatrix};
use crate::kernels::product::{Affine, At, BLOCK, Bias, Left, Outputs, Product, Rows, Sum};
use crate::kernels::sums::ColumnSums;
use crate::parallel;
use crate::simd::{Dispatch, Isa};
use crate::weights::Matrix;

/// Rows whose outer products are packed at once. Whole blocks, so that any number gives the same bits.
const CHUNK: usize = 2 * BLOCK;
/// Rows of W below which a thread's part of dW is not worth packing x for.
const FEWEST_OUTPUTS: usize = 24;

/// The sizes of W, `(outputs, inputs)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// The instruction set.
    pub isa: Isa,
    /// Numbers in a row of x.
    pub inputs: usize,
    /// Numbers in a row of y.
    pub outputs: usize,
    /// Whether many rows are spread over threads; not where the caller's rows are already.
    pub spread: bool,
}

/// The gradients of W and b, to be added to.
#[derive(Debug)]
pub struct LinearGradients<'a, F> {
    /// `(outputs, inputs)`
    pub w: &'a mut [F],
    /// `(outputs,)`
    pub b: &'a mut [F],
}

/// W and b as products read them: for many calls with few rows.
#[derive(Debug)]
pub struct PackedLinear<F> {
    of: Linear,
    w: PackedMatrix<F>,
    bias: Aligned<F>,
}

/// Memory for [`PackedLinear::forward`].
#[derive(Debug)]
pub struct LinearScratch<F> {
    y: Aligned<F>,
    operands: Operands<F>,
}

impl<F: Dispatch> PackedLinear<F> {
    /// Memory for [`Self::forward`] on so many rows.
    pub fn scratch(&self, rows: usize) -> Result<LinearScratch<F>> {
        let y = Aligned::zeros(rows.min(CHUNK) * self.bias.len(), "scratch")?;
        let mut operands = Operands::default();
        self.w.make_room(rows.min(CHUNK), &mut operands)?;
        Ok(LinearScratch { y, operands })
    }

    /// y, `(rows, outputs)`, from x, `(rows, inputs)`.
    pub fn forward(&self, x: &[F], y: &mut [F], scratch: &mut LinearScratch<F>) {
        let Linear { isa, inputs, outputs, .. } = self.of;
        let (lanes, padded) = (F::lanes(isa), self.bias.len());
        for (x, y) in x.chunks(CHUNK * inputs).zip(y.chunks_mut(CHUNK * outputs)) {
            let rows = y.len() / outputs;
            let bias = Bias { data: &self.bias, panel: lanes, from: 0 };
            let (x, panels) = (rows_of(x, inputs), 0..padded / lanes);
            let to = Outputs { data: &mut scratch.y, row: padded, panel: lanes };
            let of = Affine { x, rows, panels, backwards: false, bias, y: to };
            self.w.multiply(isa, of, &mut scratch.operands);
            for (y, from) in y.chunks_exact_mut(outputs).zip(scratch.y.chunks_exact(padded)) {
                y.copy_from_slice(&from[..outputs]);
            }
        }
    }
}

fn rows_of<F>(data: &[F], stride: usize) -> Rows<'_, F> {
    Rows { data, at: At::Stride { offset: 0, stride } }
}

impl Linear {
    /// Threads for so many rows.
    fn threads(&self, rows: usize) -> Result<usize> {
        let operations = rows.saturating_mul(2 * self.inputs * self.outputs);
        if self.spread { parallel::worth(operations) } else { Ok(1) }
    }

    /// y, `(rows, outputs)`, from x, `(rows, inputs)`. Each output is one chain from its bias over the inputs.
    pub fn forward<'w, F: Dispatch>(
        &self, w: impl Into<Matrix<'w, F>>, b: &[F], x: &[F], rows: usize,
    ) -> Result<Vec<F>> {
        let mut y = zeros(rows * self.outputs, "output")?;
        let packed = self.pack(w.into(), b)?;
        let tasks: Vec<_> = x.chunks(CHUNK * self.inputs).zip(y.chunks_mut(CHUNK * self.outputs)).collect();
        parallel::for_each(self.threads(rows)?, tasks, |(x, y), _| {
            packed.forward(x, y, &mut packed.scratch(y.len() / self.outputs)?);
            Ok(())
        })?;
        Ok(y)
    }

    /// W and b laid out for products.
    pub fn pack<F: Dispatch>(&self, w: Matrix<'_, F>, b: &[F]) -> Result<PackedLinear<F>> {
        let (lanes, outputs) = (F::lanes(self.isa), self.outputs);
        let mut bias = Aligned::zeros(outputs.next_multiple_of(lanes), "scratch")?;
        bias[..outputs].copy_from_slice(b);
        Ok(PackedLinear { of: *self, w: pack::by_units(self.isa, w, &[0], outputs, self.inputs)?, bias })
    }

    /// dx, `(rows, inputs)`, from dy, `(rows, outputs)`; dW and db are added to what is there.
    pub fn backward<F: Dispatch>(
        &self, w: &[F], x: &[F], d_y: &[F], rows: usize, sums: &mut LinearGradients<'_, F>,
    ) -> Result<Vec<F>> {
        self.sums(x, d_y, rows, sums)?;
        self.transposed(w, d_y, rows)
    }

    /// dW and db, added to what is there.
    pub fn sums<F: Dispatch>(&self, x: &[F], d_y: &[F], rows: usize, sums: &mut LinearGradients<'_, F>) -> Result<()> {
        let bias = ColumnSums { rows: d_y, stride: self.outputs, count: rows, sums: sums.b };
        F::dispatch(self.isa, bias);
        self.weights(x, d_y, sums.w)
    }

    /// dx = Wᵀ dy, `(rows, inputs)`, from dy, `(rows, outputs)`.
    pub fn transposed<F: Dispatch>(&self, w: &[F], d_y: &[F], rows: usize) -> Result<Vec<F>> {
        let packed = pack::by_columns(self.isa, w, &[0], self.outputs, self.inputs)?;
        let w = packed.panels();
        let (wide, padded) = (w.layout.wide(), packed.padded());
        let mut d_x = zeros(rows * self.inputs, "gradients")?;
        let tasks: Vec<_> = d_y.chunks(CHUNK * self.outputs).zip(d_x.chunks_mut(CHUNK * self.inputs)).collect();
        parallel::for_each(self.threads(rows)?, tasks, |(d_y, d_x), _| {
            let rows = d_x.len() / self.inputs;
            let mut sums = Aligned::zeros(rows * padded, "scratch")?;
            let a = Left::Rows(rows_of(d_y, self.outputs));
            let c = Outputs { data: &mut sums, row: padded, panel: wide };
            let panels = 0..padded / wide;
            F::dispatch(self.isa, Product { a, rows, w, panels, backwards: false, sum: Sum::Blocks, c });
            for (d_x, from) in d_x.chunks_exact_mut(self.inputs).zip(sums.chunks_exact(padded)) {
                d_x.copy_from_slice(&from[..self.inputs]);
            }
            Ok(())
        })?;
        Ok(d_x)
    }

    /// dW += Σ dy xᵀ
    pub fn weights<F: Dispatch>(&self, x: &[F], d_y: &[F], d_w: &mut [F]) -> Result<()> {
        let threads = self.threads(x.len() / self.inputs)?;
        // Each thread packs x for itself, so each has some rows of W to spend it on.
        let share = self.outputs.div_ceil(threads).max(FEWEST_OUTPUTS);
        let tasks: Vec<_> = d_w.chunks_mut(share * self.inputs).enumerate().collect();
        parallel::for_each(threads, tasks, |(task, d_w), _| self.some_weights(x, d_y, task * share, d_w))
    }

    /// The rows of dW from the first one on.
    fn some_weights<F: Dispatch>(&self, x: &[F], d_y: &[F], first: usize, d_w: &mut [F]) -> Result<()> {
        let outputs = d_w.len() / self.inputs;
        let columns = Columns::new::<F>(self.isa, self.inputs);
        let padded = columns.padded;
        let chunk = CHUNK.min(x.len() / self.inputs);
        let mut panels = Aligned::zeros(columns.right_len(chunk), "scratch")?;
        let mut tiles = Aligned::zeros(columns.left_len(chunk, outputs), "scratch")?;
        let mut sums = Aligned::zeros(outputs * padded, "gradients")?;
        for (x, d_y) in x.chunks(CHUNK * self.inputs).zip(d_y.chunks(CHUNK * self.outputs)) {
            let rows = x.len() / self.inputs;
            let w = columns.right(&rows_of(x, self.inputs), rows, &mut panels);
            let a = columns.left(&rows_of(d_y, self.outputs), rows, (first, outputs), &mut tiles);
            let c = Outputs { data: &mut sums, row: padded, panel: w.layout.wide() };
            let panels = 0..padded / w.layout.wide();
            F::dispatch(self.isa, Product { a, rows: outputs, w, panels, backwards: false, sum: Sum::Blocks, c });
        }
        for (d_w, from) in d_w.chunks_exact_mut(self.inputs).zip(sums.chunks_exact(padded)) {
            d_w.iter_mut().zip(from).for_each(|(sum, &d)| *sum += d);
        }
        Ok(())
    }
}
