//! The GRU's step and its gradient, both reset variants.

use super::row::{Gradients, Kind, Run, Weights, affine, affine_backward};

const R: usize = 0;
const Z: usize = 1;
const N: usize = 2;

/// h', nothing for c, and (r, z, n, W_hn · + b_hn).
pub(super) fn step(w: &Weights<'_>, x: &[f64], h: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let units = w.hidden;
    let gate = |gate: usize, unit: usize, h: &[f64]| {
        let row = gate * units + unit;
        (affine(w.w_ih, w.b_ih, row, x), affine(w.w_hh, w.b_hh, row, h))
    };
    let squashed = |which: usize| -> Vec<f64> {
        let sum = |(a, b)| w.gate(a + b);
        (0..units).map(|u| sum(gate(which, u, h))).collect()
    };
    let (r, z) = (squashed(R), squashed(Z));
    let reset: Vec<f64> = r.iter().zip(h).map(|(r, h)| r * h).collect();
    let (mut n, mut n_h, mut next) = (vec![], vec![], vec![]);
    for u in 0..units {
        let (of_x, of_h) = match w.kind {
            Kind::GruResetBefore => gate(N, u, &reset),
            _ => gate(N, u, h),
        };
        let of_h_reset = if w.kind == Kind::GruResetBefore { of_h } else { r[u] * of_h };
        n.push(w.candidate(of_x + of_h_reset));
        n_h.push(of_h);
        next.push((1.0 - z[u]) * n[u] + z[u] * h[u]);
    }
    (next, vec![], vec![r, z, n, n_h])
}

/// Turns g.h from the gradient of h' into that of h, and adds to the others.
pub(super) fn step_backward(w: &Weights<'_>, run: &Run, t: usize, g: &mut Gradients) {
    let (x, h) = (&run.x[t], &run.h[t]);
    let [r, z, n, n_h] = &run.gates[t][..] else { unreachable!("four vectors") };
    let units = w.hidden;
    let d = g.h.clone();
    let mut d_h: Vec<f64> = (0..units).map(|u| d[u] * z[u]).collect();
    let mut d_r = vec![0.0; units];
    let d_n: Vec<f64> = (0..units).map(|u| d[u] * (1.0 - z[u]) * w.d_candidate(n[u])).collect();
    if w.kind == Kind::GruResetBefore {
        let reset: Vec<f64> = r.iter().zip(h).map(|(r, h)| r * h).collect();
        let mut d_reset = vec![0.0; units];
        for u in 0..units {
            affine_backward(w.w_hh, N * units + u, &reset, d_n[u], &mut g.w_hh, &mut g.b_hh, &mut d_reset);
        }
        for u in 0..units {
            d_r[u] = d_reset[u] * h[u];
            d_h[u] += d_reset[u] * r[u];
        }
    } else {
        for u in 0..units {
            let d_n_h = d_n[u] * r[u];
            affine_backward(w.w_hh, N * units + u, h, d_n_h, &mut g.w_hh, &mut g.b_hh, &mut d_h);
            d_r[u] = d_n[u] * n_h[u];
        }
    }
    for u in 0..units {
        affine_backward(w.w_ih, N * units + u, x, d_n[u], &mut g.w_ih, &mut g.b_ih, &mut g.x[t]);
        let d_z = d[u] * (h[u] - n[u]) * w.d_gate(z[u]);
        for (gate, d) in [(R, d_r[u] * w.d_gate(r[u])), (Z, d_z)] {
            let row = gate * units + u;
            affine_backward(w.w_ih, row, x, d, &mut g.w_ih, &mut g.b_ih, &mut g.x[t]);
            affine_backward(w.w_hh, row, h, d, &mut g.w_hh, &mut g.b_hh, &mut d_h);
        }
    }
    g.h = d_h;
}
