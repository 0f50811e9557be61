//! What a decoder writes: token by token, by a beam of hypotheses for each row of the source; a beam of one is
//! greedy. It must not know how the model is trained.

use super::{EncoderDecoder, Source};
use crate::buffer::{expect_room, zeros};
use crate::error::{Error, Result};
use crate::kernels::exponential::{Exp, Softmax, ln};
use crate::model::config::Inputs;
use crate::nn::linear::PackedLinear;
use crate::parallel;
use crate::rnn::call::{Batch, Output};
use crate::rnn::weights::Weights;
use crate::shape;
use crate::simd::{Dispatch, Isa};

/// Bytes of a hypothesis of no tokens, from the search to the caller's own lists.
const HYPOTHESIS: usize = 1024;

/// A target, how probable it is, and where the decoder looked.
///
/// ```
/// use gru_rs::{Config, EncoderDecoder, EncoderDecoderConfig, Inputs, Numbers};
/// let config = EncoderDecoderConfig { vocabulary: Some(5), ..EncoderDecoderConfig::new(Config::gru(4, 8), 6) };
/// let model = EncoderDecoder::<f32>::new(config)?;
/// let inputs = Inputs { numbers: Numbers::Tokens(&[2, 3, 4]), batch: 1, seq: 3, lengths: None, states: &[] };
/// let best = &model.decode(&inputs, 2, 7, 0.6)?[0][0];
/// assert!(best.labels.len() <= 7 && best.log_p < 0.0);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis<F> {
    /// Its tokens without begin and end.
    pub labels: Vec<u32>,
    /// ln p of them and, if it was written, the end.
    pub log_p: f64,
    /// Whether its end was written before there were too many tokens.
    pub ended: bool,
    /// For each token, and the end, how much each step of the source counted, `(tokens, steps)`; empty without attention.
    pub attention: Vec<F>,
}

/// A token that was written, and all before it.
struct Node<F> {
    before: usize,
    token: u32,
    attention: Vec<F>,
}

/// A hypothesis in a beam.
#[derive(Clone, Copy, Debug)]
struct Path {
    row: usize,
    /// Its last node.
    node: usize,
    /// Its place among those that the decoder runs for; none once it has ended.
    place: Option<usize>,
    log_p: f64,
    length: usize,
}

/// How much longer targets are favoured: ln p is divided by ((5 + length) / 6)^α (Wu et al., "Google's Neural Machine
/// Translation System", 2016).
struct Norms {
    isa: Isa,
    alpha: f64,
    /// For each length so far.
    factors: Vec<f64>,
}

impl Norms {
    fn new(isa: Isa, alpha: f64) -> Self {
        // 0 at a length of 0, which has no probability yet.
        Self { isa, alpha, factors: vec![0.0] }
    }

    /// One token more may be written.
    fn grow(&mut self) {
        let mut factor = [-self.alpha * ln((5.0 + self.factors.len() as f64) / 6.0)];
        f64::dispatch(self.isa, Exp(&mut factor));
        self.factors.extend(factor);
    }

    fn of(&self, path: &Path) -> f64 {
        path.log_p * self.factors[path.length]
    }
}

/// A call's beams, over all rows.
struct Search<'a, F> {
    model: &'a EncoderDecoder<F>,
    weights: &'a Weights<F>,
    source: Source<F>,
    head: PackedLinear<F>,
    nodes: Vec<Node<F>>,
    /// The decoder's states of the paths that go on, `(layers, paths, hidden)`.
    states: Vec<Vec<F>>,
    norms: Norms,
    width: usize,
}

impl<F: Dispatch> EncoderDecoder<F> {
    /// The best targets of each row of the source, best first, at most `beam`, of at most `most` tokens. A beam of 1 takes the
    /// best token at each step; `alpha`, from 0, favours longer targets.
    pub fn decode(
        &self, inputs: &Inputs<'_, F>, beam: usize, most: usize, alpha: f64,
    ) -> Result<Vec<Vec<Hypothesis<F>>>> {
        self.check(inputs)?;
        expect_room(inputs.batch, HYPOTHESIS, "hypotheses")?;
        shape::positive("beam_width", beam)?;
        if !(alpha >= 0.0 && alpha.is_finite()) {
            return Err(Error::value("length_penalty", "a finite number ≥ 0", alpha));
        }
        let weights = self.weights();
        let store = &weights.store;
        let mut source = self.read(&weights, inputs, None)?.source;
        let states = std::mem::take(&mut source.initial);
        let (w, b) = Self::split(&self.places.head, self.head());
        let head = self.head().pack(store.matrix(&w), store.numbers(&b))?;
        let begin = Node { before: 0, token: self.config.begin, attention: vec![] };
        let norms = Norms::new(self.isa(), alpha);
        let mut search =
            Search { model: self, weights: &weights, source, head, nodes: vec![begin], states, norms, width: beam };
        let first = |row| Path { row, node: 0, place: Some(row), log_p: 0.0, length: 0 };
        let mut paths: Vec<Path> = (0..inputs.batch).map(first).collect();
        // One task, which asks for Ctrl-C; what a step shares out it shares out itself.
        parallel::for_each(1, vec![(&mut search, &mut paths)], |(search, paths), turn| {
            for _ in 0..most {
                if paths.iter().all(|path| path.place.is_none()) {
                    break;
                }
                turn.go_on()?;
                search.norms.grow();
                *paths = search.step(std::mem::take(paths))?;
            }
            Ok(())
        })?;
        let mut found: Vec<Vec<Hypothesis<F>>> = (0..inputs.batch).map(|_| Vec::new()).collect();
        for path in &paths {
            found[path.row].push(search.hypothesis(path));
        }
        Ok(found)
    }
}

/// What the decoder says of the paths that go on, in their order.
struct Said<F> {
    /// Its states after their last tokens.
    states: Vec<Vec<F>>,
    /// How many there are of each row of the source.
    counts: Vec<usize>,
    /// Each row's attention, path after path.
    attention: Vec<Vec<F>>,
    /// Of each path for each token, and ln Σ eˣ over them.
    scores: Vec<F>,
    log_sums: Vec<f64>,
}

impl<F: Dispatch> Search<'_, F> {
    /// One token more for all paths that go on.
    fn step(&mut self, paths: Vec<Path>) -> Result<Vec<Path>> {
        let live: Vec<&Path> = paths.iter().filter(|path| path.place.is_some()).collect();
        let said = self.ask(&live)?;
        let (mut next, mut parents, mut live_before) = (Vec::with_capacity(paths.len()), Vec::new(), 0);
        // Paths of a row lie side by side.
        for own in paths.chunk_by(|a, b| a.row == b.row) {
            let row = own[0].row;
            for (path, token) in self.candidates(own, &said) {
                let (Some(token), Some(place)) = (token, path.place) else {
                    next.push(path);
                    continue;
                };
                let attention = said.attention.get(row).map_or(vec![], |weights| {
                    let steps = self.source.lengths[row];
                    weights[(place - live_before) * steps..][..steps].to_vec()
                });
                self.nodes.push(Node { before: path.node, token, attention });
                let place = (token != self.model.config.end).then(|| {
                    parents.push(place);
                    parents.len() - 1
                });
                next.push(Path { node: self.nodes.len() - 1, place, ..path });
            }
            live_before += said.counts[row];
        }
        let (all, hidden) = (live.len(), self.model.config.encoder.hidden);
        for (state, after) in self.states.iter_mut().zip(&said.states) {
            let of = |layer: usize| parents.iter().map(move |&place| layer * all + place);
            let places = (0..after.len() / (all * hidden).max(1)).flat_map(of);
            *state = places.flat_map(|place| &after[place * hidden..][..hidden]).copied().collect();
        }
        Ok(next)
    }

    /// One step of the decoder for the paths that go on.
    fn ask(&self, live: &[&Path]) -> Result<Said<F>> {
        let (model, store) = (self.model, &self.weights.store);
        let (width, outputs) = (model.config.embedding, model.config.outputs);
        let mut x = zeros(live.len() * width, "inputs")?;
        let table = store.matrix(&model.places.target);
        for (x, path) in x.chunks_exact_mut(width).zip(live) {
            table.rows(self.nodes[path.node].token as usize, width).each(width, |i, v| x[i] = v);
        }
        let states: Vec<&[F]> = self.states.iter().map(|state| &state[..]).collect();
        let batch = Batch { x: &x, batch: live.len(), seq: 1, states: &states, lengths: None, resets: None };
        let Output { y, states } = model.decoder.run_with(self.weights, &batch)?;
        let mut counts = vec![0; self.source.lengths.len()];
        live.iter().for_each(|path| counts[path.row] += 1);
        let seen = model.attend(store, &self.source, &y, &counts)?;
        let combined = model.combined(store, &seen.joined)?;
        let features = if combined.is_empty() { &y } else { &combined };
        let mut scores = zeros(live.len() * outputs, "scores")?;
        self.head.forward(features, &mut scores, &mut self.head.scratch(live.len())?);
        let mut log_sums = zeros(live.len(), "scratch")?;
        let softmax = Softmax { rows: &mut scores.clone(), columns: outputs, log_sums: &mut log_sums };
        F::dispatch(model.isa(), softmax);
        Ok(Said { states, counts, attention: seen.weights, scores, log_sums })
    }

    /// The best ways for the paths of one row to go on, as many as the beam is wide; those that have ended stay.
    fn candidates(&self, own: &[Path], said: &Said<F>) -> Vec<(Path, Option<u32>)> {
        let outputs = self.model.config.outputs;
        let mut candidates: Vec<(Path, Option<u32>)> = Vec::new();
        for path in own {
            let Some(place) = path.place else {
                candidates.push((*path, None));
                continue;
            };
            let scores = &said.scores[place * outputs..][..outputs];
            for token in self.best(scores) {
                let log_p = path.log_p + scores[token as usize].to_f64() - said.log_sums[place];
                candidates.push((Path { log_p, length: path.length + 1, ..*path }, Some(token)));
            }
        }
        candidates.sort_by(|a, b| self.norms.of(&b.0).total_cmp(&self.norms.of(&a.0)));
        candidates.truncate(self.width);
        candidates
    }

    /// The highest scores' tokens, as many as a beam can use; of equal ones the lower first. Never the beginning, which no
    /// target has.
    fn best(&self, scores: &[F]) -> Vec<u32> {
        let (begin, end) = (self.model.config.begin, self.model.config.end);
        let mut best: Vec<u32> = Vec::with_capacity(self.width.min(scores.len()) + 1);
        for (token, score) in scores.iter().enumerate() {
            if token == begin as usize && begin != end {
                continue;
            }
            let full = best.len() == self.width;
            if full && best.last().is_some_and(|&last| *score <= scores[last as usize]) {
                continue;
            }
            let place = best.partition_point(|&other| scores[other as usize] >= *score);
            best.insert(place, token as u32);
            best.truncate(self.width);
        }
        best
    }

    fn hypothesis(&self, path: &Path) -> Hypothesis<F> {
        let (mut labels, mut steps, mut node) = (Vec::new(), Vec::new(), path.node);
        while node != 0 {
            labels.push(self.nodes[node].token);
            steps.push(&self.nodes[node].attention);
            node = self.nodes[node].before;
        }
        labels.reverse();
        let ended = path.place.is_none();
        if ended {
            labels.pop();
        }
        let attention = steps.into_iter().rev().flatten().copied().collect();
        Hypothesis { labels, log_p: path.log_p, ended, attention }
    }
}
