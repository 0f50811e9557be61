//! The promise that bits are the same on every machine, held to numbers written down here: a digest of
//! outputs, gradients and stepped weights, which every instruction set and every processor must give.
//! `tests/layers.rs` says whether the results are right; this file must not know how they come about.
//!
//! A digest changes when the order of a sum or a constant of the numerics does. That breaks the promise
//! to saved models and golden vectors: whoever means it writes the new ones here and says so in the changelog.

mod common;

use gru_rs::kernels::norm::{Scale, SumOfSquares};
use gru_rs::{
    Activation, Adam, Batch, Cell, Config, Convolution, Cosine, Dispatch, Inputs, Isa, Loss, Memory, Model,
    ModelConfig, Numbers, Pooling, Reset, Rnn, Rule, Sgd, Targets, Training, Width,
};

/// For each cell f32, then f64.
const DIGESTS: [(Cell, [u64; 2]); 3] = [
    (Cell::Gru(Reset::After), [0xaad8bf49b744e86c, 0xd81127c94b4afe0a]),
    (Cell::Gru(Reset::Before), [0xe66b2160db46b7d5, 0x028cbbe258629bf4]),
    (Cell::Lstm, [0xd1d6d67c93bb07dd, 0x5613f2f144e7572d]),
];

/// input, hidden, seq, batch, and what the inputs are multiplied by: sizes on both sides of vectors, tiles,
/// blocks and slices of rows; inputs that saturate the gates and inputs so small that squares are subnormal in f32.
const SHAPES: [(usize, usize, usize, usize, f64); 8] = [
    (1, 1, 1, 1, 1.0),
    (3, 5, 7, 2, 1.0),
    (12, 16, 9, 3, 64.0),
    (4, 33, 3, 13, 1.0),
    (33, 31, 5, 12, 1.0),
    (130, 17, 6, 5, 1.0),
    (7, 66, 4, 70, 1.0),
    (5, 9, 12, 4, 1e-20),
];

/// FNV-1a over the bits of numbers.
struct Digest(u64);

impl Digest {
    fn add<F: Dispatch>(&mut self, numbers: &[F]) {
        for x in numbers {
            // A NaN's sign and payload are the processor's own: no promise covers them.
            assert!(!x.to_f64().is_nan(), "the problems of this file have no NaN");
            for byte in x.to_f64().to_bits().to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
}

/// Numbers of [−1, 1) that both floats hold exactly, from integers alone.
fn numbers<F: Dispatch>(count: usize, seed: u64, factor: f64) -> Vec<F> {
    let mut draw = common::draws(seed);
    let mut next = || (draw() >> 41) as f64 / f64::from(1 << 22) - 1.0;
    (0..count).map(|_| F::from_f64(next() * factor)).collect()
}

/// A training step of one layer and its results: forward, backward, and the weights after it.
fn train<F: Dispatch>(rnn: &Rnn<F>, x: &[F], (seq, batch): (usize, usize), ragged: bool, digest: &mut Digest) {
    let config = rnn.config().clone();
    let state = config.layers * config.directions() * batch * config.hidden;
    let states: Vec<Vec<F>> = (0..config.cell.states() as u64).map(|i| numbers(state, 20 + i, 1.0)).collect();
    let states: Vec<&[F]> = states.iter().map(|s| &s[..]).collect();
    let lengths: Vec<usize> = (0..batch).map(|row| (row * 5 + 3) % (seq + 1)).collect();
    let problem = Batch { x, batch, seq, states: &states, lengths: ragged.then_some(&lengths[..]), resets: None };
    digest.add(&rnn.run(&problem).unwrap().y);
    let (output, mut tape) = rnn.forward(&problem, &Training { seed: Some(7), ..Training::default() }).unwrap();
    let gradients = tape.backward(Some(&numbers(output.y.len(), 30, 1.0)), &states).unwrap();
    digest.add(&output.y);
    digest.add(&gradients.x);
    digest.add(&gradients.flat);
    for (finals, initials) in output.states.iter().zip(&gradients.states) {
        digest.add(finals);
        digest.add(initials);
    }
    for rule in rules() {
        rule.step(rnn, &gradients.flat, &mut Memory::default()).unwrap();
        digest.add(&rnn.flat());
    }
}

fn rules() -> [Rule; 2] {
    let (learning_rate, weight_decay) = (0.01, 0.001);
    [
        Rule::Sgd(Sgd { learning_rate, momentum: 0.9, nesterov: true, weight_decay }),
        Rule::Adam(Adam { learning_rate, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay, decoupled: true }),
    ]
}

/// Every shape twice: one plain layer, and two layers in both directions with dropout and ragged rows.
fn digest<F: Dispatch>(isa: Isa, cell: Cell) -> u64 {
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    for (input, hidden, seq, batch, factor) in SHAPES {
        let plain = Config { cell, ..Config::gru(input, hidden) };
        let deep = Config { layers: 2, bidirectional: true, dropout: 0.25, batch_first: true, ..plain.clone() };
        for (config, ragged) in [(plain, false), (deep, true)] {
            let rnn = Rnn::<F>::on(isa, config.clone()).unwrap();
            rnn.set_flat(&numbers(config.parameters(), 10, 0.25)).unwrap();
            train(&rnn, &numbers(seq * batch * input, 1, factor), (seq, batch), ragged, &mut digest);
        }
    }
    digest.0
}

/// That each instruction set gives the digests written beside each kind, of f32 and of f64.
fn expect_bits<T: Copy + std::fmt::Debug>(written: &[(T, [u64; 2])], digests: impl Fn(Isa, T) -> [u64; 2]) {
    let mut wrong = vec![];
    for isa in Isa::available() {
        for &(kind, expected) in written {
            let got = digests(isa, kind);
            if got != expected {
                wrong.push(format!("{} {kind:?}: [{:#018x}, {:#018x}]", isa.name(), got[0], got[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "other bits than those written here:\n{}", wrong.join("\n"));
}

#[test]
fn every_cell_has_its_bits_written_here() {
    assert_eq!(DIGESTS.map(|(cell, _)| cell), common::CELLS);
    let words: std::collections::BTreeSet<_> = common::CELLS.iter().map(Cell::word).collect();
    assert_eq!(words, Cell::WORDS.iter().copied().collect());
}

#[test]
#[cfg_attr(miri, ignore = "hours")]
fn every_instruction_set_gives_the_bits_written_here() {
    expect_bits(&DIGESTS, |isa, cell| [digest::<f32>(isa, cell), digest::<f64>(isa, cell)]);
}

/// Outputs and final states of every shape with quantized weights, for each cell.
fn quantized<F: Dispatch>(isa: Isa, width: Width) -> u64 {
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    for (cell, (input, hidden, seq, batch, factor)) in
        common::CELLS.iter().flat_map(|&cell| SHAPES.map(|shape| (cell, shape)))
    {
        let config = Config { cell, layers: 2, bidirectional: true, ..Config::gru(input, hidden) };
        let rnn = Rnn::<F>::on(isa, config.clone()).unwrap();
        rnn.set_flat(&numbers(config.parameters(), 10, 0.25)).unwrap();
        let x = numbers::<F>(seq * batch * input, 1, factor);
        let problem = Batch { x: &x, batch, seq, states: &[], lengths: None, resets: None };
        let output = rnn.quantized(width).unwrap().run(&problem).unwrap();
        digest.add(&output.y);
        output.states.iter().for_each(|state| digest.add(state));
    }
    digest.0
}

/// For each width f32, then f64.
const QUANTIZED: [(Width, [u64; 2]); 3] = [
    (Width::Int8, [0x07c4116d4bebf810, 0xecfccb09eddec3d4]),
    (Width::Float16, [0x74b8815a8209cfc4, 0x2671156d46ecb5f6]),
    (Width::Bfloat16, [0xb06e0fb06766fa6b, 0x7e42a2ed7ea42522]),
];

#[test]
#[cfg_attr(miri, ignore = "hours")]
fn every_instruction_set_gives_the_bits_of_quantized_weights_written_here() {
    assert_eq!(QUANTIZED.map(|(width, _)| width), *Width::ALL);
    expect_bits(&QUANTIZED, |isa, width| [quantized::<f32>(isa, width), quantized::<f64>(isa, width)]);
}

/// The weights that a seed gives are part of the promise too.
#[test]
fn every_processor_gives_the_weights_written_here() {
    let config = Config { seed: 42, ..Config::gru(5, 7) };
    let (mut digest, mut digest64) = (Digest(0), Digest(0));
    digest.add(&Rnn::<f32>::new(config.clone()).unwrap().flat());
    digest64.add(&Rnn::<f64>::new(config).unwrap().flat());
    assert_eq!([digest.0, digest64.0], [0x9b9e04c0af7540ca, 0x63b17b0ed78964f2]);
}

/// Squares added up, and the gradients made shorter, in sizes around the sums that go side by side.
fn clipped<F: Dispatch>(isa: Isa) -> u64 {
    let mut digest = Digest(0);
    for len in [1, 15, 16, 17, 33, 1000] {
        let mut gradients: Vec<F> = numbers(len, 40, 1.0);
        digest.add(&[F::dispatch(isa, SumOfSquares(&gradients))]);
        F::dispatch(isa, Scale(&mut gradients, F::from_f64(1.0 / 3.0)));
        digest.add(&gradients);
    }
    digest.0
}

#[test]
fn every_instruction_set_clips_to_the_bits_written_here() {
    for isa in Isa::available() {
        let got = [clipped::<f32>(isa), clipped::<f64>(isa)];
        assert_eq!(got, [0x105f4700ce2fa20d, 0x5abd001628870fd1], "{}", isa.name());
    }
}

#[test]
fn every_processor_gives_the_rates_written_here() {
    let mut digest = Digest(0);
    let cosine = Cosine::new(0.1, 1000, 100, 0.01).unwrap();
    digest.add(&(0..=1000).map(|step| cosine.rate(step)).collect::<Vec<f64>>());
    assert_eq!(digest.0, 0xd6ba9b036409eb79);
}

/// Scores and gradients of models with each pooling, behind convolutions.
fn models<F: Dispatch>(isa: Isa) -> u64 {
    let mut digest = Digest(0);
    let poolings = Pooling::ALL.iter().filter(|&&pooling| pooling != Pooling::Each);
    for (&pooling, &activation) in poolings.flat_map(|pooling| Activation::ALL.iter().map(move |one| (pooling, one))) {
        let convolution = Some(Convolution { inputs: 3, kernel: 11, stride: 2, activation });
        let rnn = Config { bidirectional: true, seed: 7, ..Config::gru(17, 9) };
        let model = Model::<F>::on(isa, ModelConfig { convolution, pooling, ..ModelConfig::new(rnn, 5) }).unwrap();
        let (batch, seq, lengths) = (4, 37, [37, 0, 12, 25]);
        let x = numbers::<F>(batch * seq * 3, 3, 2.0);
        let inputs = Inputs { numbers: Numbers::Floats(&x), batch, seq, lengths: Some(&lengths), states: &[] };
        let (targets, training) = (Targets::Classes(&[0, 1, 4, 2]), Training::default());
        let lost = model.loss_and_grad(&inputs, targets, None, &Loss::cross_entropy(), &training).unwrap();
        digest.add(&lost.gradients);
        digest.add(&model.scores(&inputs).unwrap());
    }
    digest.0
}

#[test]
fn every_instruction_set_gives_models_the_bits_written_here() {
    for isa in Isa::available() {
        let got = [models::<f32>(isa), models::<f64>(isa)];
        assert_eq!(got, [0x4d379af22eaa0836, 0xb974b2a99574b955], "{}", isa.name());
    }
}
