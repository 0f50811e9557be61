//! Softmax, linear layers, losses and chains against plain loops in f64, over random sizes, with equal bits on
//! every instruction set of this machine; gradients against finite differences.

mod common;

use common::{cast, compare, compare_above, numbers, slope, wide};
use gru_rs::kernels::exponential::{Softmax, ln};
use gru_rs::nn::crf::Crf;
use gru_rs::nn::ctc::Ctc;
use gru_rs::nn::linear::{Linear, LinearGradients};
use gru_rs::nn::targets::Spelling;
use gru_rs::{Dispatch, Isa, Loss, Targets};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::HashMap;

/// Largest difference over largest value: a few hundred terms, each rounded at 1.1e-16 (f64) or 6e-8 (f32).
const TOLERANCE_F64: f64 = 1e-13;
const TOLERANCE_F32: f64 = 2e-5;
/// Finite differences in f64 with steps of 1e-5: what the third derivative leaves, and rounding.
const TOLERANCE_DIFFERENCE: f64 = 1e-8;

/// Slopes against finite differences. What a loss of tens was rounded by, 1e-15, over two steps of 1e-5, makes the
/// smallest difference worth a look 1e-9, however small the slopes.
fn compare_slopes(what: &str, got: &[f64], expected: &[f64]) {
    compare_above(0.1, what, got, expected, TOLERANCE_DIFFERENCE);
}

/// The same work on every instruction set: the first's numbers, after the others' proved to be the same bits.
fn everywhere<F: Dispatch>(work: impl Fn(Isa) -> Vec<Vec<F>>) -> Vec<Vec<f64>> {
    let mut all = Isa::available().into_iter().map(|isa| work(isa).iter().map(|x| wide(x)).collect::<Vec<_>>());
    let first = all.next().expect("scalar");
    for other in all {
        let bits = |x: &[Vec<f64>]| x.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&other), bits(&first));
    }
    first
}

/// The slope of `f` along each of the numbers of `x`.
fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    (0..x.len()).map(|i| slope(x, i, &f)).collect()
}

#[test]
fn logarithms() {
    let mut x: Vec<f64> = numbers(200_000, 1).iter().map(|x| (x * 700.0).exp()).collect();
    x.extend(numbers(200_000, 2).iter().map(|x| 1.0 + x * 0.5));
    x.extend(numbers(20_000, 3).iter().map(|x| 1.0 + x * 1e-7));
    x.extend([1.0, 2.0, 0.5, f64::MIN_POSITIVE, f64::from_bits(1), f64::from_bits(12_345), f64::MAX]);
    for x in x {
        let (got, expected) = (ln(x), x.ln());
        // One unit in the last place is 1.1e-16 to 2.2e-16.
        assert!((got - expected).abs() <= 2.3e-16 * expected.abs(), "ln {x}: {got}, {expected}");
    }
    assert_eq!(ln(1.0), 0.0);
    assert_eq!(ln(0.0), f64::NEG_INFINITY);
    assert_eq!(ln(f64::INFINITY), f64::INFINITY);
    assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan());
}

#[test]
fn extreme_scores() {
    fn softmax<F: Dispatch>(x: &[f64]) -> Vec<Vec<f64>> {
        everywhere(|isa| {
            let (mut rows, mut log_sums) = (cast::<F>(x), [0.0]);
            F::dispatch(isa, Softmax { rows: &mut rows, columns: x.len(), log_sums: &mut log_sums });
            vec![rows, vec![F::from_f64(log_sums[0])]]
        })
    }
    for softmax in [softmax::<f32>, softmax::<f64>] {
        let large = f64::from(1e30f32);
        assert_eq!(softmax(&[large, -large, large]), [vec![0.5, 0.0, 0.5], vec![large]]);
        let infinite = softmax(&[0.0, f64::NEG_INFINITY]);
        assert_eq!(infinite, [vec![1.0, 0.0], vec![0.0]]);
        assert!(softmax(&[0.0, f64::NAN, 1.0]).iter().flatten().all(|x| x.is_nan()));
        assert_eq!(softmax(&[-5.0]), [vec![1.0], vec![-5.0]]);
    }
}

fn linear<F: Dispatch>(inputs: usize, outputs: usize, rows: usize, tolerance: f64) {
    let (w, b) = (numbers(inputs * outputs, 1), numbers(outputs, 2));
    let (x, d_y) = (numbers(rows * inputs, 3), numbers(rows * outputs, 4));
    let got = everywhere::<F>(|isa| {
        let linear = Linear { isa, inputs, outputs, spread: true };
        let (w, x) = (cast(&w), cast::<F>(&x));
        let y = linear.forward(&w[..], &cast(&b), &x, rows).unwrap();
        let (mut d_w, mut d_b) = (vec![F::ONE; inputs * outputs], vec![F::ONE; outputs]);
        let mut sums = LinearGradients { w: &mut d_w, b: &mut d_b };
        let d_x = linear.backward(&w, &x, &cast(&d_y), rows, &mut sums).unwrap();
        vec![y, d_x, d_w, d_b]
    });
    let (mut y, mut d_x) = (vec![], vec![0.0; rows * inputs]);
    let (mut d_w, mut d_b) = (vec![1.0; inputs * outputs], vec![1.0; outputs]);
    for row in 0..rows {
        for o in 0..outputs {
            let mut sum = b[o];
            d_b[o] += d_y[row * outputs + o];
            for i in 0..inputs {
                let (w, x, d) = (w[o * inputs + i], x[row * inputs + i], d_y[row * outputs + o]);
                sum += w * x;
                d_x[row * inputs + i] += w * d;
                d_w[o * inputs + i] += d * x;
            }
            y.push(sum);
        }
    }
    for (what, got, expected) in [("y", &got[0], y), ("dx", &got[1], d_x), ("dW", &got[2], d_w), ("db", &got[3], d_b)] {
        compare(what, got, &expected, tolerance);
    }
}

/// A loss that is not drawn would not be tested.
#[test]
fn every_loss_of_a_row_is_drawn() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut words = std::collections::BTreeSet::from(["ctc"]); // below, against all paths
    words.extend((0..200).map(|_| losses().new_tree(&mut runner).unwrap().current().0.word()));
    assert_eq!(words, Loss::WORDS.iter().copied().collect());
}

fn losses() -> impl Strategy<Value = (Loss, usize)> {
    let class_weights = |classes| prop_oneof![Just(vec![]), prop::collection::vec(0.0..3.0f64, classes)];
    let entropy =
        (1..40usize, prop_oneof![Just(0.0), 0.01..0.9f64]).prop_flat_map(move |(classes, label_smoothing)| {
            class_weights(classes)
                .prop_map(move |class_weights| (Loss::CrossEntropy { label_smoothing, class_weights }, classes))
        });
    prop_oneof![
        entropy,
        (1..5usize).prop_map(|columns| (Loss::Squared, columns)),
        (1..5usize).prop_map(|columns| (Loss::Absolute, columns)),
        (1..4usize).prop_map(|targets| (Loss::quantile(vec![0.1, 0.5, 0.9]).unwrap(), 3 * targets)),
        (0.1..3.0f64, 1..5usize).prop_map(|(delta, columns)| (Loss::Huber(delta), columns)),
        (1..5usize).prop_map(|columns| (Loss::BinaryCrossEntropy, columns)),
    ]
}

/// The loss in plain loops.
fn plain(loss: &Loss, x: &[f64], columns: usize, classes: &[u32], numbers: &[f64], weights: &[f64]) -> f64 {
    let (mut sum, mut all) = (0.0, 0.0);
    for (row, x) in x.chunks(columns).enumerate() {
        match loss {
            Loss::CrossEntropy { label_smoothing, class_weights } => {
                let class = |c: usize| class_weights.get(c).copied().unwrap_or(1.0);
                let log_sum = x.iter().map(|x| x.exp()).sum::<f64>().ln();
                let target = classes[row] as usize;
                for (c, x) in x.iter().enumerate() {
                    let q = label_smoothing / columns as f64 + if c == target { 1.0 - label_smoothing } else { 0.0 };
                    sum += weights[row] * q * class(c) * (log_sum - x);
                }
                all += weights[row] * class(target);
            }
            Loss::Squared | Loss::Absolute | Loss::Quantile(_) | Loss::Huber(_) | Loss::BinaryCrossEntropy => {
                for (i, x) in x.iter().enumerate() {
                    let levels = loss.scores_per_target();
                    let y = numbers[(row * columns + i) / levels];
                    sum += weights[row]
                        * match loss {
                            Loss::Squared => (x - y) * (x - y),
                            Loss::Quantile(levels_of) => {
                                let tau = levels_of[i % levels];
                                (tau * (y - x)).max((tau - 1.0) * (y - x))
                            }
                            Loss::Absolute => (x - y).abs(),
                            Loss::Huber(delta) if (x - y).abs() > *delta => delta * ((x - y).abs() - 0.5 * delta),
                            Loss::Huber(_) => 0.5 * (x - y) * (x - y),
                            Loss::BinaryCrossEntropy => (1.0 + x.exp()).ln() - x * y,
                            other => panic!("no number's loss: {other:?}"),
                        };
                    all += weights[row];
                }
            }
            Loss::Ctc { .. } => panic!("no loss of a row by itself"),
        }
    }
    if all > 0.0 { sum / all } else { 0.0 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn linear_layers(inputs in 1..70usize, outputs in 1..40usize, rows in 0..300usize) {
        linear::<f64>(inputs, outputs, rows, TOLERANCE_F64);
        linear::<f32>(inputs, outputs, rows, TOLERANCE_F32);
    }

    #[test]
    fn losses_and_slopes((loss, columns) in losses(), rows in 0..6usize, seed in 0..1000u64) {
        let x: Vec<f64> = numbers(rows * columns, seed).iter().map(|x| 3.0 * x).collect();
        let classes: Vec<u32> = (0..rows).map(|row| (row * 7 + seed as usize) as u32 % columns as u32).collect();
        let mut targets = numbers(rows * columns / loss.scores_per_target(), seed + 1);
        if loss == Loss::BinaryCrossEntropy {
            // Ends of the range among them.
            targets.iter_mut().for_each(|y| *y = (0.75 * *y + 0.5).clamp(0.0, 1.0));
        }
        let weights: Vec<f64> = numbers(rows, seed + 2).iter().map(|x| x + 1.0).collect();
        loss.check(Some(columns)).unwrap();
        fn run<F: Dispatch>(loss: &Loss, x: &[f64], columns: usize, classes: &[u32], targets: &[f64], weights: &[f64]) -> Vec<Vec<f64>> {
            everywhere::<F>(|isa| {
                let numbers = cast(targets);
                let targets = if loss.of_classes() { Targets::Classes(classes) } else { Targets::Numbers(&numbers) };
                let (lost, d) = loss.of(isa, &cast::<F>(x), columns, targets, Some(&cast(weights))).unwrap();
                vec![vec![F::from_f64(lost)], d]
            })
        }
        let expected = |x: &[f64]| plain(&loss, x, columns, &classes, &targets, &weights);
        let slopes = differences(&x, expected);
        let f64s = run::<f64>(&loss, &x, columns, &classes, &targets, &weights);
        compare("loss", &f64s[0], &[expected(&x)], TOLERANCE_F64);
        compare_slopes("slopes", &f64s[1], &slopes);
        let f32s = run::<f32>(&loss, &x, columns, &classes, &targets, &weights);
        compare("loss in f32", &f32s[0], &[expected(&x)], TOLERANCE_F32);
        compare("slopes in f32", &f32s[1], &slopes, TOLERANCE_F32);
    }

    /// Against all paths there are.
    #[test]
    fn chains(labels in 1..5usize, lengths in prop::collection::vec(0..5usize, 0..4), seed in 0..1000u64) {
        let steps: usize = lengths.iter().sum();
        let x: Vec<f64> = numbers(steps * labels, seed).iter().map(|x| 4.0 * x).collect();
        let parameters: Vec<f64> = numbers(labels * (labels + 2), seed + 1).iter().map(|x| 3.0 * x).collect();
        let targets: Vec<u32> = (0..steps).map(|step| (step * 5 + seed as usize) as u32 % labels as u32).collect();
        let weights: Vec<f64> = numbers(lengths.len(), seed + 2).iter().map(|x| x + 1.0).collect();
        let all_paths = |length: usize| (0..labels.pow(length as u32)).map(move |n| {
            (0..length).map(|i| n / labels.pow(i as u32) % labels).collect::<Vec<_>>()
        });
        let score = |parameters: &[f64], x: &[f64], path: &[usize]| {
            let (start, rest) = parameters.split_at(labels);
            let (end, trans) = rest.split_at(labels);
            let steps: f64 = path.iter().enumerate().map(|(step, label)| x[step * labels + label]).sum();
            let moves: f64 = path.windows(2).map(|pair| trans[pair[0] * labels + pair[1]]).sum();
            start[path[0]] + steps + moves + end[path[path.len() - 1]]
        };
        let loss = |both: &[f64]| {
            let (parameters, x) = both.split_at(labels * (labels + 2));
            let (mut sum, mut all, mut begin) = (0.0, 0.0, 0);
            for (&length, &weight) in lengths.iter().zip(&weights).filter(|(length, _)| **length > 0) {
                let x = &x[begin * labels..(begin + length) * labels];
                let target: Vec<usize> = targets[begin..begin + length].iter().map(|&label| label as usize).collect();
                let z: f64 = all_paths(length).map(|path| score(parameters, x, &path).exp()).sum();
                sum += weight * (z.ln() - score(parameters, x, &target));
                all += weight * length as f64;
                begin += length;
            }
            if all > 0.0 { sum / all } else { 0.0 }
        };
        let both: Vec<f64> = parameters.iter().chain(&x).copied().collect();
        let slopes = differences(&both, loss);
        let run = |isa| {
            let crf = Crf { isa, labels };
            let mut d = vec![0.0; parameters.len()];
            let (lost, d_x) = crf.loss(&parameters, &x, &lengths, &targets, Some(&weights), &mut d).unwrap();
            let best = crf.decode(&parameters, &x, &lengths).unwrap();
            d.extend(d_x);
            let marginals = crf.marginals(&parameters, &x, &lengths).unwrap();
            vec![vec![lost], d, best.into_iter().map(f64::from).collect(), marginals]
        };
        let got = everywhere::<f64>(run);
        compare("loss", &got[0], &[loss(&both)], 1e-12);
        compare_slopes("slopes", &got[1], &slopes);
        let mut begin = 0;
        for &length in lengths.iter().filter(|length| **length > 0) {
            let x = &x[begin * labels..(begin + length) * labels];
            let best: Vec<usize> = got[2][begin..begin + length].iter().map(|&label| label as usize).collect();
            let highest = all_paths(length).map(|path| score(&parameters, x, &path)).fold(f64::MIN, f64::max);
            prop_assert!((score(&parameters, x, &best) - highest).abs() < 1e-12);
            // The share of the paths through each label at each step.
            let mut through = vec![0.0; length * labels];
            for path in all_paths(length) {
                let p = score(&parameters, x, &path).exp();
                path.iter().enumerate().for_each(|(step, &label)| through[step * labels + label] += p);
            }
            let all: f64 = through[..labels].iter().sum();
            through.iter_mut().for_each(|p| *p /= all);
            compare("marginals", &got[3][begin * labels..(begin + length) * labels], &through, 1e-12);
            begin += length;
        }
    }
}

/// Moves that are as good as forbidden, and scores far apart, leave numbers.
#[test]
fn chains_at_the_limits() {
    let crf = Crf { isa: Isa::chosen().unwrap(), labels: 3 };
    let mut parameters = vec![0.0f64; crf.parameters()];
    parameters[6 + 1] = -1e4; // from 0 to 1
    let scores = [900.0, 0.0, -900.0, -1e3, 1e3, 0.0, 0.0, -1e5, 0.0];
    let mut d = vec![0.0; parameters.len()];
    let (loss, d_scores) = crf.loss(&parameters, &scores, &[3], &[2, 1, 2], None, &mut d).unwrap();
    assert!(loss > 0.0 && loss.is_finite());
    assert!(d_scores.iter().chain(&d).all(|x: &f64| x.is_finite()), "{d_scores:?} {d:?}");
    let marginals = crf.marginals(&parameters, &scores, &[3]).unwrap();
    assert!(marginals.chunks(3).all(|p| p.iter().all(|p| *p >= 0.0) && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12));
    // 0 → 1 would cost 1e4, 1 → 1 → … costs 900: 900 + 0 + … against 0 + 1000 + …
    assert_eq!(crf.decode(&parameters, &scores, &[3]).unwrap(), [1, 1, 0]);
}

#[test]
fn mistakes_are_named() {
    let isa = Isa::chosen().unwrap();
    let error =
        |loss: Loss, targets, weights| loss.of::<f64>(isa, &[0.0; 6], 3, targets, weights).unwrap_err().to_string();
    let classes = Targets::Classes(&[0, 3]);
    assert_eq!(error(Loss::cross_entropy(), classes, None), "targets: expected classes below 3, got 3 in row 1");
    let numbers = Targets::Numbers(&[0.0; 6]);
    assert_eq!(error(Loss::cross_entropy(), numbers, None), "targets: expected classes for cross-entropy, got numbers");
    assert_eq!(error(Loss::Squared, classes, None), "targets: expected numbers for this loss, got classes");
    assert!(error(Loss::Squared, numbers, Some(&[1.0])).starts_with("sample_weight: expected 2 numbers"));
    assert_eq!(error(Loss::Squared, numbers, Some(&[1.0, -2.0])), "sample_weight: expected finite numbers ≥ 0, got -2");
    assert!(error(Loss::cross_entropy(), Targets::Classes(&[0, 1]), Some(&[f64::NAN, 1.0])).contains("got NaN"));
    assert!(Loss::quantile(vec![0.5, 1.0]).is_err() && Loss::quantile(vec![]).is_err());
    assert!(Loss::quantile(vec![0.2, 0.8]).unwrap().check(Some(3)).is_err());
    let smoothed = Loss::CrossEntropy { label_smoothing: 1.0, class_weights: vec![] };
    assert_eq!(smoothed.check(Some(3)).unwrap_err().to_string(), "label_smoothing: expected a number of [0, 1), got 1");
    let weighted = Loss::CrossEntropy { label_smoothing: 0.0, class_weights: vec![1.0, -1.0, 1.0] };
    assert!(weighted.check(Some(3)).is_err() && weighted.check(Some(2)).is_err());
}

/// What scores of a few steps spell, label sequence by label sequence, with the probability of all its paths.
fn spelled(x: &[f64], classes: usize, blank: u32) -> HashMap<Vec<u32>, f64> {
    let mut paths = vec![(Vec::new(), 1.0)];
    for x in x.chunks(classes) {
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        let longer = |(path, p): &(Vec<u32>, f64)| {
            let one = |(label, x): (usize, &f64)| ([&path[..], &[label as u32]].concat(), p * x.exp() / sum);
            x.iter().enumerate().map(one).collect::<Vec<_>>()
        };
        paths = paths.iter().flat_map(longer).collect();
    }
    let mut found = HashMap::new();
    for (mut path, p) in paths {
        path.dedup();
        path.retain(|&label| label != blank);
        *found.entry(path).or_insert(0.0) += p;
    }
    found
}

fn ctc<F: Dispatch>(
    isa: Isa, classes: usize, blank: u32, x: &[f64], lengths: &[usize], targets: Spelling<'_>, weights: &[f64],
) -> (f64, Vec<F>) {
    Ctc { isa, classes, blank }.loss(&cast::<F>(x), lengths, targets, Some(&cast(weights))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 60 }))]
    /// The loss is that of all paths, its gradient the slope; a beam that keeps all prefixes knows all probabilities.
    #[test]
    fn labels_of_all_paths(classes in 2usize..5, steps in prop::collection::vec(0usize..5, 1..5), blank in 0u32..5, scale in 0.1f64..6.0, seed in 0u64..1 << 40) {
        let blank = blank % classes as u32;
        let total: usize = steps.iter().sum();
        let x: Vec<f64> = numbers(total * classes, seed).iter().map(|x| x * scale).collect();
        let weights: Vec<f64> = numbers(steps.len(), !seed).iter().map(|w| w.abs()).collect();
        let mut begin = 0;
        let rows: Vec<_> = steps.iter().map(|&steps| {
            begin += steps * classes;
            let mut found: Vec<_> = spelled(&x[begin - steps * classes..begin], classes, blank).into_iter().collect();
            found.sort_by(|a, b| b.1.total_cmp(&a.1));
            found
        }).collect();
        let picked: Vec<_> = rows.iter().enumerate().map(|(row, found)| &found[(seed as usize >> row) % found.len()]).collect();
        let labels: Vec<u32> = picked.iter().flat_map(|one| one.0.clone()).collect();
        let counts: Vec<usize> = picked.iter().map(|one| one.0.len()).collect();
        let targets = Spelling { labels: &labels, lengths: &counts };
        let all: f64 = weights.iter().sum();
        let lost = picked.iter().zip(&weights).map(|((labels, p), w)| -w * p.ln() / labels.len().max(1) as f64);
        let expected = lost.sum::<f64>() / all;
        let loss = |x: &[f64]| ctc::<f64>(Isa::available()[0], classes, blank, x, &steps, targets, &weights).0;
        let got = everywhere::<f64>(|isa| {
            let (loss, gradient) = ctc(isa, classes, blank, &x, &steps, targets, &weights);
            vec![vec![loss], gradient]
        });
        compare("loss", &got[0], &[expected], 1e-12);
        // A loss of 10 rounds by 1e-15, over two steps of 1e-5, where all slopes may be small.
        compare_slopes("gradient", &got[1], &differences(&x, loss));
        let got32 = everywhere::<f32>(|isa| vec![ctc(isa, classes, blank, &x, &steps, targets, &weights).1]);
        compare("gradient in f32", &got32[0], &got[1], TOLERANCE_F32);

        let ctc = Ctc { isa: Isa::available()[0], classes, blank };
        let guesses = ctc.beam(&x, &steps, 1000).unwrap();
        let best = ctc.beam(&x, &steps, 4).unwrap();
        for ((guesses, best), found) in guesses.iter().zip(best).zip(&rows) {
            prop_assert_eq!(guesses.len(), found.len());
            for (labels, log_p) in guesses {
                let (_, p) = found.iter().find(|one| &one.0 == labels).unwrap();
                prop_assert!((log_p - p.ln()).abs() < 1e-11);
            }
            prop_assert!(best.len() <= 4 && best.iter().all(|one| one.1 <= guesses[0].1 + 1e-12));
        }
    }
}

#[test]
fn labels_of_long_and_certain_scores() {
    let (classes, steps) = (30, if cfg!(miri) { 20 } else { 600 });
    let labels: Vec<u32> = (0..steps / 4).map(|i| 1 + (i * i % 29) as u32).collect();
    for scale in [1.0, 500.0, 1e6] {
        let x: Vec<f64> = numbers(steps * classes, 9).iter().map(|x| x * scale).collect();
        let targets = Spelling { labels: &labels, lengths: &[labels.len()] };
        let got = everywhere::<f64>(|isa| {
            let (loss, gradient) = ctc(isa, classes, 0, &x, &[steps], targets, &[1.0]);
            vec![vec![loss], gradient]
        });
        assert!(got.iter().flatten().all(|x| x.is_finite()) && got[0][0] > 0.0, "{scale}: {}", got[0][0]);
        let sums = got[1].chunks(classes).map(|row| row.iter().sum::<f64>().abs()).fold(0.0, f64::max);
        assert!(sums < 1e-12 * scale.max(1.0), "a step's gradients sum to {sums}");
    }
    // The best path alone.
    let sure: Vec<f64> =
        (0..steps * classes).map(|i| if i % classes == (i / classes / 4 % 3) { 900.0 } else { 0.0 }).collect();
    let ctc = Ctc { isa: Isa::available()[0], classes, blank: 0 };
    let expected: Vec<u32> = (0..steps.div_ceil(4)).map(|i| i as u32 % 3).filter(|&label| label > 0).collect();
    assert_eq!(ctc.greedy(&sure, &[steps]).unwrap()[0], expected);
    let guess = &ctc.beam(&sure, &[steps], 5).unwrap()[0][0];
    assert_eq!(guess.0, expected);
    assert!(guess.1.abs() < 1e-9);
}

#[test]
fn labels_that_cannot_be() {
    let ctc = Ctc { isa: Isa::available()[0], classes: 3, blank: 0 };
    let lose = |steps: usize, labels: &[u32], lengths: &[usize]| {
        ctc.loss::<f32>(&vec![0.0; steps * 3], &[steps], Spelling { labels, lengths }, None).map_err(|e| e.to_string())
    };
    assert!(lose(3, &[1, 1], &[2]).is_ok());
    assert!(lose(2, &[1, 1], &[2]).unwrap_err().contains("at least 3 steps for the labels of row 0"));
    assert!(lose(2, &[0], &[1]).unwrap_err().contains("other than the blank"));
    assert!(lose(2, &[3], &[1]).unwrap_err().contains("labels below 3"));
    assert!(lose(2, &[1], &[2]).unwrap_err().contains("targets"));
    assert_eq!(lose(0, &[], &[0]).unwrap(), (0.0, vec![]));
    let other = Ctc { blank: 3, ..ctc };
    for refused in [other.greedy(&[0.0; 6], &[2]).map(|_| ()), other.beam(&[0.0; 6], &[2], 3).map(|_| ())] {
        assert_eq!(refused.unwrap_err().to_string(), "blank: expected a class below 3, got 3");
    }
    let lost = |weights: &[f32]| {
        ctc.loss(
            &[f32::NAN, 0.0, 0.0, 1.0, 2.0, 3.0],
            &[1, 1],
            Spelling { labels: &[1, 2], lengths: &[1, 1] },
            Some(weights),
        )
    };
    let (loss, gradient) = lost(&[1.0, 1.0]).unwrap();
    assert!(lost(&[1.0, -1.0]).unwrap_err().to_string().contains("sample_weight: expected finite numbers ≥ 0, got -1"));
    assert!(loss.is_nan() && gradient[..3].iter().all(|d| d.is_nan()) && gradient[3..].iter().all(|d| d.is_finite()));
}
