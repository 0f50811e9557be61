//! Files of fitted estimators: those that Python wrote, and hostile ones, of which none may panic. Against Python's own
//! scores `tests/python/test_rust_files.py` compares them.

use gru_rs::{Dispatch, Error, Estimator, Inputs, Model, ModelStream, Numbers, Saved, Tensor, Width};
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TURNS: &[u8] = include_bytes!("files/turns.safetensors");
const WORDS: &[u8] = include_bytes!("files/words.safetensors");

/// A file in parts that a test can change.
#[derive(Clone)]
struct Parts {
    header: Value,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Parts {
    fn of(file: &[u8]) -> Self {
        let (_, metadata) = safetensors::SafeTensors::read_metadata(file).unwrap();
        let header = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["gru_rs"]).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
        let own = |(name, view): (String, TensorView<'_>)| {
            (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        };
        Self { header, tensors: tensors.tensors().into_iter().map(own).collect() }
    }

    /// With the sum that Python writes.
    fn summed(&self) -> Vec<u8> {
        let text = self.with("/checksum", json!("crc32")).header.to_string();
        let mut covered = text.clone().into_bytes();
        for (name, (dtype, shape, data)) in &self.tensors {
            covered.extend(format!("\n{name} {dtype:?} {shape:?}\n").bytes());
            covered.extend(data);
        }
        self.written([("gru_rs", text), ("gru_rs_checksum", format!("crc32:{:08x}", crc32(&covered)))])
    }

    fn bytes(&self) -> Vec<u8> {
        self.written([("gru_rs", self.header.to_string())])
    }

    fn written<const N: usize>(&self, metadata: [(&str, String); N]) -> Vec<u8> {
        let views = self
            .tensors
            .iter()
            .map(|(name, (dtype, shape, data))| (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
        let metadata = metadata.into_iter().map(|(key, text)| (key.to_string(), text)).collect();
        safetensors::serialize(views, Some(metadata)).unwrap()
    }

    /// With a value of the header replaced.
    fn with(&self, pointer: &str, value: Value) -> Self {
        let mut other = self.clone();
        if pointer == "/checksum" {
            if let Value::Object(entries) = &mut other.header {
                entries.insert("checksum".into(), value);
            }
            return other;
        }
        *other.header.pointer_mut(pointer).unwrap() = value;
        other
    }

    /// With one more of what was learnt.
    fn learnt(&self, name: &str, value: Value) -> Self {
        let mut other = self.clone();
        other.header["learnt"][name] = value;
        other
    }

    /// With an option of the network and the parameter of that name replaced.
    fn sized(&self, name: &str, value: Value) -> Self {
        self.with(&format!("/model/{name}"), value.clone()).with(&format!("/parameters/{name}"), value)
    }

    /// With the model's weights in place of its own, as `gru_rs._quantize.to_tensors` writes them.
    fn holding<F: Dispatch>(&self, model: &Model<F>) -> Self {
        let mut other = self.sized("dtype", json!(F::NAME));
        other.tensors.clear();
        for ((name, _, shape), part) in model.config().names().into_iter().zip(model.tensors().unwrap()) {
            match part {
                Tensor::Float(numbers) => other.insert(name, shape, &numbers),
                Tensor::Int8 { numbers, scales } => {
                    other.insert(format!("{name}.scale"), vec![scales.len()], &scales);
                    other.tensors.insert(name, (Dtype::I8, shape, numbers.iter().map(|&q| q as u8).collect()));
                }
                Tensor::Float16(numbers) => {
                    let bytes = numbers.iter().flat_map(|half| half.0.to_le_bytes()).collect();
                    other.tensors.insert(name, (Dtype::F16, shape, bytes));
                }
                Tensor::Bfloat16(numbers) => {
                    let bytes = numbers.iter().flat_map(|number| number.0.to_le_bytes()).collect();
                    other.tensors.insert(name, (Dtype::BF16, shape, bytes));
                }
            };
        }
        other
    }

    fn insert<F: Dispatch>(&mut self, name: String, shape: Vec<usize>, numbers: &[F]) {
        let of_f32 = |x: &F| (x.to_f64() as f32).to_le_bytes().to_vec();
        let (dtype, bytes) = match F::NAME {
            "float32" => (Dtype::F32, numbers.iter().flat_map(of_f32).collect()),
            _ => (Dtype::F64, numbers.iter().flat_map(|x| x.to_f64().to_le_bytes()).collect()),
        };
        self.tensors.insert(name, (dtype, shape, bytes));
    }

    fn refusal(&self) -> String {
        match Saved::<f32>::from_bytes(&self.bytes()) {
            Err(error @ Error::Value { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn scores<F: Dispatch>(model: &Model<F>) -> Vec<u64> {
    let x: Vec<F> = (0..10).map(|i| F::from_f64(f64::from(i % 7) - 3.0)).collect();
    let inputs = Inputs { numbers: Numbers::Floats(&x), batch: 1, seq: 5, lengths: None, states: &[] };
    let scores = model.scores(&inputs).unwrap();
    let mut stream = ModelStream::new(model, 1).unwrap();
    let mut steps = vec![F::ZERO; 5 * scores.len()];
    stream.steps(inputs.numbers, 5, &mut steps).unwrap();
    assert!(F::same_bits(&scores, &steps[4 * scores.len()..]));
    scores.iter().map(|x| x.to_f64().to_bits()).collect()
}

#[test]
fn float_and_quantized_weights_are_read_as_they_are() {
    fn check<F: Dispatch>() {
        let parts = Parts::of(TURNS);
        let whole = Model::<F>::new(Saved::<f32>::from_bytes(TURNS).unwrap().model.config().clone()).unwrap();
        for width in [None, Some(Width::Int8), Some(Width::Float16), Some(Width::Bfloat16)] {
            let model = width.map_or_else(|| whole.duplicate(), |width| whole.quantized(width).unwrap());
            let saved = Saved::<F>::from_bytes(&parts.holding(&model).bytes()).unwrap();
            assert_eq!((saved.model.width(), saved.model.bytes()), (width, model.bytes()));
            assert_eq!(scores(&saved.model), scores(&model));
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn what_training_goes_on_from_is_passed_over() {
    let (mut parts, expected) = (Parts::of(TURNS), summary(&Saved::from_bytes(TURNS).unwrap()));
    for name in ["training.mean", "training.square"] {
        parts.tensors.insert(name.into(), (Dtype::F32, vec![3], vec![1; 12]));
    }
    assert_eq!(summary(&Saved::from_bytes(&parts.summed()).unwrap()), expected);
    // It counts for the sum, and not for the layers that there may be.
    let sized = parts.sized("num_layers", json!(parts.tensors.len()));
    let error = Saved::<f32>::from_bytes(&sized.summed()).unwrap_err().to_string();
    assert!(error.starts_with("num_layers: expected at most the file's"), "{error}");
    let mut file = parts.summed();
    *file.last_mut().unwrap() ^= 1;
    let error = Saved::<f32>::from_bytes(&file).unwrap_err().to_string();
    assert!(error.contains("it is damaged"), "{error}");
}

#[test]
fn what_stands_around_the_model() {
    let saved = Saved::<f32>::from_bytes(TURNS).unwrap();
    let (mean, factor) = saved.scale.clone().unwrap();
    let learnt = &Parts::of(TURNS).header["learnt"]["scale_"]["tuple"];
    let number = |place: usize, i: usize| learnt[place]["array"]["list"][i].as_f64().unwrap();
    let mut row = [3.0, 4.0, 5.0, 6.0];
    saved.scaled(&mut row).unwrap();
    for i in 0..4 {
        let (m, f) = (number(0, i % 2), 1.0 / number(1, i % 2));
        assert_eq!((mean[i % 2], factor[i % 2]), (m, f));
        assert_eq!(row[i], ((3.0 + i as f64 - m) * f) as f32);
    }
    // A level of 10⁹ has no digits behind it in f32.
    let (level, mut scaled) = ([1e9 + 0.25, 4.0], [0.0; 2]);
    saved.scale_into(&level, &mut scaled).unwrap();
    assert_eq!(scaled[0], ((level[0] - number(0, 0)) / number(1, 0)) as f32);
    assert!(saved.scale_into(&level, &mut [0.0; 3]).is_err());
    assert!(
        saved.scale_into(&[1e200, 0.0], &mut scaled).unwrap_err().to_string().contains("numbers that float32 can hold")
    );
    assert!(saved.scaled(&mut [0.0; 3]).is_err() && saved.probabilities(&mut [0.0; 3]).is_err());
    let mut scores = [1.0, 1.0, 0.0, 1000.0];
    saved.probabilities(&mut scores).unwrap();
    assert_eq!(scores, [0.5, 0.5, 0.0, 1.0]);
    assert_eq!((saved.label(0), saved.label(2)), (Some("left"), None));

    let saved = Saved::<f32>::from_bytes(WORDS).unwrap();
    assert_eq!(saved.classes, ["0", "1"]);
    assert!(saved.scale.is_none() && saved.vocabulary.unwrap().per_step() == 1);
}

#[test]
fn other_classes() {
    let parts = Parts::of(TURNS);
    let array = |numbers: &[f64]| json!({"array": {"list": numbers}, "dtype": "<f8"});
    let mut regressor = parts.with("/estimator", json!("SequenceRegressor"));
    regressor.header["learnt"]["target_scale_"] = json!({"tuple": [array(&[1.0, 2.0]), array(&[0.5, 3.0])]});
    let saved = Saved::<f32>::from_bytes(&regressor.bytes()).unwrap();
    assert_eq!(saved.predicted(&[4.0, -2.0]).unwrap(), [3.0, -4.0]);
    assert!(saved.classes.is_empty());

    let each = parts.with("/model/pooling", json!("each"));
    let mut tagger = each.with("/estimator", json!("SequenceTagger"));
    tagger.header["parameters"]["crf"] = json!(false);
    assert_eq!(Saved::<f32>::from_bytes(&tagger.bytes()).unwrap().estimator, Estimator::Tagger);
    let one = json!({"array": {"list": [7]}, "dtype": "<i8"});
    let transcriber = each.with("/estimator", json!("Transcriber")).with("/learnt/classes_", one);
    let saved = Saved::<f32>::from_bytes(&transcriber.bytes()).unwrap();
    assert_eq!((saved.label(0), saved.label(1)), (None, Some("7")));

    let chain = tagger.sized("crf", json!(true)).refusal();
    assert!(chain.starts_with("metadata.model.crf: expected false"), "{chain}");
    let other = parts.with("/estimator", json!("LanguageModel")).refusal();
    assert!(other.starts_with("metadata.estimator: expected one of SequenceClassifier, "), "{other}");
}

#[test]
fn errors_name_what_is_wrong() {
    let parts = Parts::of(TURNS);
    let nan = json!({"tuple": [{"array": {"list": [null, 1.0]}}, {"array": {"list": [1.0, 1.0]}}]});
    let negative = json!({"tuple": [{"array": {"list": [0.5, 1.0]}}, {"array": {"list": [1.0, -1.0]}}]});
    for (pointer, value, expected) in [
        ("/format_version", json!(2), "metadata.format_version: expected 1; a newer gru-rs may be needed, got 2"),
        ("/model/dtype", json!("float64"), "metadata.model.dtype: expected one of float32, got \"float64\""),
        ("/model/cell", json!("rnn"), "metadata.model.cell: expected one of gru, lstm, got \"rnn\""),
        ("/model/pooling", json!("each"), "metadata.model.pooling: expected that of a Classifier, got \"each\""),
        ("/model/hidden_size", json!(-1), "metadata.model.hidden_size: expected an integer of 0 or more, got -1"),
        ("/model/hidden_size", json!(0), "hidden_size: expected a positive integer, got 0"),
        ("/model/hidden_size", json!(4), "rnn.weight_ih_l0: expected a tensor of shape [12, 2], got [9, 2]"),
        ("/model/hidden_size", json!(1u64 << 62), "hidden_size"),
        (
            "/model/num_layers",
            json!(1u64 << 40),
            "num_layers: expected at most the file's 6 tensors, got 1099511627776",
        ),
        ("/model/vocabulary_size", json!(9), "metadata.model.input_size: expected 64 as the parameters say, got 2"),
        ("/learnt/_reads_tokens", json!(true), "metadata.learnt._reads_tokens: expected false, as the network has"),
        ("/learnt/_features", json!(3), "metadata.learnt._features: expected 2, as the network has, got 3"),
        ("/model/dropout", json!(null), "metadata.model.dropout: expected a finite number, got null"),
        ("/model", json!([]), "metadata.model.dtype: expected a value, got none"),
        ("/learnt/scale_", nan, "metadata.learnt.scale_[0][0]: expected a finite number, got null"),
        ("/learnt/scale_", negative, "metadata.learnt.scale_[1]: expected deviations from 0"),
        (
            "/learnt/classes_",
            json!(["right", "left"]),
            "metadata.learnt.classes_[1]: expected labels of one kind in order",
        ),
        ("/learnt/classes_", json!(["left", 3]), "metadata.learnt.classes_[1]: expected labels of one kind in order"),
        ("/learnt/classes_", json!([3, 3]), "metadata.learnt.classes_[1]: expected labels of one kind in order"),
        ("/learnt/scale_", json!({"tuple": [1]}), "metadata.learnt.scale_: expected a pair, got an object"),
        (
            "/learnt/classes_",
            json!(["left"]),
            "metadata.learnt.classes_: expected 2 labels, as the model has, got a list",
        ),
        (
            "/learnt/classes_",
            json!([{}, {}]),
            "metadata.learnt.classes_[0]: expected a text or a number, got an object",
        ),
    ] {
        let both = pointer.strip_prefix("/model/").filter(|name| parts.header["parameters"].get(name).is_some());
        let got = both.map_or_else(|| parts.with(pointer, value.clone()), |name| parts.sized(name, value.clone()));
        let got = got.refusal();
        assert!(got.contains(expected), "{got}\n{expected}");
    }
    for (parameter, value) in [("hidden_size", json!(4)), ("cell", json!("lstm")), ("pooling", json!("mean"))] {
        let got = parts.with(&format!("/parameters/{parameter}"), value.clone()).refusal();
        assert!(got.contains(&format!("{parameter}: expected {value} as the parameters say")), "{got}");
    }
    let words = Parts::of(WORDS);
    let (one, twice) = (json!({"dict": [["day", 99]]}), json!({"dict": [["day", 1], ["good", 1]]}));
    let few = json!({"dict": [["day", 1], ["good", 2]]});
    let got = words.with("/learnt/_per_step", json!(2)).refusal();
    assert_eq!(got, "metadata.learnt._per_step: expected 1, as token_features says, got 2");
    // What Python may leave open: how texts are read, how much is dropped, and how large embeddings are.
    let paired = words.with("/learnt/_per_step", json!(2)).learnt("_analyzer", json!("unspaced"));
    assert_eq!(Saved::<f32>::from_bytes(&paired.bytes()).unwrap().vocabulary.unwrap().per_step(), 2);
    for (name, refused) in [("input_dropout", false), ("output_dropout", false), ("dropout", true)] {
        let left = words.with(&format!("/parameters/{name}"), json!(null));
        assert_eq!(Saved::<f32>::from_bytes(&left.bytes()).is_err(), refused, "{name}");
    }
    let open = words.with("/parameters/embedding_size", json!(null));
    assert!(open.refusal().ends_with("metadata.parameters.embedding_size: expected a size, got null"));
    assert!(Saved::<f32>::from_bytes(&open.learnt("_embedding_size", json!(2)).bytes()).is_ok());
    let got = open.learnt("_embedding_size", json!(3)).refusal();
    assert!(got.ends_with("input_size: expected 3 as the parameters say, got 2"), "{got}");
    for (vocabulary, expected) in [
        (one, "[0][1]: expected a number from 1 to below 7, each of them once, got 99"),
        (twice, "[1][1]: expected a number from 1 to below 7, each of them once, got 1"),
        (few, "vocabulary_: expected 6 tokens that differ, as the network has, got an object"),
    ] {
        let got = words.with("/learnt/vocabulary_", vocabulary).refusal();
        assert!(got.ends_with(expected), "{got}");
    }

    let saved = Saved::<f32>::from_bytes(TURNS).unwrap();
    let quantized = parts.holding(&saved.model.quantized(Width::Int8).unwrap());
    let change = |work: &dyn Fn(&mut Parts)| {
        let mut other = quantized.clone();
        work(&mut other);
        other.refusal()
    };
    let name = "rnn.weight_hh_l0";
    let nan = f32::NAN.to_le_bytes();
    for (got, expected) in [
        (change(&|p| p.tensors.get_mut(name).unwrap().2[5] = 0x80), "rnn.weight_hh_l0: expected bytes of -127 to 127"),
        (
            change(&|p| p.tensors.get_mut("head.weight.scale").unwrap().2[..4].copy_from_slice(&nan)),
            "head.weight.scale: expected finite numbers, got NaN",
        ),
        (change(&|p| drop(p.tensors.remove("head.weight.scale"))), "head.weight.scale: expected a tensor of shape [2]"),
        (change(&|p| drop(p.tensors.remove("head.bias"))), "head.bias: expected a tensor of shape [2], got none"),
        (change(&|p| p.insert("extra".into(), vec![1], &[0f32])), "extra: expected no tensor that the model does not"),
        (change(&|p| p.insert("head.bias".into(), vec![2], &[0f64; 2])), "head.bias: expected numbers of float32"),
        (
            change(&|p| drop(p.tensors.insert("head.bias".into(), (Dtype::I8, vec![2], vec![0; 2])))),
            "head.bias: expected numbers of float32, or a matrix of int8, float16 or bfloat16, got I8",
        ),
    ] {
        assert!(got.starts_with(expected), "{got}\n{expected}");
    }
}

#[test]
fn no_file_of_ours() {
    let plain = safetensors::serialize(BTreeMap::<String, TensorView<'_>>::new(), None).unwrap();
    for (file, expected) in [
        (&plain[..], "file: expected a model saved by gru_rs, got a safetensors file without its metadata"),
        (b"", "file: expected a whole safetensors file, got 0 bytes"),
        (&[0xff; 40], "file: expected a whole safetensors file, got 40 bytes"),
        (
            &TURNS[..TURNS.len() - 1],
            "file: expected a whole safetensors file, got 283 bytes of tensors where there are 284",
        ),
    ] {
        assert_eq!(Saved::<f32>::from_bytes(file).unwrap_err().to_string(), expected);
    }
    let path = std::env::temp_dir().join(format!("gru-rs-{}.safetensors", std::process::id()));
    std::fs::write(&path, b"nothing").unwrap();
    let error = Saved::<f32>::load(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(error, Error::File { ref file, .. } if *file == path.display().to_string()), "{error}");
    let error = Saved::<f32>::load(std::env::temp_dir()).unwrap_err().to_string();
    assert!(error.ends_with("expected a regular file, got another kind"), "{error}");
    // A hole of five gigabytes; and what has no end, or waits for a writer.
    std::fs::File::create(&path).unwrap().set_len(5 << 30).unwrap();
    let error = Saved::<f32>::load(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(error.ends_with("expected at most 4294967296 bytes, got 5368709120"), "{error}");
    #[cfg(unix)]
    {
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let waiting = Saved::<f32>::load(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(waiting.is_err() && Saved::<f32>::load("/dev/zero").is_err());
    }
}

/// Tensors whose sizes together are more than there are numbers for.
#[test]
fn sizes_that_overflow() {
    let most = (1u64 << 61) - 1;
    let tensors = (0..8).map(|i| {
        let at = i * most;
        format!(r#""{i}":{{"dtype":"U8","shape":[{most}],"data_offsets":[{at},{}]}}"#, at + most)
    });
    let rest = format!(r#""last":{{"dtype":"U8","shape":[7],"data_offsets":[{},{}]}}"#, 8 * most, u64::MAX);
    let header = format!("{{{},{rest}}}", tensors.collect::<Vec<_>>().join(","));
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let error = Saved::<f32>::from_bytes(&file).unwrap_err().to_string();
    assert!(error.contains("got 0 bytes of tensors where there are 18446744073709551615"), "{error}");
}

/// CRC-32 bit by bit, as it is defined.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |rest: u32, _| if rest & 1 == 1 { 0xedb8_8320 ^ (rest >> 1) } else { rest >> 1 };
    !bytes.iter().fold(!0, |rest, &byte| (0..8).fold(rest ^ u32::from(byte), step))
}

/// All that a file says, as bits where they are numbers.
fn summary(saved: &Saved<f32>) -> String {
    let config = saved.model.config();
    let tokens = ["a", "good", "film", "bad", "day", "what"];
    let vocabulary = saved.vocabulary.as_ref().map(|v| (tokens.map(|token| v.number(&token.into())), v.per_step()));
    let weights: Vec<_> = saved.model.flat().iter().map(|x| x.to_bits()).collect();
    format!("{:?} {config:?} {weights:?} {:?} {:?} {vocabulary:?}", saved.estimator, saved.classes, saved.scale)
}

#[test]
fn each_byte_counts() {
    for file in [TURNS, WORDS] {
        let parts = Parts::of(file);
        let (whole, read) = (parts.summed(), |file: &[u8]| Saved::<f32>::from_bytes(file));
        let expected = summary(&read(&whole).unwrap());
        for at in 0..whole.len() {
            for change in [1, 0x20, 0xff] {
                let mut other = whole.clone();
                other[at] ^= change;
                if let Ok(saved) = read(&other) {
                    assert_eq!(summary(&saved), expected, "byte {at} ^ {change}");
                }
            }
        }
        let mut damaged = parts.clone();
        let (_, _, data) = damaged.tensors.get_mut("head.bias").unwrap();
        data[0] ^= 1;
        let other = damaged.summed();
        assert!(read(&other).is_ok());
        let mut whole = whole;
        let at = whole.len() - 1;
        whole[at] ^= 1;
        let error = read(&whole).unwrap_err().to_string();
        assert!(error.starts_with("file: expected the checksum crc32:") && error.ends_with("it is damaged"), "{error}");
    }
}

#[test]
fn a_name_that_comes_twice() {
    let twice = Parts::of(TURNS).header.to_string().replace("\"dropout\":", "\"dropout\":0.5,\"dropout\":");
    let file = Parts::of(TURNS).written([("gru_rs", twice)]);
    let error = Saved::<f32>::from_bytes(&file).unwrap_err().to_string();
    assert!(error.contains("\"dropout\" twice"), "{error}");
}

/// Every value of a header, as a path to it.
fn pointers(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.into());
    let mut inside = |name: String, value| pointers(value, &format!("{path}/{name}"), found);
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| inside(i.to_string(), item)),
        Value::Object(entries) => {
            entries.iter().for_each(|(name, item)| inside(name.replace('~', "~0").replace('/', "~1"), item));
        }
        _ => {}
    }
}

fn run(saved: &Saved<f32>) {
    let config = saved.model.config();
    let mut scores = vec![0.0; config.outputs];
    let per_step = saved.vocabulary.as_ref().map(|vocabulary| vocabulary.per_step());
    let (row, tokens) = (vec![1.0; config.inputs()], vec![1; per_step.unwrap_or(1)]);
    let numbers = if per_step.is_some() { Numbers::Tokens(&tokens) } else { Numbers::Floats(&row) };
    if let Ok(mut stream) = ModelStream::new(&saved.model, 1) {
        stream.steps(numbers, 1, &mut scores).unwrap();
        saved.probabilities(&mut scores).unwrap();
        saved.predicted(&scores).unwrap();
    }
}

/// Each value in turn is left out or becomes another, with a sum that is right: an error, or what can be run.
#[test]
fn headers_that_were_edited() {
    let (mut opened, mut tried) = (0, 0);
    for file in [TURNS, WORDS] {
        let parts = Parts::of(file);
        let mut all = vec![];
        pointers(&parts.header, "", &mut all);
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1),
            json!(2),
            json!(0.5),
            json!(1u64 << 40),
            json!(u64::MAX),
            json!("x"),
            json!([]),
            json!({}),
            json!({"list": [1, 2]}),
            json!({"dict": [["x", 1]]}),
            json!({"tuple": [{"array": {"list": []}, "dtype": "<f8"}, {"array": {"list": []}, "dtype": "<f8"}]}),
        ];
        for pointer in &all {
            let mut files: Vec<_> = values.iter().map(|value| parts.with(pointer, value.clone())).collect();
            if let Some((parent, name)) = pointer.rsplit_once('/') {
                let mut other = parts.clone();
                match other.header.pointer_mut(parent).unwrap() {
                    Value::Object(entries) => drop(entries.remove(&name.replace("~1", "/").replace("~0", "~"))),
                    Value::Array(items) => drop(items.remove(name.parse().unwrap())),
                    _ => unreachable!(),
                }
                files.push(other);
            }
            for file in files {
                tried += 1;
                match Saved::<f32>::from_bytes(&file.summed()) {
                    Ok(saved) => {
                        opened += 1;
                        run(&saved);
                    }
                    Err(Error::Value { .. }) => {}
                    Err(other) => panic!("{pointer}: {other:?}"),
                }
            }
        }
    }
    println!("{opened} of {tried} opened");
    assert!(opened > 0 && opened < tried);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cut_files_are_refused(words in any::<bool>(), at in any::<prop::sample::Index>()) {
        let file = if words { WORDS } else { TURNS };
        prop_assert!(Saved::<f32>::from_bytes(&file[..at.index(file.len())]).is_err());
    }

    /// What can be read can also be run.
    #[test]
    fn bytes_that_changed(
        quantized in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let whole = Saved::<f32>::from_bytes(TURNS).unwrap();
        let mut file = if quantized {
            Parts::of(TURNS).holding(&whole.model.quantized(Width::Int8).unwrap()).bytes()
        } else {
            TURNS.to_vec()
        };
        for (at, byte) in changes {
            let len = file.len();
            file[at.index(len)] = byte;
        }
        if let Ok(saved) = Saved::<f32>::from_bytes(&file) {
            let config = saved.model.config();
            let mut scores = vec![0.0; config.outputs];
            let row = vec![1.0; config.inputs()];
            if let Ok(mut stream) = ModelStream::new(&saved.model, 1) {
                stream.steps(Numbers::Floats(&row), 1, &mut scores).unwrap();
            }
        }
    }
}
