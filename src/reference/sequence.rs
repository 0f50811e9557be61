//! A sequence, step by step, forward and back.

use super::row::{Gradients, Kind, Run, Weights};
use super::{gru, lstm};

/// A sequence from its first step to its last.
pub fn forward(w: &Weights<'_>, x: &[Vec<f64>], h: &[f64], c: &[f64]) -> Run {
    let mut run = Run { x: x.to_vec(), y: vec![], h: vec![h.to_vec()], c: vec![c.to_vec()], gates: vec![] };
    for x in x {
        let (h, c) = (&run.h[run.h.len() - 1], &run.c[run.c.len() - 1]);
        let (h, c, gates) = match w.kind {
            Kind::Lstm => lstm::step(w, x, h, c),
            Kind::GruResetAfter | Kind::GruResetBefore => gru::step(w, x, h),
        };
        run.y.push(h.clone());
        run.h.push(h);
        run.c.push(c);
        run.gates.push(gates);
    }
    run
}

/// The same backwards, from the gradients of every output and of the last states.
pub fn backward(w: &Weights<'_>, run: &Run, d_y: &[Vec<f64>], d_h: &[f64], d_c: &[f64]) -> Gradients {
    let rows = w.kind.gates() * w.hidden;
    let mut g = Gradients {
        x: vec![vec![0.0; w.input]; run.x.len()],
        h: d_h.to_vec(),
        c: d_c.to_vec(),
        w_ih: vec![0.0; rows * w.input],
        w_hh: vec![0.0; rows * w.hidden],
        b_ih: vec![0.0; rows],
        b_hh: vec![0.0; rows],
    };
    for t in (0..run.x.len()).rev() {
        for (d, dy) in g.h.iter_mut().zip(&d_y[t]) {
            *d += dy;
        }
        match w.kind {
            Kind::Lstm => lstm::step_backward(w, run, t, &mut g),
            Kind::GruResetAfter | Kind::GruResetBefore => gru::step_backward(w, run, t, &mut g),
        }
    }
    g
}
