//! candle, as candle-onnx evaluates a graph.

#[path = "../cases.rs"]
mod cases;

use candle_core::{Device, Tensor};
use cases::{Array, Numbers};
use std::collections::HashMap;
use std::path::Path;

fn main() {
    cases::main("candle-onnx 0.11.1", |path, feeds, outputs| {
        run(path, feeds, outputs).map_err(|error| error.to_string())
    });
}

fn run(path: &Path, feeds: Vec<Array>, outputs: &[String]) -> candle_core::Result<Vec<Array>> {
    let model = candle_onnx::read_file(path)?;
    let mut given = HashMap::new();
    for array in feeds {
        let tensor = match array.numbers {
            Numbers::Float(numbers) => Tensor::from_vec(numbers, array.sizes, &Device::Cpu)?,
            Numbers::Int(numbers) => Tensor::from_vec(numbers, array.sizes, &Device::Cpu)?,
        };
        given.insert(array.name, tensor);
    }
    let found = candle_onnx::simple_eval(&model, given)?;
    let mut arrays = Vec::new();
    for name in outputs {
        let Some(tensor) = found.get(name) else {
            candle_core::bail!("{name} is not among what came");
        };
        arrays.push(Array {
            name: name.clone(),
            sizes: tensor.dims().to_vec(),
            numbers: Numbers::Float(tensor.flatten_all()?.to_vec1()?),
        });
    }
    Ok(arrays)
}
