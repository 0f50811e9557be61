//! The house rules that a compiler does not see: imports point down, files do not go round in circles, unsafe code and
//! the names of rayon, pyo3 and libm have one room each, files and functions stay small, no word of a caller falls
//! through to a default. `tests/python/test_architecture.py` is the same for the package.
//!
//! The tables below are all there is to change when a room or a file of the base is added. [`rules`] holds each rule as
//! a function of some files; [`planted`] shows each of them a fault in every form that it has to find.

mod planted;
mod rules;
mod scan;
mod tree;

use std::fs;
use std::path::Path;
use tree::{Source, Tree};

/// A room, which is the first part of a path in src, and the rooms below it, which it may use.
pub const ROOMS: [(&str, &[&str]); 12] = [
    ("base", &[]),
    ("simd", &["base"]),
    ("kernels", &["simd", "base"]),
    ("rnn", &["kernels", "simd", "base"]),
    ("nn", &["kernels", "simd", "base"]),
    ("optim", &["rnn", "kernels", "simd", "base"]),
    ("model", &["optim", "nn", "rnn", "kernels", "simd", "base"]),
    ("names", &["model", "optim", "nn", "rnn", "kernels", "simd", "base"]),
    ("io", &["names", "model", "optim", "nn", "rnn", "kernels", "simd", "base"]),
    ("py", &["io", "names", "model", "optim", "nn", "rnn", "kernels", "simd", "base"]),
    ("reference", &["base"]),
    ("lib", &["py", "io", "names", "model", "optim", "nn", "rnn", "kernels", "simd", "base", "reference"]),
];

/// Files and folders at the top of src that are the base.
pub const BASE: [&str; 12] = [
    "bfloat16", "buffer", "dropout", "error", "float", "function", "half", "parallel", "rng", "shape", "text",
    "weights",
];

/// What is not of this crate, and the only room that may name it.
pub const FOREIGN: [(&[&str], &str); 9] = [
    (&["pyo3"], "py"),
    (&["numpy"], "py"),
    (&["std", "arch"], "simd"),
    (&["core", "arch"], "simd"),
    (&["rayon"], "base"),
    (&["serde"], "io"),
    (&["serde_json"], "io"),
    (&["safetensors"], "io"),
    (&["libm"], "reference"),
];

/// The room of unsafe code.
pub const UNSAFE: &str = "simd";

/// The room that may ask the platform's library for exp, tanh and the like, which differ between machines: an oracle
/// has a tolerance. √ and the fused multiply-add are rounded the same everywhere.
pub const LIBM: &str = "reference";

/// The functions meant by that.
pub const PLATFORM: [&str; 28] = [
    "exp", "exp2", "exp_m1", "ln", "ln_1p", "log", "log2", "log10", "powf", "powi", "sin", "cos", "tan", "sin_cos",
    "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "cbrt", "hypot", "gamma",
    "ln_gamma",
];

/// Where words of callers and files come in: a word that is not known is an error there.
pub const BORDER: [&str; 3] = ["names", "io", "py"];

/// Lines of code in a file, without comments and blank lines.
pub const LONGEST_FILE: usize = 400;

/// Lines of code in a function.
pub const LONGEST_FUNCTION: usize = 60;

fn read(folder: &Path, begin: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, begin, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(begin).expect("within").to_str().expect("text").replace('\\', "/");
            found.push(Source { path: name, text: fs::read_to_string(&path).expect("text") });
        }
    }
}

/// The crate as it is.
fn src() -> Tree {
    let begin = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    read(&begin.join("src"), begin, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Tree::new(found)
}

fn expect_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}\n", violations.len(), violations.join("\n"));
}

/// A rule that sees nothing refuses nothing.
#[test]
fn the_test_sees_the_crate() {
    let tree = src();
    assert!(tree.files.len() > 60, "only {} files", tree.files.len());
    let edges = tree.files.iter().flat_map(|file| tree.edges(file)).count();
    assert!(edges > 500, "only {edges} uses");
    let exported = tree.resolve(&["Rnn".to_string()]);
    assert!(exported.is_some_and(|path| path.starts_with("src/rnn/")), "crate::Rnn is {exported:?}");
}

#[test]
fn every_file_has_a_room() {
    expect_none(&rules::rooms(&src()));
}

#[test]
fn imports_point_down() {
    expect_none(&rules::upward(&src()));
}

#[test]
fn files_do_not_use_each_other_in_circles() {
    expect_none(&rules::circles(&src()));
}

#[test]
fn some_names_have_one_room() {
    expect_none(&rules::foreign(&src()));
}

#[test]
fn unsafe_code_has_one_room() {
    expect_none(&rules::unsafe_code(&src()));
}

#[test]
fn every_unsafe_block_says_why() {
    expect_none(&rules::unsafe_without_reason(&src()));
}

#[test]
fn no_library_functions_in_the_numerics() {
    expect_none(&rules::platform(&src()));
}

#[test]
fn no_word_falls_through_to_a_default() {
    expect_none(&rules::default_arms(&src()));
}

#[test]
fn files_say_what_they_are_for() {
    expect_none(&rules::openings(&src()));
}

#[test]
fn files_are_small() {
    expect_none(&rules::long_files(&src()));
}

#[test]
fn functions_are_small() {
    expect_none(&rules::long_functions(&src()));
}
