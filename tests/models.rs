//! Whole models: the gradient of every parameter against finite differences in f64, for every kind of input,
//! stack, pooling and loss; equal bits whatever the batch and the instruction set; what they refuse. Encoders with
//! decoders too, and what both write.

mod common;

use common::{cells, convolutions, numbers, slope};
use gru_rs::{
    Adam, Attention, Cell, Config, EncoderDecoder, EncoderDecoderConfig, Generator, Inputs, Isa, Loss, Lost, Memory,
    Model, ModelConfig, Numbers, Pooling, Reset, Rule, Sampling, Spelling, Targets, Training,
};
use proptest::prelude::*;
use std::ops::Range;

/// Central differences with steps of 1e-5, relative to the largest slope.
const TOLERANCE: f64 = 2e-7;

/// Gradients against slopes: some of each parameter, for all of them would take two passes for each.
fn check_slopes(
    names: Vec<(String, Range<usize>, Vec<usize>)>, flat: &[f64], gradients: &[f64], loss: impl Fn(&[f64]) -> f64,
) {
    let largest = gradients.iter().fold(1e-3f64, |a, b| a.max(b.abs()));
    for (name, at, _) in names {
        for i in at.clone().step_by(at.len() / 5 + 1) {
            let (slope, got, place) = (slope(flat, i, &loss), gradients[i], i - at.start);
            assert!((slope - got).abs() <= TOLERANCE * largest, "{name}[{place}]: {got} by backward, {slope}");
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    config: ModelConfig,
    loss: Loss,
    batch: usize,
    seq: usize,
    lengths: Option<Vec<usize>>,
    weighted: bool,
    seed: u64,
}

impl Case {
    fn length(&self, row: usize) -> usize {
        self.lengths.as_ref().map_or(self.seq, |lengths| lengths[row])
    }

    /// Rows of targets.
    fn rows(&self) -> usize {
        if self.config.pooling == Pooling::Each {
            (0..self.batch).map(|row| self.config.frames(self.length(row))).sum()
        } else {
            self.batch
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Inputs<'_, f64>, Targets<'_, f64>, Option<&[f64]>) -> T) -> T {
        let steps = self.batch * self.seq;
        let floats = numbers(steps * self.config.inputs(), self.seed);
        let per_step = 1 + self.seed % 3;
        let tokens: Vec<u32> = (0..steps as u64 * per_step).map(|i| (i * 7 + self.seed) as u32 % 5).collect();
        let read = if self.config.vocabulary.is_some() { Numbers::Tokens(&tokens) } else { Numbers::Floats(&floats) };
        let (batch, seq, lengths) = (self.batch, self.seq, self.lengths.as_deref());
        let rnn = &self.config.rnn;
        let len = rnn.layers * rnn.directions() * batch * rnn.hidden;
        let states: Vec<Vec<f64>> = (0..rnn.cell.states() as u64).map(|i| numbers(len, self.seed + 5 + i)).collect();
        let states: Vec<&[f64]> = states
            .iter()
            .filter(|_| self.seed.is_multiple_of(3) && self.config.convolution.is_none())
            .map(|state| &state[..])
            .collect();
        let inputs = Inputs { numbers: read, batch, seq, lengths, states: &states };
        let columns = self.config.outputs;
        let classes: Vec<u32> = (0..self.rows()).map(|i| (i as u64 * 3 + self.seed) as u32 % columns as u32).collect();
        let values = numbers(self.rows() * columns / self.loss.scores_per_target(), self.seed + 1);
        let targets = if self.loss.of_classes() { Targets::Classes(&classes) } else { Targets::Numbers(&values) };
        let weights: Vec<f64> = numbers(batch, self.seed + 2).iter().map(|x| x + 1.5).collect();
        work(&inputs, targets, self.weighted.then_some(&weights[..]))
    }

    fn check(&self) {
        let training = Training { seed: Some(self.seed), ..Training::default() };
        let model = Model::<f64>::new(self.config.clone()).unwrap();
        self.with(|inputs, targets, weights| {
            let lost = || model.loss_and_grad(inputs, targets, weights, &self.loss, &training).unwrap();
            let Lost { loss, gradients: gradient, states } = lost();
            let flat = model.flat().to_vec();
            check_slopes(model.config().names(), &flat, &gradient, |moved| {
                model.set_flat(moved).unwrap();
                lost().loss
            });
            model.set_flat(&flat).unwrap();
            if self.config.input_dropout + self.config.output_dropout + self.config.rnn.dropout == 0.0 {
                let expected = Lost { loss, gradients: vec![], states: states.clone() };
                assert_eq!(expected, model.loss(inputs, targets, weights, &self.loss).unwrap());
            }
            if weights.is_none() && !self.config.crf {
                let mut own = |x: &[f64]| self.loss.of(model.isa(), x, self.config.outputs, targets, None);
                let lost = model.loss_and_grad_by(inputs, &training, &mut own).unwrap();
                assert_eq!(lost, Lost { loss, gradients: gradient.clone(), states: states.clone() });
            }
            for isa in Isa::available() {
                let other = Model::<f64>::on(isa, self.config.clone()).unwrap();
                let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let lost = other.loss_and_grad(inputs, targets, weights, &self.loss, &training).unwrap();
                let same = (lost.loss.to_bits(), bits(&lost.gradients)) == (loss.to_bits(), bits(&gradient));
                assert!(same && lost.states == states, "{}", isa.name());
                assert_eq!(bits(&other.scores(inputs).unwrap()), bits(&model.scores(inputs).unwrap()));
            }
        });
    }
}

fn stack() -> impl Strategy<Value = Config> {
    (cells(), 1..4usize, 1..6usize, 1..3usize, any::<bool>(), 0..100u64).prop_map(
        |(cell, input, hidden, layers, bidirectional, seed)| {
            let dropout = if layers > 1 && seed % 2 == 0 { 0.3 } else { 0.0 };
            Config { cell, layers, bidirectional, seed, dropout, ..Config::gru(input, hidden) }
        },
    )
}

/// (loss, scores, crf)
fn head() -> impl Strategy<Value = (Loss, usize, bool)> {
    prop_oneof![
        (1..5usize).prop_map(|n| (Loss::cross_entropy(), n, false)),
        (1..4usize).prop_map(|n| (Loss::cross_entropy(), n, true)),
        Just((Loss::CrossEntropy { label_smoothing: 0.1, class_weights: vec![1.0, 0.5, 2.0] }, 3, false)),
        (1..3usize).prop_map(|n| (Loss::Squared, n, false)),
        (1..3usize).prop_map(|n| (Loss::quantile(vec![0.2, 0.7]).unwrap(), 2 * n, false)),
        (1..3usize).prop_map(|n| (Loss::Huber(0.7), n, false)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let pooling = prop::sample::select(Pooling::ALL);
    let dropped = prop_oneof![Just((0.0, 0.0)), Just((0.3, 0.0)), Just((0.2, 0.4))];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let sizes = (1..4usize, 1..5usize, 0..1000u64);
    (stack(), head(), pooling, convolutions(2), dropped, flags, sizes).prop_map(
        |(rnn, (loss, outputs, crf), pooling, convolution, (input_dropout, output_dropout), flags, sizes)| {
            let (batch, seq, seed) = sizes;
            let (tokens, variational, ragged, weighted) = flags;
            let pooling = if crf { Pooling::Each } else { pooling };
            let vocabulary = tokens.then_some(5);
            let config = ModelConfig {
                vocabulary,
                convolution,
                input_dropout,
                variational,
                pooling,
                output_dropout,
                crf,
                ..ModelConfig::new(rnn, outputs)
            };
            let lengths = ragged.then(|| (0..batch).map(|row| (row * 3 + seed as usize) % (seq + 1)).collect());
            Case { config, loss, batch, seq, lengths, weighted, seed }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients(case in case()) {
        case.check();
    }
}

/// A row's scores are the same alone, in a batch and on a long enough array for several threads.
#[test]
fn rows_do_not_know_each_other() {
    for &pooling in Pooling::ALL.iter().filter(|&&pooling| pooling != Pooling::Each) {
        let stack = Config { bidirectional: true, layers: 2, ..Config::gru(6, 40) };
        let config = ModelConfig { vocabulary: Some(50), pooling, ..ModelConfig::new(stack, 3) };
        let model = Model::<f32>::new(config).unwrap();
        let (batch, seq) = (70, 30);
        let tokens: Vec<u32> = (0..batch * seq).map(|i| (i * i % 50) as u32).collect();
        let lengths: Vec<usize> = (0..batch).map(|row| row % (seq + 1)).collect();
        let inputs = Inputs { numbers: Numbers::Tokens(&tokens), batch, seq, lengths: Some(&lengths), states: &[] };
        let all = model.scores(&inputs).unwrap();
        for row in [0, 1, 33, 69] {
            let alone = &tokens[row * seq..][..lengths[row]];
            let inputs =
                Inputs { numbers: Numbers::Tokens(alone), batch: 1, seq: alone.len(), lengths: None, states: &[] };
            assert_eq!(model.scores(&inputs).unwrap(), all[row * 3..][..3], "row {row}, {pooling:?}");
        }
    }
}

/// The order of two neighbours: a chain and a stack of two directions learn it to the last step.
#[test]
fn a_tagger_learns() {
    let stack = Config { bidirectional: true, ..Config::gru(8, 16) };
    let config = ModelConfig { vocabulary: Some(10), pooling: Pooling::Each, crf: true, ..ModelConfig::new(stack, 3) };
    let model = Model::<f32>::new(config).unwrap();
    let rule = Rule::Adam(Adam {
        learning_rate: 0.02,
        betas: (0.9, 0.999),
        epsilon: 1e-8,
        weight_decay: 0.0,
        decoupled: true,
    });
    let (mut memory, batch, seq) = (Memory::default(), 32, 12);
    let make = |seed: u64| {
        let tokens: Vec<u32> = numbers(batch * seq, seed).iter().map(|x| ((x + 1.0) * 5.0) as u32).collect();
        let order = |row: &[u32], i: usize| match row.get(i + 1) {
            Some(next) => 1 + u32::from(*next > row[i]),
            None => 0,
        };
        let labels: Vec<u32> = tokens.chunks(seq).flat_map(|row| (0..seq).map(move |i| order(row, i))).collect();
        (tokens, labels)
    };
    for step in 0..150 {
        let (tokens, labels) = make(step);
        let inputs = Inputs { numbers: Numbers::Tokens(&tokens), batch, seq, lengths: None, states: &[] };
        let targets = Targets::Classes(&labels);
        let lost = model.loss_and_grad(&inputs, targets, None, &Loss::cross_entropy(), &Training::default()).unwrap();
        model.step(&rule, &lost.gradients, &mut memory).unwrap();
    }
    let (tokens, labels) = make(1_000_000);
    let inputs = Inputs { numbers: Numbers::Tokens(&tokens), batch, seq, lengths: None, states: &[] };
    let found = model.labels(&inputs).unwrap();
    let right = found.iter().zip(&labels).filter(|(a, b)| a == b).count();
    assert!(right * 100 >= labels.len() * 99, "{right} of {}", labels.len());
}

#[test]
fn a_loss_of_ones_own_has_a_slope_for_each_score() {
    let inputs = Inputs { numbers: Numbers::Floats(&[0.5; 6]), batch: 2, seq: 3, lengths: None, states: &[] };
    let by = |config, loss: &mut gru_rs::OwnLoss<'_, f32>| {
        let model = Model::<f32>::new(config).unwrap();
        model.loss_and_grad_by(&inputs, &Training::default(), loss).unwrap_err().to_string()
    };
    let config = ModelConfig::new(Config::gru(1, 8), 2);
    let short = by(config.clone(), &mut |_| Ok((0.0, vec![0.0; 3])));
    assert_eq!(short, "gradient: expected 4 numbers ([4]), got 3");
    let raised = by(config.clone(), &mut |_| Err(gru_rs::Error::State("enough".into())));
    assert_eq!(raised, "enough");
    let chain = ModelConfig { pooling: Pooling::Each, crf: true, ..config };
    let refused = by(chain, &mut |x| Ok((0.0, x.to_vec())));
    assert_eq!(refused, "loss: expected cross-entropy for a chain over the labels, got a function");
}

#[test]
fn mistakes_are_named() {
    let stack = Config::gru(4, 8);
    let refuse = |config: ModelConfig| Model::<f32>::new(config).unwrap_err().to_string();
    assert_eq!(refuse(ModelConfig::new(stack.clone(), 0)), "output_size: expected a positive integer, got 0");
    let dropping = ModelConfig { input_dropout: 1.0, ..ModelConfig::new(stack.clone(), 2) };
    assert_eq!(refuse(dropping), "input_dropout: expected a number of [0, 1), got 1");
    let chain = ModelConfig { crf: true, ..ModelConfig::new(stack.clone(), 2) };
    assert_eq!(refuse(chain), "crf: expected pooling of each step by itself, got Last");
    let huge = ModelConfig { vocabulary: Some(usize::MAX), ..ModelConfig::new(stack.clone(), 2) };
    assert!(refuse(huge).starts_with("vocabulary_size: expected at most"));

    let config = ModelConfig { vocabulary: Some(5), ..ModelConfig::new(stack, 2) };
    let model = Model::<f32>::new(config).unwrap();
    let refuse = |numbers, lengths| {
        model.scores(&Inputs { numbers, batch: 2, seq: 2, lengths, states: &[] }).unwrap_err().to_string()
    };
    let tokens = Numbers::Tokens(&[0, 1, 2, 9]);
    assert_eq!(refuse(tokens, None), "tokens: expected numbers below the vocabulary's size, 5, got 9 in row 1, step 1");
    assert_eq!(refuse(Numbers::Tokens(&[1]), None), "x: expected 4 numbers ([2, 2, 1]), got 1");
    assert_eq!(
        refuse(Numbers::Floats(&[0.0; 16]), None),
        "x: expected tokens for a model with a vocabulary, got numbers"
    );
    assert_eq!(refuse(tokens, Some(&[1, 3])), "lengths: expected at most 2 steps, got 3 in row 1");
    // What lies past a row's length is never read.
    assert!(model.scores(&Inputs { numbers: tokens, batch: 2, seq: 2, lengths: Some(&[2, 1]), states: &[] }).is_ok());
}

/// In chunks that carry the states over, a text has the scores and the loss that it has at once.
#[test]
fn chunks_go_on() {
    for cell in [Cell::Gru(Reset::After), Cell::Lstm] {
        let stack = Config { cell, layers: 2, seed: 5, ..Config::gru(4, 7) };
        let config = ModelConfig { vocabulary: Some(9), pooling: Pooling::Each, ..ModelConfig::new(stack, 9) };
        let model = Model::<f32>::new(config).unwrap();
        let text: Vec<u32> = (0..40).map(|i| (i * i + i / 3) % 9).collect();
        let at_once = Inputs { numbers: Numbers::Tokens(&text), batch: 1, seq: 40, lengths: None, states: &[] };
        let (mut scores, mut states, mut lost) = (vec![], Vec::<Vec<f32>>::new(), 0.0);
        for chunk in text.chunks(7) {
            let before: Vec<&[f32]> = states.iter().map(|state| &state[..]).collect();
            let numbers = Numbers::Tokens(chunk);
            let inputs = Inputs { numbers, batch: 1, seq: chunk.len(), lengths: None, states: &before };
            scores.extend(model.scores(&inputs).unwrap());
            let targets = Targets::Classes(chunk);
            let training = Training::default();
            let one = model.loss_and_grad(&inputs, targets, None, &Loss::cross_entropy(), &training).unwrap();
            lost += one.loss * chunk.len() as f64 / 40.0;
            states = one.states;
        }
        assert_eq!(scores, model.scores(&at_once).unwrap());
        let whole = model.loss(&at_once, Targets::Classes(&text), None, &Loss::cross_entropy()).unwrap();
        assert_eq!(states, whole.states);
        assert!((lost - whole.loss).abs() < 1e-12);
    }
}

/// A generator's tokens are those of the scores of all tokens before, step by step.
#[test]
fn generators_go_on_as_scores_do() {
    for cell in [Cell::Gru(Reset::After), Cell::Lstm] {
        let stack = Config { cell, layers: 2, seed: 3, ..Config::gru(5, 9) };
        let config = ModelConfig { vocabulary: Some(11), pooling: Pooling::Each, ..ModelConfig::new(stack, 11) };
        let model = Model::<f32>::new(config).unwrap();
        let best = Sampling { temperature: 0.0, ..Sampling::default() };
        let mut generator = Generator::new(&model, best, 0).unwrap();
        assert!(generator.next().unwrap_err().to_string().contains("at least one token"));
        generator.forbid(4).unwrap();
        let mut text = vec![7, 0];
        text.iter().for_each(|&token| generator.read(token).unwrap());
        for step in 0..40 {
            if step == 20 {
                // The newest weights count.
                model.set_flat(&model.flat().iter().map(|w| w * 1.5).collect::<Vec<_>>()).unwrap();
                generator = Generator::new(&model, best, 0).unwrap();
                generator.forbid(4).unwrap();
                text.iter().for_each(|&token| generator.read(token).unwrap());
            }
            let inputs =
                Inputs { numbers: Numbers::Tokens(&text), batch: 1, seq: text.len(), lengths: None, states: &[] };
            let scores = model.scores(&inputs).unwrap();
            let last = &scores[scores.len() - 11..];
            let expected = (0..11).filter(|&token| token != 4).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
            let token = generator.next().unwrap();
            assert_eq!(token as usize, expected);
            text.push(token);
        }
        let refuse = |sampling| Generator::new(&model, sampling, 0).unwrap_err().to_string();
        assert!(refuse(Sampling { temperature: -1.0, ..best }).contains("temperature"));
        assert!(refuse(Sampling { top_p: 0.0, ..best }).contains("top_p"));
        assert!(refuse(Sampling { repetition_penalty: 0.0, ..best }).contains("repetition_penalty"));
        assert!(generator.read(11).unwrap_err().to_string().contains("token"));
    }
}

/// What was read before does not keep old weights alive.
#[test]
fn generators_take_the_newest_weights() {
    let stack = Config { seed: 7, ..Config::gru(5, 9) };
    let config = ModelConfig { vocabulary: Some(11), pooling: Pooling::Each, ..ModelConfig::new(stack, 11) };
    let model = Model::<f32>::new(config).unwrap();
    let best = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut warm = Generator::new(&model, best, 0).unwrap();
    for seed in 0..3 {
        let mut flat: Vec<f32> = numbers(model.flat().len(), seed).iter().map(|&w| w as f32).collect();
        // Without a memory: no recurrence, and z = 0.
        for (name, range, _) in model.config().names() {
            match &name[..] {
                "rnn.weight_hh_l0" => flat[range].fill(0.0),
                "rnn.bias_ih_l0" => flat[range][9..18].fill(-1e3),
                _ => {}
            }
        }
        model.set_flat(&flat).unwrap();
        for token in 0..11 {
            let mut fresh = Generator::new(&model, best, 0).unwrap();
            fresh.read(token).unwrap();
            warm.read(token).unwrap();
            assert_eq!(warm.next().unwrap(), fresh.next().unwrap());
        }
    }
}

/// Whatever the numbers are, what is forbidden is never drawn.
#[test]
fn generators_bear_extremes() {
    let stack = Config { seed: 5, ..Config::gru(4, 6) };
    let config = ModelConfig { vocabulary: Some(5), pooling: Pooling::Each, ..ModelConfig::new(stack, 5) };
    let model = Model::<f64>::new(config).unwrap();
    let free = Sampling::default();
    let best = Sampling { temperature: 0.0, ..free };
    let tokens = |sampling: Sampling| -> Vec<u32> {
        let mut generator = Generator::new(&model, sampling, 1).unwrap();
        generator.begin(1).unwrap();
        generator.forbid(0).unwrap();
        (0..30).map(|_| generator.next().unwrap()).collect()
    };
    assert_eq!(tokens(Sampling { temperature: 1e-310, ..free }), tokens(best));
    for penalty in [1e-320, 1e300] {
        for sampling in [free, best, Sampling { top_k: 2, ..free }] {
            assert!(!tokens(Sampling { repetition_penalty: penalty, ..sampling }).contains(&0));
        }
    }
    // The beginning is no repetition: with a penalty that forbids what was there, 1 may still come first.
    let mut flat = model.flat().to_vec();
    let end = flat.len();
    flat[end - 5..].copy_from_slice(&[0.0, 50.0, 40.0, 30.0, 20.0]);
    model.set_flat(&flat).unwrap();
    assert_eq!(tokens(Sampling { repetition_penalty: 1e6, ..best })[..4], [1, 2, 3, 4]);
    flat[end - 3] = f64::NAN;
    model.set_flat(&flat).unwrap();
    let mut generator = Generator::new(&model, free, 1).unwrap();
    generator.read(1).unwrap();
    assert!(generator.next().unwrap_err().to_string().contains("model: expected one that gives scores, got NaN"));
}

/// Tokens come as often as they should.
#[test]
fn generators_draw_by_probability() {
    let config = ModelConfig { vocabulary: Some(4), pooling: Pooling::Each, ..ModelConfig::new(Config::gru(2, 3), 4) };
    let model = Model::<f64>::new(config).unwrap();
    // The head's biases alone.
    let mut flat = vec![0.0; model.flat().len()];
    let end = flat.len();
    flat[end - 4..].copy_from_slice(&[0.4f64.ln(), 0.3f64.ln(), 0.2f64.ln(), 0.1f64.ln()]);
    model.set_flat(&flat).unwrap();
    let count = if cfg!(miri) { 50 } else { 20_000 };
    let draw = |sampling: Sampling, seed: u64| {
        let mut generator = Generator::new(&model, sampling, seed).unwrap();
        generator.read(0).unwrap();
        let tokens: Vec<u32> = (0..count).map(|_| generator.next().unwrap()).collect();
        let of = |token| tokens.iter().filter(|&&other| other == token).count() as f64 / count as f64;
        ([0, 1, 2, 3].map(of), tokens)
    };
    let free = Sampling::default();
    let cases = [
        (free, [0.4, 0.3, 0.2, 0.1]),
        (Sampling { top_k: 2, ..free }, [4.0 / 7.0, 3.0 / 7.0, 0.0, 0.0]),
        (Sampling { top_p: 0.75, ..free }, [4.0 / 9.0, 3.0 / 9.0, 2.0 / 9.0, 0.0]),
        (Sampling { temperature: 0.5, ..free }, [16.0 / 30.0, 9.0 / 30.0, 4.0 / 30.0, 1.0 / 30.0]),
        (Sampling { temperature: 0.0, ..free }, [1.0, 0.0, 0.0, 0.0]),
    ];
    for (sampling, expected) in cases {
        let (found, tokens) = draw(sampling, 5);
        if !cfg!(miri) {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 0.02, "{sampling:?}: {found}, expected {expected}");
            }
        }
        assert_eq!(draw(sampling, 5).1, tokens);
    }
    assert_ne!(draw(free, 5).1, draw(free, 6).1);
}

/// An encoder with a decoder over some rows of every length, from none.
struct Pair {
    config: EncoderDecoderConfig,
    lengths: Vec<usize>,
    targets: Vec<usize>,
    seed: u64,
}

impl Pair {
    fn with<T>(&self, work: impl FnOnce(&Inputs<'_, f64>, Spelling<'_>) -> T) -> T {
        let seq = self.lengths.iter().copied().max().unwrap_or(0);
        let batch = self.lengths.len();
        let floats = numbers(batch * seq * self.config.encoder.input, self.seed);
        let tokens: Vec<u32> = (0..(batch * seq) as u64).map(|i| (i * 7 + self.seed) as u32 % 5).collect();
        let read = if self.config.vocabulary.is_some() { Numbers::Tokens(&tokens) } else { Numbers::Floats(&floats) };
        let inputs = Inputs { numbers: read, batch, seq, lengths: Some(&self.lengths), states: &[] };
        let outputs = self.config.outputs as u64;
        // 1 ends and 2 begins.
        let label = |i| match ((i * 3 + self.seed) % outputs) as u32 {
            1 | 2 => 0,
            label => label,
        };
        let labels: Vec<u32> = (0..self.targets.iter().sum::<usize>() as u64).map(label).collect();
        work(&inputs, Spelling { labels: &labels, lengths: &self.targets })
    }

    fn check(&self) {
        let training = Training { seed: Some(self.seed), ..Training::default() };
        let model = EncoderDecoder::<f64>::new(self.config.clone()).unwrap();
        let weights: Vec<f64> = numbers(self.lengths.len(), self.seed + 2).iter().map(|w| w.abs()).collect();
        let loss = Loss::CrossEntropy { label_smoothing: 0.1, class_weights: vec![] };
        self.with(|inputs, targets| {
            let lost = || model.loss_and_grad(inputs, targets, Some(&weights), &loss, &training).unwrap();
            let first = lost();
            let flat = model.flat().to_vec();
            check_slopes(model.config().names(), &flat, &first.gradients, |moved| {
                model.set_flat(moved).unwrap();
                lost().loss
            });
            model.set_flat(&flat).unwrap();
            let dropout = self.config.input_dropout + self.config.output_dropout + self.config.encoder.dropout;
            if dropout == 0.0 {
                assert_eq!(first.loss, model.loss(inputs, targets, Some(&weights), &loss).unwrap().loss);
            }
            let found = model.decode(inputs, 3, 6, 0.5).unwrap();
            for isa in Isa::available() {
                let other = EncoderDecoder::<f64>::on(isa, self.config.clone()).unwrap();
                let again = other.loss_and_grad(inputs, targets, Some(&weights), &loss, &training).unwrap();
                assert_eq!(again, first, "{}", isa.name());
                assert_eq!(other.decode(inputs, 3, 6, 0.5).unwrap(), found);
            }
            // A row by itself, and by all paths of so few tokens.
            for (row, (length, found)) in self.lengths.iter().zip(&found).enumerate() {
                let numbers = match inputs.numbers {
                    Numbers::Floats(x) => {
                        let step = self.config.encoder.input;
                        Numbers::Floats(&x[row * inputs.seq * step..][..length * step])
                    }
                    Numbers::Tokens(x) => Numbers::Tokens(&x[row * inputs.seq..][..*length]),
                };
                let alone = Inputs { numbers, batch: 1, seq: *length, lengths: None, states: &[] };
                assert_eq!(&model.decode(&alone, 3, 6, 0.5).unwrap()[0], found);
                for one in found {
                    let steps = one.labels.len() + usize::from(one.ended);
                    let seen = if self.config.attention.is_some() { steps * length } else { 0 };
                    assert_eq!(one.attention.len(), seen);
                    for looked in one.attention.chunks(*length.max(&1)) {
                        assert!((looked.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                    }
                    if one.ended {
                        let targets = Spelling { labels: &one.labels, lengths: &[one.labels.len()] };
                        let lost = model.loss(&alone, targets, None, &Loss::cross_entropy()).unwrap().loss;
                        assert!((lost * steps as f64 + one.log_p).abs() < 1e-11);
                    }
                }
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 60 }))]
    #[test]
    fn gradients_of_pairs(
        encoder in stack(), embedding in 1..4usize, outputs in 3..6usize, kind in 0..3usize, tokens in any::<bool>(),
        dropped in any::<bool>(), lengths in prop::collection::vec((0..5usize, 0..4usize), 1..4),
    ) {
        let share = if dropped { 0.3 } else { 0.0 };
        let seed = encoder.seed;
        let config = EncoderDecoderConfig {
            vocabulary: tokens.then_some(5),
            embedding,
            attention: [None, Some(Attention::Dot), Some(Attention::Additive)][kind],
            begin: 2,
            input_dropout: share,
            output_dropout: share,
            ..EncoderDecoderConfig::new(encoder, outputs)
        };
        let (lengths, targets) = lengths.into_iter().unzip();
        Pair { config, lengths, targets, seed }.check();
    }
}

/// A beam that keeps all knows the best of all targets.
#[test]
fn a_wide_beam_finds_the_best() {
    for seed in 0..5 {
        let config = EncoderDecoderConfig {
            vocabulary: Some(5),
            attention: Some(Attention::Dot),
            ..EncoderDecoderConfig::new(Config { seed, ..Config::gru(3, 6) }, 5)
        };
        let model = EncoderDecoder::<f64>::new(config).unwrap();
        let inputs = Inputs { numbers: Numbers::Tokens(&[0, 3, 2]), batch: 1, seq: 3, lengths: None, states: &[] };
        // All targets of at most three tokens and the end: of 2, 3, 4, as 0 begins and 1 ends.
        let mut all: Vec<Vec<u32>> = vec![vec![]];
        for length in 0..3 {
            let longest: Vec<Vec<u32>> = all.iter().filter(|labels| labels.len() == length).cloned().collect();
            all.extend(longest.iter().flat_map(|labels| [2, 3, 4].map(|token| [&labels[..], &[token]].concat())));
        }
        let probability = |labels: &Vec<u32>| {
            let targets = Spelling { labels, lengths: &[labels.len()] };
            -model.loss(&inputs, targets, None, &Loss::cross_entropy()).unwrap().loss * (labels.len() + 1) as f64
        };
        let best = all.iter().map(|labels| (probability(labels), labels)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        let found = model.decode(&inputs, 200, 4, 0.0).unwrap();
        let ended = found[0].iter().find(|one| one.ended).unwrap();
        assert_eq!(&ended.labels, best.1);
        assert!((ended.log_p - best.0).abs() < 1e-12);
        assert!(found[0].iter().all(|one| !one.labels.contains(&0)));
        for mark in [0, 1] {
            let targets = Spelling { labels: &[2, mark], lengths: &[2] };
            let refused = model.loss(&inputs, targets, None, &Loss::cross_entropy()).unwrap_err();
            assert!(refused.to_string().contains("targets: expected tokens without begin"), "{refused}");
        }
        let greedy = &model.decode(&inputs, 1, 4, 0.0).unwrap()[0];
        assert!(greedy.len() == 1 && greedy[0].log_p <= found[0][0].log_p + 1e-12);
    }
}
