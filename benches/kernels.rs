//! The product kernels against the peak of multiply-adds on registers: `cargo bench --bench kernels`.
//! Each first checks its answer against plain loops with the same order of additions.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gru_rs::kernels::peak::Peak;
use gru_rs::kernels::product::{At, Left, Outputs, Panels, Product, Rows, Sum};
use gru_rs::kernels::tile::{Layout, Purpose};
use gru_rs::{Dispatch, Isa};
use std::hint::black_box;

/// (rows, depth, vectors of a panel, panels): the recurrent products of the grid's layers, at few rows
/// and at many, and the wider panels of backward.
const SHAPES: [(usize, usize, usize, usize); 8] = [
    (1, 64, 3, 8),
    (1, 256, 3, 32),
    (32, 32, 3, 4),
    (32, 64, 3, 8),
    (64, 128, 3, 16),
    (64, 256, 3, 32),
    (64, 768, 4, 8),
    (256, 384, 2, 8),
];

fn product(c: &mut Criterion) {
    let isa = Isa::chosen().expect("an instruction set");
    let lanes = f32::lanes(isa);
    let mut group = c.benchmark_group("product");
    for (rows, depth, width, panels) in SHAPES {
        let columns = panels * width * lanes;
        let a: Vec<f32> = (0..rows * (depth + 16)).map(|i| (i % 17) as f32 - 8.0).collect();
        let storage: Vec<f32> = (0..depth * columns + 16).map(|i| (i % 13) as f32 - 6.0).collect();
        let w = &storage[storage.as_ptr().align_offset(64).min(16)..][..depth * columns];
        let mut out = vec![0.0f32; rows * columns];
        let run = |out: &mut [f32], backwards| {
            let a = Left::Rows(Rows { data: &a, at: At::Stride { offset: 0, stride: depth + 16 } });
            let w = Panels { data: w, depth, layout: Layout::new::<f32>(isa, Purpose::Forward, width) };
            let c = Outputs { data: out, row: columns, panel: width * lanes };
            f32::dispatch(isa, Product { a, rows, w, panels: 0..panels, backwards, sum: Sum::Blocks, c });
        };
        run(&mut out, false);
        for (i, &got) in out.iter().enumerate() {
            let (row, panel, lane) = (i / columns, i % columns / (width * lanes), i % (width * lanes));
            let term = |k: usize| a[row * (depth + 16) + k] * w[(panel * depth + k) * width * lanes + lane];
            assert_eq!(got, (0..depth).map(term).sum::<f32>(), "small integers add exactly");
        }
        group.throughput(Throughput::Elements((2 * rows * depth * columns) as u64));
        let id = BenchmarkId::from_parameter(format!("{rows}x{depth}x({width}x{panels} vectors)"));
        let mut backwards = false;
        group.bench_function(id, |b| {
            b.iter(|| {
                backwards = !backwards;
                run(black_box(&mut out), backwards);
            });
        });
    }
    group.finish();
    let mut group = c.benchmark_group("peak");
    let (operations, _): (usize, f32) = f32::dispatch(isa, Peak { steps: 10_000 });
    group.throughput(Throughput::Elements(operations as u64));
    group.bench_function("multiply-adds on registers", |b| {
        b.iter(|| -> (usize, f32) { f32::dispatch(isa, Peak { steps: black_box(10_000) }) });
    });
}

criterion_group!(benches, product);
criterion_main!(benches);
