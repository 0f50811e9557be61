//! The least that a program needs to stream a saved model: a step a line on standard input, a line of scores for each.
//!
//!     cargo run --example stream_file --features files -- model.safetensors < steps.tsv
//!
//! A step is numbers, or tokens, with tabs between them. With `--probabilities` the scores are made probabilities, and
//! with `--bits` numbers are shown as their bits in hexadecimal, which `tests/python/test_rust_files.py` compares with
//! Python's.

use gru_rs::{ModelStream, Numbers, Saved};
use std::error::Error;
use std::io::{self, BufRead, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.last().ok_or("expected [--bits] [--probabilities] MODEL.safetensors")?;
    let saved = Saved::<f32>::load(path)?;
    let mut stream = ModelStream::new(&saved.model, 1)?;
    let mut scores = vec![0.0; saved.model.config().outputs];
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let cells = line.split('\t');
        if let Some(vocabulary) = &saved.vocabulary {
            let tokens: Vec<u32> = cells.map(|token| vocabulary.number(&token.into())).collect();
            stream.steps(Numbers::Tokens(&tokens), 1, &mut scores)?;
        } else {
            let mut row = cells.map(str::parse).collect::<Result<Vec<f32>, _>>()?;
            saved.scaled(&mut row)?;
            stream.steps(Numbers::Floats(&row), 1, &mut scores)?;
        }
        let asked = |option: &str| arguments.iter().any(|argument| argument == option);
        let bits = asked("--bits");
        if asked("--probabilities") {
            saved.probabilities(&mut scores)?;
        }
        let shown = scores.iter().map(|x| if bits { format!("{:08x}", x.to_bits()) } else { x.to_string() });
        writeln!(out, "{}", shown.collect::<Vec<_>>().join("\t"))?;
    }
    Ok(())
}
