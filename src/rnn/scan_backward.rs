//! Backward of [`super::scan`]: one layer in one direction over one group of rows, from the last step
//! to the first.
//!
//! Each step turns the gradient of its output and states into that of its pre-activations, and by
//! W_hhᵀ into that of the states before. What else the pre-activations' gradients give, dx, dW and db,
//! is computed for a chunk of steps at once, as large products over what is still in cache.

use super::cell::{Operand, Phase};
use super::params::{BackwardPack, Part};
use super::scan::{Kept, Scan};
use super::sequence::{Array, GROUP, Out, Walk};
use crate::buffer::{Aligned, Spare};
use crate::error::Result;
use crate::kernels::gates::GatesBackward;
use crate::kernels::pack::{self, Packed};
use crate::kernels::product::{At, Left, Outputs, Panels, Product, Rows, Sum, tallest};
use crate::kernels::sums::ColumnSums;
use crate::parallel::Turn;
use crate::simd::{Dispatch, Isa};

/// Rows of pre-activation gradients that are collected before they are multiplied: two blocks of a sum.
const CHUNK: usize = 256;

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

/// Columns of a gradient of weights: how wide the panels are and how long a row is.
#[derive(Clone, Copy, Debug)]
struct Columns {
    count: usize,
    width: usize,
    padded: usize,
}

impl Columns {
    fn new(count: usize, lanes: usize) -> Self {
        let width = pack::best_width(count, lanes);
        Self { count, width, padded: count.next_multiple_of(width * lanes) }
    }
}

impl<F: Dispatch> ParamSums<F> {
    pub fn new(scan: &Scan, spare: &Spare<F>) -> Result<Self> {
        let lanes = F::lanes(scan.isa);
        let (ih, hh) = (Columns::new(scan.input, lanes), Columns::new(scan.hidden, lanes));
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
    pub fn write(&self, scan: &Scan, part: &Part, flat: &mut [F]) {
        let weights = [(&self.w_ih, self.ih, &part.w_ih), (&self.w_hh, self.hh, &part.w_hh)];
        for (sums, columns, to) in weights {
            let rows = sums.chunks_exact(columns.padded);
            for (out, row) in flat[to.clone()].chunks_exact_mut(columns.count).zip(rows) {
                out.copy_from_slice(&row[..columns.count]);
            }
        }
        for phase in scan.cell.phases() {
            for (bias, gates, at) in [(&part.b_ih, phase.x, phase.x_at), (&part.b_hh, phase.h, phase.h_at)] {
                for (slot, gate) in (phase.base + at..).zip(gates) {
                    if let Some(out) = flat[bias.clone()].chunks_exact_mut(scan.hidden).nth(*gate) {
                        out.copy_from_slice(&self.slots[slot * scan.hidden..][..scan.hidden]);
                    }
                }
            }
        }
    }
}

/// The arrays a backward scan reads and writes.
pub(crate) struct IoBackward<'a, F> {
    pub batch: usize,
    pub x: &'a [F],
    pub x_array: Array,
    /// The outputs' gradients from the direction's first column on.
    pub d_y: Option<&'a [F]>,
    pub y_array: Array,
    /// The final states' gradients; none for zeros.
    pub d_finals: &'a [&'a [F]],
    /// The direction's gradients of the inputs.
    pub d_x: Out<'a, F>,
    pub d_initial: Vec<Out<'a, F>>,
}

/// Memory for one backward scan, to be used again.
#[derive(Debug)]
pub(crate) struct WorkspaceBackward<F> {
    /// The gradients of the states.
    carry: Aligned<F>,
    carry_row: usize,
    /// Reset-before: the gradient of r ⊙ h.
    reset: Aligned<F>,
    /// The chunk's pre-activation gradients.
    d_gates: Aligned<F>,
    d_row: usize,
    /// Reset-before: the chunk's r ⊙ h.
    operand: Aligned<F>,
    /// An operand of dW as panels, and the other as tiles.
    panels: Aligned<F>,
    tiles: Aligned<F>,
    d_x: Aligned<F>,
    x_offsets: Vec<usize>,
    d_x_places: Vec<usize>,
    state_offsets: Vec<usize>,
    d_y_offsets: Vec<usize>,
}

impl<F: Dispatch> WorkspaceBackward<F> {
    pub fn new(
        scan: &Scan, rows: usize, pack: &BackwardPack<F>, sums: &ParamSums<F>, spare: &Spare<F>,
    ) -> Result<Self> {
        let lanes = F::lanes(scan.isa);
        let rows = rows.min(GROUP);
        let wide = |w: &Packed<F>| w.panels().width * lanes;
        let carry_row = pack.w_hh.iter().map(|w| scan.hidden.next_multiple_of(wide(w))).max().unwrap_or(0);
        let reset = usize::from(scan.cell.has_reset_operand());
        // One more cache line, so that the rows of a chunk do not all fall on the same few sets.
        let d_row = (scan.cell.slots() * scan.hidden).next_multiple_of(lanes) + 64 / size_of::<F>();
        Ok(Self {
            carry: spare.zeros(scan.cell.states() * rows * carry_row, "scratch")?,
            carry_row,
            reset: spare.zeros(reset * rows * carry_row, "scratch")?,
            d_gates: spare.zeros(CHUNK * d_row, "scratch")?,
            d_row,
            operand: spare.zeros(reset * CHUNK * scan.padded::<F>(), "scratch")?,
            panels: spare.zeros(CHUNK * sums.ih.padded.max(sums.hh.padded), "scratch")?,
            tiles: spare.zeros(CHUNK * scan.hidden, "scratch")?,
            d_x: spare.zeros(CHUNK * scan.input.next_multiple_of(wide(&pack.w_ih)), "scratch")?,
            x_offsets: Vec::with_capacity(CHUNK),
            d_x_places: Vec::with_capacity(CHUNK),
            state_offsets: Vec::with_capacity(CHUNK),
            d_y_offsets: Vec::with_capacity(GROUP),
        })
    }

    /// Its memory, to be used for something else.
    pub fn into_buffers(self) -> [Aligned<F>; 7] {
        [self.carry, self.reset, self.d_gates, self.operand, self.panels, self.tiles, self.d_x]
    }
}

/// One walk of one backward scan.
pub(crate) struct Backward<'a, 'io, F> {
    pub scan: Scan,
    pub pack: &'a BackwardPack<F>,
    pub walk: Walk<'a>,
    pub io: &'a mut IoBackward<'io, F>,
    pub work: &'a mut WorkspaceBackward<F>,
    pub kept: &'a Kept<F>,
    /// The first row of this walk in `kept`.
    pub kept_first: usize,
    pub sums: &'a mut ParamSums<F>,
}

impl<F: Dispatch> Backward<'_, '_, F> {
    /// All steps.
    pub fn run(mut self, turn: &Turn<'_>) -> Result<()> {
        for row in 0..self.walk.len() {
            self.set_carry(row);
        }
        let mut before = self.kept_first + self.walk.total();
        for step in (0..self.walk.steps()).rev() {
            turn.go_on()?;
            let active = self.walk.active(step);
            before -= active;
            if self.collected() + active > CHUNK {
                self.multiply_chunk();
            }
            self.step(step, active, before);
        }
        self.multiply_chunk();
        let (hidden, state) = (self.scan.hidden, self.carry_state());
        for row in 0..self.walk.len() {
            for (i, out) in self.io.d_initial.iter_mut().enumerate() {
                let carry = &self.work.carry[i * state + row * self.work.carry_row..][..hidden];
                out.only(&self.walk, row).copy_from_slice(carry);
            }
        }
        Ok(())
    }

    /// Rows of the chunk so far.
    fn collected(&self) -> usize {
        self.work.x_offsets.len()
    }

    fn carry_state(&self) -> usize {
        self.work.carry.len() / self.scan.cell.states()
    }

    /// A row's carry begins as the gradient of its final states, and waits there for its last step.
    fn set_carry(&mut self, row: usize) {
        let (hidden, state) = (self.scan.hidden, self.carry_state());
        let from = self.scan.state_at(self.io.batch, self.walk.row(row));
        for i in 0..self.scan.cell.states() {
            let carry = &mut self.work.carry[i * state + row * self.work.carry_row..][..hidden];
            match self.io.d_finals.get(i) {
                Some(d_final) => carry.copy_from_slice(&d_final[from..from + hidden]),
                None => carry.fill(F::ZERO),
            }
        }
    }

    /// One step of `active` rows whose kept rows begin at `before`.
    fn step(&mut self, step: usize, active: usize, before: usize) {
        let first = self.collected();
        let padded = self.scan.padded::<F>();
        self.work.d_y_offsets.clear();
        for row in 0..active {
            self.work.x_offsets.push(self.walk.at(self.io.x_array, row, step));
            self.work.d_x_places.push(self.io.d_x.index(&self.walk, row, step));
            self.work.d_y_offsets.push(self.walk.at(self.io.y_array, row, step));
            self.work.state_offsets.push((before + row) * padded);
        }
        for (p, phase) in self.scan.cell.phases().iter().enumerate().rev() {
            self.gates(p, first, active, before);
            let a = self.gradients(first, phase.base + phase.h_at);
            let data = match phase.of {
                Operand::State => &mut self.work.carry[..],
                Operand::Reset => &mut self.work.reset[..],
            };
            let w = self.pack.w_hh[p].panels();
            let a = Left::Rows(Rows { data: &self.work.d_gates, at: a });
            multiply(self.scan.isa, a, active, w, self.scan.hidden, data, self.work.carry_row);
        }
    }

    /// The chunk's gradients of the slots from `slot` on, from row `first` on.
    fn gradients(&self, first: usize, slot: usize) -> At<'static> {
        At::Stride { offset: first * self.work.d_row + slot * self.scan.hidden, stride: self.work.d_row }
    }

    fn gates(&mut self, phase: usize, first: usize, active: usize, before: usize) {
        let padded = self.scan.padded::<F>();
        let kept_row = padded * self.scan.cell.kept();
        let carry_state = self.carry_state();
        let operand = if self.work.operand.is_empty() { 0 } else { first * padded };
        let gates = GatesBackward {
            rows: active,
            hidden: self.scan.hidden,
            kept: &self.kept.gates[before * kept_row..],
            kept_row,
            states: &self.kept.states[before * padded..],
            states_row: padded,
            d_y: self.io.d_y.map(|data| Rows { data, at: At::Table(&self.work.d_y_offsets) }),
            carry: &mut self.work.carry,
            carry_state,
            carry_row: self.work.carry_row,
            spare: &mut self.work.reset,
            operand: &mut self.work.operand[operand..],
            d_gates: &mut self.work.d_gates[first * self.work.d_row..],
            d_row: self.work.d_row,
        };
        self.scan.cell.backward(self.scan.isa, phase, gates);
    }

    /// What the chunk's gradients give beside the states': dx, dW and db.
    fn multiply_chunk(&mut self) {
        let count = self.collected();
        if count > 0 {
            self.inputs(count);
            self.weights_of_inputs(count);
            for phase in self.scan.cell.phases() {
                self.weights_of_states(phase, count);
            }
            let sums = &mut self.sums.slots[..];
            let rows = ColumnSums { rows: &self.work.d_gates, stride: self.work.d_row, count, sums };
            F::dispatch(self.scan.isa, rows);
            self.work.x_offsets.clear();
            self.work.d_x_places.clear();
            self.work.state_offsets.clear();
        }
    }

    /// dx += d gates · W_ih
    fn inputs(&mut self, count: usize) {
        let w = self.pack.w_ih.panels();
        let input = self.scan.input;
        let row = input.next_multiple_of(w.width * F::lanes(self.scan.isa));
        self.work.d_x[..count * row].fill(F::ZERO);
        let a = Rows { data: &self.work.d_gates[..], at: self.gradients(0, self.scan.cell.x_slot()) };
        multiply(self.scan.isa, Left::Rows(a), count, w, input, &mut self.work.d_x, row);
        for (&place, d_x) in self.work.d_x_places.iter().zip(self.work.d_x.chunks_exact(row)) {
            self.io.d_x.at(place).copy_from_slice(&d_x[..input]);
        }
    }

    /// dW_ih += d gatesᵀ · x
    fn weights_of_inputs(&mut self, count: usize) {
        let lanes = F::lanes(self.scan.isa);
        let x = Rows { data: self.io.x, at: At::Table(&self.work.x_offsets) };
        let ih = self.sums.ih;
        let panels = pack::rows_as_panels(&x, count, ih.count, ih.width, lanes, &mut self.work.panels);
        let d_gates = (&self.work.d_gates[..], self.work.d_row);
        for (slot, gate) in (self.scan.cell.x_slot()..).zip(self.scan.cell.x_gates()) {
            let places = (slot * self.scan.hidden, gate * self.scan.hidden, self.scan.hidden);
            let sums = &mut self.sums.w_ih;
            outer(self.scan.isa, d_gates, count, places, panels, ih, &mut self.work.tiles, sums);
        }
    }

    /// dW_hh += d gatesᵀ · (h or r ⊙ h)
    fn weights_of_states(&mut self, phase: &Phase, count: usize) {
        let (lanes, padded) = (F::lanes(self.scan.isa), self.scan.padded::<F>());
        let operand = match phase.of {
            Operand::State => Rows { data: &self.kept.states[..], at: At::Table(&self.work.state_offsets) },
            Operand::Reset => Rows { data: &self.work.operand[..], at: At::Stride { offset: 0, stride: padded } },
        };
        let hh = self.sums.hh;
        let panels = pack::rows_as_panels(&operand, count, hh.count, hh.width, lanes, &mut self.work.panels);
        let d_gates = (&self.work.d_gates[..], self.work.d_row);
        for (slot, gate) in (phase.base + phase.h_at..).zip(phase.h) {
            let places = (slot * self.scan.hidden, gate * self.scan.hidden, self.scan.hidden);
            let sums = &mut self.sums.w_hh;
            outer(self.scan.isa, d_gates, count, places, panels, hh, &mut self.work.tiles, sums);
        }
    }
}

/// C += A W over all panels, C's rows padded to whole panels.
fn multiply<F: Dispatch>(
    isa: Isa, a: Left<'_, F>, rows: usize, w: Panels<'_, F>, columns: usize, data: &mut [F], row: usize,
) {
    let wide = w.width * F::lanes(isa);
    let panels = 0..columns.div_ceil(wide);
    let c = Outputs { data, row, panel: wide };
    F::dispatch(isa, Product { a, rows, w, panels, backwards: false, sum: Sum::Blocks, c });
}

/// One gate's part of dW: `units` columns of the gradients from column `from`, to row `to` of the sums.
#[allow(clippy::too_many_arguments, reason = "two operands and a result, each with its place")]
fn outer<F: Dispatch>(
    isa: Isa, d_gates: (&[F], usize), count: usize, (from, to, units): (usize, usize, usize), panels: Panels<'_, F>,
    columns: Columns, tiles: &mut [F], sums: &mut [F],
) {
    let rows = Rows { data: d_gates.0, at: At::Stride { offset: 0, stride: d_gates.1 } };
    pack::columns_as_tiles(&rows, count, from, units, tallest(columns.width), tiles);
    let out = &mut sums[to * columns.padded..];
    multiply(isa, Left::Tiles(tiles), units, panels, columns.count, out, columns.padded);
}
