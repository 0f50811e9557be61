//! exp, sigmoid and tanh over every f32 there is: error in units of the last place of the exact value,
//! and the same bits on every instruction set. The exact value is the f64 kernel's, which is itself held
//! against the platform's library where that is known to be good.

use gru_rs::kernels::activation::{divide, divide_both, exp, sigmoid, tanh};
use gru_rs::simd::{Kernel, MAX_LANES, Simd};
use gru_rs::{Dispatch, Float, Isa};

/// Stated errors, in units of the last place; measured values stand beside them.
const EXP_ULP: f64 = 1.1; // 1.095
const SIGMOID_ULP: f64 = 3.5; // 3.451, two sharing one division
const TANH_ULP: f64 = 2.5; // 2.498
/// Of the f64 kernels against the platform's library; 1 / (1 + e⁻ˣ) by it is itself off by up to 2.
const F64_ULP: f64 = 6.0;
/// Below −43 the sigmoid stays at its value there: 2.2e-19 at most where the exact one is smaller.
const SIGMOID_FLOOR: f64 = 2.2e-19;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Exp,
    Sigmoid,
    Tanh,
}

/// The function over a buffer; for the sigmoid, two at a time as the gates take them.
struct Evaluate<'a, F> {
    function: Function,
    x: &'a [F],
    partner: &'a [F],
    out: &'a mut [F],
}

impl<F: Float> Kernel<F> for Evaluate<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let inputs = self.x.chunks_exact(S::LANES).zip(self.partner.chunks_exact(S::LANES));
        for ((x, partner), out) in inputs.zip(self.out.chunks_exact_mut(S::LANES)) {
            let x = s.load(x);
            let y = match self.function {
                Function::Exp => exp(s, x),
                Function::Sigmoid => divide_both(s, sigmoid(s, x), sigmoid(s, s.load(partner))).0,
                Function::Tanh => divide(s, tanh(s, x)),
            };
            s.store(y, out);
        }
    }
}

fn evaluate<F: Dispatch>(isa: Isa, function: Function, x: &[F]) -> Vec<F> {
    let mut out = vec![F::ZERO; x.len()];
    let partner: Vec<F> = x.iter().rev().map(|&x| if x.to_f64().is_nan() { F::ONE } else { -x }).collect();
    F::dispatch(isa, Evaluate { function, x, partner: &partner, out: &mut out });
    out
}

/// The distance in units of the last place of f32 at `exact`.
fn ulps32(got: f32, exact: f64) -> f64 {
    let exponent = ((exact.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    let unit = f64::from_bits(((exponent.max(-126) - 23 + 1023) as u64) << 52);
    (f64::from(got) - exact).abs() / unit
}

fn ulps64(got: f64, exact: f64) -> f64 {
    (got.to_bits() as i64).abs_diff(exact.to_bits() as i64) as f64
}

/// Where the function's error is stated in ULP.
fn stated(function: Function, x: f64) -> bool {
    match function {
        Function::Exp => x.abs() <= 43.0,
        Function::Sigmoid => x >= -43.0,
        Function::Tanh => true,
    }
}

/// Emulators and memory checkers would take days for every f32: they are given every so manyth.
fn stride() -> u64 {
    std::env::var("GRU_RS_STRIDE").map_or(1, |stride| stride.parse().expect("a whole number from 1"))
}

/// The largest error over some f32, by their bits.
fn worst(function: Function, begin: u64, end: u64) -> f64 {
    const PIECE: u64 = 1 << 16;
    let stride = stride();
    let isa = Isa::chosen().unwrap();
    let mut worst = 0.0f64;
    for first in (begin..end).step_by((PIECE * stride) as usize) {
        let count = PIECE.min((end - first).div_ceil(stride)).next_multiple_of(MAX_LANES as u64);
        let bits = (0..count).map(|i| (first + i * stride).min(end - 1));
        let x: Vec<f32> = bits.map(|bits| f32::from_bits(bits as u32)).collect();
        let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let (got, exact) = (evaluate(isa, function, &x), evaluate(isa, function, &wide));
        for ((&x, &got), &exact) in wide.iter().zip(&got).zip(&exact) {
            if x.is_nan() {
                // exp_parts is asked for numbers only; what the gates use keeps a NaN.
                assert!(got.is_nan() || function == Function::Exp, "{function:?}({x}) = {got}");
            } else if stated(function, x) {
                worst = worst.max(ulps32(got, exact));
            } else if function == Function::Sigmoid {
                assert!((0.0..=SIGMOID_FLOOR).contains(&f64::from(got)), "{function:?}({x}) = {got}");
            }
        }
    }
    worst
}

fn whole_range(function: Function, limit: f64) {
    let middle = 1u64 << 31;
    let negative = std::thread::spawn(move || worst(function, middle, 1 << 32));
    let worst = worst(function, 0, middle).max(negative.join().expect("all in range"));
    println!("{function:?}: {worst:.3} ULP");
    assert!(worst <= limit, "{function:?}: {worst} ULP, stated {limit}");
}

#[test]
fn exp_over_every_f32() {
    whole_range(Function::Exp, EXP_ULP);
}

#[test]
fn sigmoid_over_every_f32() {
    whole_range(Function::Sigmoid, SIGMOID_ULP);
}

#[test]
fn tanh_over_every_f32() {
    whole_range(Function::Tanh, TANH_ULP);
}

#[test]
#[cfg_attr(miri, ignore = "its library's last bits are random, on purpose")]
fn f64_against_the_library() {
    let steps = 4_000_000;
    let x: Vec<f64> = (0..steps).map(|i| (f64::from(i) / f64::from(steps) - 0.5) * 80.0).collect();
    let isa = Isa::chosen().unwrap();
    for (function, library) in [
        (Function::Exp, (|x: f64| x.exp()) as fn(f64) -> f64),
        (Function::Sigmoid, |x: f64| 1.0 / (1.0 + (-x).exp())),
        (Function::Tanh, |x: f64| x.tanh()),
    ] {
        let got = evaluate(isa, function, &x);
        let worst = x.iter().zip(&got).map(|(&x, &got)| ulps64(got, library(x))).fold(0.0, f64::max);
        println!("{function:?} f64: {worst} ULP");
        assert!(worst <= F64_ULP, "{function:?}: {worst} ULP");
    }
}

/// Numbers of all sizes, with NaN, infinities and a subnormal.
#[test]
fn the_same_bits_on_every_instruction_set() {
    let step = if cfg!(miri) { 64 } else { 1 };
    let mut x: Vec<f32> = (0..1u32 << 16).step_by(step).map(|i| f32::from_bits(i.wrapping_mul(0x1_0003))).collect();
    x.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-40]);
    x.resize(x.len().next_multiple_of(MAX_LANES), 1.0);
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x) * 1.000_000_1).collect();
    let all = Isa::available();
    for function in [Function::Sigmoid, Function::Tanh] {
        let (first, first_wide) = (evaluate(all[0], function, &x), evaluate(all[0], function, &wide));
        for &isa in &all[1..] {
            for (i, (a, b)) in first.iter().zip(evaluate(isa, function, &x)).enumerate() {
                assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{function:?}({}): {a} {b}", x[i]);
            }
            for (i, (a, b)) in first_wide.iter().zip(evaluate(isa, function, &wide)).enumerate() {
                assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{function:?}({}): {a} {b}", wide[i]);
            }
        }
    }
}
