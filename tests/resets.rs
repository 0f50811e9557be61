//! New sequences within a row: the bits and the gradients of separate rows, whatever cuts the batch.

mod common;

use common::{CELLS, bits, cells};
use gru_rs::{Batch, Config, Dispatch, Isa, Rnn, TapeMemory, Training};
use proptest::prelude::*;

/// Deterministic numbers of [−1, 1).
fn numbers<F: Dispatch>(count: usize, seed: u64) -> Vec<F> {
    common::cast(&common::numbers(count, seed))
}

/// A batch with resets, `(batch, seq, …)`.
#[derive(Clone, Debug)]
struct Problem {
    config: Config,
    batch: usize,
    seq: usize,
    lengths: Vec<usize>,
    resets: Vec<bool>,
    memory: TapeMemory,
    seed: u64,
}

impl Problem {
    /// Each row's sequences, (row, first step, end), without empty ones.
    fn parts(&self) -> Vec<(usize, usize, usize)> {
        let row = |row: usize| {
            let begins = |&step: &usize| step > 0 && self.resets[row * self.seq + step];
            let mut borders: Vec<usize> = (0..self.lengths[row]).filter(begins).collect();
            borders.insert(0, 0);
            borders.push(self.lengths[row]);
            borders.windows(2).map(|w| (row, w[0], w[1])).filter(|part| part.1 < part.2).collect::<Vec<_>>()
        };
        (0..self.batch).flat_map(row).collect()
    }

    /// (outputs, final states, gradients of inputs, initial states and parameters) with resets on an instruction set.
    fn whole<F: Dispatch>(&self, isa: Isa) -> Answer<F> {
        let rnn = Rnn::<F>::on(isa, self.config.clone()).unwrap();
        let (x, states) = (self.x(), self.states());
        let states: Vec<&[F]> = states.iter().map(|state| &state[..]).collect();
        let (batch, seq) = (self.batch, self.seq);
        let of = Batch { x: &x, batch, seq, states: &states, lengths: Some(&self.lengths), resets: Some(&self.resets) };
        let inferred = rnn.run(&of).unwrap();
        let (output, mut tape) = rnn.forward(&of, &Training { seed: None, memory: self.memory }).unwrap();
        assert_eq!(bits(&inferred.y), bits(&output.y));
        let d_states = self.d_states();
        let d_states: Vec<&[F]> = d_states.iter().map(|state| &state[..]).collect();
        let gradients = tape.backward(Some(&self.d_y()), &d_states).unwrap();
        Answer {
            y: output.y,
            states: output.states,
            d_x: gradients.x,
            d_states: gradients.states,
            flat: gradients.flat,
        }
    }

    fn x<F: Dispatch>(&self) -> Vec<F> {
        numbers(self.batch * self.seq * self.config.input, self.seed)
    }

    fn d_y<F: Dispatch>(&self) -> Vec<F> {
        numbers(self.batch * self.seq * self.config.outputs(), self.seed + 1)
    }

    fn states<F: Dispatch>(&self) -> Vec<Vec<F>> {
        let count = self.config.layers * self.config.directions() * self.batch * self.config.hidden;
        (0..self.config.cell.states()).map(|i| numbers(count, self.seed + 2 + i as u64)).collect()
    }

    fn d_states<F: Dispatch>(&self) -> Vec<Vec<F>> {
        let count = self.config.layers * self.config.directions() * self.batch * self.config.hidden;
        (0..self.config.cell.states()).map(|i| numbers(count, self.seed + 9 + i as u64)).collect()
    }

    /// The same by a call for each sequence.
    fn apart<F: Dispatch>(&self, isa: Isa) -> Answer<F> {
        let rnn = Rnn::<F>::on(isa, self.config.clone()).unwrap();
        let (x, d_y, given, d_given) = (self.x::<F>(), self.d_y::<F>(), self.states::<F>(), self.d_states::<F>());
        let (input, width, hidden) = (self.config.input, self.config.outputs(), self.config.hidden);
        let (seq, directions) = (self.seq, self.config.directions());
        let mut all = Answer {
            y: vec![F::ZERO; d_y.len()],
            states: given.clone(),
            d_x: vec![F::ZERO; x.len()],
            d_states: d_given.clone(),
            flat: vec![F::ZERO; self.config.parameters()],
        };
        // What a row without steps is given it gives back, but for what its first step would have made of h0.
        for (row, begin, end) in self.parts() {
            let (first, last) = (begin == 0, end == self.lengths[row]);
            let fresh = first && self.resets[row * seq];
            // Forth the sequence begins with h0 if it is the first, back if it is the last; and ends so.
            let begins = |direction: usize| if direction == 0 { first && !fresh } else { last };
            let ends = |direction: usize| if direction == 0 { last } else { first };
            let scans = self.config.layers * directions;
            let pick = |all: &[Vec<F>], taken: &dyn Fn(usize) -> bool| -> Vec<Vec<F>> {
                let one = |state: &Vec<F>| {
                    let scan = |scan: usize| {
                        let at = (scan * self.batch + row) * hidden;
                        if taken(scan % directions) { state[at..at + hidden].to_vec() } else { vec![F::ZERO; hidden] }
                    };
                    (0..scans).flat_map(scan).collect()
                };
                all.iter().map(one).collect()
            };
            let (initial, d_final) = (pick(&given, &begins), pick(&d_given, &ends));
            let initial: Vec<&[F]> = initial.iter().map(|state| &state[..]).collect();
            let d_final: Vec<&[F]> = d_final.iter().map(|state| &state[..]).collect();
            let of = |width: usize| (row * seq + begin) * width..(row * seq + end) * width;
            let batch =
                Batch { x: &x[of(input)], batch: 1, seq: end - begin, states: &initial, lengths: None, resets: None };
            let (output, mut tape) = rnn.forward(&batch, &Training::default()).unwrap();
            let gradients = tape.backward(Some(&d_y[of(width)]), &d_final).unwrap();
            all.y[of(width)].copy_from_slice(&output.y);
            all.d_x[of(input)].copy_from_slice(&gradients.x);
            all.flat.iter_mut().zip(&gradients.flat).for_each(|(sum, d)| *sum += *d);
            for scan in 0..scans {
                let (at, direction) = ((scan * self.batch + row) * hidden, scan % directions);
                for i in 0..self.config.cell.states() {
                    let own = scan * hidden..(scan + 1) * hidden;
                    if ends(direction) {
                        all.states[i][at..at + hidden].copy_from_slice(&output.states[i][own.clone()]);
                    }
                    if begins(direction) {
                        all.d_states[i][at..at + hidden].copy_from_slice(&gradients.states[i][own]);
                    } else if fresh && direction == 0 {
                        all.d_states[i][at..at + hidden].fill(F::ZERO);
                    }
                }
            }
        }
        all
    }
}

struct Answer<F> {
    y: Vec<F>,
    states: Vec<Vec<F>>,
    d_x: Vec<F>,
    d_states: Vec<Vec<F>>,
    flat: Vec<F>,
}

fn problems(most_batch: usize, most_seq: usize) -> impl Strategy<Value = Problem> {
    let memory = prop_oneof![Just(TapeMemory::Full), Just(TapeMemory::Low)];
    let sizes = (1usize..5, 1usize..20, 1usize..4, 1..=most_batch, 1..=most_seq);
    (cells(), memory, any::<bool>(), sizes, any::<u64>(), 0u8..3).prop_map(
        |(cell, memory, bidirectional, (input, hidden, layers, batch, seq), seed, often)| {
            let draws: Vec<f64> = numbers(batch * (seq + 1), seed ^ 77);
            let lengths = draws[..batch].iter().map(|d| ((d + 1.0) / 2.0 * (seq + 1) as f64) as usize).collect();
            let resets = draws[batch..].iter().map(|&d| d > [1.0, 0.5, -0.5][usize::from(often)]).collect();
            let config = Config { cell, layers, bidirectional, batch_first: true, seed, ..Config::gru(input, hidden) };
            Problem { config, batch, seq, lengths, resets, memory, seed: seed % 1000 }
        },
    )
}

fn compare<F: Dispatch>(problem: &Problem, tolerance: f64) {
    for isa in Isa::available() {
        let (whole, apart) = (problem.whole::<F>(isa), problem.apart::<F>(isa));
        assert_eq!(bits(&whole.y), bits(&apart.y), "y, {}", isa.name());
        assert_eq!(bits(&whole.states.concat()), bits(&apart.states.concat()), "h_n, {}", isa.name());
        assert_eq!(bits(&whole.d_x), bits(&apart.d_x), "dx, {}", isa.name());
        assert_eq!(bits(&whole.d_states.concat()), bits(&apart.d_states.concat()), "dh0, {}", isa.name());
        let scale = apart.flat.iter().fold(1.0f64, |most, d| most.max(d.to_f64().abs()));
        let off = whole.flat.iter().zip(&apart.flat).map(|(a, b)| (a.to_f64() - b.to_f64()).abs()).fold(0.0, f64::max);
        assert!(off <= tolerance * scale, "dW off by {off:e} of {scale:e}, {}", isa.name());
    }
}

proptest! {
    #[test]
    fn as_rows_of_their_own(problem in problems(20, 12)) {
        // Sums of the same terms in another order.
        compare::<f32>(&problem, 1e-5);
        compare::<f64>(&problem, 1e-13);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Enough rows and steps for groups, chunks, checkpoints and slices.
    #[test]
    #[cfg_attr(miri, ignore = "too large")]
    fn as_rows_of_their_own_at_length(problem in problems(140, 90).prop_filter("large", |p| p.batch * p.seq > 2000)) {
        compare::<f32>(&problem, 2e-5);
    }
}

#[test]
fn threads_do_not_matter() {
    let config = Config { bidirectional: true, batch_first: true, ..Config::gru(40, 96) };
    let (batch, seq) = (40, 60);
    let resets = numbers::<f64>(batch * seq, 3).iter().map(|&d| d > 0.8).collect();
    let lengths = (0..batch).map(|row| seq - row).collect();
    let problem = Problem { config, batch, seq, lengths, resets, memory: TapeMemory::Full, seed: 1 };
    let isa = Isa::chosen().unwrap();
    let answer = |threads| {
        gru_rs::set_num_threads(threads).unwrap();
        let Answer { y, states, d_x, d_states, flat } = problem.whole::<f32>(isa);
        [bits(&y), bits(&states.concat()), bits(&d_x), bits(&d_states.concat()), bits(&flat)]
    };
    let one = answer(1);
    for threads in [2, 3, 7] {
        assert!(answer(threads) == one, "{threads} threads");
    }
}

/// What is not a number before a new sequence stays there.
#[test]
fn nothing_comes_over() {
    for cell in CELLS {
        let rnn = Rnn::<f32>::new(Config { cell, ..Config::gru(1, 4) }).unwrap();
        let x = [0.5, f32::NAN, 0.25, 0.125];
        let resets = Some(&[false, false, true, false][..]);
        let of = Batch { x: &x, batch: 1, seq: 4, states: &[], lengths: None, resets };
        let (output, mut tape) = rnn.forward(&of, &Training::default()).unwrap();
        assert!(output.y[4..8].iter().all(|y| y.is_nan()));
        assert!(output.y[8..].iter().all(|y| y.is_finite()));
        let d_x = tape.backward(Some(&[1.0; 16]), &[]).unwrap().x;
        assert!(d_x[2..].iter().all(|d| d.is_finite() && *d != 0.0));
        let wrong = Batch { resets: Some(&[true; 3]), ..of };
        assert!(rnn.run(&wrong).unwrap_err().to_string().contains("resets"));
    }
}
