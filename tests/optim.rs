//! Clipping and schedules against plain arithmetic. Their steps beside PyTorch's are in tests/python/test_model.py.

use gru_rs::{Cosine, Plateau, clip_by_norm};

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
