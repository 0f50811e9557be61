//! Whole models: the gradient of every parameter against finite differences in f64, for every kind of input,
//! stack, pooling and loss; equal bits whatever the batch and the instruction set; what they refuse.

use gru_rs::{
    Adam, Cell, Config, Inputs, Isa, Loss, Memory, Model, ModelConfig, Numbers, Pooling, Reset, Rule, Targets, Training,
};
use proptest::prelude::*;

/// Central differences with steps of 1e-5, relative to the largest slope.
const TOLERANCE: f64 = 2e-7;

fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 30) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
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
            (0..self.batch).map(|row| self.length(row)).sum()
        } else {
            self.batch
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Inputs<'_, f64>, Targets<'_, f64>, Option<&[f64]>) -> T) -> T {
        let steps = self.batch * self.seq;
        let floats = numbers(steps * self.config.rnn.input, self.seed);
        let per_step = 1 + self.seed % 3;
        let tokens: Vec<u32> = (0..steps as u64 * per_step).map(|i| (i * 7 + self.seed) as u32 % 5).collect();
        let read = if self.config.vocabulary.is_some() { Numbers::Tokens(&tokens) } else { Numbers::Floats(&floats) };
        let (batch, seq, lengths) = (self.batch, self.seq, self.lengths.as_deref());
        let inputs = Inputs { numbers: read, batch, seq, lengths };
        let columns = self.config.outputs;
        let classes: Vec<u32> = (0..self.rows()).map(|i| (i as u64 * 3 + self.seed) as u32 % columns as u32).collect();
        let values = numbers(self.rows() * columns / self.loss.scores_per_target(), self.seed + 1);
        let of_classes = matches!(self.loss, Loss::CrossEntropy { .. });
        let targets = if of_classes { Targets::Classes(&classes) } else { Targets::Numbers(&values) };
        let weights: Vec<f64> = numbers(batch, self.seed + 2).iter().map(|x| x + 1.5).collect();
        work(&inputs, targets, self.weighted.then_some(&weights[..]))
    }

    fn check(&self) {
        let training = Training { seed: Some(self.seed), ..Training::default() };
        let model = Model::<f64>::new(self.config.clone()).unwrap();
        self.with(|inputs, targets, weights| {
            let lost = || model.loss_and_grad(inputs, targets, weights, &self.loss, &training).unwrap();
            let (loss, gradient) = lost();
            let flat = model.flat().to_vec();
            let largest = gradient.iter().fold(1e-3f64, |a, b| a.max(b.abs()));
            for (name, at, _) in model.config().names() {
                // Some of each parameter: all of them would take a pass for each.
                for i in at.clone().step_by(at.len() / 5 + 1) {
                    let slope = [1e-5, -1e-5].map(|step| {
                        let mut moved = flat.clone();
                        moved[i] += step;
                        model.set_flat(&moved).unwrap();
                        lost().0
                    });
                    let slope = (slope[0] - slope[1]) / 2e-5;
                    assert!(
                        (slope - gradient[i]).abs() <= TOLERANCE * largest,
                        "{name}[{}]: {} by backward, {slope}",
                        i - at.start,
                        gradient[i]
                    );
                }
            }
            model.set_flat(&flat).unwrap();
            if self.config.input_dropout + self.config.output_dropout + self.config.rnn.dropout == 0.0 {
                assert_eq!(loss, model.loss(inputs, targets, weights, &self.loss).unwrap());
            }
            for isa in Isa::available() {
                let other = Model::<f64>::on(isa, self.config.clone()).unwrap();
                let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let (lost, slopes) = other.loss_and_grad(inputs, targets, weights, &self.loss, &training).unwrap();
                assert_eq!((lost.to_bits(), bits(&slopes)), (loss.to_bits(), bits(&gradient)), "{}", isa.name());
                assert_eq!(bits(&other.scores(inputs).unwrap()), bits(&model.scores(inputs).unwrap()));
            }
        });
    }
}

fn stack() -> impl Strategy<Value = Config> {
    let cell = prop_oneof![Just(Cell::Gru(Reset::After)), Just(Cell::Gru(Reset::Before)), Just(Cell::Lstm)];
    (cell, 1..4usize, 1..6usize, 1..3usize, any::<bool>(), 0..100u64).prop_map(
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
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let pooling = prop_oneof![Just(Pooling::Last), Just(Pooling::Mean), Just(Pooling::Max), Just(Pooling::Each)];
    let dropped = prop_oneof![Just((0.0, 0.0)), Just((0.3, 0.0)), Just((0.2, 0.4))];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (stack(), head(), pooling, dropped, flags, 1..4usize, 1..5usize, 0..1000u64).prop_map(
        |(rnn, (loss, outputs, crf), pooling, (input_dropout, output_dropout), flags, batch, seq, seed)| {
            let (tokens, variational, ragged, weighted) = flags;
            let pooling = if crf { Pooling::Each } else { pooling };
            let vocabulary = tokens.then_some(5);
            let config = ModelConfig {
                vocabulary,
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
    for pooling in [Pooling::Last, Pooling::Mean, Pooling::Max] {
        let stack = Config { bidirectional: true, layers: 2, ..Config::gru(6, 40) };
        let config = ModelConfig { vocabulary: Some(50), pooling, ..ModelConfig::new(stack, 3) };
        let model = Model::<f32>::new(config).unwrap();
        let (batch, seq) = (70, 30);
        let tokens: Vec<u32> = (0..batch * seq).map(|i| (i * i % 50) as u32).collect();
        let lengths: Vec<usize> = (0..batch).map(|row| row % (seq + 1)).collect();
        let inputs = Inputs { numbers: Numbers::Tokens(&tokens), batch, seq, lengths: Some(&lengths) };
        let all = model.scores(&inputs).unwrap();
        for row in [0, 1, 33, 69] {
            let alone = &tokens[row * seq..][..lengths[row]];
            let inputs = Inputs { numbers: Numbers::Tokens(alone), batch: 1, seq: alone.len(), lengths: None };
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
        let inputs = Inputs { numbers: Numbers::Tokens(&tokens), batch, seq, lengths: None };
        let targets = Targets::Classes(&labels);
        let (_, gradient) =
            model.loss_and_grad(&inputs, targets, None, &Loss::cross_entropy(), &Training::default()).unwrap();
        model.step(&rule, &gradient, &mut memory).unwrap();
    }
    let (tokens, labels) = make(1_000_000);
    let inputs = Inputs { numbers: Numbers::Tokens(&tokens), batch, seq, lengths: None };
    let found = model.labels(&inputs).unwrap();
    let right = found.iter().zip(&labels).filter(|(a, b)| a == b).count();
    assert!(right * 100 >= labels.len() * 99, "{right} of {}", labels.len());
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
    let refuse =
        |numbers, lengths| model.scores(&Inputs { numbers, batch: 2, seq: 2, lengths }).unwrap_err().to_string();
    let tokens = Numbers::Tokens(&[0, 1, 2, 9]);
    assert_eq!(refuse(tokens, None), "tokens: expected numbers below the vocabulary's size, 5, got 9 in row 1, step 1");
    assert_eq!(refuse(Numbers::Tokens(&[1]), None), "x: expected 4 numbers ([2, 2, 1]), got 1");
    assert_eq!(
        refuse(Numbers::Floats(&[0.0; 16]), None),
        "x: expected tokens for a model with a vocabulary, got numbers"
    );
    assert_eq!(refuse(tokens, Some(&[1, 3])), "lengths: expected at most 2 steps, got 3 in row 1");
    // What lies past a row's length is never read.
    assert!(model.scores(&Inputs { numbers: tokens, batch: 2, seq: 2, lengths: Some(&[2, 1]) }).is_ok());
}
