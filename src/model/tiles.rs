//! Whole models on other tiles than the real ones: nothing above the kernels knows which tile multiplies, so a loss, its
//! gradients and scores keep their bits. For tests alone.

use super::{Inputs, Model, ModelConfig, Numbers};
use crate::Config;
use crate::kernels::tests::with_tiles_of_tests;
use crate::nn::loss::Loss;
use crate::nn::targets::Targets;
use crate::rng::Rng;
use crate::rnn::call::Training;
use crate::rnn::cell::{Cell, Reset};
use crate::simd::{Dispatch, Isa};
use crate::weights::Width;

/// Loss, gradients and scores, floats and quantized, as the bits of numbers in f64.
fn bits<F: Dispatch>(isa: Isa, cell: Cell, [batch, seq, input, hidden]: [usize; 4]) -> Vec<u64> {
    let mut rng = Rng::new(3);
    let mut numbers = |count: usize| -> Vec<F> { (0..count).map(|_| F::from_f64(rng.symmetric())).collect() };
    let rnn = Config { cell, layers: 2, bidirectional: true, batch_first: true, seed: 1, ..Config::gru(input, hidden) };
    let model = Model::<F>::on(isa, ModelConfig::new(rnn, 5)).unwrap();
    let (x, targets) = (numbers(batch * seq * input), numbers(batch * 5));
    let inputs = Inputs { numbers: Numbers::Floats(&x), batch, seq, lengths: None, states: &[] };
    let lost =
        model.loss_and_grad(&inputs, Targets::Numbers(&targets), None, &Loss::Squared, &Training::default()).unwrap();
    let mut all = lost.gradients;
    all.push(F::from_f64(lost.loss));
    all.extend(model.scores(&inputs).unwrap());
    for width in [Width::Int8, Width::Float16, Width::Bfloat16] {
        all.extend(model.quantized(width).unwrap().scores(&inputs).unwrap());
    }
    all.iter().map(|number| number.to_f64().to_bits()).collect()
}

#[test]
fn models_do_not_know_their_tiles() {
    for isa in Isa::available() {
        for cell in [Cell::Gru(Reset::After), Cell::Gru(Reset::Before), Cell::Lstm] {
            // One row, few, and enough to go panel by panel; more terms than a block of a sum.
            for sizes in [[1, 4, 3, 7], [5, 3, 20, 33], [14, 10, 9, 17]] {
                let same = bits::<f32>(isa, cell, sizes) == with_tiles_of_tests(|| bits::<f32>(isa, cell, sizes));
                assert!(same, "{} {cell:?} {sizes:?} in f32", isa.name());
                let same = bits::<f64>(isa, cell, sizes) == with_tiles_of_tests(|| bits::<f64>(isa, cell, sizes));
                assert!(same, "{} {cell:?} {sizes:?} in f64", isa.name());
            }
        }
    }
}
