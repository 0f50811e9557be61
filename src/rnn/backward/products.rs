//! What backward computes of the gradients of some steps' pre-activations beside the gradients of states:
//! dx, dW and db, as large products, a chunk of steps at a time. Three of them, none of which reads what
//! another writes, so that several threads can work on one scan. It must not know time.

use crate::buffer::{Aligned, Spare};
use crate::error::Result;
use crate::kernels::outer::Columns;
use crate::kernels::product::{At, Left, Outputs, Panels, Product, Rows, Sum};
use crate::kernels::sums::ColumnSums;
use crate::rnn::cell::{Operand, Phase};
use crate::rnn::config::Places;
use crate::rnn::out::Out;
use crate::rnn::rows::Walk;
use crate::rnn::sizes::Scan;
use crate::rnn::weights::BackwardPack;
use crate::rnn::windows::{CHUNK, Window};
use crate::simd::{Dispatch, Isa};
use std::ops::Range;

/// The gradients of one scan's parameters while they grow, rows padded to whole panels.
#[derive(Debug)]
pub(crate) struct ParamSums<F> {
    w_ih: Aligned<F>,
    w_hh: Aligned<F>,
    /// Slot by slot.
    slots: Aligned<F>,
    ih: Columns,
    hh: Columns,
}

impl<F: Dispatch> ParamSums<F> {
    pub fn new(scan: &Scan, spare: &Spare<F>) -> Result<Self> {
        let (ih, hh) = (Columns::new::<F>(scan.isa, scan.input), Columns::new::<F>(scan.isa, scan.hidden));
        let rows = scan.cell.gates() * scan.hidden;
        Ok(Self {
            w_ih: spare.zeros(rows * ih.padded, "gradients")?,
            w_hh: spare.zeros(rows * hh.padded, "gradients")?,
            slots: spare.zeros(scan.cell.slots() * scan.hidden, "gradients")?,
            ih,
            hh,
        })
    }

    /// Adds those of other rows.
    pub fn add(&mut self, others: &Self) {
        for (sums, others) in
            [(&mut self.w_ih, &others.w_ih), (&mut self.w_hh, &others.w_hh), (&mut self.slots, &others.slots)]
        {
            sums.iter_mut().zip(&others[..]).for_each(|(sum, &other)| *sum += other);
        }
    }

    /// Its memory, to be used for something else.
    pub fn into_buffers(self) -> [Aligned<F>; 3] {
        [self.w_ih, self.w_hh, self.slots]
    }

    /// Copies the sums to the parameters' places in the flat gradient.
    pub fn write(&self, scan: &Scan, places: &Places, flat: &mut [F]) {
        let weights = [(&self.w_ih, self.ih, &places.w_ih), (&self.w_hh, self.hh, &places.w_hh)];
        for (sums, columns, to) in weights {
            let rows = sums.chunks_exact(columns.padded);
            for (out, row) in flat[to.clone()].chunks_exact_mut(columns.count).zip(rows) {
                out.copy_from_slice(&row[..columns.count]);
            }
        }
        for phase in scan.cell.phases() {
            for (bias, gates, at) in [(&places.b_ih, phase.x, phase.x_at), (&places.b_hh, phase.h, phase.h_at)] {
                for (slot, gate) in (phase.base + at..).zip(gates) {
                    if let Some(out) = flat[bias.clone()].chunks_exact_mut(scan.hidden).nth(*gate) {
                        out.copy_from_slice(&self.slots[slot * scan.hidden..][..scan.hidden]);
                    }
                }
            }
        }
    }
}

/// What the recurrence leaves of a window: row-steps in its order.
#[derive(Debug)]
pub(crate) struct Collected<F> {
    /// The gradients of the pre-activations.
    pub d_gates: Aligned<F>,
    /// From one row to the next.
    pub d_row: usize,
    /// Reset-before: r ⊙ h.
    pub operand: Aligned<F>,
    /// The states before the steps, if they had to be computed again.
    pub recomputed: Aligned<F>,
    /// Where a row's input begins.
    pub x: Vec<usize>,
    /// Where the state before it begins, here or among those that were kept.
    pub states: Vec<usize>,
}

impl<F: Dispatch> Collected<F> {
    /// Room for so many row-steps; `recomputes`: also for their states.
    pub fn new(scan: &Scan, rows: usize, recomputes: bool, spare: &Spare<F>) -> Result<Self> {
        // One more cache line, so that the rows of a chunk do not all fall on the same few sets.
        let d_row = (scan.cell.slots() * scan.hidden).next_multiple_of(F::lanes(scan.isa)) + 64 / size_of::<F>();
        let operand = if scan.cell.has_reset_operand() { rows * scan.padded::<F>() } else { 0 };
        Ok(Self {
            d_gates: spare.zeros(rows * d_row, "scratch")?,
            d_row,
            operand: spare.zeros(operand, "scratch")?,
            recomputed: spare.zeros(if recomputes { rows * scan.padded::<F>() } else { 0 }, "scratch")?,
            x: Vec::with_capacity(rows),
            states: Vec::with_capacity(rows),
        })
    }

    /// Its memory, to be used for something else.
    pub fn into_buffers(self) -> [Aligned<F>; 3] {
        [self.d_gates, self.operand, self.recomputed]
    }

    /// The gradients of the slots from `slot` on, from row `first` on.
    pub fn gradients(&self, scan: &Scan, first: usize, slot: usize) -> At<'static> {
        At::Stride { offset: first * self.d_row + slot * scan.hidden, stride: self.d_row }
    }
}

/// What all products of one scan read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a, F> {
    pub scan: Scan,
    pub pack: &'a BackwardPack<F>,
    pub x: &'a [F],
    /// The states that forward kept, unless they are computed again.
    pub states: Option<&'a [F]>,
}

/// Kinds of [`Products`].
pub const KINDS: usize = 3;

/// Memory for the products of one thread at a time.
#[derive(Debug)]
pub(crate) struct Scratch<F> {
    /// An operand of dW as panels, and the other as tiles.
    panels: Aligned<F>,
    tiles: Aligned<F>,
    d_x: Aligned<F>,
}

impl<F: Dispatch> Scratch<F> {
    pub fn new(from: &Sources<'_, F>, spare: &Spare<F>) -> Result<Self> {
        let scan = &from.scan;
        let (ih, hh) = (Columns::new::<F>(scan.isa, scan.input), Columns::new::<F>(scan.isa, scan.hidden));
        let tiles = |columns: Columns| columns.left_len(CHUNK, scan.hidden);
        Ok(Self {
            panels: spare.zeros(ih.right_len(CHUNK).max(hh.right_len(CHUNK)), "scratch")?,
            tiles: spare.zeros(tiles(ih).max(tiles(hh)), "scratch")?,
            d_x: spare.zeros(CHUNK * from.pack.w_ih.padded(), "scratch")?,
        })
    }

    /// Its memory, to be used for something else.
    pub fn into_buffers(self) -> [Aligned<F>; 3] {
        [self.panels, self.tiles, self.d_x]
    }
}

/// Products with what they write.
#[derive(Debug)]
pub(crate) enum Products<'a, F> {
    /// dx = d gates · W_ih, and db
    Inputs { d_x: Out<'a, F>, slots: &'a mut [F], places: Vec<usize> },
    /// dW_ih += d gatesᵀ · x
    WeightsOfInputs { sums: &'a mut [F], columns: Columns },
    /// dW_hh += d gatesᵀ · (h or r ⊙ h)
    WeightsOfStates { sums: &'a mut [F], columns: Columns },
}

impl<'a, F: Dispatch> Products<'a, F> {
    /// All of a scan's.
    pub fn all(d_x: Out<'a, F>, sums: &'a mut ParamSums<F>) -> [Self; KINDS] {
        let ParamSums { w_ih, w_hh, slots, ih, hh } = sums;
        [
            Self::Inputs { d_x, slots, places: Vec::with_capacity(CHUNK) },
            Self::WeightsOfInputs { sums: w_ih, columns: *ih },
            Self::WeightsOfStates { sums: w_hh, columns: *hh },
        ]
    }

    /// Adds those of a window, chunk after chunk.
    pub fn add(
        &mut self, from: &Sources<'_, F>, (walk, window): (&Walk<'_>, &Window), collected: &Collected<F>,
        scratch: &mut Scratch<F>,
    ) {
        let mut first = 0;
        if let Self::Inputs { d_x, places, .. } = self {
            places.clear();
            for step in window.steps.clone().rev() {
                places.extend((0..walk.active(step)).map(|row| d_x.index(walk, row, step)));
            }
        }
        for count in window.chunks.iter().map(|chunk| chunk.rows) {
            let rows = first..first + count;
            match self {
                Self::Inputs { d_x, slots, places } => {
                    inputs(from, collected, rows.clone(), d_x, &places[rows], &mut scratch.d_x);
                    let d_gates = &collected.d_gates[first * collected.d_row..];
                    let sums = ColumnSums { rows: d_gates, stride: collected.d_row, count, sums: slots };
                    F::dispatch(from.scan.isa, sums);
                }
                Self::WeightsOfInputs { sums, columns } => {
                    let x = Rows { data: from.x, at: At::Table(&collected.x[rows.clone()]) };
                    let gates = (from.scan.cell.x_slot()..).zip(from.scan.cell.x_gates());
                    outer(&from.scan, collected, rows, x, gates, *columns, (scratch, sums));
                }
                Self::WeightsOfStates { sums, columns } => {
                    for phase in from.scan.cell.phases() {
                        let of = operand(from, collected, phase, rows.clone());
                        let gates = (phase.base + phase.h_at..).zip(phase.h.iter().copied());
                        outer(&from.scan, collected, rows.clone(), of, gates, *columns, (scratch, sums));
                    }
                }
            }
            first += count;
        }
    }
}

/// What the recurrent weights of a phase multiplied in those rows.
fn operand<'c, F: Dispatch>(
    from: &Sources<'c, F>, collected: &'c Collected<F>, phase: &Phase, rows: Range<usize>,
) -> Rows<'c, F> {
    let padded = from.scan.padded::<F>();
    match phase.of {
        Operand::Reset => {
            let at = At::Stride { offset: rows.start * padded, stride: padded };
            Rows { data: &collected.operand, at }
        }
        Operand::State => {
            Rows { data: from.states.unwrap_or(&collected.recomputed), at: At::Table(&collected.states[rows]) }
        }
    }
}

/// dx = d gates · W_ih, each row to its place.
fn inputs<F: Dispatch>(
    from: &Sources<'_, F>, collected: &Collected<F>, rows: Range<usize>, d_x: &mut Out<'_, F>, places: &[usize],
    scratch: &mut [F],
) {
    let (scan, w) = (&from.scan, from.pack.w_ih.panels());
    let row = from.pack.w_ih.padded();
    scratch[..rows.len() * row].fill(F::ZERO);
    let a = Rows { data: &collected.d_gates[..], at: collected.gradients(scan, rows.start, scan.cell.x_slot()) };
    multiply(scan.isa, Left::Rows(a), rows.len(), w, scan.input, scratch, row);
    for (&place, from) in places.iter().zip(scratch.chunks_exact(row)) {
        d_x.at(place).copy_from_slice(&from[..scan.input]);
    }
}

/// dW += d gatesᵀ · operand, for (slot, gate) after (slot, gate).
fn outer<F: Dispatch>(
    scan: &Scan, collected: &Collected<F>, rows: Range<usize>, operand: Rows<'_, F>,
    gates: impl Iterator<Item = (usize, usize)>, columns: Columns, (scratch, sums): (&mut Scratch<F>, &mut [F]),
) {
    let hidden = scan.hidden;
    let panels = columns.right(&operand, rows.len(), &mut scratch.panels);
    let d_gates = Rows { data: &collected.d_gates[..], at: collected.gradients(scan, rows.start, 0) };
    for (slot, gate) in gates {
        let left = columns.left(&d_gates, rows.len(), (slot * hidden, hidden), &mut scratch.tiles);
        let out = &mut sums[gate * hidden * columns.padded..];
        multiply(scan.isa, left, hidden, panels, columns.count, out, columns.padded);
    }
}

/// C += A W over all panels, C's rows padded to whole panels.
pub(super) fn multiply<F: Dispatch>(
    isa: Isa, a: Left<'_, F>, rows: usize, w: Panels<'_, F>, columns: usize, data: &mut [F], row: usize,
) {
    let panels = 0..columns.div_ceil(w.layout.wide());
    let c = Outputs { data, row, panel: w.layout.wide() };
    F::dispatch(isa, Product { a, rows, w, panels, backwards: false, sum: Sum::Blocks, c });
}
