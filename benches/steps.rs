//! Nanoseconds of one step of small GRUs: `cargo bench --bench steps`. Each stream first has to give the bits of
//! the scalar instruction set. The widths take turns, and the best round counts.

use gru_rs::{Config, Isa, Rnn, Stream, Width};
use std::hint::black_box;
use std::time::Instant;

/// Inputs and units.
const SIZES: [[usize; 2]; 6] = [[1, 16], [16, 16], [1, 32], [32, 32], [1, 64], [64, 64]];
const WIDTHS: [Option<Width>; 3] = [None, Some(Width::Float16), Some(Width::Int8)];
const CHECKED: usize = 20;
const STEPS: usize = 5_000;

fn main() {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(50);
    println!("inputs units float32 float16 int8");
    for [input, hidden] in SIZES {
        let x: Vec<f32> = (0..CHECKED * input).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let mut streams = WIDTHS.map(|width| checked(input, hidden, width, &x));
        let mut least = [f64::INFINITY; WIDTHS.len()];
        for _ in 0..rounds {
            for (least, stream) in least.iter_mut().zip(&mut streams) {
                *least = least.min(nanoseconds(stream, &x[..input], hidden));
            }
        }
        let [whole, half, byte] = least;
        println!("{input} {hidden} {whole:.1} {half:.1} {byte:.1}");
    }
}

/// A stream whose first steps are those of the scalar instruction set.
fn checked(input: usize, hidden: usize, width: Option<Width>, x: &[f32]) -> Stream<f32> {
    let config = Config { seed: 1, ..Config::gru(input, hidden) };
    let scalar = Isa::named("scalar").expect("always there");
    let made = [Rnn::new(config.clone()), Rnn::on(scalar, config)];
    let [mut stream, mut twin] = made.map(|rnn| {
        let rnn = rnn.expect("a layer");
        let quantized = width.map(|width| rnn.quantized(width).expect("its weights"));
        quantized.unwrap_or(rnn).stream(1).expect("a stream")
    });
    let (mut y, mut expected) = (vec![0.0; hidden], vec![0.0; hidden]);
    for x in x.chunks(input) {
        stream.step(x, &mut y).expect("a step");
        twin.step(x, &mut expected).expect("a step");
        assert_eq!(y, expected, "{input} inputs, {hidden} units, {width:?}");
    }
    stream
}

fn nanoseconds(stream: &mut Stream<f32>, x: &[f32], hidden: usize) -> f64 {
    let mut y = vec![0.0; hidden];
    let begin = Instant::now();
    for _ in 0..STEPS {
        stream.step(black_box(x), &mut y).expect("a step");
        black_box(&y);
    }
    begin.elapsed().as_nanos() as f64 / STEPS as f64
}
