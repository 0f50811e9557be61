//! Forward through the layers, for some of the rows on each thread. It must not know what is done with what
//! a layer keeps.

use super::kept::Keep;
use super::scan::Forward;
use super::workspace::{Io, Workspace};
use crate::buffer::{Spare, zeros};
use crate::error::Result;
use crate::parallel::{self, Turn};
use crate::rnn::arrays::{Array, Shape};
use crate::rnn::call::Batch;
use crate::rnn::rows::Cut;
use crate::rnn::sizes::Scan;
use crate::rnn::stack::Stack;
use crate::rnn::weights::{PhasePack, Weights};
use crate::simd::Dispatch;

/// One batch through all layers.
pub(crate) struct Pass<'a, F> {
    pub stack: &'a Stack<F>,
    pub weights: &'a Weights<F>,
    pub batch: Batch<'a, F>,
    /// Its rows, a slice a task.
    pub cut: Cut,
    pub threads: usize,
}

impl<F: Dispatch> Pass<'_, F> {
    /// A layer's outputs from its inputs. The final states go to `states`, which may be empty; `keeps` has a place
    /// for each direction and slice, or none.
    pub fn layer(
        &self, layer: usize, below: Option<&[F]>, keeps: Vec<Keep<'_, F>>, states: &mut [Vec<F>],
    ) -> Result<Vec<F>> {
        let (stack, cut, config) = (self.stack, &self.cut, &self.stack.config);
        let Batch { batch, seq, x, states: initial, .. } = self.batch;
        let packs = stack.forward(self.weights)?;
        let mut y = zeros(seq * batch * config.outputs(), "output")?;
        let shape = Shape { batch_first: config.batch_first, seq, width: config.outputs() };
        let mut finals = cut.share_states(states, layer, config).into_iter();
        let mut keeps = keeps.into_iter();
        let tasks = cut.share(&mut y, shape, config.directions()).into_iter().zip(stack.scans(layer, cut));
        let tasks: Vec<_> = tasks
            .map(|(y, (scan, slice, reverse))| Task {
                scan,
                packs: &packs[scan.index],
                slice,
                reverse,
                io: Io {
                    batch,
                    x: below.unwrap_or(x),
                    x_array: Array::new(config.batch_first, batch, seq, scan.input),
                    initial,
                    y: Some(y),
                    finals: finals.next().unwrap_or_default(),
                },
                keep: keeps.next().unwrap_or(Keep::Nothing),
            })
            .collect();
        parallel::for_each(self.threads, tasks, |task, turn| task.run(cut, &stack.spare, turn))?;
        Ok(y)
    }
}

/// A slice of the batch through one layer in one direction.
struct Task<'a, F> {
    scan: Scan,
    packs: &'a [PhasePack<F>],
    slice: usize,
    reverse: bool,
    io: Io<'a, F>,
    /// Of the slice's only walk, or nothing.
    keep: Keep<'a, F>,
}

impl<F: Dispatch> Task<'_, F> {
    fn run(self, cut: &Cut, spare: &Spare<F>, turn: &Turn<'_>) -> Result<()> {
        let Self { scan, packs, slice, reverse, mut io, mut keep } = self;
        let mut work = Workspace::new(&scan, cut.slices[slice].len(), cut.steps(slice), spare)?;
        for walk in cut.walks(slice, reverse) {
            let keep = std::mem::replace(&mut keep, Keep::Nothing);
            let mut forward = Forward { scan, packs, walk, io: &mut io, work: &mut work, keep };
            forward.begin();
            forward.steps(0..walk.steps(), turn)?;
        }
        spare.give(work.into_buffers());
        Ok(())
    }
}
