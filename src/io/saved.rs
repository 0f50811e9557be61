//! A fitted estimator of Python in Rust: its model, and what stands between the model and the world. It must not
//! know JSON or bytes.

use super::header::{Field, parsed};
use super::learnt::{expect_deviations, expect_features, expect_inputs, expect_network, expect_rising};
use super::tensors::Tensors;
use super::vocabulary::Vocabulary;
use crate::buffer::zeros;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::names::model_config;
use crate::nn::pooling::Pooling;
use crate::nn::units;
use crate::shape;
use crate::simd::Dispatch;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Of the files that `_files.py` writes.
const FORMAT_VERSION: usize = 1;

/// Of a file that is read; more can come by [`Saved::from_bytes`].
const MOST_BYTES: u64 = 1 << 32;

/// The class that was saved.
///
/// ```
/// use gru_rs::{Estimator, Saved};
/// let saved = Saved::<f32>::load("tests/files/words.safetensors")?;
/// assert_eq!(saved.estimator, Estimator::Classifier);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Estimator {
    /// `SequenceClassifier`: a score for each class.
    Classifier,
    /// `SequenceRegressor`: numbers, of a sequence or of each step.
    Regressor,
    /// `SequenceTagger` without a chain: a score for each label at each step.
    Tagger,
    /// `Transcriber`: at each step a score for the blank, which is number 0, and for each label.
    Transcriber,
}

/// What an estimator's `save` wrote in Python.
///
/// The scores of its model, of rows that [`scaled`](Self::scaled) has put into its units, are those of Python's
/// `estimator.model_` to the bit.
///
/// ```
/// use gru_rs::{ModelStream, Numbers, Saved};
/// let saved = Saved::<f32>::load("tests/files/turns.safetensors")?; // left or right, of two numbers a step
/// let mut stream = ModelStream::new(&saved.model, 1)?;
/// let mut scores = [0.0; 2];
/// for mut row in [[0.0, 1.0], [0.5, 1.0], [1.0, 1.0]] {
///     saved.scaled(&mut row)?;
///     stream.steps(Numbers::Floats(&row), 1, &mut scores)?;
/// }
/// saved.probabilities(&mut scores)?;
/// assert_eq!(saved.label(1), Some("right"));
/// assert!(scores[1] > 0.5);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Saved<F> {
    /// Its class.
    pub estimator: Estimator,
    /// The trained network; [`ModelStream`](crate::ModelStream) runs it step by step.
    pub model: Model<F>,
    /// The classes or labels as text, numbers in decimal; none of a regressor.
    pub classes: Vec<String>,
    /// Whether a classifier's classes do not exclude each other: each score by itself has a probability.
    pub multilabel: bool,
    /// Of inputs that are numbers the mean, and 1 over the deviation; of a constant 1.
    pub scale: Option<(Vec<f64>, Vec<f64>)>,
    /// Of a regressor's targets the mean and the deviation.
    pub target_scale: Option<(Vec<f64>, Vec<f64>)>,
    /// If the inputs are tokens.
    pub vocabulary: Option<Vocabulary>,
}

impl<F: Dispatch> Saved<F> {
    /// Reads a file. Nothing in it is executed, and nothing larger than it is allocated; the checksum that it was saved
    /// with must be its own, and what was learnt must go with the parameters and the network.
    ///
    /// ```
    /// let error = gru_rs::Saved::<f32>::load("nowhere.safetensors").unwrap_err();
    /// assert!(error.to_string().starts_with("nowhere.safetensors: "));
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let refuse = |reason: String| Error::File { file: path.display().to_string(), reason };
        let io = |error: std::io::Error| refuse(error.to_string());
        // Before it is opened, as a FIFO would wait for somebody to write.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(refuse("expected a regular file, got another kind".into()));
        }
        let mut file = File::open(path).map_err(io)?;
        // Of what it says it has, and no more.
        let len = file.metadata().map_err(io)?.len();
        if len > MOST_BYTES {
            return Err(refuse(format!("expected at most {MOST_BYTES} bytes, got {len}")));
        }
        let mut bytes = zeros(usize::try_from(len).unwrap_or(usize::MAX), "a file")?;
        file.read_exact(&mut bytes).map_err(io)?;
        Self::from_bytes(&bytes).map_err(|error| match error {
            Error::Value { .. } => refuse(error.to_string()),
            other => other,
        })
    }

    /// Reads a file that is in memory, say by `include_bytes!`.
    ///
    /// ```
    /// let saved = gru_rs::Saved::<f32>::from_bytes(include_bytes!("../../tests/files/turns.safetensors"))?;
    /// assert_eq!(saved.classes, ["left", "right"]);
    /// assert_eq!(saved.model.config().inputs(), 2);
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn from_bytes(file: &[u8]) -> Result<Self> {
        let tensors = Tensors::read(file)?;
        let none = "a safetensors file without its metadata";
        let text = tensors.text("gru_rs").ok_or_else(|| Error::value("file", "a model saved by gru_rs", none))?;
        let summed = tensors.expect_sum("gru_rs_checksum", text)?;
        let value = parsed(text)?;
        let header = Field::root(&value);
        // The text says that there is one, whose own name in the file may be what is damaged.
        if header.maybe("checksum").is_some() != summed {
            return Err(Error::value("file", "a checksum as its header says", "another: it is damaged"));
        }
        let version = header.get("format_version")?;
        if version.size()? != FORMAT_VERSION {
            return Err(version.refusal(format!("{FORMAT_VERSION}; a newer gru-rs may be needed")));
        }
        let estimator = header.get("estimator")?.choice(&[
            ("SequenceClassifier", Estimator::Classifier),
            ("SequenceRegressor", Estimator::Regressor),
            ("SequenceTagger", Estimator::Tagger),
            ("Transcriber", Estimator::Transcriber),
        ])?;
        let options = header.get("model")?;
        options.get("dtype")?.choice(&[(F::NAME, ())])?;
        // Before names are made, or room for them: a layer has tensors of its own.
        let layers = options.get("num_layers")?.size()?;
        if layers > tensors.len() {
            return Err(Error::value("num_layers", format!("at most the file's {} tensors", tensors.len()), layers));
        }
        let config = model_config(&options)?;
        if config.crf {
            return Err(options.get("crf")?.refusal("false: a chain's best path needs all steps"));
        }
        let each = config.pooling == Pooling::Each;
        let fits = match estimator {
            Estimator::Tagger | Estimator::Transcriber => each,
            Estimator::Classifier => !each,
            Estimator::Regressor => true,
        };
        if !fits {
            return Err(options.get("pooling")?.refusal(format!("that of a {estimator:?}")));
        }
        let (parameters, learnt) = (header.get("parameters")?, header.get("learnt")?);
        let own: &[&str] = match estimator {
            Estimator::Classifier | Estimator::Regressor => &["pooling"],
            Estimator::Tagger => &["crf"],
            Estimator::Transcriber => &[],
        };
        expect_network(own, &parameters, &learnt, &options)?;
        expect_features(&parameters, &learnt)?;
        let found = tensors.tensors(&config.names())?;
        Self::learnt(estimator, Model::from_tensors(config, found)?, &learnt)
    }

    /// What stands around the model.
    fn learnt(estimator: Estimator, model: Model<F>, learnt: &Field<'_>) -> Result<Self> {
        let (inputs, outputs) = (model.config().inputs(), model.config().outputs);
        let labels = match estimator {
            Estimator::Classifier | Estimator::Tagger => outputs,
            Estimator::Transcriber => outputs - 1,
            Estimator::Regressor => 0,
        };
        let (mut classes, mut multilabel) = (vec![], false);
        if estimator != Estimator::Regressor {
            let field = learnt.get("classes_")?;
            let given: Vec<_> = field.items()?.collect();
            classes = given.iter().map(Field::label).collect::<Result<_>>()?;
            expect_rising(&given)?;
            if classes.len() != labels {
                return Err(field.refusal(format!("{labels} labels, as the model has")));
            }
            let several = learnt.maybe("multilabel_").filter(|_| estimator == Estimator::Classifier);
            multilabel = several.map_or(Ok(false), |field| field.flag())?;
            let numbered = |(number, class): (usize, &String)| *class == number.to_string();
            if multilabel && !(labels > 1 && classes.iter().enumerate().all(numbered)) {
                return Err(field.refusal("the numbers of several labels"));
            }
        }
        expect_inputs(learnt, inputs, model.config().vocabulary.is_some())?;
        let vocabulary = model.config().vocabulary.map(|size| Vocabulary::read(learnt, size)).transpose()?;
        let scale = learnt.maybe("scale_").filter(|_| vocabulary.is_none()).map(|field| {
            let (mean, deviation) = moments(&field, inputs)?;
            let factor = |s: f64| 1.0 / if s > 0.0 { s } else { 1.0 };
            Ok((mean, deviation.into_iter().map(factor).collect()))
        });
        let of_targets = learnt.maybe("target_scale_").filter(|_| estimator == Estimator::Regressor);
        let of_targets = of_targets.map(|field| moments(&field, outputs));
        let (scale, target_scale) = (scale.transpose()?, of_targets.transpose()?);
        Ok(Self { estimator, model, classes, multilabel, scale, target_scale, vocabulary })
    }

    /// Puts rows of inputs, one behind the other, into the units that the model was trained in.
    pub fn scaled(&self, rows: &mut [F]) -> Result<()> {
        let inputs = self.model.config().inputs();
        shape::expect_len("rows", rows.len(), &[rows.len() / inputs, inputs])?;
        for row in rows.chunks_exact_mut(inputs) {
            row.iter_mut().enumerate().for_each(|(feature, x)| *x = self.in_units(feature, x.to_f64()));
        }
        Ok(())
    }

    /// The same of inputs in f64, which a high level, such as seconds since 1970, needs; an error if one is beyond F.
    ///
    /// ```
    /// let saved = gru_rs::Saved::<f32>::load("tests/files/turns.safetensors")?;
    /// let (mut wide, mut scaled) = (vec![0.0; 2], [0.5, 1.0]);
    /// saved.scale_into(&[0.5, 1.0], &mut wide)?;
    /// saved.scaled(&mut scaled)?;
    /// assert_eq!(wide, scaled);
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn scale_into(&self, rows: &[f64], scaled: &mut [F]) -> Result<()> {
        let inputs = self.model.config().inputs();
        shape::expect_len("rows", rows.len(), &[rows.len() / inputs, inputs])?;
        shape::expect_len("scaled", scaled.len(), &[rows.len()])?;
        for (to, row) in scaled.chunks_exact_mut(inputs).zip(rows.chunks_exact(inputs)) {
            to.iter_mut().zip(row).enumerate().for_each(|(feature, (to, &x))| *to = self.in_units(feature, x));
        }
        match scaled.iter().position(|x| !x.to_f64().is_finite()) {
            Some(place) => Err(Error::value("rows", format!("numbers that {} can hold", F::NAME), rows[place])),
            None => Ok(()),
        }
    }

    /// x as the model takes it.
    fn in_units(&self, feature: usize, x: f64) -> F {
        units::in_units(self.scale.as_ref(), feature, x)
    }

    /// Makes probabilities of rows of scores, one behind the other.
    pub fn probabilities(&self, scores: &mut [F]) -> Result<()> {
        let columns = self.model.config().outputs;
        shape::expect_len("scores", scores.len(), &[scores.len() / columns, columns])?;
        units::probabilities(self.model.isa(), scores, columns, self.multilabel);
        Ok(())
    }

    /// What a score is of, by its place in a row of them; none for a transcriber's blank.
    pub fn label(&self, place: usize) -> Option<&str> {
        let place = if self.estimator == Estimator::Transcriber { place.checked_sub(1)? } else { place };
        self.classes.get(place).map(String::as_str)
    }

    /// Of a regressor's scores, one row behind the other, what Python's `predict` gives.
    ///
    /// ```
    /// # let saved = gru_rs::Saved::<f32>::load("tests/files/turns.safetensors")?;
    /// assert_eq!(saved.predicted(&[0.5, -1.0])?, [0.5, -1.0]); // had no targets that were scaled
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn predicted(&self, scores: &[F]) -> Result<Vec<f64>> {
        let columns = self.model.config().outputs;
        shape::expect_len("scores", scores.len(), &[scores.len() / columns, columns])?;
        let mut numbers = zeros(scores.len(), "predictions")?;
        units::out_of_units(self.target_scale.as_ref(), columns, scores, &mut numbers);
        Ok(numbers)
    }
}

/// Means, and deviations, which are not negative.
fn moments(field: &Field<'_>, count: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let [mean, deviation] = field.pair()?;
    let (mean, found) = (mean.numbers(count)?, deviation.numbers(count)?);
    expect_deviations(&deviation, &found)?;
    Ok((mean, found))
}
