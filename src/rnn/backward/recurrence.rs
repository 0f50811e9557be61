//! Backward of [`crate::rnn::forward::scan`]: one layer in one direction over the rows of a slice, from the last step
//! to the first.
//!
//! Each step turns the gradient of its output and states into that of its pre-activations, and by
//! W_hhᵀ into that of the states before. That is the recurrence, here; what else follows from the gradients of
//! pre-activations is left to [`super::products`].

use super::products::{Collected, multiply};
use crate::buffer::{Aligned, Spare};
use crate::error::Result;
use crate::kernels::gates::GatesBackward;
use crate::kernels::pack::Packed;
use crate::kernels::product::{At, Left, Rows};
use crate::parallel::Turn;
use crate::rnn::arrays::Array;
use crate::rnn::cell::Operand;
use crate::rnn::forward::kept::{Kept, Steps};
use crate::rnn::forward::scan::Forward;
use crate::rnn::forward::workspace::{Io, Workspace};
use crate::rnn::out::Out;
use crate::rnn::rows::{GROUP, Walk};
use crate::rnn::sizes::Scan;
use crate::rnn::weights::{BackwardPack, PhasePack};
use crate::rnn::windows::Window;
use crate::simd::Dispatch;

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
    pub d_initial: Vec<Out<'a, F>>,
}

/// The recurrence of one slice.
pub(crate) struct Recurrence<'a, F> {
    scan: Scan,
    pack: &'a BackwardPack<F>,
    io: IoBackward<'a, F>,
    /// The gates and states of all steps, unless they are computed again.
    kept: Option<&'a Steps<F>>,
    recompute: Option<Recompute<'a, F>>,
    /// The gradients of the states.
    carry: Aligned<F>,
    carry_row: usize,
    /// Reset-before: the gradient of r ⊙ h.
    reset: Aligned<F>,
    d_y_offsets: Vec<usize>,
}

/// Forward once more, from checkpoint to checkpoint.
struct Recompute<'a, F> {
    packs: &'a [PhasePack<F>],
    /// The steps between checkpoints, the last ones first, and which of them come next.
    sections: Vec<Window>,
    next: usize,
    /// The states at the checkpoints that are left.
    checkpoints: &'a [F],
    work: Workspace<F>,
    /// What the steps of a section keep.
    steps: Steps<F>,
}

impl<'a, F: Dispatch> Recurrence<'a, F> {
    /// For groups of up to `rows` rows. `sections` are between checkpoints, if that is what was kept.
    pub fn new(
        scan: Scan, (pack, packs): (&'a BackwardPack<F>, &'a [PhasePack<F>]), io: IoBackward<'a, F>,
        (kept, sections): (&'a Kept<F>, Vec<Window>), rows: usize, spare: &Spare<F>,
    ) -> Result<Self> {
        let rows = rows.min(GROUP);
        let carry_row = pack.w_hh.iter().map(Packed::padded).max().unwrap_or(0);
        let reset = usize::from(scan.cell.has_reset_operand());
        let (kept, recompute) = match kept {
            Kept::Steps(steps) => (Some(steps), None),
            Kept::Checkpoints(states) => {
                let most = |size: fn(&Window) -> usize| sections.iter().map(size).max().unwrap_or(0);
                let work = Workspace::new(&scan, rows, most(|section| section.steps.len()), spare)?;
                let steps = Steps::new(&scan, most(Window::rows), "scratch", spare)?;
                (None, Some(Recompute { packs, sections, next: 0, checkpoints: states, work, steps }))
            }
        };
        Ok(Self {
            scan,
            pack,
            io,
            kept,
            recompute,
            carry: spare.zeros(scan.cell.states() * rows * carry_row, "scratch")?,
            carry_row,
            reset: spare.zeros(reset * rows * carry_row, "scratch")?,
            d_y_offsets: Vec::with_capacity(GROUP),
        })
    }

    /// Its memory, to be used for something else.
    pub fn into_buffers(self) -> Vec<Aligned<F>> {
        let recompute = self.recompute.into_iter().flat_map(|Recompute { work, steps, .. }| {
            work.into_buffers().into_iter().chain([steps.gates, steps.states])
        });
        [self.carry, self.reset].into_iter().chain(recompute).collect()
    }

    /// The steps of a window. Windows come in order, a walk's last steps first; `kept_first` is the walk's first row
    /// among all that was kept.
    pub fn window(
        &mut self, (walk, kept_first): (&Walk<'_>, usize), window: &Window, collected: &mut Collected<F>,
        turn: &Turn<'_>,
    ) -> Result<()> {
        if window.steps.end == walk.steps() {
            (0..walk.len()).for_each(|row| self.set_carry(walk, row));
        }
        collected.x.clear();
        collected.states.clear();
        let mut recompute = self.recompute.take();
        let (steps, first) = match (&mut recompute, self.kept) {
            (Some(recompute), _) => recompute.steps_of(&self.scan, &self.io, walk, window, turn)?,
            (None, Some(kept)) => (kept, kept_first + window.before),
            (None, None) => unreachable!("steps are kept or computed again"),
        };
        let mut before = first + window.rows();
        for step in window.steps.clone().rev() {
            turn.go_on()?;
            before -= walk.active(step);
            self.step(walk, step, before, steps, collected);
            self.reset_rows(walk, step);
        }
        self.recompute = recompute;
        if window.steps.start == 0 {
            self.hand_out(walk);
        }
        Ok(())
    }

    fn carry_state(&self) -> usize {
        self.carry.len() / self.scan.cell.states()
    }

    /// A row's carry begins as the gradient of its final states, and waits there for its last step.
    fn set_carry(&mut self, walk: &Walk<'_>, row: usize) {
        let (hidden, state) = (self.scan.hidden, self.carry_state());
        let from = self.scan.state_at(self.io.batch, walk.row(row));
        for i in 0..self.scan.cell.states() {
            let carry = &mut self.carry[i * state + row * self.carry_row..][..hidden];
            match self.io.d_finals.get(i) {
                Some(d_final) => carry.copy_from_slice(&d_final[from..from + hidden]),
                None => carry.fill(F::ZERO),
            }
        }
    }

    /// What came before a new sequence has no part in it.
    fn reset_rows(&mut self, walk: &Walk<'_>, step: usize) {
        let (hidden, state) = (self.scan.hidden, self.carry_state());
        for row in walk.beginning(step, walk.active(step)) {
            for i in 0..self.scan.cell.states() {
                self.carry[i * state + row * self.carry_row..][..hidden].fill(F::ZERO);
            }
        }
    }

    /// After the first step the carry is the gradient of the initial states.
    fn hand_out(&mut self, walk: &Walk<'_>) {
        let (hidden, state) = (self.scan.hidden, self.carry_state());
        for row in 0..walk.len() {
            for (i, out) in self.io.d_initial.iter_mut().enumerate() {
                let carry = &self.carry[i * state + row * self.carry_row..][..hidden];
                out.only(walk, row).copy_from_slice(carry);
            }
        }
    }

    /// One step of the rows that take it, whose kept rows begin at `before`.
    fn step(&mut self, walk: &Walk<'_>, step: usize, before: usize, kept: &Steps<F>, collected: &mut Collected<F>) {
        let (first, active) = (collected.x.len(), walk.active(step));
        let padded = self.scan.padded::<F>();
        self.d_y_offsets.clear();
        for row in 0..active {
            collected.x.push(walk.at(self.io.x_array, row, step));
            self.d_y_offsets.push(walk.at(self.io.y_array, row, step));
            let state = (before + row) * padded;
            if self.kept.is_some() {
                collected.states.push(state);
            } else {
                collected.states.push((first + row) * padded);
                collected.recomputed[(first + row) * padded..][..padded]
                    .copy_from_slice(&kept.states[state..][..padded]);
            }
        }
        for (p, phase) in self.scan.cell.phases().iter().enumerate().rev() {
            self.gates(p, (first, active, before), kept, collected);
            let data = match phase.of {
                Operand::State => &mut self.carry[..],
                Operand::Reset => &mut self.reset[..],
            };
            let w = self.pack.w_hh[p].panels();
            let at = collected.gradients(&self.scan, first, phase.base + phase.h_at);
            let a = Left::Rows(Rows { data: &collected.d_gates, at });
            multiply(self.scan.isa, a, active, w, self.scan.hidden, data, self.carry_row);
        }
    }

    fn gates(
        &mut self, phase: usize, (first, active, before): (usize, usize, usize), kept: &Steps<F>,
        collected: &mut Collected<F>,
    ) {
        let padded = self.scan.padded::<F>();
        let kept_row = padded * self.scan.cell.kept();
        let carry_state = self.carry_state();
        let operand = if collected.operand.is_empty() { 0 } else { first * padded };
        let gates = GatesBackward {
            rows: active,
            hidden: self.scan.hidden,
            kept: &kept.gates[before * kept_row..],
            kept_row,
            states: &kept.states[before * padded..],
            states_row: padded,
            d_y: self.io.d_y.map(|data| Rows { data, at: At::Table(&self.d_y_offsets) }),
            carry: &mut self.carry,
            carry_state,
            carry_row: self.carry_row,
            d_reset: &mut self.reset,
            operand: &mut collected.operand[operand..],
            d_gates: &mut collected.d_gates[first * collected.d_row..],
            d_row: collected.d_row,
        };
        self.scan.cell.backward(self.scan.isa, self.scan.functions, phase, gates);
    }
}

impl<F: Dispatch> Recompute<'_, F> {
    /// The kept steps that a window is among, and its first row there.
    fn steps_of(
        &mut self, scan: &Scan, from: &IoBackward<'_, F>, walk: &Walk<'_>, window: &Window, turn: &Turn<'_>,
    ) -> Result<(&Steps<F>, usize)> {
        let begins = |section: &&Window| section.walk == window.walk && section.steps.end == window.steps.end;
        if let Some(section) = self.sections.get(self.next).filter(begins).cloned() {
            self.forward(scan, from, walk, &section, turn)?;
            self.next += 1;
        }
        Ok((&self.steps, window.before - self.sections[self.next - 1].before))
    }

    /// A section from its checkpoint, with nothing but what is to be kept as result.
    fn forward(
        &mut self, scan: &Scan, from: &IoBackward<'_, F>, walk: &Walk<'_>, section: &Window, turn: &Turn<'_>,
    ) -> Result<()> {
        let IoBackward { batch, x, x_array, .. } = *from;
        let mut io = Io { batch, x, x_array, initial: &[], y: None, finals: Vec::new() };
        let keep = self.steps.recomputed(scan, walk, section.steps.clone());
        let numbers = walk.active(section.steps.start) * scan.padded::<F>() * scan.cell.states();
        let (checkpoint, rest) = self.checkpoints.split_at(numbers);
        self.checkpoints = rest;
        let (scan, packs) = (*scan, self.packs);
        let mut forward = Forward { scan, packs, walk: *walk, io: &mut io, work: &mut self.work, keep };
        forward.resume(checkpoint);
        forward.steps(section.steps.clone(), turn)
    }
}
