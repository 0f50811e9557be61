//! Quantized weights: products of bytes against plain sums on every instruction set, layers against plain steps and
//! against layers of the numbers that the weights stand for, equal bits whatever runs them.

mod common;

use common::{bits, cast, cells, numbers};
use gru_rs::kernels::bytes::{BytesScratch, PackedBytes};
use gru_rs::kernels::product::{Affine, At, Bias, Outputs, Rows};
use gru_rs::nn::linear::Linear;
use gru_rs::simd::BytesIsa;
use gru_rs::{Batch, Bfloat16, Cell, Config, Dispatch, Half, Isa, Reset, Rnn, Tensor, Training, Width};
use proptest::prelude::*;

/// A row as bytes and their scale, in the words of the formula.
fn to_bytes<F: Dispatch>(x: &[F]) -> (Vec<i32>, F) {
    let most = x.iter().fold(F::ZERO, |most, &x| {
        if x > most {
            x
        } else if F::ZERO - x > most {
            F::ZERO - x
        } else {
            most
        }
    });
    if most / F::from_f64(127.0) < F::MIN_NORMAL {
        return (vec![0; x.len()], F::ZERO);
    }
    let inverse = F::from_f64(127.0) / most;
    (x.iter().map(|&x| (x * inverse).to_f64().round_ties_even() as i32).collect(), most / F::from_f64(127.0))
}

/// y = b + W x by plain loops over the bytes of both.
fn plain_product<F: Dispatch>(w: &[F], b: &[F], x: &[F]) -> Vec<F> {
    let (q_x, s_x) = to_bytes(x);
    let one = |(row, &b): (&[F], &F)| {
        let most = row.iter().fold(0.0f64, |most, w| most.max(w.to_f64().abs()));
        let s_w = F::from_f64(most / 127.0);
        let byte = |w: &F| (w.to_f64() / s_w.to_f64()).round_ties_even() as i32;
        let sum: i32 = row.iter().zip(&q_x).map(|(w, q)| byte(w) * q).sum();
        F::from_i32(sum).mul_add(s_x * s_w, b)
    };
    w.chunks_exact(x.len()).zip(b).map(one).collect()
}

fn linear_layers<F: Dispatch>(inputs: usize, outputs: usize, rows: usize) {
    let (w, b) = (cast::<F>(&numbers(inputs * outputs, 1)), cast::<F>(&numbers(outputs, 2)));
    let x = cast::<F>(&numbers(rows * inputs, 3));
    let expected: Vec<F> = x.chunks_exact(inputs).flat_map(|x| plain_product(&w, &b, x)).collect();
    for isa in Isa::available() {
        let tensor = Tensor::quantized(&w, inputs, Width::Int8, "w").unwrap();
        let names = [("w".to_owned(), 0..w.len(), vec![outputs, inputs])];
        let store = gru_rs::weights::Store::of_names(&names, vec![tensor]).unwrap();
        let linear = Linear { isa, inputs, outputs, spread: true };
        let y = linear.forward(store.matrix(&(0..w.len())), &b, &x, rows).unwrap();
        assert_eq!(bits(&y), bits(&expected), "{}", isa.name());
    }
}

/// One step of a layer whose products are those of bytes.
fn plain_step(
    cell: Cell, flat: &[f64], input: usize, hidden: usize, x: &[f64], h: &[f64], c: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let rows = cell.gates() * hidden;
    let (w_ih, rest) = flat.split_at(rows * input);
    let (w_hh, rest) = rest.split_at(rows * hidden);
    let (b_ih, b_hh) = rest.split_at(rows);
    let f32s = cast::<f32>;
    let product = |w: &[f64], x: &[f64]| -> Vec<f64> {
        let rows = w.len() / x.len();
        plain_product(&f32s(w), &vec![0.0; rows], &f32s(x)).into_iter().map(f64::from).collect()
    };
    let (of_x, of_h) = (product(w_ih, x), product(w_hh, h));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let at = |gate: usize, unit: usize| gate * hidden + unit;
    let both = |i: usize| of_x[i] + b_ih[i] + of_h[i] + b_hh[i];
    let units = 0..hidden;
    match cell {
        Cell::Gru(Reset::After) => {
            let next = units.map(|u| {
                let (r, z) = (sigmoid(both(at(0, u))), sigmoid(both(at(1, u))));
                let n = (of_x[at(2, u)] + b_ih[at(2, u)] + r * (of_h[at(2, u)] + b_hh[at(2, u)])).tanh();
                n + z * (h[u] - n)
            });
            (next.collect(), vec![])
        }
        Cell::Gru(Reset::Before) => {
            let reset: Vec<f64> = units.clone().map(|u| sigmoid(both(at(0, u))) * h[u]).collect();
            let of_reset = product(&w_hh[2 * hidden * hidden..], &reset);
            let next = units.map(|u| {
                let z = sigmoid(both(at(1, u)));
                let n = (of_x[at(2, u)] + b_ih[at(2, u)] + of_reset[u] + b_hh[at(2, u)]).tanh();
                n + z * (h[u] - n)
            });
            (next.collect(), vec![])
        }
        Cell::Lstm => {
            let next = units.map(|u| {
                let gate = |gate: usize| both(at(gate, u));
                let c = sigmoid(gate(1)) * c[u] + sigmoid(gate(0)) * gate(2).tanh();
                (sigmoid(gate(3)) * c.tanh(), c)
            });
            next.unzip()
        }
    }
}

proptest! {
    #[test]
    fn sums_of_bytes(depth in 1usize..300, columns in 1usize..200, rows in 1usize..40) {
        let byte = |x: &f64| (x * 127.0).round() as i8;
        let w: Vec<i8> = numbers(columns * depth, 1).iter().map(byte).collect();
        let x: Vec<f32> = numbers(rows * depth, 2).iter().map(|x| *x as f32).collect();
        for isa in BytesIsa::available() {
            let float = *Isa::available().last().unwrap();
            let packed = PackedBytes::new(isa, depth, columns, |c| Some((&w[c * depth..], 1.0f32))).unwrap();
            let mut scratch = BytesScratch::default();
            scratch.make_room(rows, &packed).unwrap();
            let mut y = vec![0.5f32; rows * columns];
            let a = Rows { data: &x, at: At::Stride { offset: 0, stride: depth } };
            let (c, backwards) = (Outputs { data: &mut y, row: columns, panel: columns }, rows % 2 == 1);
            let of = Affine { x: a, rows, panels: 0..1, backwards, bias: Bias::NONE, y: c };
            scratch.multiply(float, of, &packed);
            for (y, x) in y.chunks_exact(columns).zip(x.chunks_exact(depth)) {
                let (q, s) = to_bytes(x);
                for (y, w) in y.iter().zip(w.chunks_exact(depth)) {
                    let sum: i32 = q.iter().zip(w).map(|(q, &w)| q * i32::from(w)).sum();
                    prop_assert_eq!(*y, (sum as f32).mul_add(s, 0.5), "{}", isa.name());
                }
            }
        }
    }

    #[test]
    fn linear_layers_of_bytes(inputs in 1usize..150, outputs in 1usize..90, rows in 1usize..40) {
        linear_layers::<f32>(inputs, outputs, rows);
        linear_layers::<f64>(inputs, outputs, rows);
    }

    /// Each step from the layer's own state before it, so that what is rounded the other way does not add up.
    #[test]
    fn steps_of_bytes(cell in cells(), input in 1usize..40, hidden in 1usize..70, seed in any::<u64>()) {
        let rnn = Rnn::<f32>::new(Config { cell, seed, ..Config::gru(input, hidden) }).unwrap();
        let flat: Vec<f64> = rnn.flat().iter().map(|&w| f64::from(w)).collect();
        let mut stream = rnn.quantized(Width::Int8).unwrap().stream(1).unwrap();
        let mut y = vec![0.0f32; hidden];
        for step in 0..6 {
            let x = numbers(input, seed ^ step);
            let before: Vec<Vec<f64>> =
                stream.states().unwrap().iter().map(|s| s.iter().map(|&s| f64::from(s)).collect()).collect();
            stream.step(&cast::<f32>(&x), &mut y).unwrap();
            let c = before.get(1).cloned().unwrap_or_default();
            let (h, c) = plain_step(cell, &flat, input, hidden, &x, &before[0], &c);
            let after = stream.states().unwrap();
            // What a byte more or less of r ⊙ h is worth, when f32 and f64 round it to different sides.
            let tolerance = if cell == Cell::Gru(Reset::Before) { 2e-3 } else { 2e-6 };
            for (got, expected) in after.iter().zip([h, c]) {
                let off = got.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                prop_assert!(off <= tolerance, "step {step}: off by {off:e}");
            }
        }
    }

    /// A quantized layer is that of the numbers its weights stand for: to the bit with float16, nearly where operands are
    /// rounded as well.
    #[test]
    fn layers_of_rounded_weights(
        cell in cells(), input in 1usize..40, hidden in 1usize..50, layers in 1usize..3, bidirectional in any::<bool>(),
        batch in 1usize..20, seq in 1usize..9, seed in any::<u64>(),
    ) {
        let config = Config { cell, layers, bidirectional, seed, ..Config::gru(input, hidden) };
        let x: Vec<f32> = cast(&numbers(seq * batch * input, seed));
        let of = Batch { x: &x, batch, seq, states: &[], lengths: None, resets: None };
        let rnn = Rnn::<f32>::new(config.clone()).unwrap();
        for width in [Width::Float16, Width::Bfloat16, Width::Int8] {
            let quantized = rnn.quantized(width).unwrap();
            prop_assert_eq!(quantized.width(), Some(width));
            let rounded = Rnn::<f32>::new(config.clone()).unwrap();
            rounded.set_flat(&quantized.flat()).unwrap();
            let (got, expected) = (quantized.run(&of).unwrap(), rounded.run(&of).unwrap());
            if width != Width::Int8 {
                let nearest = |w: f32| match width {
                    Width::Float16 => Half::from_f32(w).to_f32(),
                    _ => Bfloat16::from_f64(w.into()).to_f32(),
                };
                let halves: Vec<f32> = rnn.flat().iter().map(|&w| nearest(w)).collect();
                let biases = rnn.config().names().into_iter().filter(|(name, ..)| name.starts_with("bias"));
                let mut expected_flat = halves;
                biases.for_each(|(_, place, _)| expected_flat[place.clone()].copy_from_slice(&rnn.flat()[place]));
                prop_assert_eq!(&expected_flat[..], &quantized.flat()[..]);
            }
            if width == Width::Float16 {
                prop_assert_eq!(bits(&got.y), bits(&expected.y));
                prop_assert_eq!(bits(&got.states.concat()), bits(&expected.states.concat()));
            } else {
                // Operands are rounded, too: to seven bits.
                let off = got.y.iter().zip(&expected.y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                prop_assert!(off < if width == Width::Int8 { 0.1 } else { 0.03 }, "{width:?} is off by {off}");
            }
        }
    }

    /// Whatever instruction set, chunk or batch a row is in.
    #[test]
    fn equal_bits(
        cell in cells(), input in 1usize..40, hidden in 1usize..70, layers in 1usize..3, batch in 1usize..80,
        seq in 1usize..9, cut in 0usize..9, width in prop_oneof![Just(Width::Int8), Just(Width::Float16), Just(Width::Bfloat16)],
        double in any::<bool>(),
    ) {
        let config = Config { cell, layers, ..Config::gru(input, hidden) };
        if double {
            same_everywhere::<f64>(config, batch, seq, cut, width);
        } else {
            same_everywhere::<f32>(config, batch, seq, cut, width);
        }
    }
}

fn same_everywhere<F: Dispatch>(config: Config, batch: usize, seq: usize, cut: usize, width: Width) {
    let (input, hidden) = (config.input, config.hidden);
    let x: Vec<F> = cast(&numbers(seq * batch * input, 5));
    let of = Batch { x: &x, batch, seq, states: &[], lengths: None, resets: None };
    let mut first = None;
    for isa in Isa::available() {
        let rnn = Rnn::<F>::on(isa, config.clone()).unwrap().quantized(width).unwrap();
        let y = rnn.run(&of).unwrap().y;
        assert_eq!(bits(&y), *first.get_or_insert_with(|| bits(&y)), "{}", isa.name());
        let mut stream = rnn.stream(batch).unwrap();
        let (cut, mut chunks) = (cut.min(seq), vec![F::ZERO; y.len()]);
        stream.steps(cut, &x[..cut * batch * input], &mut chunks[..cut * batch * hidden]).unwrap();
        stream.steps(seq - cut, &x[cut * batch * input..], &mut chunks[cut * batch * hidden..]).unwrap();
        assert_eq!(bits(&chunks), bits(&y), "in chunks");
        let row = batch / 2;
        let own: Vec<F> = x.chunks_exact(input).skip(row).step_by(batch).flatten().copied().collect();
        let alone = rnn.run(&Batch { x: &own, batch: 1, seq, states: &[], lengths: None, resets: None }).unwrap().y;
        let among: Vec<F> = y.chunks_exact(hidden).skip(row).step_by(batch).flatten().copied().collect();
        assert_eq!(bits(&alone), bits(&among), "row {row}");
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for width in [Width::Int8, Width::Float16, Width::Bfloat16] {
        let rnn = Rnn::<f32>::new(Config::gru(3, 5)).unwrap().quantized(width).unwrap();
        for wrong in [f32::NAN, f32::INFINITY] {
            let mut x = [0.5f32; 2 * 3];
            x[1] = wrong;
            let y = rnn.run(&Batch { x: &x, batch: 2, seq: 1, states: &[], lengths: None, resets: None }).unwrap().y;
            assert!(width != Width::Int8 && wrong.is_infinite() || y[..5].iter().all(|y| y.is_nan()), "{y:?}");
            assert!(y[5..].iter().all(|y| y.is_finite()));
        }
    }
    // Nothing but zeros, and numbers that have faded.
    let rnn = Rnn::<f32>::new(Config { bias: false, ..Config::gru(3, 5) }).unwrap().quantized(Width::Int8).unwrap();
    let x = [0.0, 1e-40, 0.0];
    let y = rnn.run(&Batch { x: &x, batch: 1, seq: 1, states: &[], lengths: None, resets: None }).unwrap().y;
    assert_eq!(y, [0.0; 5]);
}

#[test]
fn what_cannot_be_done_says_so() {
    let rnn = Rnn::<f32>::new(Config::gru(3, 5)).unwrap();
    let quantized = rnn.quantized(Width::Int8).unwrap();
    let of = Batch { x: &[0.5; 3], batch: 1, seq: 1, states: &[], lengths: None, resets: None };
    let refusals = [
        quantized.set_flat(&rnn.flat()).unwrap_err(),
        quantized.forward(&of, &Training::default()).unwrap_err(),
        quantized.quantized(Width::Float16).unwrap_err(),
    ];
    for error in refusals {
        assert!(error.to_string().starts_with("int8 weights do not learn"), "{error}");
    }
    let mut flat = rnn.flat().to_vec();
    flat[4] = 7e4;
    rnn.set_flat(&flat).unwrap();
    let error = rnn.quantized(Width::Float16).unwrap_err().to_string();
    assert!(error.contains("weight_ih_l0") && error.contains("65504") && error.contains("70000"), "{error}");
    flat[4] = 3.4e38;
    rnn.set_flat(&flat).unwrap();
    let error = rnn.quantized(Width::Bfloat16).unwrap_err().to_string();
    assert!(error.contains("weight_ih_l0") && error.contains("3.39e38") && error.contains("340000"), "{error}");
    for wrong in [f32::NAN, f32::INFINITY, -1e-17, 1e-40] {
        let mut tensors =
            Rnn::<f32>::new(Config::gru(3, 5)).unwrap().quantized(Width::Bfloat16).unwrap().tensors().unwrap();
        let Tensor::Bfloat16(numbers) = &mut tensors[1] else { panic!("a matrix") };
        numbers[7] = Bfloat16((wrong.to_bits() >> 16) as u16);
        let error = Rnn::from_tensors(Config::gru(3, 5), tensors).unwrap_err().to_string();
        assert!(error.starts_with("weight_hh_l0: expected finite numbers that are 0 or at least"), "{error}");
    }
    flat[4] = f32::NAN;
    rnn.set_flat(&flat).unwrap();
    let error = rnn.quantized(Width::Int8).unwrap_err().to_string();
    assert!(error.contains("weight_ih_l0") && error.contains("finite") && error.contains("NaN"), "{error}");
}
