//! Streams of whole models: after each step the bits of the model's scores for the sequence so far, in any chunks,
//! whoever joins or leaves.

mod common;

use common::{bits, cells, convolutions, draws};
use gru_rs::{Config, Inputs, Model, ModelConfig, ModelStream, Numbers, Pooling, Width};
use proptest::prelude::*;

const OUTPUTS: usize = 3;

/// The steps of some rows, `(batch, seq, width)`, as tokens or numbers.
struct Steps {
    numbers: Vec<f32>,
    tokens: Vec<u32>,
    width: usize,
    seq: usize,
}

impl Steps {
    fn new(config: &ModelConfig, batch: usize, seq: usize, seed: u64) -> Self {
        let width = if config.vocabulary.is_some() { 2 } else { config.inputs() };
        let mut draw = draws(seed | 1);
        let drawn: Vec<u64> = (0..batch * seq * width).map(|_| draw() >> 33).collect();
        let numbers = drawn.iter().map(|&x| x as f32 / (1u64 << 30) as f32 - 1.0).collect();
        let tokens = drawn.iter().map(|&x| (x % config.vocabulary.unwrap_or(1) as u64) as u32).collect();
        Self { numbers, tokens, width, seq }
    }

    /// The same steps of one row alone.
    fn row(&self, row: usize) -> Self {
        let of = row * self.seq * self.width..(row + 1) * self.seq * self.width;
        let (numbers, tokens) = (self.numbers[of.clone()].to_vec(), self.tokens[of].to_vec());
        Self { numbers, tokens, width: self.width, seq: self.seq }
    }

    /// Some of the steps of all rows.
    fn part(&self, steps: std::ops::Range<usize>) -> Self {
        let row = self.seq * self.width;
        let cut = steps.start * self.width..steps.end * self.width;
        let numbers = self.numbers.chunks_exact(row).flat_map(|row| row[cut.clone()].to_vec()).collect();
        let tokens = self.tokens.chunks_exact(row).flat_map(|row| row[cut.clone()].to_vec()).collect();
        Self { numbers, tokens, width: self.width, seq: steps.len() }
    }

    fn given(&self, config: &ModelConfig) -> Numbers<'_, f32> {
        if config.vocabulary.is_some() { Numbers::Tokens(&self.tokens) } else { Numbers::Floats(&self.numbers) }
    }
}

/// What a model says after each of the steps of one row, by a call for each.
fn prefixes(model: &Model<f32>, steps: &Steps) -> Vec<u64> {
    let config = model.config();
    let prefix = |seq: usize| {
        let part = steps.part(0..seq);
        let numbers = part.given(config);
        let scores = model.scores(&Inputs { numbers, batch: 1, seq, lengths: None, states: &[] }).unwrap();
        bits(&scores[scores.len() - OUTPUTS..])
    };
    (1..=steps.seq).flat_map(prefix).collect()
}

fn streamed(stream: &mut ModelStream<f32>, steps: &Steps) -> Vec<u64> {
    let mut scores = vec![f32::NAN; stream.batch() * steps.seq * OUTPUTS];
    let config = stream.model().config().clone();
    stream.steps(steps.given(&config), steps.seq, &mut scores).unwrap();
    bits(&scores)
}

fn models() -> impl Strategy<Value = Model<f32>> {
    let pooling = prop::sample::select(Pooling::ALL);
    let width =
        prop_oneof![Just(None), Just(Some(Width::Int8)), Just(Some(Width::Float16)), Just(Some(Width::Bfloat16))];
    let vocabulary = prop_oneof![Just(None), (1usize..9).prop_map(Some)];
    (cells(), pooling, width, vocabulary, convolutions(4), 1usize..20, 1usize..4, any::<u64>()).prop_map(
        |(cell, pooling, width, vocabulary, convolution, hidden, layers, seed)| {
            let input = if convolution.is_some() { 3 } else { 4 };
            let rnn = Config { cell, layers, seed, batch_first: true, ..Config::gru(input, hidden) };
            let config = ModelConfig { vocabulary, convolution, pooling, ..ModelConfig::new(rnn, OUTPUTS) };
            let model = Model::new(config).unwrap();
            width.map_or(model.clone(), |width| model.quantized(width).unwrap())
        },
    )
}

proptest! {
    #[test]
    fn the_scores_so_far(model in models(), batch in 1usize..20, seq in 1usize..7, cut in 0usize..7, seed in any::<u64>()) {
        let steps = Steps::new(model.config(), batch, seq, seed);
        let cut = cut.min(seq);
        let mut stream = ModelStream::new(&model, batch).unwrap();
        let first = streamed(&mut stream, &steps.part(0..cut));
        let mut twin = stream.duplicate().unwrap();
        let state = stream.state().unwrap();
        let rest = streamed(&mut stream, &steps.part(cut..seq));
        prop_assert_eq!(&streamed(&mut twin, &steps.part(cut..seq)), &rest);
        twin.reset(None).unwrap();
        prop_assert_eq!(&streamed(&mut twin, &steps.part(0..cut)), &first);
        twin.set_state(&state).unwrap();
        prop_assert_eq!(&streamed(&mut twin, &steps.part(cut..seq)), &rest);
        for row in 0..batch {
            let expected = prefixes(&model, &steps.row(row));
            let of_row = |all: &[u64], seq: usize| all[row * seq * OUTPUTS..(row + 1) * seq * OUTPUTS].to_vec();
            prop_assert_eq!([of_row(&first, cut), of_row(&rest, seq - cut)].concat(), expected);
        }
    }

    /// One leaves, the others go on; it joins another stream, and begins there where it was.
    #[test]
    fn rows_that_come_and_go(model in models(), batch in 2usize..9, seq in 2usize..6, row in 0usize..9, seed in any::<u64>()) {
        let steps = Steps::new(model.config(), batch, seq, seed);
        let (row, cut) = (row % batch, seq / 2);
        let mut stream = ModelStream::new(&model, batch).unwrap();
        streamed(&mut stream, &steps.part(0..cut));
        let left = stream.leave(row).unwrap();
        prop_assert_eq!(stream.batch(), batch - 1);
        let mut other = ModelStream::new(&model, 1).unwrap();
        streamed(&mut other, &steps.row(0).part(0..1));
        other.join(Some(&left)).unwrap();
        other.join(None).unwrap();
        prop_assert_eq!(other.leave(0).unwrap().counts, vec![1]);
        let (rest, own) = (steps.part(cut..seq), steps.row(row));
        let mut both = own.part(cut..seq);
        both.numbers.extend_from_within(..);
        both.tokens.extend_from_within(..);
        let all = prefixes(&model, &own);
        let fresh = prefixes(&model, &own.part(cut..seq));
        prop_assert_eq!(streamed(&mut other, &both), [&all[cut * OUTPUTS..], &fresh[..]].concat());
        stream.join(Some(&left)).unwrap();
        let order: Vec<usize> = (0..batch).filter(|&r| r != row).chain([row]).collect();
        let mut again = Steps { numbers: vec![], tokens: vec![], ..rest };
        for &row in &order {
            again.numbers.extend(steps.row(row).part(cut..seq).numbers);
            again.tokens.extend(steps.row(row).part(cut..seq).tokens);
        }
        let expected: Vec<u64> =
            order.iter().flat_map(|&row| prefixes(&model, &steps.row(row))[cut * OUTPUTS..].to_vec()).collect();
        prop_assert_eq!(streamed(&mut stream, &again), expected);
    }
}

#[test]
fn what_cannot_stream_says_so() {
    let rnn = Config { batch_first: true, ..Config::gru(4, 5) };
    let both = ModelConfig::new(Config { bidirectional: true, ..rnn.clone() }, 2);
    let chain = ModelConfig { pooling: Pooling::Each, crf: true, ..ModelConfig::new(rnn.clone(), 2) };
    for (config, word) in [(both, "bidirectional"), (chain, "crf")] {
        let error = ModelStream::new(&Model::<f32>::new(config).unwrap(), 1).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let mut stream = ModelStream::new(&Model::<f32>::new(ModelConfig::new(rnn, 2)).unwrap(), 2).unwrap();
    let before = stream.state().unwrap();
    let mut scores = [0.0; 2 * 2];
    assert!(stream.steps(Numbers::Floats(&[0.5; 7]), 1, &mut scores).is_err());
    assert!(stream.steps(Numbers::Tokens(&[0; 2]), 1, &mut scores).is_err());
    assert!(stream.reset(Some(&[true])).is_err());
    assert!(stream.leave(2).is_err());
    assert!(stream.join(Some(&before)).is_err());
    assert_eq!(stream.state().unwrap(), before);
}
