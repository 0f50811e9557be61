//! How many threads work, and where they come from: the only file that names rayon.
//!
//! A call that is worth it enters the pool once, with tasks that never wait for each other. The caller
//! works too, so that on a busy machine a call takes at most what it would take alone. The pool is
//! built by the first such call, and again by a forked child, whose parent's threads are not there.
//! Without the feature `threads` there is no pool, and the caller does all tasks in order.
//! It must not know what a task does.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Where the number of threads is looked for, ours first. Then the CPUs this process may use count.
pub const VARIABLES: [&str; 3] = ["GRU_RS_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS"];

/// Floating-point operations from which on a second thread pays: to wake one takes up to 100 µs.
const WORTH: usize = 8_000_000;

/// How often a long call looks whether it should end, and after how many steps it looks at the clock.
const PATIENCE: Duration = Duration::from_millis(50);
const STEPS: u32 = 16;

/// The number given to [`set_num_threads`]; 0 for none.
static SET: AtomicUsize = AtomicUsize::new(0);
/// What the environment and the machine say; 0 until asked. Without a lock, which a fork might leave locked.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);
static INTERRUPTED: OnceLock<fn() -> bool> = OnceLock::new();

/// Threads that a large call may use: the number set, or `GRU_RS_NUM_THREADS`, `RAYON_NUM_THREADS` or
/// `OMP_NUM_THREADS`, or the CPUs that affinity and cgroup leave to this process. Without the crate's feature
/// `threads` always 1, whatever the environment says.
///
/// ```
/// gru_rs::set_num_threads(1)?;
/// assert_eq!(gru_rs::num_threads()?, 1);
/// # Ok::<(), gru_rs::Error>(())
/// ```
pub fn num_threads() -> Result<usize> {
    if pool::MOST == 1 {
        return Ok(1);
    }
    let known = |count: &AtomicUsize| Some(count.load(Ordering::Relaxed)).filter(|&count| count > 0);
    if let Some(threads) = known(&SET).or_else(|| known(&DEFAULT)) {
        return Ok(threads);
    }
    let threads = default_threads()?;
    DEFAULT.store(threads, Ordering::Relaxed);
    Ok(threads)
}

/// Sets that number, 1 to 1024, for all calls to come. Without the feature `threads` more than 1 is an error.
///
/// ```
/// assert!(gru_rs::set_num_threads(2).is_ok() == cfg!(feature = "threads"));
/// # gru_rs::set_num_threads(1)?;
/// # Ok::<(), gru_rs::Error>(())
/// ```
pub fn set_num_threads(threads: usize) -> Result<()> {
    if !(1..=pool::MOST).contains(&threads) {
        return Err(Error::value("num_threads", pool::EXPECTED, threads));
    }
    SET.store(threads, Ordering::Relaxed);
    Ok(())
}

fn default_threads() -> Result<usize> {
    for name in VARIABLES {
        let Some(value) = std::env::var_os(name).map(|value| value.to_string_lossy().trim().to_owned()) else {
            continue;
        };
        // OpenMP's may be a list, one number a level.
        let first = value.split(',').next().unwrap_or_default().trim();
        match first.parse() {
            Ok(threads) if (1..=pool::MOST).contains(&threads) => return Ok(threads),
            // What others mean by other values is theirs; ours has to be right.
            _ if name == VARIABLES[0] => {
                return Err(Error::value(name, pool::EXPECTED, format!("{value:?}")));
            }
            _ => {}
        }
    }
    Ok(std::thread::available_parallelism().map_or(1, usize::from).min(pool::MOST))
}

/// Threads for so many floating-point operations.
pub fn worth(operations: usize) -> Result<usize> {
    if operations < WORTH { Ok(1) } else { num_threads() }
}

/// The pool's worker threads in this process: 0 before the first call that needs any.
pub fn num_workers() -> usize {
    pool::workers()
}

/// What asks, from the thread that called, whether a long call should end; Python's signals, say.
pub fn on_interrupt(interrupted: fn() -> bool) {
    INTERRUPTED.get_or_init(|| interrupted);
}

/// A thread's part in a call.
pub struct Turn<'a> {
    stop: &'a AtomicBool,
    /// When the calling thread last asked whether to end, and steps since; no other thread asks.
    asked: Option<(Cell<Instant>, Cell<u32>)>,
}

impl Turn<'_> {
    /// Of a call so short that nobody interrupts it.
    pub fn undisturbed() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self { stop: &NEVER, asked: None }
    }

    /// To be called between steps: [`Error::Interrupted`] when the call should end.
    pub fn go_on(&self) -> Result<()> {
        if let Some((asked, steps)) = &self.asked {
            steps.set(steps.get() + 1);
            if steps.get() >= STEPS {
                steps.set(0);
                if asked.get().elapsed() > PATIENCE {
                    asked.set(Instant::now());
                    if INTERRUPTED.get().is_some_and(|interrupted| interrupted()) {
                        self.stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// Work of the calling thread alone, which asks now and then whether to end.
pub fn alone<T>(work: impl FnOnce(&Turn<'_>) -> Result<T>) -> Result<T> {
    let stop = AtomicBool::new(false);
    work(&Turn { stop: &stop, asked: Some((Cell::new(Instant::now()), Cell::new(0))) })
}

/// Does all tasks on up to `threads` threads, the caller's among them, and gives back the first error.
pub fn for_each<T: Send>(
    threads: usize, tasks: Vec<T>, work: impl Fn(T, &Turn<'_>) -> Result<()> + Sync,
) -> Result<()> {
    let workers = threads.min(tasks.len()).saturating_sub(1);
    let (stop, failure, queue) = (AtomicBool::new(false), Mutex::new(None), Mutex::new(tasks.into_iter()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let drain = |turn: &Turn<'_>| {
        while let Some(task) = next() {
            if let Err(error) = work(task, turn) {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    let caller = Turn { stop: &stop, asked: Some((Cell::new(Instant::now()), Cell::new(0))) };
    // As many in the pool as threads are allowed, whatever this call can use: it is built once.
    pool::beside(workers, threads.saturating_sub(1), || drain(&Turn { stop: &stop, asked: None }), || drain(&caller));
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(feature = "threads")]
mod pool {
    use arc_swap::ArcSwapOption;
    use std::sync::Arc;

    /// Nobody has more; a larger number is a mistake.
    pub const MOST: usize = 1024;
    pub const EXPECTED: &str = "an integer from 1 to 1024";

    static POOL: ArcSwapOption<Pool> = ArcSwapOption::const_empty();

    struct Pool {
        process: u32,
        workers: usize,
        rayon: rayon::ThreadPool,
    }

    pub fn workers() -> usize {
        POOL.load().as_ref().filter(|pool| pool.process == std::process::id()).map_or(0, |pool| pool.workers)
    }

    /// None if the system refuses threads: then the caller works alone.
    fn pool(workers: usize) -> Option<Arc<Pool>> {
        let process = std::process::id();
        let usable = |pool: &Arc<Pool>| pool.process == process && pool.workers == workers;
        if let Some(pool) = POOL.load_full().filter(usable) {
            return Some(pool);
        }
        let name = |index| format!("gru-rs-{index}");
        let rayon = rayon::ThreadPoolBuilder::new().num_threads(workers).thread_name(name).build().ok()?;
        let pool = Arc::new(Pool { process, workers, rayon });
        if let Some(old) = POOL.swap(Some(pool.clone())).filter(|old| old.process != process) {
            // Its threads are the parent's, and so may be whoever holds its locks: never to be waited for.
            std::mem::forget(old);
        }
        Some(pool)
    }

    /// The caller's part, and beside it the same part by so many workers of a pool of `all`.
    pub fn beside(workers: usize, all: usize, part: impl Fn() + Sync, own: impl FnOnce()) {
        match (workers > 0).then(|| pool(all)).flatten() {
            Some(pool) => pool.rayon.in_place_scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(|_| part());
                }
                own();
            }),
            None => own(),
        }
    }
}

#[cfg(not(feature = "threads"))]
mod pool {
    pub const MOST: usize = 1;
    pub const EXPECTED: &str = "1 in a crate built without its feature threads";

    pub fn workers() -> usize {
        0
    }

    pub fn beside(_workers: usize, _all: usize, _part: impl Fn() + Sync, own: impl FnOnce()) {
        own();
    }
}
