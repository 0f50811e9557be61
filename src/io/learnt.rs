//! Whether all that a file says of an estimator fits together: its parameters, its network, what was learnt. Python
//! asks the same in `estimators/_learnt.py`. It must not know what is made of it.

use super::header::Field;
use crate::error::Result;
use serde_json::Value;

/// Parameters of estimators that are options of their networks under the same name.
const SHARED: [&str; 10] = [
    "hidden_size",
    "cell",
    "num_layers",
    "bidirectional",
    "reset_after",
    "dropout",
    "input_dropout",
    "output_dropout",
    "variational",
    "dtype",
];

/// Those of `SHARED` that may be left open.
const LEFT_OPEN: [&str; 2] = ["input_dropout", "output_dropout"];

/// The same of a convolution, of which files of before know nothing.
const CONVOLUTION: [&str; 4] = ["conv_channels", "conv_kernel_size", "conv_stride", "conv_activation"];

/// What `token_features="spelling"` tells of a word.
const SPELLING: usize = 4;

/// The parameters that determine the network, a class's own among them, say what its options say.
pub fn expect_network(own: &[&str], parameters: &Field<'_>, learnt: &Field<'_>, options: &Field<'_>) -> Result<()> {
    for name in SHARED.iter().chain(own) {
        let given = parameters.get(name)?;
        // What a parameter leaves open follows from whether sequences are tokens.
        if !(LEFT_OPEN.contains(name) && given.value().is_null()) {
            expect_same(&options.get(name)?, &given)?;
        }
    }
    for name in CONVOLUTION {
        if options.maybe(name).is_some() || parameters.maybe(name).is_some() {
            expect_same(&options.get(name)?, &parameters.get(name)?)?;
        }
    }
    if options.maybe("vocabulary_size").is_none() {
        return Ok(());
    }
    // What the parameter may leave open was learnt.
    let (given, found) = (parameters.maybe("embedding_size"), learnt.maybe("_embedding_size"));
    for size in given.iter().chain(&found) {
        expect_same(&options.get("input_size")?, size)?;
    }
    if given.is_none() && found.is_none() { Err(parameters.get("embedding_size")?.refusal("a size")) } else { Ok(()) }
}

/// Sequences are tokens, or numbers of so many features, as the network takes them.
pub fn expect_inputs(learnt: &Field<'_>, inputs: usize, tokens: bool) -> Result<()> {
    let reads = learnt.get("_reads_tokens")?;
    if reads.flag()? != tokens {
        return Err(reads.refusal(format!("{tokens}, as the network has")));
    }
    let features = learnt.maybe("_features").filter(|_| !tokens);
    match features {
        Some(field) if field.size()? != inputs => Err(field.refusal(format!("{inputs}, as the network has"))),
        _ => Ok(()),
    }
}

/// As many numbers a step as a token, the pair with the one before it, and its features make.
pub fn expect_features(parameters: &Field<'_>, learnt: &Field<'_>) -> Result<()> {
    let Some(field) = learnt.maybe("_per_step") else { return Ok(()) };
    let (per_step, features) = (field.size()?, parameters.get("token_features")?);
    if features.value().is_object() {
        return Ok(()); // a function's, which may be any
    }
    let pairs = learnt.maybe("_analyzer").is_some_and(|analyzer| analyzer.value() == "unspaced");
    let alone = 1 + usize::from(pairs);
    let told = if features.value().is_null() { 0 } else { features.choice(&[("spelling", SPELLING)])? };
    if per_step == alone || per_step == alone + told {
        return Ok(());
    }
    let counts = if told == 0 { alone.to_string() } else { format!("{alone} or {}", alone + told) };
    Err(field.refusal(format!("{counts}, as token_features says")))
}

/// Texts, numbers or truths, each larger than the one before.
pub fn expect_rising(labels: &[Field<'_>]) -> Result<()> {
    let below = |pair: &[Field<'_>]| match (pair[0].value(), pair[1].value()) {
        (Value::String(one), Value::String(other)) => one < other,
        (Value::Bool(one), Value::Bool(other)) => one < other,
        (Value::Number(one), Value::Number(other)) => match (one.as_i128(), other.as_i128()) {
            (Some(one), Some(other)) => one < other,
            _ => one.as_f64() < other.as_f64(),
        },
        _ => false,
    };
    match labels.windows(2).find(|pair| !below(pair)) {
        Some(pair) => Err(pair[1].refusal("labels of one kind in order, each of them once")),
        None => Ok(()),
    }
}

/// Deviations are not negative.
pub fn expect_deviations(field: &Field<'_>, deviations: &[f64]) -> Result<()> {
    if deviations.iter().all(|&s| s >= 0.0) { Ok(()) } else { Err(field.refusal("deviations from 0")) }
}

fn expect_same(option: &Field<'_>, parameter: &Field<'_>) -> Result<()> {
    let same = match (option.value(), parameter.value()) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    };
    if same { Ok(()) } else { Err(option.refusal(format!("{} as the parameters say", parameter.value()))) }
}
