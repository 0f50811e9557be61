//! Texts as numbers of a vocabulary, and the scores of many rows at once beside each row alone.

mod common;

use common::{cells, convolutions, numbers};
use gru_rs::{Config, Inputs, Model, ModelConfig, Numbers, Pooling, Words};
use proptest::prelude::*;

/// Each row by itself.
fn alone(model: &Model<f64>, rows: Numbers<'_, f64>, lengths: &[usize], wide: usize) -> Vec<f64> {
    let mut begin = 0;
    let mut found = vec![];
    for &seq in lengths {
        let at = begin..begin + seq * wide;
        let numbers = match rows {
            Numbers::Floats(x) => Numbers::Floats(&x[at]),
            Numbers::Tokens(x) => Numbers::Tokens(&x[at]),
        };
        found.extend(model.scores(&Inputs { numbers, batch: 1, seq, lengths: None, states: &[] }).unwrap());
        begin += seq * wide;
    }
    found
}

/// Lengths of a few steps, none, and now and then of many.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![4 => 0..6usize, 1 => 0..40usize, 1 => 300..700usize], 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_at_once_are_rows_alone(
        cell in cells(), lengths in lengths(), pooling in prop::sample::select(Pooling::ALL), tokens in any::<bool>(), per_step in 1..3usize,
        bidirectional in any::<bool>(), crf in any::<bool>(), convolution in convolutions(2), seed in 0..1000u64,
    ) {
        let rnn = Config { cell, bidirectional, ..Config::gru(2, 3) };
        let crf = crf && pooling == Pooling::Each;
        let vocabulary = tokens.then_some(7);
        let config = ModelConfig { vocabulary, convolution, pooling, crf, ..ModelConfig::new(rnn, 2) };
        let model = Model::<f64>::new(config).unwrap();
        let steps: usize = lengths.iter().sum();
        let (floats, wide) = (numbers(steps * 2, seed), if tokens { per_step } else { 2 });
        let ids: Vec<u32> = (0..steps * per_step).map(|i| ((i as u64 * 5 + seed) % 7) as u32).collect();
        let rows = if tokens { Numbers::Tokens(&ids) } else { Numbers::Floats(&floats) };
        let together = model.scores_of_rows(rows, &lengths).unwrap();
        prop_assert_eq!(together, alone(&model, rows, &lengths, wide));
    }

    /// What is a word, a mark or neither, letter by letter.
    #[test]
    fn ascii_texts_are_cut(text in "[\\x00-\\x7f]{0,30}", lowercase in any::<bool>(), most in prop::option::of(0..5usize)) {
        let small = if lowercase { text.to_lowercase() } else { text.clone() };
        let kind = |letter: char| match letter {
            '0'..='9' | 'a'..='z' | 'A'..='Z' | '_' => 'w',
            '\t' | '\n' | '\x0b' | '\x0c' | '\r' | '\x1c' | '\x1d' | '\x1e' | '\x1f' | ' ' => ' ',
            _ => '!',
        };
        let mut words: Vec<String> = vec![];
        let mut before = ' ';
        for letter in small.chars() {
            match (before, kind(letter)) {
                (_, ' ') => {}
                ('w', 'w') => words.last_mut().unwrap().push(letter),
                _ => words.push(letter.into()),
            }
            before = kind(letter);
        }
        for (characters, tokens) in [(false, words), (true, small.chars().map(String::from).collect())] {
            // All but the last are known.
            let known = &tokens[..tokens.len().saturating_sub(1)];
            let vocabulary: std::collections::BTreeMap<&str, u32> =
                known.iter().enumerate().map(|(i, token)| (&token[..], i as u32 + 1)).collect();
            let cut = Words::new(vocabulary.iter().map(|(&token, &number)| (token, number)), characters, lowercase);
            let mut found = vec![9];
            prop_assert!(cut.encode(&text, most, &mut found));
            let expected = tokens.iter().map(|token| vocabulary.get(&token[..]).copied().unwrap_or(0));
            let expected: Vec<u32> = expected.take(most.unwrap_or(usize::MAX)).collect();
            prop_assert_eq!(&found[1..], &expected[..]);
        }
    }
}

#[test]
fn mistakes_are_named() {
    let model = Model::<f32>::new(ModelConfig::new(Config::gru(2, 3), 2)).unwrap();
    let refused = |numbers, lengths: &[usize]| model.scores_of_rows(numbers, lengths).unwrap_err().to_string();
    assert_eq!(refused(Numbers::Floats(&[0.0; 5]), &[1, 2]), "x: expected 6 numbers ([3, 2]), got 5");
    assert_eq!(
        refused(Numbers::Floats(&[0.0; 5]), &[usize::MAX, 2]),
        "lengths: expected fewer steps, got more than can be counted"
    );
    assert_eq!(
        refused(Numbers::Tokens(&[0; 3]), &[1, 2]),
        "x: expected numbers for a model without vocabulary, got tokens"
    );
    assert!(model.scores_of_rows(Numbers::Floats(&[]), &[]).unwrap().is_empty());
    let words = Words::new([("a", 1)], false, true);
    let mut numbers = vec![];
    assert!(!words.encode("\u{e4}", None, &mut numbers) && numbers.is_empty());
}
