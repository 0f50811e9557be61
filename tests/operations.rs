//! Each operation of each instruction set against the plain arithmetic of one number, bit for bit, over all
//! pairs of difficult numbers: what a kernel's own tests may never meet. It must not know any kernel.

use gru_rs::simd::{Kernel, MAX_LANES, Simd};
use gru_rs::{Dispatch, Float, Isa};

const NAMES: [&str; 9] = ["add", "sub", "mul", "div", "mul_add", "neg_mul_add", "max", "min", "flush"];

/// Every operation, in the order of [`NAMES`], of the vectors made of `a` and `b`, with c = b.
struct All<'a, F> {
    a: &'a [F],
    b: &'a [F],
    out: &'a mut [[F; MAX_LANES]; NAMES.len()],
}

impl<F: Float> Kernel<F> for All<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let (a, b) = (s.load_first(self.a), s.load_first(self.b));
        let results = [
            s.add(a, b),
            s.sub(a, b),
            s.mul(a, b),
            s.div(a, b),
            s.mul_add(a, a, b),
            s.neg_mul_add(a, a, b),
            s.max(a, b),
            s.min(a, b),
            s.flush(a, b),
        ];
        for (result, out) in results.into_iter().zip(self.out) {
            s.store(result, out);
        }
    }
}

fn expected<F: Float>(a: F, b: F) -> [F; NAMES.len()] {
    let (max, min) = (if a > b { a } else { b }, if a < b { a } else { b });
    let flushed = if a < b && -a < b { F::ZERO } else { a };
    [a + b, a - b, a * b, a / b, a.mul_add(a, b), (-a).mul_add(a, b), max, min, flushed]
}

/// A NaN that arithmetic makes or hands on differs between processors. One that is only chosen does not.
fn same<F: Float>(name: &str, a: F, b: F) -> bool {
    // Miri gives a NaN other bits on every way from one type to another.
    let arithmetic = cfg!(miri) || !matches!(name, "max" | "min" | "flush");
    let (a, b) = (a.to_f64(), b.to_f64());
    a.to_bits() == b.to_bits() || arithmetic && a.is_nan() && b.is_nan()
}

fn pairs<F: Dispatch>(isa: Isa, numbers: &[F]) {
    let lanes = F::lanes(isa);
    for &b in numbers {
        for a in numbers.chunks(lanes) {
            let mut out = [[F::ZERO; MAX_LANES]; NAMES.len()];
            F::dispatch(isa, All { a, b: &vec![b; a.len()], out: &mut out });
            for (lane, &a) in a.iter().enumerate() {
                for ((name, got), expected) in NAMES.iter().zip(out).zip(expected(a, b)) {
                    let got = got[lane];
                    assert!(same(name, got, expected), "{} {name}({a}, {b}): {got}, not {expected}", isa.name());
                }
            }
        }
    }
}

#[test]
fn difficult_pairs() {
    let sizes = [0.0, f64::from(f32::from_bits(1)), 1e-40, 1e-20, 0.1, 1.0, 1.0 + f64::from(f32::EPSILON), 3e38];
    let mut numbers = vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    numbers.extend(sizes.iter().flat_map(|&x| [x, -x]));
    let mut narrow: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
    narrow.push(f32::from_bits(0x7fc1_2345));
    numbers.extend([f64::from_bits(1), f64::MIN_POSITIVE, f64::MAX, f64::from_bits(0x7ff8_0000_dead_beef)]);
    for isa in Isa::available() {
        pairs::<f32>(isa, &narrow);
        pairs::<f64>(isa, &numbers);
    }
}

/// 2ⁿ as the exponential makes it, for every n that the functions ask for.
#[test]
fn powers_of_two() {
    struct Shift<'a, F>(&'a mut F);
    impl<F: Float> Kernel<F> for Shift<'_, F> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd<F>>(self, s: S) {
            let mut out = [F::ZERO; MAX_LANES];
            s.store(s.shift_to_exponent(s.splat(*self.0)), &mut out);
            *self.0 = out[S::LANES - 1];
        }
    }
    fn check<F: Dispatch>(isa: Isa, limit: i32) {
        for n in -limit..=limit {
            let mut x = F::ROUND_TO_EXPONENT + F::from_f64(f64::from(n));
            F::dispatch(isa, Shift(&mut x));
            let expected = f64::from_bits(((n + 1023) as u64) << 52);
            assert_eq!(x.to_f64(), expected, "{}: 2^{n}", isa.name());
        }
    }
    for isa in Isa::available() {
        check::<f32>(isa, 126);
        check::<f64>(isa, 1022);
    }
}
