//! What several of the tests need: numbers that are the same everywhere, cells to choose from, bits, closeness, slopes.
//! Each file of tests takes what it uses. It must not know what is tested.
#![allow(dead_code, reason = "no file of tests uses all of it")]

use gru_rs::{Activation, Cell, Convolution, Dispatch, Reset};
use proptest::prelude::*;

/// Every cell there is.
pub const CELLS: [Cell; 3] = [Cell::Gru(Reset::After), Cell::Gru(Reset::Before), Cell::Lstm];

/// Any of them.
pub fn cells() -> impl Strategy<Value = Cell> {
    prop::sample::select(&CELLS[..])
}

/// Random integers of 64 bits, whose upper ones are good.
pub fn draws(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    }
}

/// Random numbers of [−1, 1), exact in f32.
pub fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut draw = draws(seed.wrapping_mul(2).wrapping_add(1));
    (0..count).map(|_| f64::from(((draw() >> 33) as f64 / (1u64 << 30) as f64 - 1.0) as f32)).collect()
}

/// The nearest in another float.
pub fn cast<F: Dispatch>(x: &[f64]) -> Vec<F> {
    x.iter().map(|&x| F::from_f64(x)).collect()
}

/// The same numbers in f64.
pub fn wide<F: Dispatch>(x: &[F]) -> Vec<f64> {
    x.iter().map(|x| x.to_f64()).collect()
}

/// What must be equal when results must be the same.
pub fn bits<F: Dispatch>(x: &[F]) -> Vec<u64> {
    x.iter().map(|x| x.to_f64().to_bits()).collect()
}

/// Values are sums of numbers of about 1, which may cancel: what they were rounded by stays.
pub fn compare(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    compare_above(1.0, what, got, expected, tolerance);
}

/// Differences are small beside the largest value, or beside `least` if that is larger.
pub fn compare_above(least: f64, what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(least, |most, x| most.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let off = (got - expected).abs();
        assert!(off <= tolerance * largest, "{what}[{i}]: {got}, expected {expected}, off by {off:e} of {largest:e}");
    }
}

/// The slope of `f` along one of the numbers of `x`, by a step of 1e-5 either way.
pub fn slope(x: &[f64], along: usize, f: impl Fn(&[f64]) -> f64) -> f64 {
    const STEP: f64 = 1e-5;
    let at = |step: f64| {
        let mut moved = x.to_vec();
        moved[along] += step;
        f(&moved)
    };
    (at(STEP) - at(-STEP)) / (2.0 * STEP)
}

/// A convolution of `inputs` numbers a step, or none.
pub fn convolutions(inputs: usize) -> impl Strategy<Value = Option<Convolution>> {
    let activation = prop::sample::select(Activation::ALL);
    prop::option::of((1..6usize, 1..4usize, activation).prop_map(move |(kernel, stride, activation)| Convolution {
        inputs,
        kernel,
        stride,
        activation,
    }))
}
