//! The layers against the plain reference, over random sizes and options, on every instruction set of
//! this machine: outputs and gradients in f64 and f32, and equal bits between instruction sets.

mod common;

use common::{CELLS, cast, cells, compare, numbers, wide};
use gru_rs::reference::{Kind, stack::Stack};
use gru_rs::{
    Batch, Cell, Config, Dispatch, Function, Functions, Gradients, Isa, Output, Reset, Rnn, TapeMemory, Training,
};
use proptest::prelude::*;

/// Largest difference over largest value. Sums of up to a few thousand terms of size about one, each
/// rounded at 1.1e-16 (f64) or 6e-8 (f32); a wrong gate, block or tail is off by 1e-2 or more.
const TOLERANCE_F64: f64 = 1e-12;
const TOLERANCE_F32: f64 = 2e-4;
/// With room for the sums on the way.
const HELD_BY_F32: f64 = 1e30;

#[derive(Clone, Debug)]
struct Case {
    config: Config,
    batch: usize,
    seq: usize,
    lengths: Option<Vec<usize>>,
    states: bool,
}

struct Data {
    x: Vec<f64>,
    d_y: Vec<f64>,
    states: Vec<Vec<f64>>,
    d_states: Vec<Vec<f64>>,
}

impl Case {
    fn data(&self) -> Data {
        let c = &self.config;
        let steps = self.seq * self.batch;
        let state = c.layers * c.directions() * self.batch * c.hidden;
        let states = |seed| (0..c.cell.states() as u64).map(|i| numbers(state, seed + i)).collect();
        Data {
            x: numbers(steps * c.input, 1),
            d_y: numbers(steps * c.outputs(), 2),
            states: if self.states { states(3) } else { vec![] },
            d_states: states(5),
        }
    }

    fn run<F: Dispatch>(&self, isa: Isa) -> (Vec<f64>, Output<F>, Gradients<F>) {
        let (flat, output, gradients) = self.run_in::<F>(isa, TapeMemory::Full);
        let (_, low, d_low) = self.run_in::<F>(isa, TapeMemory::Low);
        same("with little memory", isa, (&output, &gradients), (&low, &d_low));
        (flat, output, gradients)
    }

    fn run_in<F: Dispatch>(&self, isa: Isa, memory: TapeMemory) -> (Vec<f64>, Output<F>, Gradients<F>) {
        let rnn = Rnn::<F>::on(isa, self.config.clone()).unwrap();
        let data = self.data();
        let x = cast::<F>(&data.x);
        let states: Vec<Vec<F>> = data.states.iter().map(|s| cast(s)).collect();
        let states: Vec<&[F]> = states.iter().map(|s| &s[..]).collect();
        let d_states: Vec<Vec<F>> = data.d_states.iter().map(|s| cast(s)).collect();
        let d_states: Vec<&[F]> = d_states.iter().map(|s| &s[..]).collect();
        let batch = Batch {
            x: &x,
            batch: self.batch,
            seq: self.seq,
            states: &states,
            lengths: self.lengths.as_deref(),
            resets: None,
        };
        let plain = rnn.run(&batch).unwrap();
        self.leave_nans_behind(&rnn);
        let training = Training { seed: Some(1), memory };
        let (output, mut tape) = rnn.forward(&batch, &training).unwrap();
        assert_eq!(bits(&plain.y), bits(&output.y), "forward and run give the same bits");
        let gradients = tape.backward(Some(&cast::<F>(&data.d_y)), &d_states).unwrap();
        (rnn.flat().iter().map(|w| w.to_f64()).collect(), output, gradients)
    }

    /// Memory is used again: whatever a call reads it must have written itself.
    fn leave_nans_behind<F: Dispatch>(&self, rnn: &Rnn<F>) {
        let (batch, seq) = (self.batch + 1, self.seq + 1);
        let x = vec![F::from_f64(f64::NAN); batch * seq * self.config.input];
        let (output, mut tape) = rnn
            .forward(&Batch { x: &x, batch, seq, states: &[], lengths: None, resets: None }, &Training::default())
            .unwrap();
        let gradients = tape.backward(Some(&output.y), &[]).unwrap();
        assert!(gradients.flat.iter().all(|d| d.to_f64().is_nan()));
    }

    /// The same by the reference, row by row.
    fn reference(&self, flat: &[f64]) -> (Output<f64>, Gradients<f64>) {
        let (c, data) = (&self.config, self.data());
        let kind = match c.cell {
            Cell::Gru(Reset::After) => Kind::GruResetAfter,
            Cell::Gru(Reset::Before) => Kind::GruResetBefore,
            Cell::Lstm => Kind::Lstm,
        };
        let (input, hidden, layers, directions) = (c.input, c.hidden, c.layers, c.directions());
        let stack = Stack { kind, functions: c.functions, input, hidden, layers, directions, bias: c.bias };
        let count = layers * directions;
        let (steps, width) = (self.seq * self.batch, c.outputs());
        let state = || vec![vec![0.0; count * self.batch * hidden]; c.cell.states()];
        let mut output = Output { y: vec![0.0; steps * width], states: state() };
        let mut gradients = Gradients { x: vec![0.0; steps * input], states: state(), flat: vec![0.0; flat.len()] };
        for row in 0..self.batch {
            let length = self.lengths.as_ref().map_or(self.seq, |l| l[row]);
            let step = |t: usize| {
                if c.batch_first { row * self.seq + t } else { t * self.batch + row }
            };
            let pick = |from: &[f64], width: usize| -> Vec<Vec<f64>> {
                (0..length).map(|t| from[step(t) * width..][..width].to_vec()).collect()
            };
            let at = |k: usize| (k * self.batch + row) * hidden;
            let states = |from: &[Vec<f64>], i: usize| -> Vec<Vec<f64>> {
                let zeros = vec![0.0; count * self.batch * hidden];
                if i >= c.cell.states() {
                    return vec![];
                }
                let from = from.get(i).unwrap_or(&zeros);
                (0..count).map(|k| from[at(k)..at(k) + hidden].to_vec()).collect()
            };
            let (h, cc) = (states(&data.states, 0), states(&data.states, 1));
            let run = stack.forward(flat, &pick(&data.x, input), &h, &cc);
            let (d_h, d_c) = (states(&data.d_states, 0), states(&data.d_states, 1));
            let g = stack.backward(flat, &run, &pick(&data.d_y, width), &d_h, &d_c);
            for t in 0..length {
                output.y[step(t) * width..][..width].copy_from_slice(&run.y[t]);
                gradients.x[step(t) * input..][..input].copy_from_slice(&g.x[t]);
            }
            for k in 0..count {
                let ends = [run.runs[k].h.last().unwrap(), run.runs[k].c.last().unwrap()];
                let begins = [&g.h[k], &g.c[k]];
                for i in 0..c.cell.states() {
                    output.states[i][at(k)..at(k) + hidden].copy_from_slice(ends[i]);
                    gradients.states[i][at(k)..at(k) + hidden].copy_from_slice(begins[i]);
                }
            }
            for (sum, d) in gradients.flat.iter_mut().zip(g.flat) {
                *sum += d;
            }
        }
        (output, gradients)
    }

    fn check(&self) {
        let all = Isa::available();
        let (flat, output, gradients) = self.run::<f64>(all[0]);
        let (expected, d_expected) = self.reference(&flat);
        compare("y", &output.y, &expected.y, TOLERANCE_F64);
        compare("states", &output.states.concat(), &expected.states.concat(), TOLERANCE_F64);
        compare("dx", &gradients.x, &d_expected.x, TOLERANCE_F64);
        compare("d states", &gradients.states.concat(), &d_expected.states.concat(), TOLERANCE_F64);
        compare("d params", &gradients.flat, &d_expected.flat, TOLERANCE_F64);
        let (flat, output32, gradients32) = self.run::<f32>(all[0]);
        let (expected, d_expected) = self.reference(&flat);
        // A gate without bounds multiplies the state by what it will: f64 is still at 1e149 where f32 has no number.
        if expected.y.iter().all(|y| y.abs() < HELD_BY_F32) {
            compare("y f32", &wide(&output32.y), &expected.y, TOLERANCE_F32);
        }
        // Where a straight line bends or a bound begins, f32 may be on one side and f64 on the other.
        if self.config.functions == Functions::default() {
            compare("dx f32", &wide(&gradients32.x), &d_expected.x, TOLERANCE_F32);
            compare("d params f32", &wide(&gradients32.flat), &d_expected.flat, TOLERANCE_F32);
        }
        for &isa in &all[1..] {
            let (_, other, d_other) = self.run::<f64>(isa);
            same("f64", isa, (&output, &gradients), (&other, &d_other));
            let (_, other, d_other) = self.run::<f32>(isa);
            same("f32", isa, (&output32, &gradients32), (&other, &d_other));
        }
    }
}

/// Of NaN only that it is one: its sign is that of whichever operand a compiler put first. An unbounded function
/// with weights that let it grow comes there.
fn bits<F: Dispatch>(x: &[F]) -> Vec<u64> {
    x.iter().map(|x| x.to_f64()).map(|x| if x.is_nan() { f64::NAN } else { x }.to_bits()).collect()
}

fn same<F: Dispatch>(what: &str, isa: Isa, a: (&Output<F>, &Gradients<F>), b: (&Output<F>, &Gradients<F>)) {
    let parts = |(o, g): (&Output<F>, &Gradients<F>)| {
        [bits(&o.y), bits(&o.states.concat()), bits(&g.x), bits(&g.states.concat()), bits(&g.flat)]
    };
    for ((name, a), b) in ["y", "states", "dx", "d states", "d params"].iter().zip(parts(a)).zip(parts(b)) {
        assert!(a == b, "{what}, {}: {name} differs", isa.name());
    }
}

fn case() -> impl Strategy<Value = Case> {
    // Miri, some thousand times as slow, meets all branches with less.
    let sizes = if cfg!(miri) {
        (1usize..5, 1usize..20, 1usize..3, 0usize..4, 0usize..4)
    } else {
        (1usize..40, 1usize..70, 1usize..4, 0usize..20, 0usize..12)
    };
    let function = || prop::sample::select(Function::ALL.to_vec());
    let functions = prop_oneof![
        Just(Functions::default()),
        (function(), function(), prop::option::of(0.1f64..2.0)).prop_map(|(gate, candidate, clip)| Functions {
            gate,
            candidate,
            clip
        }),
    ];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let lengths = proptest::collection::vec(0usize..1000, 20);
    (cells(), functions, sizes, flags, lengths, any::<u64>()).prop_map(
        |(cell, functions, sizes, flags, lengths, seed)| {
            let (input, hidden, layers, batch, seq) = sizes;
            let (bias, bidirectional, batch_first, ragged, states) = flags;
            let config = Config {
                cell,
                functions,
                layers,
                bias,
                bidirectional,
                batch_first,
                seed,
                ..Config::gru(input, hidden)
            };
            let lengths = ragged.then(|| lengths[..batch].iter().map(|length| length % (seq + 1)).collect());
            Case { config, batch, seq, lengths, states }
        },
    )
}

/// An emulator has time for fewer.
fn cases() -> u32 {
    std::env::var("GRU_RS_CASES").map_or(60, |cases| cases.parse().expect("GRU_RS_CASES: a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_stacks(case in case()) {
        case.check();
    }
}

/// Between layers low memory drops the same outputs again, and a long sequence has several checkpoints.
#[test]
#[cfg_attr(miri, ignore = "hours")]
fn little_memory_gives_the_same_bits_and_holds_less() {
    let config = Config { layers: 3, bidirectional: true, dropout: 0.4, seed: 5, ..Config::gru(3, 20) };
    for (seq, batch, lengths) in [(700, 9, None), (2000, 1, None), (300, 40, Some((0..40).map(|i| i * 7).collect()))] {
        let case = Case { config: config.clone(), batch, seq, lengths, states: true };
        let data = case.data();
        let (x, d_y) = (cast::<f32>(&data.x), cast::<f32>(&data.d_y));
        let states: Vec<Vec<f32>> = data.states.iter().map(|s| cast(s)).collect();
        let states: Vec<&[f32]> = states.iter().map(|s| &s[..]).collect();
        let batch = Batch { x: &x, batch, seq, states: &states, lengths: case.lengths.as_deref(), resets: None };
        let rnn = Rnn::<f32>::new(config.clone()).unwrap();
        let run = |memory| {
            let (output, mut tape) = rnn.forward(&batch, &Training { seed: Some(9), memory }).unwrap();
            let bytes = tape.bytes();
            (output, tape.backward(Some(&d_y), &[]).unwrap(), bytes)
        };
        let (full, d_full, bytes) = run(TapeMemory::Full);
        let (low, d_low, fewer_bytes) = run(TapeMemory::Low);
        same("with little memory", rnn.isa(), (&full, &d_full), (&low, &d_low));
        assert!(fewer_bytes * 4 < bytes, "{fewer_bytes} of {bytes} bytes");
    }
}

/// Sizes that cross every block and tail: panels of 1 to 16 lanes, groups of 64 rows, sums of 128
/// terms, chunks of 256 rows.
#[test]
#[cfg_attr(miri, ignore = "hours")]
fn edges_of_blocks() {
    let sizes = [
        (1, 1, 1, 1),
        (3, 300, 5, 2),
        (130, 43, 3, 65),
        (16, 32, 9, 33),
        (12, 17, 130, 2),
        (7, 128, 4, 64),
        (5, 129, 3, 5),
        (64, 64, 3, 129),
        (33, 31, 257, 1),
        (2, 9, 5, 12),
        (2, 9, 5, 11),
        (1, 24, 40, 13),
    ];
    for (input, hidden, seq, batch) in sizes {
        for cell in CELLS {
            let config = Config { cell, seed: 3, ..Config::gru(input, hidden) };
            Case { config, batch, seq, lengths: None, states: true }.check();
        }
    }
}

/// A past that the layer lets go of ends as 0, forward and backward: not as numbers below the normal range,
/// where rounding would hold it up for ever and processors take many times as long.
#[test]
#[cfg_attr(miri, ignore = "hours")]
fn what_fades_ends_as_zero() {
    fn check<F: Dispatch>(isa: Isa, cell: Cell) {
        let config = Config { cell, bias: false, seed: 8, ..Config::gru(2, 7) };
        let (seq, batch) = (if F::NAME == "float32" { 1000 } else { 6000 }, 3);
        let (x, state) = (vec![F::ZERO; seq * batch * 2], vec![F::from_f64(0.5); batch * 7]);
        let states = vec![&state[..]; cell.states()];
        let rnn = Rnn::<F>::on(isa, config).unwrap();
        let given = Batch { x: &x, batch, seq, states: &states, lengths: None, resets: None };
        let (output, mut tape) = rnn.forward(&given, &Training::default()).unwrap();
        let gradients = tape.backward(None, &states).unwrap();
        let zero = |what, x: &[F]| assert!(x.iter().all(|&x| x == F::ZERO), "{} {cell:?}: {what}", isa.name());
        zero("final states", &output.states.concat());
        zero("gradients of the first states", &gradients.states.concat());
        for y in output.y {
            assert!(y == F::ZERO || y.flush(F::FADED) == y, "{} {cell:?}: an output of {y}", isa.name());
        }
    }
    for isa in Isa::available() {
        for cell in CELLS {
            check::<f32>(isa, cell);
            check::<f64>(isa, cell);
        }
    }
}
