//! Layers and directions over one row: its outputs, and its gradients for a whole flat buffer of
//! parameters in the order of PyTorch's state dict.

use super::row::{Gradients, Kind, Run, Weights};
use super::sequence::{backward, forward};
use crate::function::Functions;

/// The sizes of a stack.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    /// Which recurrence.
    pub kind: Kind,
    /// Of its gates.
    pub functions: Functions,
    /// Numbers a step of x.
    pub input: usize,
    /// Units of a layer and direction.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// 1 or 2.
    pub directions: usize,
    /// Whether there are biases.
    pub bias: bool,
}

/// One row's runs, layer by layer, direction by direction; `y` is the last layer's output.
#[derive(Clone, Debug)]
pub struct StackRun {
    /// Each direction's steps in its own order.
    pub runs: Vec<Run>,
    /// Time-ordered, directions side by side.
    pub y: Vec<Vec<f64>>,
}

/// One row's gradients; states are `(layers · directions, hidden)`.
#[derive(Clone, Debug)]
pub struct StackGradients {
    /// Of each step's x.
    pub x: Vec<Vec<f64>>,
    /// Of the initial h.
    pub h: Vec<Vec<f64>>,
    /// Of the initial c.
    pub c: Vec<Vec<f64>>,
    /// Of the parameters.
    pub flat: Vec<f64>,
}

impl Stack {
    /// The weights of a layer and direction, and where they begin.
    fn weights<'a>(&self, flat: &'a [f64], index: usize) -> (Weights<'a>, usize) {
        let rows = self.kind.gates() * self.hidden;
        let mut begin = 0;
        for i in 0.. {
            let input = if i < self.directions { self.input } else { self.directions * self.hidden };
            let biases = if self.bias { rows } else { 0 };
            let sizes = [rows * input, rows * self.hidden, biases, biases];
            if i == index {
                let mut parts = [&flat[..0]; 4];
                let mut rest = &flat[begin..];
                for (part, size) in parts.iter_mut().zip(sizes) {
                    (*part, rest) = rest.split_at(size);
                }
                let [w_ih, w_hh, b_ih, b_hh] = parts;
                return (
                    Weights {
                        kind: self.kind,
                        functions: self.functions,
                        input,
                        hidden: self.hidden,
                        w_ih,
                        w_hh,
                        b_ih,
                        b_hh,
                    },
                    begin,
                );
            }
            begin += sizes.iter().sum::<usize>();
        }
        unreachable!("an endless loop")
    }

    /// The row's outputs; h and c are its initial states.
    pub fn forward(&self, flat: &[f64], x: &[Vec<f64>], h: &[Vec<f64>], c: &[Vec<f64>]) -> StackRun {
        let mut y = x.to_vec();
        let mut runs = vec![];
        for layer in 0..self.layers {
            let mut outputs = vec![vec![]; x.len()];
            for direction in 0..self.directions {
                let index = layer * self.directions + direction;
                let (w, _) = self.weights(flat, index);
                let mut steps = y.clone();
                turn(&mut steps, direction);
                let c0 = c.get(index).map_or(&[][..], |c| c);
                let run = forward(&w, &steps, &h[index], c0);
                let mut out = run.y.clone();
                turn(&mut out, direction);
                for (outputs, out) in outputs.iter_mut().zip(out) {
                    outputs.extend(out);
                }
                runs.push(run);
            }
            y = outputs;
        }
        StackRun { runs, y }
    }

    /// The row's gradients from those of its outputs and final states.
    pub fn backward(
        &self, flat: &[f64], run: &StackRun, d_y: &[Vec<f64>], d_h: &[Vec<f64>], d_c: &[Vec<f64>],
    ) -> StackGradients {
        let count = self.layers * self.directions;
        let mut out = StackGradients {
            x: d_y.to_vec(),
            h: vec![vec![]; count],
            c: vec![vec![]; count],
            flat: vec![0.0; flat.len()],
        };
        for layer in (0..self.layers).rev() {
            let d_outputs = std::mem::take(&mut out.x);
            for direction in 0..self.directions {
                let index = layer * self.directions + direction;
                let (w, begin) = self.weights(flat, index);
                let columns = direction * self.hidden..(direction + 1) * self.hidden;
                let mut d_y: Vec<Vec<f64>> = d_outputs.iter().map(|d| d[columns.clone()].to_vec()).collect();
                turn(&mut d_y, direction);
                let d_c = d_c.get(index).map_or(&[][..], |d| d);
                let mut g = backward(&w, &run.runs[index], &d_y, &d_h[index], d_c);
                turn(&mut g.x, direction);
                self.collect(&mut out, g, index, begin);
            }
        }
        out
    }

    fn collect(&self, out: &mut StackGradients, g: Gradients, index: usize, begin: usize) {
        if out.x.is_empty() {
            out.x = g.x;
        } else {
            for (sum, d) in out.x.iter_mut().flatten().zip(g.x.iter().flatten()) {
                *sum += d;
            }
        }
        (out.h[index], out.c[index]) = (g.h, g.c);
        let biases = if self.bias { [g.b_ih, g.b_hh].concat() } else { vec![] };
        let parts = [g.w_ih, g.w_hh, biases].concat();
        out.flat[begin..begin + parts.len()].copy_from_slice(&parts);
    }
}

/// The second direction sees the steps from last to first.
fn turn<T>(steps: &mut [T], direction: usize) {
    if direction == 1 {
        steps.reverse();
    }
}
