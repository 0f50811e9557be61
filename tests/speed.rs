//! A guard that needs no quiet machine: no product kernel may fall under 0.4 of the peak of multiply-adds
//! that is measured beside it, in an optimized build. Inlining or a lost target feature costs a factor of two to eighty.

use gru_rs::kernels::peak::Peak;
use gru_rs::kernels::product::{At, Bias, Left, Outputs, Panels, Product, Rows, Sum};
use gru_rs::kernels::tile::{Layout, Purpose};
use gru_rs::{Dispatch, Isa};
use std::time::Instant;

const SHARE: f64 = 0.4;
const ROUNDS: usize = 500;

/// Operations a nanosecond of one run.
fn rate(run: impl FnOnce() -> usize) -> f64 {
    let start = Instant::now();
    let operations = run();
    operations as f64 / start.elapsed().as_nanos() as f64
}

fn share<F: Dispatch>(isa: Isa, rows: usize, width: usize) -> f64 {
    let (depth, panels) = (128, 8);
    let columns = panels * width * F::lanes(isa);
    let a = vec![F::ONE; rows * (depth + 16)];
    let w = vec![F::ONE; depth * columns];
    let mut c = vec![F::ZERO; rows * columns];
    let product = |c: &mut [F]| {
        let a = Left::Rows(Rows { data: &a, at: At::Stride { offset: 0, stride: depth + 16 } });
        let c = Outputs { data: c, row: columns, panel: width * F::lanes(isa) };
        let w = Panels { data: &w, depth, layout: Layout::new::<F>(isa, Purpose::Forward, width) };
        F::dispatch(isa, Product { a, rows, w, panels: 0..panels, backwards: false, sum: Sum::Chain(Bias::NONE), c });
        2 * rows * depth * columns
    };
    let peak = || {
        let (operations, sum): (usize, F) = F::dispatch(isa, Peak { steps: 5_000 });
        assert!(sum > F::ZERO);
        operations
    };
    // Turn about, and the best of each: what else the machine does then strikes both alike.
    let (mut products, mut peaks) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        products = f64::max(products, rate(|| product(&mut c)));
        peaks = f64::max(peaks, rate(peak));
    }
    products / peaks
}

#[test]
fn products_reach_their_share_of_the_peak() {
    let isa = Isa::chosen().unwrap();
    if isa.name() == "scalar" {
        return; // A library call for each multiply-add: there is no peak to speak of.
    }
    for width in 1..=4 {
        let shares = (share::<f32>(isa, 64, width), share::<f64>(isa, 64, width));
        println!("panels of {width}: {:.2} of the peak in f32, {:.2} in f64", shares.0, shares.1);
        assert!(shares.0 >= SHARE && shares.1 >= SHARE, "panels of {width}: {shares:?} of the peak");
    }
}
