//! Spoken digits from sound as it comes: 16-bit samples of one channel at 8 kHz on standard input, a line for each
//! digit 200 ms after it was said.
//!
//!     make edge
//!     arecord -q -t raw -f S16_LE -r 8000 | target/edge/examples/edge digits.safetensors
//!
//! `smallest_digits.py` trains the model. `--stats` tells at the end what it took; `--columns N` prints the N numbers
//! of each frame in place of digits.
//!
//! ```text
//! samples ─▶ Columns: 25 ms each 10 ms ─▶ Ear: is that speech? ─▶ Listener: a step of the model ─▶ a line
//! ```

use gru_rs::{Estimator, ModelStream, Numbers, Saved};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::error::Error;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RATE: usize = 8000;
/// Samples of a frame, from one frame to the next, and of its transform.
const WINDOW: usize = 200;
const STEP: usize = 80;
const TRANSFORM: usize = 256;

/// Logarithms of mel energies, each frame by itself, as `examples/_audio.py` trains with.
struct Columns {
    last: f64,
    /// The frame's samples, as far as they have come.
    samples: Vec<f64>,
    hamming: Vec<f64>,
    /// Of each filter its first bin, and the weights from there on.
    filters: Vec<(usize, Vec<f64>)>,
    fft: Arc<dyn RealToComplex<f64>>,
    padded: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    row: Vec<f32>,
}

impl Columns {
    fn new(count: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(TRANSFORM);
        let wave = |n: usize| 0.54 - 0.46 * (std::f64::consts::TAU * n as f64 / (WINDOW - 1) as f64).cos();
        Self {
            last: 0.0,
            samples: Vec::with_capacity(WINDOW),
            hamming: (0..WINDOW).map(wave).collect(),
            filters: filters(count),
            padded: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            row: vec![0.0; count],
        }
    }

    /// Takes a sample; whether it ends a frame, which is in `row` then.
    fn take(&mut self, sample: i16) -> Result<bool> {
        let sample = f64::from(sample);
        self.samples.push(sample - 0.97 * self.last);
        self.last = sample;
        if self.samples.len() < WINDOW {
            return Ok(false);
        }
        self.padded.fill(0.0);
        let products = self.samples.iter().zip(&self.hamming).map(|(x, w)| x * w);
        self.padded.iter_mut().zip(products).for_each(|(to, x)| *to = x);
        self.samples.drain(..STEP);
        self.fft.process_with_scratch(&mut self.padded, &mut self.spectrum, &mut self.scratch)?;
        for (to, (first, weights)) in self.row.iter_mut().zip(&self.filters) {
            let bins = self.spectrum[*first..].iter().zip(weights);
            let energy: f64 = bins.map(|(bin, weight)| weight * bin.norm_sqr() / TRANSFORM as f64).sum();
            *to = (energy + 1.0).ln() as f32;
        }
        Ok(true)
    }

    /// How loud the frame is, in decibels.
    fn level(&self) -> f64 {
        10.0 * (self.spectrum.iter().map(Complex::norm_sqr).sum::<f64>() / TRANSFORM as f64 + 1.0).log10()
    }
}

/// Triangles that overlap by half, their corners spread evenly over mels from 0 to half the rate, at whole bins.
fn filters(count: usize) -> Vec<(usize, Vec<f64>)> {
    let highest = 2595.0 * (1.0 + RATE as f64 / 2.0 / 700.0).log10();
    let corner = |i: usize| {
        let hertz = 700.0 * (10f64.powf(highest * i as f64 / (count + 1) as f64 / 2595.0) - 1.0);
        ((TRANSFORM + 1) as f64 * hertz / RATE as f64) as usize
    };
    let triangle = |i: usize| {
        let [left, top, right] = [corner(i), corner(i + 1), corner(i + 2)];
        let up = (left..top).map(|bin| (bin - left) as f64 / (top - left) as f64);
        let down = (top..right).map(|bin| (right - bin) as f64 / (right - top) as f64);
        (left, up.chain(down).collect())
    };
    (0..count).map(triangle).collect()
}

/// Tells speech from a floor of noise that it learns: down fast, up slowly, lest it learn the speech.
struct Ear {
    floor: f64,
}

impl Ear {
    const DOWN: f64 = 0.2;
    const UP: f64 = 0.002;
    /// Decibels above the floor at which speech begins, and at which it goes on.
    const BEGINS: f64 = 12.0;
    const GOES_ON: f64 = 8.0;

    fn hears(&mut self, level: f64, speaking: bool) -> bool {
        self.floor += (level - self.floor) * if level < self.floor { Self::DOWN } else { Self::UP };
        level > self.floor + if speaking { Self::GOES_ON } else { Self::BEGINS }
    }
}

/// Runs the model from shortly before speech begins until it has been quiet for a while.
struct Listener {
    saved: Saved<f32>,
    stream: ModelStream<f32>,
    ear: Ear,
    /// The newest frames, the oldest first.
    lead: Vec<f32>,
    scores: Vec<f32>,
    frames: usize,
    /// Of the utterance: its first frame, those that were loud, quiet ones since.
    begin: Option<usize>,
    loud: usize,
    quiet: usize,
}

impl Listener {
    /// Frames of 10 ms: loud ones that begin an utterance, those kept of the time before, and quiet ones that end it.
    const ONSET: usize = 3;
    const LEAD: usize = 8;
    const QUIET: usize = 20;
    /// What is shorter is a click.
    const SHORTEST: usize = 8;

    fn new(saved: Saved<f32>) -> Result<Self> {
        if saved.estimator != Estimator::Classifier || saved.vocabulary.is_some() {
            return Err("expected a SequenceClassifier of numbers, got another model".into());
        }
        let config = saved.model.config();
        Ok(Self {
            stream: ModelStream::new(&saved.model, 1)?,
            ear: Ear { floor: 40.0 },
            lead: vec![0.0; (Self::LEAD + Self::ONSET) * config.rnn.input],
            scores: vec![0.0; config.outputs],
            frames: 0,
            begin: None,
            loud: 0,
            quiet: 0,
            saved,
        })
    }

    /// Takes a frame; true if an utterance has ended with it.
    fn take(&mut self, level: f64, row: &mut [f32]) -> Result<bool> {
        self.saved.scaled(row)?;
        self.frames += 1;
        let loud = self.ear.hears(level, self.begin.is_some());
        if self.begin.is_some() {
            self.stream.steps(Numbers::Floats(row), 1, &mut self.scores)?;
            self.loud += usize::from(loud);
            self.quiet = if loud { 0 } else { self.quiet + 1 };
            return Ok(self.quiet == Self::QUIET);
        }
        self.lead.rotate_left(row.len());
        let newest = self.lead.len() - row.len();
        self.lead[newest..].copy_from_slice(row);
        self.loud = if loud { self.loud + 1 } else { 0 };
        if self.loud == Self::ONSET {
            self.stream.reset(None)?;
            let known = self.frames.min(Self::LEAD + Self::ONSET);
            for row in self.lead[self.lead.len() - known * row.len()..].chunks_exact(row.len()) {
                self.stream.steps(Numbers::Floats(row), 1, &mut self.scores)?;
            }
            (self.begin, self.quiet) = (Some(self.frames - Self::ONSET), 0);
        }
        Ok(false)
    }

    /// Ends the utterance, if there is one, and prints what it was.
    fn tell(&mut self) -> Result<()> {
        if let Some(begin) = self.begin.take().filter(|_| self.loud >= Self::SHORTEST) {
            self.saved.probabilities(&mut self.scores)?;
            let better = |best, i| if self.scores[i] > self.scores[best] { i } else { best };
            let best = (0..self.scores.len()).fold(0, better);
            let seconds = |frame: usize| (frame * STEP) as f64 / RATE as f64;
            let (from, to) = (seconds(begin), seconds(self.frames - self.quiet));
            let label = self.saved.label(best).unwrap_or("?");
            let mut out = io::stdout().lock();
            writeln!(out, "{from:8.2} to {to:.2} s  {label}  p = {:.2}", self.scores[best])?;
            out.flush()?;
        }
        self.loud = 0;
        Ok(())
    }
}

/// Calls for each sample until there are no more.
fn each_sample(mut work: impl FnMut(i16) -> Result<()>) -> Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    if input.fill_buf()?.starts_with(b"RIFF") {
        input.read_exact(&mut [0; 44])?; // the header of a plain WAV file
    }
    let mut sample = [0; 2];
    loop {
        match input.read_exact(&mut sample) {
            Ok(()) => work(i16::from_le_bytes(sample))?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn print_columns(count: usize) -> Result<()> {
    let mut columns = Columns::new(count);
    let mut out = io::BufWriter::new(io::stdout().lock());
    each_sample(|sample| {
        if columns.take(sample)? {
            let row: Vec<_> = columns.row.iter().map(f32::to_string).collect();
            writeln!(out, "{}", row.join("\t"))?;
        }
        Ok(())
    })
}

fn listen(path: &str, stats: bool) -> Result<()> {
    let mut listener = Listener::new(Saved::load(path)?)?;
    let mut columns = Columns::new(listener.saved.model.config().rnn.input);
    let mut times = vec![];
    each_sample(|sample| {
        let start = stats.then(Instant::now);
        if columns.take(sample)? {
            let level = columns.level();
            if listener.take(level, &mut columns.row)? {
                listener.tell()?;
            }
            let speaking = listener.begin.is_some();
            times.extend(start.filter(|_| speaking).map(|start| start.elapsed()));
        }
        Ok(())
    })?;
    listener.tell()?;
    if stats {
        times.sort_unstable();
        let micros = |time: &Duration| time.as_secs_f64() * 1e6;
        let mean = times.iter().map(micros).sum::<f64>() / times.len().max(1) as f64;
        let p99 = times.get(times.len() * 99 / 100).map_or(0.0, micros);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: unknown");
        eprintln!("{} frames of speech, us each: mean {mean:.1}, p99 {p99:.1}; {resident}", times.len());
    }
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--columns", count] => count.parse().map_err(Into::into).and_then(print_columns),
        ["--stats", path] => listen(path, true),
        [path] if !path.starts_with('-') => listen(path, false),
        _ => Err("expected [--stats] MODEL.safetensors, or --columns N".into()),
    };
    if let Err(error) = done {
        eprintln!("edge: {error}");
        std::process::exit(1);
    }
}
