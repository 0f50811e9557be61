//! The LSTM's step and its gradient.

use super::row::{Gradients, Run, Weights, affine, affine_backward};

const G: usize = 2;

/// h', c' and (i, f, g, o).
pub(super) fn step(w: &Weights<'_>, x: &[f64], h: &[f64], c: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let value = |gate: usize, u: usize| {
        let row = gate * w.hidden + u;
        let sum = affine(w.w_ih, w.b_ih, row, x) + affine(w.w_hh, w.b_hh, row, h);
        if gate == G { w.candidate(sum) } else { w.gate(sum) }
    };
    let gates: Vec<Vec<f64>> = (0..4).map(|gate| (0..w.hidden).map(|u| value(gate, u)).collect()).collect();
    let [i, f, g, o] = &gates[..] else { unreachable!("four gates") };
    let next: Vec<f64> = (0..w.hidden).map(|u| f[u] * c[u] + i[u] * g[u]).collect();
    let h = (0..w.hidden).map(|u| o[u] * w.out(next[u])).collect();
    (h, next, gates)
}

/// Turns g.h and g.c from the gradients of h' and c' into those of h and c, and adds to the others.
pub(super) fn step_backward(w: &Weights<'_>, run: &Run, t: usize, grads: &mut Gradients) {
    let (x, h, c) = (&run.x[t], &run.h[t], &run.c[t]);
    let [i, f, g, o] = &run.gates[t][..] else { unreachable!("four gates") };
    let d = grads.h.clone();
    let mut d_h = vec![0.0; w.hidden];
    for u in 0..w.hidden {
        let out = w.out(run.c[t + 1][u]);
        let e = grads.c[u] + d[u] * o[u] * w.d_out(out);
        let pre = [
            e * g[u] * w.d_gate(i[u]),
            e * c[u] * w.d_gate(f[u]),
            e * i[u] * w.d_candidate(g[u]),
            d[u] * out * w.d_gate(o[u]),
        ];
        for (gate, d) in pre.into_iter().enumerate() {
            let row = gate * w.hidden + u;
            affine_backward(w.w_ih, row, x, d, &mut grads.w_ih, &mut grads.b_ih, &mut grads.x[t]);
            affine_backward(w.w_hh, row, h, d, &mut grads.w_hh, &mut grads.b_hh, &mut d_h);
        }
        grads.c[u] = e * f[u];
    }
    grads.h = d_h;
}
