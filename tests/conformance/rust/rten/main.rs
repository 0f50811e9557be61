//! rten, as it reads ONNX.

#[path = "../cases.rs"]
mod cases;

use cases::{Array, Numbers};
use rten::{Model, Value};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;
use std::path::Path;

fn main() {
    cases::main("rten 0.27.0", run);
}

fn run(path: &Path, feeds: Vec<Array>, outputs: &[String]) -> Result<Vec<Array>, String> {
    let model = Model::load_file(path).map_err(|error| error.to_string())?;
    let id = |name: &str| model.node_id(name).map_err(|error| error.to_string());
    let mut given = Vec::new();
    for array in feeds {
        let value: Value = match array.numbers {
            Numbers::Float(numbers) => Tensor::from_data(array.sizes.as_slice(), numbers).into(),
            Numbers::Int(numbers) => Tensor::from_data(array.sizes.as_slice(), numbers).into(),
        };
        given.push((id(&array.name)?, value.into()));
    }
    let wanted = outputs.iter().map(|name| id(name)).collect::<Result<Vec<_>, _>>()?;
    let found = model.run(given, &wanted, None).map_err(|error| error.to_string())?;
    let arrays = found.into_iter().zip(outputs).map(|(value, name)| match value {
        Value::FloatTensor(tensor) => {
            Ok(Array { name: name.clone(), sizes: tensor.shape().to_vec(), numbers: Numbers::Float(tensor.to_vec()) })
        }
        _ => Err(format!("{name} is no tensor of floats")),
    });
    arrays.collect()
}
