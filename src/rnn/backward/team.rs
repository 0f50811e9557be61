//! Backward through one slice of the batch in one direction, by one thread or by several: one of them goes
//! back through time, which nobody can share, and the others follow with the products, a window behind. What
//! follows on what is fixed, so the bits are too. It must not know arithmetic.

use super::products::{Collected, KINDS, ParamSums, Products, Scratch, Sources};
use super::recurrence::{IoBackward, Recurrence};
use crate::buffer::Spare;
use crate::error::Result;
use crate::parallel::Turn;
use crate::rnn::forward::kept::Kept;
use crate::rnn::out::Out;
use crate::rnn::rows::{Cut, Walk};
use crate::rnn::sizes::Scan;
use crate::rnn::weights::{BackwardPack, PhasePack};
use crate::rnn::windows::{CHUNK, Window};
use crate::simd::Dispatch;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Windows that the recurrence may be ahead of the products.
const AHEAD: usize = 3;

/// Floating-point operations of a window's products that are worth waking another thread for.
const WORTH: usize = 1 << 25;

/// How long a thread without work sleeps before it looks whether the call should end.
const PATIENCE: Duration = Duration::from_millis(5);

/// What a team works on.
pub(crate) struct Job<'a, F> {
    pub scan: Scan,
    pub slice: usize,
    pub reverse: bool,
    pub pack: &'a BackwardPack<F>,
    pub packs: &'a [PhasePack<F>],
    pub io: IoBackward<'a, F>,
    /// The direction's gradients of the inputs.
    pub d_x: Out<'a, F>,
    pub kept: &'a Kept<F>,
    pub sums: &'a mut Option<ParamSums<F>>,
}

/// One slice in one direction, on its way.
pub(crate) struct Team<'a, F> {
    /// The slice's walks, and the first row of each among all that the slice kept.
    walks: Vec<(Walk<'a>, usize)>,
    windows: Vec<Window>,
    from: Sources<'a, F>,
    recurrence: Mutex<Recurrence<'a, F>>,
    /// Window w is in number w modulo their count.
    ring: Vec<RwLock<Collected<F>>>,
    products: [Mutex<Products<'a, F>>; KINDS],
    plan: Mutex<Plan>,
    changed: Condvar,
}

/// How far a team is. No lock on its parts is ever waited for: who works on what is decided here.
#[derive(Debug, Default)]
struct Plan {
    windows: usize,
    ring: usize,
    /// Windows collected, and whether somebody is at the next.
    collected: (usize, bool),
    /// The same of each kind of products.
    multiplied: [(usize, bool); KINDS],
    /// Somebody gave up.
    abandoned: bool,
}

/// The next thing to do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Collect(usize),
    /// Kind, window.
    Multiply(usize, usize),
}

impl Plan {
    /// The recurrence first: all else waits for it.
    fn next(&mut self) -> Option<Step> {
        let (collected, busy) = self.collected;
        let slowest = self.multiplied.iter().map(|kind| kind.0).min().unwrap_or(0);
        if !busy && collected < self.windows && collected - slowest < self.ring {
            self.collected.1 = true;
            return Some(Step::Collect(collected));
        }
        let ready = |&kind: &usize| !self.multiplied[kind].1 && self.multiplied[kind].0 < collected;
        let kind = (0..self.multiplied.len()).filter(ready).min_by_key(|&kind| self.multiplied[kind].0)?;
        self.multiplied[kind].1 = true;
        Some(Step::Multiply(kind, self.multiplied[kind].0))
    }

    fn finished(&self) -> bool {
        self.abandoned || self.multiplied.iter().all(|kind| kind.0 == self.windows)
    }
}

impl<'a, F: Dispatch> Team<'a, F> {
    /// To be worked on by so many threads.
    pub fn new(job: Job<'a, F>, cut: &'a Cut, threads: usize, spare: &Spare<F>) -> Result<Self> {
        let Job { scan, slice, reverse, pack, packs, io, d_x, kept, sums } = job;
        let mut first = 0;
        let walks = cut.walks(slice, reverse).map(|walk| {
            let place = (walk, first);
            first += walk.total();
            place
        });
        let walks: Vec<_> = walks.collect();
        let together = if threads > 1 { WORTH / (2 * CHUNK * scan.parameters()).max(1) } else { 1 };
        let whole = walks.iter().enumerate().map(|(index, (walk, _))| Window::whole(index, walk));
        let sections = whole.zip(&walks).flat_map(|(whole, (walk, _))| match kept {
            Kept::Steps(_) => vec![whole],
            Kept::Checkpoints(_) => whole.between_checkpoints(walk),
        });
        let sections: Vec<_> = sections.collect();
        let windows: Vec<_> = sections.iter().flat_map(|section| section.split(together)).collect();
        let ring = if threads > 1 { AHEAD } else { 1 };
        let rows = windows.iter().map(Window::rows).max().unwrap_or(0);
        let sums = sums.insert(ParamSums::new(&scan, spare)?);
        let states = match kept {
            Kept::Steps(steps) => Some(&steps.states[..]),
            Kept::Checkpoints(_) => None,
        };
        let from = Sources { scan, pack, x: io.x, states };
        let rows_at_once = cut.slices[slice].len();
        let recurrence = Recurrence::new(scan, (pack, packs), io, (kept, sections), rows_at_once, spare)?;
        let collected = || Ok(RwLock::new(Collected::new(&scan, rows, states.is_none(), spare)?));
        Ok(Self {
            plan: Mutex::new(Plan { windows: windows.len(), ring, ..Plan::default() }),
            changed: Condvar::new(),
            products: Products::all(d_x, sums).map(Mutex::new),
            ring: (0..ring).map(|_| collected()).collect::<Result<_>>()?,
            recurrence: Mutex::new(recurrence),
            walks,
            windows,
            from,
        })
    }

    /// Does what there is to do until all is done. Several threads may be here at once.
    pub fn work(&self, spare: &Spare<F>, turn: &Turn<'_>) -> Result<()> {
        let mut scratch = Scratch::new(&self.from, spare)?;
        while let Some(claim) = self.claim(turn)? {
            let (Step::Collect(w) | Step::Multiply(_, w)) = claim.step;
            let window = &self.windows[w];
            let (walk, first) = &self.walks[window.walk];
            let place = &self.ring[w % self.ring.len()];
            match claim.step {
                Step::Collect(_) => {
                    let mut collected = place.write().unwrap_or_else(PoisonError::into_inner);
                    lock(&self.recurrence).window((walk, *first), window, &mut collected, turn)?;
                }
                Step::Multiply(kind, _) => {
                    let collected = place.read().unwrap_or_else(PoisonError::into_inner);
                    lock(&self.products[kind]).add(&self.from, (walk, window), &collected, &mut scratch);
                }
            }
            claim.done();
        }
        spare.give(scratch.into_buffers());
        Ok(())
    }

    /// The next thing to do, as soon as there is one; none when all is done.
    fn claim(&self, turn: &Turn<'_>) -> Result<Option<Claim<'_>>> {
        let mut plan = lock(&self.plan);
        loop {
            if plan.finished() {
                return Ok(None);
            }
            if let Some(step) = plan.next() {
                return Ok(Some(Claim { plan: &self.plan, changed: &self.changed, step, done: false }));
            }
            turn.go_on()?;
            plan = self.changed.wait_timeout(plan, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Leaves the memory to others.
    pub fn leave(self, spare: &Spare<F>) {
        for collected in self.ring {
            spare.give(collected.into_inner().unwrap_or_else(PoisonError::into_inner).into_buffers());
        }
        let recurrence = self.recurrence.into_inner().unwrap_or_else(PoisonError::into_inner);
        spare.give(recurrence.into_buffers());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that one thread does. If it does not come to its end, by an error or a panic, the others must not
/// wait for it.
struct Claim<'l> {
    plan: &'l Mutex<Plan>,
    changed: &'l Condvar,
    step: Step,
    done: bool,
}

impl Claim<'_> {
    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut plan = lock(self.plan);
        plan.abandoned |= !self.done;
        let part = match self.step {
            Step::Collect(_) => &mut plan.collected,
            Step::Multiply(kind, _) => &mut plan.multiplied[kind],
        };
        *part = (part.0 + 1, false);
        drop(plan);
        self.changed.notify_all();
    }
}
