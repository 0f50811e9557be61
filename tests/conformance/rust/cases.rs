//! Cases and answers as files, as `protocol.py` says, and the loop over them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The numbers of an array.
pub enum Numbers {
    Float(Vec<f32>),
    Int(Vec<i32>),
}

/// An array with its name and sizes.
pub struct Array {
    pub name: String,
    pub sizes: Vec<usize>,
    pub numbers: Numbers,
}

type Answer = Result<Vec<Array>, String>;

/// Runs the cases that the command line names; `--version` prints the version.
pub fn main(version: &str, run: impl Fn(&Path, Vec<Array>, &[String]) -> Answer) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--version"] {
        println!("{version}");
        return;
    }
    let (cases, answers) = (Path::new(&arguments[0]), Path::new(&arguments[1]));
    for name in &arguments[2..] {
        let folder = cases.join(name);
        fs::write(answers.join(format!("{name}.begun")), "").unwrap();
        let found = inputs(&folder).and_then(|feeds| {
            let outputs = fs::read_to_string(folder.join("outputs.txt")).unwrap();
            let outputs: Vec<String> = outputs.lines().map(String::from).collect();
            // A panic is a library's way to refuse, too.
            catch_unwind(AssertUnwindSafe(|| run(&folder.join("model.onnx"), feeds, &outputs))).unwrap_or_else(
                |panic| {
                    let text = panic.downcast_ref::<String>().cloned();
                    let text = text.or(panic.downcast_ref::<&str>().map(|text| text.to_string()));
                    Err(format!("panic: {}", text.unwrap_or_default()))
                },
            )
        });
        match found {
            Ok(arrays) => put(answers, name, &arrays),
            Err(text) => {
                let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let line: String = line.chars().take(300).collect();
                fs::write(answers.join(format!("{name}.error")), line).unwrap();
            }
        }
    }
}

fn inputs(folder: &Path) -> Answer {
    let lines = fs::read_to_string(folder.join("inputs.txt")).unwrap();
    let arrays = lines.lines().enumerate().map(|(k, line)| {
        let mut words = line.split(' ');
        let (name, dtype) = (words.next().unwrap().to_string(), words.next().unwrap());
        let sizes = words.map(|word| word.parse().unwrap()).collect();
        let bytes = fs::read(folder.join(format!("in_{k}.bin"))).unwrap();
        let fours = bytes.chunks_exact(4).map(|four| four.try_into().unwrap());
        let numbers = match dtype {
            "float32" => Numbers::Float(fours.map(f32::from_le_bytes).collect()),
            "int32" => Numbers::Int(fours.map(i32::from_le_bytes).collect()),
            other => return Err(format!("no {other} among its numbers")),
        };
        Ok(Array { name, sizes, numbers })
    });
    arrays.collect()
}

fn put(answers: &Path, name: &str, arrays: &[Array]) {
    let mut lines = Vec::new();
    for (k, array) in arrays.iter().enumerate() {
        let (dtype, bytes): (_, Vec<u8>) = match &array.numbers {
            Numbers::Float(numbers) => ("float32", numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Numbers::Int(numbers) => ("int32", numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
        };
        fs::write(answers.join(format!("{name}_{k}.bin")), bytes).unwrap();
        let sizes = array.sizes.iter().map(usize::to_string);
        lines.push([dtype.to_string()].into_iter().chain(sizes).collect::<Vec<_>>().join(" "));
    }
    fs::write(answers.join(format!("{name}.txt")), lines.join("\n")).unwrap();
}
