//! One layer in one direction over one group of rows, forward in time order of its walk.
//!
//! A step is, for each phase of the cell: pre-activations = bias + W_ih x, += W_hh h, then the gates.
//! With rows enough, a panel of units goes through all of that at once while its pre-activations are
//! in the first-level cache. With few rows the inputs of several steps are projected together, so that
//! W_ih is read once for all of them. The chain of additions is the same, so are the bits.

use super::kept::Keep;
use super::workspace::{Io, Workspace};
use crate::buffer::copied;
use crate::error::Result;
use crate::kernels::gates::Gates;
use crate::kernels::product::{Affine, At, Bias, Outputs, Rows};
use crate::parallel::Turn;
use crate::rnn::cell::{Operand, Phase};
use crate::rnn::rows::{GROUP, Walk};
use crate::rnn::sizes::Scan;
use crate::rnn::weights::PhasePack;
use crate::simd::Dispatch;
use std::ops::Range;

/// From this many rows on a panel at a time.
const FUSED_ROWS: usize = 12;

/// One walk of one scan.
pub(crate) struct Forward<'a, 'io, F> {
    pub scan: Scan,
    pub packs: &'a [PhasePack<F>],
    pub walk: Walk<'a>,
    pub io: &'a mut Io<'io, F>,
    pub work: &'a mut Workspace<F>,
    pub keep: Keep<'a, F>,
}

impl<F: Dispatch> Forward<'_, '_, F> {
    /// Some steps, from the states where [`Self::begin`], [`Self::resume`] or the steps before left them.
    pub fn steps(mut self, steps: Range<usize>, turn: &Turn<'_>) -> Result<()> {
        let rounds = self.make_room()?;
        let mut step = steps.start;
        while step < steps.end {
            turn.go_on()?;
            let active = self.walk.active(step);
            // Such weights are few enough bytes to be read for all panels at once.
            let few = active < FUSED_ROWS || rounds;
            let chunk = if few { (GROUP / active).min(steps.end - step) } else { 1 };
            let rows = self.gather(step..step + chunk);
            if !few {
                self.reset_rows(step, active);
                self.panel_by_panel(step, active);
                self.end_step(step, active);
            } else {
                let ahead = self.sum_ahead(step, active, chunk);
                self.project(rows);
                let mut first = 0;
                for s in step..step + chunk {
                    let active = self.walk.active(s);
                    if !ahead {
                        self.reset_rows(s, active);
                    }
                    self.recur(s, first, active, rows, ahead);
                    self.end_step(s, active);
                    first += active;
                }
            }
            step += chunk;
        }
        Ok(())
    }

    /// What a single row's inputs of a single step come to, before the recurrence.
    pub fn projected(mut self) -> Result<Vec<F>> {
        self.make_room()?;
        let rows = self.gather(0..1);
        self.project(rows);
        copied(&self.work.pre, "stream")
    }

    /// The step of a single row from there.
    pub fn step_projected(mut self, projected: &[F]) {
        self.work.pre.copy_from_slice(projected);
        self.recur(0, 0, 1, 1, false);
        self.end_step(0, 1);
    }

    /// The other way of to and fro for a single step of weights of bytes: what the step before read last, the recurrent
    /// weights, first. Sums of bytes may be made in any order, so the bits are the same. Whether it was done.
    fn sum_ahead(&mut self, step: usize, active: usize, chunk: usize) -> bool {
        let w = &self.packs[0].w_hh;
        if chunk > 1 || !w.sums_ahead(active) || !self.work.backwards {
            return false;
        }
        self.reset_rows(step, active);
        let a = Rows { data: &self.work.states[..], at: At::Stride { offset: 0, stride: self.work.state_row } };
        w.sum_ahead(self.scan.isa, a, active, true, &mut self.work.ahead);
        true
    }

    /// What weights that round their operands need; whether they are. All matrices of a network are of one width.
    fn make_room(&mut self) -> Result<bool> {
        let rounds = self.packs[0].w_hh.rounds();
        if rounds {
            let rows = self.work.inputs.len() / self.work.input_row;
            self.packs[0].w_hh.make_room_ahead(rows, &mut self.work.ahead)?;
            for matrix in self.packs.iter().flat_map(|pack| [&pack.w_ih, &pack.w_hh]) {
                matrix.make_room(rows, &mut self.work.operands)?;
            }
        }
        Ok(rounds)
    }

    /// Copies the inputs of some steps to where products read them best; gives back the number of rows.
    fn gather(&mut self, steps: Range<usize>) -> usize {
        let (input, row) = (self.scan.input, self.work.input_row);
        let mut rows = 0;
        for step in steps {
            for r in 0..self.walk.active(step) {
                let from = self.walk.at(self.io.x_array, r, step);
                self.work.inputs[rows * row..][..input].copy_from_slice(&self.io.x[from..from + input]);
                rows += 1;
            }
        }
        rows
    }

    fn lanes(&self) -> usize {
        F::lanes(self.scan.isa)
    }

    /// From one state to the next: h, then c.
    fn state(&self) -> usize {
        self.work.states.len() / self.scan.cell.states()
    }

    /// The initial states, which are also the final ones of rows without steps.
    pub fn begin(&mut self) {
        self.work.states.fill(F::ZERO);
        let (hidden, row_len, state) = (self.scan.hidden, self.work.state_row, self.state());
        for (i, initial) in self.io.initial.iter().enumerate() {
            for row in 0..self.walk.len() {
                let from = self.scan.state_at(self.io.batch, self.walk.row(row));
                let h = &initial[from..from + hidden];
                self.work.states[i * state + row * row_len..][..hidden].copy_from_slice(h);
            }
        }
        for (i, last) in self.io.finals.iter_mut().enumerate() {
            for row in 0..self.walk.len() {
                let h = &self.work.states[i * state + row * row_len..][..hidden];
                last.only(&self.walk, row).copy_from_slice(h);
            }
        }
    }

    /// Zeros for the rows that begin a new sequence.
    fn reset_rows(&mut self, step: usize, active: usize) {
        for row in self.walk.beginning(step, active) {
            self.work.states(&self.scan, row).for_each(|state| state.fill(F::ZERO));
        }
    }

    /// The states before a step, as kept one behind the other.
    pub fn resume(&mut self, kept: &[F]) {
        let (padded, row, state) = (self.scan.padded::<F>(), self.work.state_row, self.state());
        self.work.states.fill(F::ZERO);
        for (i, kept) in kept.chunks_exact((kept.len() / self.scan.cell.states()).max(1)).enumerate() {
            for (r, kept) in kept.chunks_exact(padded).enumerate() {
                self.work.states[i * state + r * row..][..padded].copy_from_slice(kept);
            }
        }
    }

    /// One step of `active` rows, each tile's panels from bias to gates.
    fn panel_by_panel(&mut self, step: usize, active: usize) {
        let all = self.scan.padded::<F>() / self.lanes();
        for (p, phase) in self.scan.cell.phases().iter().enumerate() {
            let at_once = self.packs[p].w_hh.panels_at_once(active);
            let groups = all.div_ceil(at_once);
            for group in 0..groups {
                let first = at_once * if self.work.backwards { groups - 1 - group } else { group };
                let panels = first..all.min(first + at_once);
                self.project_phase(p, phase, panels.clone(), active, 0, false);
                self.recur_phase(p, phase, panels.clone(), active, 0, active, (false, false));
                self.gates(p, panels, active, 0, active, step);
            }
        }
    }

    /// The gathered inputs, for all phases one behind the other.
    fn project(&mut self, rows: usize) {
        let panels = self.scan.padded::<F>() / self.lanes();
        for (p, phase) in self.scan.cell.phases().iter().enumerate() {
            let at = rows * self.scan.padded::<F>() * phase.base;
            self.project_phase(p, phase, 0..panels, rows, at, self.work.backwards);
        }
    }

    /// One step of `active` rows, the `rows` gathered ones' from `first` on.
    fn recur(&mut self, step: usize, first: usize, active: usize, rows: usize, ahead: bool) {
        let backwards = self.work.backwards;
        let panels = self.scan.padded::<F>() / self.lanes();
        for (p, phase) in self.scan.cell.phases().iter().enumerate() {
            let at = rows * self.scan.padded::<F>() * phase.base + first * phase.slots * self.lanes();
            self.recur_phase(p, phase, 0..panels, active, at, rows, (backwards, ahead && p == 0));
            self.gates(p, 0..panels, active, at, rows, step);
        }
    }

    fn project_phase(
        &mut self, p: usize, phase: &Phase, panels: Range<usize>, rows: usize, at: usize, backwards: bool,
    ) {
        let x = Rows { data: &self.work.inputs[..], at: At::Stride { offset: 0, stride: self.work.input_row } };
        let (pack, isa) = (&self.packs[p], self.scan.isa);
        let (first, row) = (phase.x_at * F::lanes(isa), phase.slots * F::lanes(isa));
        let bias = Bias { data: &pack.bias[first..], panel: row, from: 0 };
        let y = Outputs { data: &mut self.work.pre[at + first..], row, panel: rows * row };
        pack.w_ih.multiply(isa, Affine { x, rows, panels, backwards, bias, y }, &mut self.work.operands);
    }

    #[allow(clippy::too_many_arguments, reason = "where the rows lie in a chunk")]
    fn recur_phase(
        &mut self, p: usize, phase: &Phase, panels: Range<usize>, active: usize, at: usize, rows: usize,
        (backwards, ahead): (bool, bool),
    ) {
        let data: &[F] = match phase.of {
            Operand::State => &self.work.states,
            Operand::Reset => &self.work.reset,
        };
        let x = Rows { data, at: At::Stride { offset: 0, stride: self.work.state_row } };
        let (pack, isa) = (&self.packs[p], self.scan.isa);
        let (first, row) = (phase.h_at * F::lanes(isa), phase.slots * F::lanes(isa));
        // Slots that x does not feed.
        let from = phase.x_at + phase.x.len() - phase.h_at;
        let bias = Bias { data: &pack.bias[first..], panel: row, from };
        let y = Outputs { data: &mut self.work.pre[at + first..], row, panel: rows * row };
        let of = Affine { x, rows: active, panels, backwards, bias, y };
        if ahead {
            pack.w_hh.add(isa, of, &mut self.work.ahead);
        } else {
            pack.w_hh.multiply(isa, of, &mut self.work.operands);
        }
    }

    /// The gates of rows whose pre-activations begin at `at`, `rows` rows to a panel.
    fn gates(&mut self, phase: usize, panels: Range<usize>, active: usize, at: usize, rows: usize, step: usize) {
        let (state, row) = (self.state(), self.work.state_row);
        let kept_row = self.scan.padded::<F>() * self.scan.cell.kept();
        let gates = Gates {
            rows: active,
            panels,
            pre: &mut self.work.pre[at..],
            pre_panel: rows * self.scan.cell.phases()[phase].slots * F::lanes(self.scan.isa),
            states: &self.work.states,
            next: &mut self.work.next,
            state,
            row,
            reset: &mut self.work.reset,
            kept: self.keep.gates(step),
            kept_row,
        };
        self.scan.cell.forward(self.scan.isa, self.scan.functions, phase, gates);
    }

    /// Keeps, hands out and swaps the states.
    fn end_step(&mut self, step: usize, active: usize) {
        let (hidden, padded, state) = (self.scan.hidden, self.scan.padded::<F>(), self.state());
        let row_len = self.work.state_row;
        self.keep.states(step, padded, &self.work.states, state, row_len);
        if let Some(y) = &mut self.io.y {
            for row in 0..active {
                let h = &self.work.next[row * row_len..][..hidden];
                y.step(&self.walk, row, step)[..hidden].copy_from_slice(h);
            }
        }
        for row in self.walk.ending(step) {
            for (i, last) in self.io.finals.iter_mut().enumerate() {
                let state = &self.work.next[i * state + row * row_len..][..hidden];
                last.only(&self.walk, row).copy_from_slice(state);
            }
        }
        std::mem::swap(&mut self.work.states, &mut self.work.next);
        self.work.backwards = !self.work.backwards;
    }
}
