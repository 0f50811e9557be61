//! What forward keeps for backward. It must not know gates.
//!
//! Either every step keeps its gates and the state before it, or only some steps keep the state, from
//! which the others are computed again: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.

use crate::buffer::{Aligned, Spare};
use crate::error::Result;
use crate::rnn::call::Memory;
use crate::rnn::rows::Walk;
use crate::rnn::sizes::Scan;
use crate::rnn::windows::Window;
use crate::simd::Dispatch;
use std::ops::Range;

/// Gates and states of some steps, step after step, row after row.
#[derive(Debug)]
pub(crate) struct Steps<F> {
    /// The gates, panel by panel.
    pub gates: Aligned<F>,
    /// h before the step.
    pub states: Aligned<F>,
}

impl<F: Dispatch> Steps<F> {
    /// For so many rows of steps, every number of which forward will write.
    pub fn new(scan: &Scan, rows: usize, what: &'static str, spare: &Spare<F>) -> Result<Self> {
        let padded = scan.padded::<F>();
        Ok(Self {
            gates: spare.take(rows * padded * scan.cell.kept(), what)?,
            states: spare.take(rows * padded, what)?,
        })
    }

    /// Where forward keeps steps that it runs again.
    pub fn recomputed(&mut self, scan: &Scan, walk: &Walk<'_>, steps: Range<usize>) -> Keep<'_, F> {
        let mut keep = Keep::Steps(steps.start, Vec::with_capacity(steps.len()));
        let (mut gates, mut states) = (&mut self.gates[..], &mut self.states[..]);
        steps.for_each(|step| keep.push_step(scan, walk.active(step), &mut gates, &mut states));
        keep
    }
}

/// What forward keeps of a slice of rows in one direction of a layer, walk after walk.
#[derive(Debug)]
pub(crate) enum Kept<F> {
    /// Every step.
    Steps(Steps<F>),
    /// The states (h, or h and c, one behind the other) before each window, the last steps first.
    Checkpoints(Aligned<F>),
}

impl<F: Dispatch> Kept<F> {
    pub fn new<'w>(
        scan: &Scan, walks: impl Iterator<Item = Walk<'w>>, memory: Memory, spare: &Spare<F>,
    ) -> Result<Self> {
        match memory {
            Memory::Full => Ok(Self::Steps(Steps::new(scan, walks.map(|walk| walk.total()).sum(), "tape", spare)?)),
            Memory::Low => {
                let rows = |walk: Walk<'_>| {
                    let windows = Window::whole(0, &walk).between_checkpoints(&walk);
                    windows.iter().map(|window| walk.active(window.steps.start)).sum::<usize>()
                };
                let numbers = walks.map(rows).sum::<usize>() * scan.padded::<F>() * scan.cell.states();
                Ok(Self::Checkpoints(spare.take(numbers, "tape")?))
            }
        }
    }

    /// Shares it out among the slices of each walk.
    pub fn share<'w>(
        &mut self, scan: &Scan, walks: impl Iterator<Item = Walk<'w>>, slices: &[Vec<Range<usize>>],
    ) -> Vec<Keep<'_, F>> {
        match self {
            Self::Steps(Steps { gates, states }) => {
                let (mut gates, mut states) = (&mut gates[..], &mut states[..]);
                let mut share = |walk: Walk<'_>, slices: &[Range<usize>]| {
                    let mut keeps: Vec<_> =
                        slices.iter().map(|_| Keep::Steps(0, Vec::with_capacity(walk.steps()))).collect();
                    for step in 0..walk.steps() {
                        for (keep, slice) in keeps.iter_mut().zip(slices) {
                            keep.push_step(scan, walk.active_in(slice, step).len(), &mut gates, &mut states);
                        }
                    }
                    keeps
                };
                walks.zip(slices).flat_map(|(walk, slices)| share(walk, slices)).collect()
            }
            Self::Checkpoints(states) => {
                let mut rest = &mut states[..];
                let mut share = |walk: Walk<'_>, slices: &[Range<usize>]| {
                    let mut keeps: Vec<_> = slices.iter().map(|_| Keep::Checkpoints(Vec::new())).collect();
                    for window in Window::whole(0, &walk).between_checkpoints(&walk) {
                        for _ in 0..scan.cell.states() {
                            for (keep, slice) in keeps.iter_mut().zip(slices) {
                                let step = window.steps.start;
                                keep.push_checkpoint(scan, step, walk.active_in(slice, step).len(), &mut rest);
                            }
                        }
                    }
                    keeps
                };
                walks.zip(slices).flat_map(|(walk, slices)| share(walk, slices)).collect()
            }
        }
    }
}

impl<F> Kept<F> {
    /// Numbers.
    pub fn len(&self) -> usize {
        match self {
            Self::Steps(steps) => steps.gates.len() + steps.states.len(),
            Self::Checkpoints(states) => states.len(),
        }
    }

    /// Its memory, to be used for something else.
    pub fn into_buffers(self) -> Vec<Aligned<F>> {
        match self {
            Self::Steps(steps) => vec![steps.gates, steps.states],
            Self::Checkpoints(states) => vec![states],
        }
    }
}

/// Where a walk puts what it keeps.
#[derive(Debug)]
pub(crate) enum Keep<'a, F> {
    /// Nowhere.
    Nothing,
    /// Gates and states of each step from a first one on.
    Steps(usize, Vec<(&'a mut [F], &'a mut [F])>),
    /// (step, a state of its rows) of some steps, the last ones first.
    Checkpoints(Vec<(usize, &'a mut [F])>),
}

impl<'a, F: Dispatch> Keep<'a, F> {
    fn push_step(&mut self, scan: &Scan, rows: usize, gates: &mut &'a mut [F], states: &mut &'a mut [F]) {
        let padded = scan.padded::<F>();
        if let Self::Steps(_, steps) = self {
            steps.push((first(gates, rows * padded * scan.cell.kept()), first(states, rows * padded)));
        }
    }

    fn push_checkpoint(&mut self, scan: &Scan, step: usize, rows: usize, states: &mut &'a mut [F]) {
        let rows = first(states, rows * scan.padded::<F>());
        if let Self::Checkpoints(checkpoints) = self {
            checkpoints.push((step, rows));
        }
    }

    /// Where the gates of a step go; empty for nowhere.
    pub fn gates(&mut self, step: usize) -> &mut [F] {
        match self {
            Self::Steps(begin, steps) => steps[step - *begin].0,
            _ => &mut [],
        }
    }

    /// Keeps the states before a step, rows of `padded` numbers at a distance of `row`, one state from the next at
    /// that of `state`.
    pub fn states(&mut self, step: usize, padded: usize, states: &[F], state: usize, row: usize) {
        match self {
            Self::Nothing => {}
            Self::Steps(begin, steps) => copy_rows(steps[step - *begin].1, padded, states, row),
            Self::Checkpoints(checkpoints) => {
                // The states of one step stand together, the last steps first.
                let own = checkpoints.iter().rev().take_while(|checkpoint| checkpoint.0 == step).count();
                let own = checkpoints.split_off(checkpoints.len() - own);
                own.into_iter().enumerate().for_each(|(i, (_, to))| copy_rows(to, padded, &states[i * state..], row));
            }
        }
    }
}

fn copy_rows<F: Copy>(to: &mut [F], padded: usize, from: &[F], row: usize) {
    to.chunks_exact_mut(padded).zip(from.chunks(row)).for_each(|(to, from)| to.copy_from_slice(&from[..padded]));
}

/// The first numbers, and the rest stays.
fn first<'a, F>(rest: &mut &'a mut [F], len: usize) -> &'a mut [F] {
    rest.split_off_mut(..len).unwrap_or_default()
}
