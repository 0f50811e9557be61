//! Clipping and schedules against plain arithmetic. Their steps beside PyTorch's are in tests/python/test_model.py.

use gru_rs::{Config, Cosine, Gru, Memory, Plateau, Rule, Sgd, clip_by_norm};

#[test]
fn half_a_cosine_is_the_librarys() {
    let steps = 1000;
    let cosine = Cosine::new(1.0, steps, 0, 0.0).unwrap();
    for step in 0..=steps {
        let exact = 0.5 + 0.5 * (std::f64::consts::PI * step as f64 / steps as f64).cos();
        let off = (cosine.rate(step) - exact).abs();
        assert!(off < 3e-16, "step {step}: off by {off:e}");
    }
    assert_eq!([0, 500, 1000, 2000].map(|step| cosine.rate(step)), [1.0, 0.5, 0.0, 0.0]);
    let rising = Cosine::new(1.0, 4, 4, 0.5).unwrap();
    assert_eq!([0, 1, 2, 3, 4].map(|step| rising.rate(step)), [0.25, 0.5, 0.75, 1.0, 0.5]);
}

/// Lengths around the sums that go side by side, in both floats.
#[test]
fn clipping_keeps_the_direction() {
    for len in [0, 1, 15, 16, 17, 1000] {
        let whole: Vec<f64> = (0..len).map(|i| f64::from(i % 7) - 3.0).collect();
        let norm = whole.iter().map(|x| x * x).sum::<f64>().sqrt();
        let mut clipped: Vec<f32> = whole.iter().map(|&x| x as f32).collect();
        assert_eq!(clip_by_norm(&mut clipped, 0.5).unwrap(), norm);
        let factor = if norm > 0.5 { 0.5 / norm } else { 1.0 };
        for (&x, &clipped) in whole.iter().zip(&clipped) {
            assert!((f64::from(clipped) - factor * x).abs() <= 3e-6 * factor * x.abs(), "{clipped} of {x}");
        }
        let mut untouched = whole.clone();
        clip_by_norm(&mut untouched, 1e6).unwrap();
        assert_eq!(untouched, whole);
    }
}

#[test]
fn mistakes_are_named() {
    let message = |error: gru_rs::Error| error.to_string();
    assert_eq!(message(clip_by_norm(&mut [1.0f32], 0.0).unwrap_err()), "max_norm: expected a number > 0, got 0");
    assert!(message(Cosine::new(0.1, 3, 4, 0.0).unwrap_err()).starts_with("warmup_steps: expected"));
    assert!(message(Cosine::new(f64::NAN, 3, 0, 0.0).unwrap_err()).starts_with("lr: expected"));
    assert!(message(Plateau::new(0.1, 1.0, 3, 0.0).unwrap_err()).starts_with("factor: expected"));
}

#[test]
fn a_plateau_goes_on_from_its_state() {
    let losses = [1.0, 0.9, 0.95, 0.9, 0.91, 0.5, 0.6, 0.7];
    for cut in 0..losses.len() {
        let [mut one, mut other] = [(); 2].map(|()| Plateau::new(0.1, 0.5, 1, 0.0).unwrap());
        for &loss in &losses[..cut] {
            one.end_of_epoch(loss);
        }
        let (rate, best, waiting) = one.state();
        other.resume(rate, best, waiting).unwrap();
        assert_eq!(one, other);
        losses[cut..].iter().for_each(|&loss| assert_eq!(one.end_of_epoch(loss), other.end_of_epoch(loss)));
    }
    let error = Plateau::new(0.1, 0.5, 1, 0.0).unwrap().resume(f64::NAN, 0.0, 0).unwrap_err();
    assert!(error.to_string().starts_with("lr: expected"));
}

#[test]
fn moments_are_those_of_the_network_and_the_rule() {
    let gru = Gru::<f64>::new(Config::gru(2, 3)).unwrap();
    let len = gru.flat().len();
    let rule = Rule::Sgd(Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: false, weight_decay: 0.0 });
    for moments in [vec![vec![0.0; len - 1]], vec![vec![0.0; len]; 2]] {
        let before = gru.flat();
        let mut memory = Memory { moments, steps: 1, powers: (0.0, 0.0) };
        let error = rule.step(&gru, &vec![1.0; len], &mut memory).unwrap_err().to_string();
        assert!(error.starts_with(&format!("memory: expected 1 moments of {len} numbers, got [")), "{error}");
        assert_eq!(gru.flat()[..], before[..]);
    }
}
