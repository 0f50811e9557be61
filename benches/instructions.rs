//! Work for `benches/instructions.py` to count the instructions of under callgrind: `instructions WORK CALLS`.
//! Without arguments it lists the kinds of work, so that `cargo bench` runs it harmlessly.

use gru_rs::{Batch, Cell, Config, Dispatch, Isa, Reset, Rnn, Training};
use std::hint::black_box;

/// (name, cell, steps, rows, inputs, units): small enough for an emulator, large enough that a kernel's inner
/// loop is most of it.
const WORK: [(&str, Cell, [usize; 4]); 6] = [
    ("gru", Cell::Gru(Reset::After), [16, 32, 64, 64]),
    ("gru_one_row", Cell::Gru(Reset::After), [64, 1, 64, 128]),
    ("gru_odd", Cell::Gru(Reset::After), [16, 7, 33, 45]),
    ("gru_reset_before", Cell::Gru(Reset::Before), [16, 32, 64, 64]),
    ("lstm", Cell::Lstm, [16, 32, 64, 64]),
    ("gru_large", Cell::Gru(Reset::After), [4, 64, 256, 256]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [work, mode, dtype, calls] = &arguments[..] else {
        WORK.iter().for_each(|(name, ..)| println!("{name}"));
        return;
    };
    gru_rs::set_num_threads(1).expect("one is allowed");
    let calls = calls.parse().expect("a number of calls");
    match dtype.as_str() {
        "f64" => count::<f64>(work, mode, calls),
        _ => count::<f32>(work, mode, calls),
    }
}

fn count<F: Dispatch>(work: &str, mode: &str, calls: usize) {
    let (_, cell, [seq, batch, input, hidden]) =
        WORK.into_iter().find(|(name, ..)| *name == work).expect("a known kind of work");
    let isa = Isa::named("avx2").expect("an emulator with AVX2");
    let rnn = Rnn::<F>::on(isa, Config { cell, seed: 1, ..Config::gru(input, hidden) }).expect("a layer");
    let x: Vec<F> = (0..seq * batch * input).map(|i| F::from_f64((i % 100) as f64 / 50.0 - 1.0)).collect();
    let given = Batch { x: &x, batch, seq, states: &[], lengths: None, resets: None };
    let mut stream = rnn.stream(batch).expect("a stream");
    let mut y = vec![F::ZERO; batch * hidden];
    for _ in 0..calls {
        match mode {
            "step" => (0..seq).for_each(|_| stream.step(&x[..batch * input], &mut y).expect("a step")),
            "forward" => drop(black_box(rnn.run(&given).expect("outputs"))),
            _ => {
                let (output, mut tape) = rnn.forward(&given, &Training::default()).expect("outputs");
                drop(black_box(tape.backward(Some(&output.y), &[]).expect("gradients")));
            }
        }
    }
}
