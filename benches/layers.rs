//! Layers and steps over `benches/grid.toml`: `cargo bench --bench layers`. Each first checks that its
//! answer is the one of the plain twin, the scalar instruction set, bit for bit.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gru_rs::{Batch, Cell, Config, Isa, Reset, Rnn, Training};
use serde::Deserialize;
use std::cell::LazyCell;
use std::time::Duration;

#[derive(Deserialize)]
struct Grid {
    layer: Vec<Point>,
    step: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    name: String,
    #[serde(default = "one")]
    seq: usize,
    #[serde(default = "one")]
    batch: usize,
    input: usize,
    hidden: usize,
}

fn one() -> usize {
    1
}

fn grid() -> Grid {
    toml::from_str(include_str!("grid.toml")).expect("a grid")
}

const CELLS: [(&str, Cell); 3] =
    [("gru", Cell::Gru(Reset::After)), ("gru_before", Cell::Gru(Reset::Before)), ("lstm", Cell::Lstm)];

fn noise(count: usize) -> Vec<f32> {
    (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

impl Point {
    fn config(&self, cell: Cell) -> Config {
        Config { cell, ..Config::gru(self.input, self.hidden) }
    }

    /// Multiply-adds of the forward pass, times 2.
    fn operations(&self, cell: Cell) -> u64 {
        (2 * self.seq * self.batch * cell.gates() * self.hidden * (self.input + self.hidden)) as u64
    }
}

/// A layer and its input; its first steps are those of the scalar instruction set.
fn made(point: &Point, cell: Cell) -> (Rnn<f32>, Vec<f32>) {
    let rnn = Rnn::<f32>::new(point.config(cell)).expect("a layer");
    let x = noise(point.seq * point.batch * point.input);
    let scalar = Rnn::<f32>::on(Isa::named("scalar").expect("always there"), rnn.config().clone()).expect("a layer");
    let seq = point.seq.min(3);
    let batch = Batch {
        x: &x[..seq * point.batch * point.input],
        batch: point.batch,
        seq,
        states: &[],
        lengths: None,
        resets: None,
    };
    assert_eq!(rnn.run(&batch).expect("outputs"), scalar.run(&batch).expect("outputs"), "{}", point.name);
    (rnn, x)
}

fn layers(c: &mut Criterion) {
    for (name, cell) in CELLS {
        for training in [false, true] {
            let mut group = c.benchmark_group(format!("{name}/{}", if training { "training" } else { "forward" }));
            group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
            for point in grid().layer {
                let made = LazyCell::new(|| made(&point, cell));
                let d_y = noise(point.seq * point.batch * point.hidden);
                let all = if training { 3 } else { 1 };
                group.throughput(Throughput::Elements(all * point.operations(cell)));
                group.bench_function(BenchmarkId::from_parameter(&point.name), |b| {
                    let (rnn, x) = &*made;
                    let weights = rnn.flat().to_vec();
                    let batch =
                        Batch { x, batch: point.batch, seq: point.seq, states: &[], lengths: None, resets: None };
                    b.iter(|| {
                        if training {
                            rnn.set_flat(&weights).expect("weights");
                            let (_, mut tape) = rnn.forward(&batch, &Training::default()).expect("outputs");
                            drop(tape.backward(Some(&d_y), &[]).expect("gradients"));
                        } else {
                            drop(rnn.run(&batch).expect("outputs"));
                        }
                    });
                });
            }
        }
    }
}

fn steps(c: &mut Criterion) {
    for (name, cell) in CELLS {
        let mut group = c.benchmark_group(format!("{name}/step"));
        for point in grid().step {
            let made = LazyCell::new(|| made(&point, cell));
            let mut y = vec![0.0; point.hidden];
            group.throughput(Throughput::Elements(point.operations(cell)));
            group.bench_function(BenchmarkId::from_parameter(&point.name), |b| {
                let (rnn, x) = &*made;
                let mut stream = rnn.stream(1).expect("a stream");
                b.iter(|| stream.step(x, &mut y).expect("a step"));
            });
        }
    }
}

criterion_group!(benches, layers, steps);
criterion_main!(benches);
