//! Each rule finds the fault that it is for, in every form that the fault can take, and nothing in a tree without one.

use crate::rules;
use crate::tree::{Source, Tree};

/// A small crate without faults.
const CLEAN: [(&str, &str); 11] = [
    (
        "src/lib.rs",
        "//! A crate.\nmod error;\nmod kernels;\nmod model;\nmod rnn;\npub use error::Error;\npub use model::Net as Whole;\n",
    ),
    ("src/error.rs", "//! Errors.\npub struct Error;\n"),
    ("src/parallel.rs", "//! Threads.\npub fn all() {\n    rayon::join(|| (), || ());\n}\n"),
    ("src/simd/mod.rs", "//! Unsafe.\nmod scalar;\npub use scalar::Scalar;\npub trait Simd {}\n"),
    (
        "src/simd/scalar.rs",
        "//! One number.\nuse super::Simd;\nuse std::arch::x86_64::*;\npub struct Scalar;\nimpl Simd for Scalar {}\n\
         fn first(x: &[f32]) -> f32 {\n    // SAFETY: there is one.\n    unsafe { *x.get_unchecked(0) }\n}\n",
    ),
    (
        "src/kernels/mod.rs",
        "//! Kernels: `x.exp()` of crate::model::Net is no code.\nmod gates;\nmod squash;\npub use gates::Gates;\n",
    ),
    (
        "src/kernels/gates.rs",
        "//! Gates.\nuse super::squash::exp;\nuse crate::{error::{self, Error}, simd};\n\
         pub struct Gates(simd::Scalar, Error);\nfn of(x: f32) -> f32 {\n    exp(x).sqrt().mul_add(x, f32::EPSILON)\n}\n",
    ),
    ("src/kernels/squash.rs", "//! Squash.\npub fn exp(x: f32) -> f32 {\n    x\n}\n"),
    ("src/rnn/mod.rs", "//! Time.\npub struct Rnn(crate::kernels::Gates, crate::Error);\n"),
    ("src/model/mod.rs", "//! Models.\nuse crate::rnn::Rnn;\npub struct Net(pub Rnn);\n"),
    (
        "src/py/mod.rs",
        "//! Python.\nuse pyo3::prelude::*;\nfn cell(name: &str) -> Result<u8, ()> {\n    match name {\n        \
         \"gru\" => Ok(1),\n        other => return Err(refuse(other)),\n    }\n}\n",
    ),
];

/// The clean crate with a file more, or another.
fn with(path: &str, text: &str) -> Tree {
    with_all(&[(path, text)])
}

fn with_all(planted: &[(&str, &str)]) -> Tree {
    let kept = CLEAN.iter().filter(|(path, _)| planted.iter().all(|(other, _)| other != path));
    let source = |(path, text): &(&str, &str)| Source { path: (*path).into(), text: (*text).into() };
    Tree::new(kept.chain(planted).map(source).collect())
}

#[test]
fn a_clean_tree_passes() {
    let tree = with_all(&[]);
    let rules = [
        rules::rooms,
        rules::upward,
        rules::circles,
        rules::foreign,
        rules::unsafe_code,
        rules::unsafe_without_reason,
        rules::platform,
        rules::default_arms,
        rules::openings,
        rules::long_files,
        rules::long_functions,
    ];
    for rule in rules {
        assert_eq!(rule(&tree), [""; 0]);
    }
}

#[test]
fn a_file_of_no_room() {
    assert_eq!(rules::rooms(&with("src/attic/box.rs", "//! Old.\n")), ["src/attic/box.rs:1: belongs to no room"]);
}

/// An upward use in `src/kernels/gates.rs`, whose third line it is in.
fn upward(line: &str, expected: &[&str]) {
    let tree = with("src/kernels/gates.rs", &format!("//! Gates.\npub struct Gates;\n{line}\n"));
    let expected: Vec<_> =
        expected.iter().map(|one| format!("src/kernels/gates.rs:3: kernels must not use {one}")).collect();
    assert_eq!(rules::upward(&tree), expected, "{line}");
}

#[test]
fn upward_by_use() {
    upward("use crate::model::Net;", &["model: crate::model::Net"]);
    upward("use crate::model;", &["model: crate::model"]);
    upward("use crate::model::*;", &["model: crate::model::*"]);
    upward("use crate::model::Net as Gate;", &["model: crate::model::Net"]);
    upward("fn f() { use crate::model::Net; }", &["model: crate::model::Net"]);
}

#[test]
fn upward_by_nested_braces() {
    upward(
        "use crate::{error::{self, Error}, rnn::{self, Rnn}, model::{Net}};",
        &["rnn: crate::rnn", "rnn: crate::rnn::Rnn", "model: crate::model::Net"],
    );
}

#[test]
fn upward_by_super_and_self() {
    upward("use super::super::model::Net;", &["model: super::super::model::Net"]);
    upward("use self::super::super::model::Net;", &["model: self::super::super::model::Net"]);
    upward("mod tests { use super::super::super::model::Net; }", &["model: super::super::super::model::Net"]);
    let tree = with("src/error.rs", "//! Errors.\npub struct Error(super::model::Net);\n");
    assert_eq!(rules::upward(&tree), ["src/error.rs:2: base must not use model: super::model::Net"]);
    let tree = with("src/error.rs", "//! Errors.\npub struct Error;\nuse super::Whole;\n");
    assert_eq!(rules::upward(&tree), ["src/error.rs:3: base must not use model: super::Whole"]);
}

#[test]
fn upward_by_inline_paths() {
    upward("fn f(x: &crate::model::Net) {}", &["model: crate::model::Net"]);
    upward("fn f() { crate::model::Net::new() }", &["model: crate::model::Net::new"]);
    upward("fn f() { assert!(matches!(x, crate::model::Net(_))); }", &["model: crate::model::Net"]);
    upward("macro_rules! f { () => { $crate::model::Net }; }", &["model: crate::model::Net"]);
    upward("use crate as all; fn f(x: all::model::Net) {}", &["model: all::model::Net"]);
}

#[test]
fn upward_by_re_exports() {
    upward("use crate::Whole;", &["model: crate::Whole"]);
    upward("fn f(x: crate::Whole) {}", &["model: crate::Whole"]);
    upward("use crate::{Error, Whole as Gate};", &["model: crate::Whole"]);
    // The door itself, and whoever goes through it.
    let door = (
        "src/kernels/mod.rs",
        "//! Kernels.\nmod gates;\nmod squash;\npub use gates::Gates;\npub use crate::model::Net;\n",
    );
    let caller = ("src/simd/scalar.rs", "//! One number.\npub struct Scalar(crate::kernels::Net);\n");
    assert_eq!(
        rules::upward(&with_all(&[door, caller])),
        [
            "src/kernels/mod.rs:5: kernels must not use model: crate::model::Net",
            "src/simd/scalar.rs:2: simd must not use model: crate::kernels::Net",
        ]
    );
    let door = ("src/lib.rs", "//! A crate.\npub use model::*;\n");
    let caller = ("src/rnn/mod.rs", "//! Time.\npub struct Rnn;\nuse crate::Net;\n");
    assert_eq!(rules::upward(&with_all(&[door, caller])), ["src/rnn/mod.rs:3: rnn must not use model: crate::Net"]);
}

#[test]
fn the_reference_stands_alone() {
    let tree = with_all(&[
        ("src/reference/mod.rs", "//! Plain.\nuse crate::kernels::Gates;\npub struct Kind;\n"),
        ("src/model/mod.rs", "//! Models.\nuse crate::rnn::Rnn;\npub struct Net(pub Rnn, crate::reference::Kind);\n"),
    ]);
    assert_eq!(
        rules::upward(&tree),
        [
            "src/reference/mod.rs:2: reference must not use kernels: crate::kernels::Gates",
            "src/model/mod.rs:3: model must not use reference: crate::reference::Kind",
        ]
    );
}

/// Two files of a room, of which the second uses the first.
fn circle(a: &str, expected: &[&str]) {
    let b = "//! B.\nuse super::a::A;\npub struct B(A);\n";
    let tree = with_all(&[
        ("src/rnn/mod.rs", "//! Time.\nmod a;\nmod b;\npub use a::A;\npub use b::B;\npub struct Rnn;\n"),
        ("src/rnn/a.rs", a),
        ("src/rnn/b.rs", b),
    ]);
    assert_eq!(rules::circles(&tree), expected, "{a}");
}

#[test]
fn circles_of_two_files() {
    let found = |line: usize| format!("src/rnn/a.rs:{line}: circle: src/rnn/a.rs -> src/rnn/b.rs -> src/rnn/a.rs");
    circle("//! A.\npub struct A;\n", &[]);
    circle("//! A.\nuse super::b::B;\npub struct A;\n", &[&found(2)]);
    circle("//! A.\npub struct A(crate::rnn::b::B);\n", &[&found(2)]);
    circle("//! A.\npub struct A;\nuse super::{b::{self}};\n", &[&found(3)]);
    // By the room's door, and by that of the crate.
    circle("//! A.\nuse super::B;\npub struct A;\n", &[&found(2)]);
    circle("//! A.\nuse crate::rnn::B;\npub struct A;\n", &[&found(2)]);
    circle("//! A.\nuse super::*;\npub struct A(B);\n", &[&found(3)]);
    circle("//! A.\nuse crate::rnn;\npub struct A(rnn::b::B);\n", &[&found(3)]);
}

/// What is compiled for tests alone may use what lets it in; compiled always, it makes a circle.
#[test]
fn circles_through_files_for_tests() {
    for (attribute, expected) in [
        ("#[cfg(test)]\n", vec![]),
        ("", vec!["src/rnn/a.rs:2: circle: src/rnn/a.rs -> src/rnn/planted.rs -> src/rnn/a.rs"]),
    ] {
        let door = format!("//! Time.\nmod a;\n{attribute}mod planted;\npub struct Rnn;\n");
        let tree = with_all(&[
            ("src/rnn/mod.rs", &door),
            ("src/rnn/a.rs", "//! A.\npub struct A(super::planted::B);\n"),
            ("src/rnn/planted.rs", "//! B.\npub struct B(super::a::A);\n"),
        ]);
        assert_eq!(rules::circles(&tree), expected);
    }
}

#[test]
fn circles_with_the_rooms_own_file() {
    let tree = with_all(&[
        ("src/rnn/mod.rs", "//! Time.\nmod a;\npub struct Rnn(a::A);\npub struct Kind;\n"),
        ("src/rnn/a.rs", "//! A.\npub struct A(super::Kind);\n"),
    ]);
    assert_eq!(rules::circles(&tree), ["src/rnn/a.rs:2: circle: src/rnn/a.rs -> src/rnn/mod.rs -> src/rnn/a.rs"]);
    // A door is no knowledge of what is behind it, unless the file uses the name itself.
    let child = ("src/rnn/a.rs", "//! A.\npub struct A(super::Kind);\n");
    let door = ("src/rnn/mod.rs", "//! Time.\nmod a;\npub use a::A;\npub struct Rnn;\npub struct Kind;\n");
    assert_eq!(rules::circles(&with_all(&[door, child])), [""; 0]);
    let door = ("src/rnn/mod.rs", "//! Time.\nmod a;\npub use a::A;\npub struct Rnn(A);\npub struct Kind;\n");
    assert_eq!(
        rules::circles(&with_all(&[door, child])),
        ["src/rnn/a.rs:2: circle: src/rnn/a.rs -> src/rnn/mod.rs -> src/rnn/a.rs"]
    );
}

#[test]
fn circles_of_three_files_and_rooms() {
    let tree = with_all(&[
        ("src/rnn/a.rs", "//! A.\nuse super::b::B;\npub struct A;\n"),
        ("src/rnn/b.rs", "//! B.\nuse super::c::C;\npub struct B;\n"),
        ("src/rnn/c.rs", "//! C.\nuse super::a::A;\npub struct C;\n"),
        ("src/error.rs", "//! Errors.\nuse crate::parallel::all;\npub struct Error;\n"),
        ("src/parallel.rs", "//! Threads.\nuse crate::Error;\npub fn all() {}\n"),
    ]);
    assert_eq!(
        rules::circles(&tree),
        [
            "src/error.rs:2: circle: src/error.rs -> src/parallel.rs -> src/error.rs",
            "src/rnn/a.rs:2: circle: src/rnn/a.rs -> src/rnn/b.rs -> src/rnn/c.rs -> src/rnn/a.rs",
        ]
    );
}

/// A foreign name in the second line of `src/rnn/mod.rs`.
fn foreign(line: &str, expected: &str) {
    let tree = with("src/rnn/mod.rs", &format!("//! Time.\n{line}\npub struct Rnn;\n"));
    assert_eq!(rules::foreign(&tree), [format!("src/rnn/mod.rs:2: {expected}")], "{line}");
}

#[test]
fn foreign_names() {
    foreign("use pyo3::prelude::*;", "pyo3 belongs in py: pyo3::prelude::*");
    foreign("#[pyo3::pyclass]", "pyo3 belongs in py: pyo3::pyclass");
    foreign("fn f(x: &numpy::PyArray1<f32>) {}", "numpy belongs in py: numpy::PyArray1");
    foreign("fn f() { rayon::join(a, b); }", "rayon belongs in base: rayon::join");
    foreign("fn f() { assert!(::rayon::join(a, b)); }", "rayon belongs in base: rayon::join");
    foreign("use serde_json as json;", "serde_json belongs in io: serde_json");
    foreign("use {safetensors::tensor};", "safetensors belongs in io: safetensors::tensor");
    foreign("extern crate safetensors;", "safetensors belongs in io: safetensors");
    foreign("use std::arch::x86_64::*;", "std::arch belongs in simd: std::arch::x86_64::*");
    foreign("use std::{arch::asm, fmt};", "std::arch belongs in simd: std::arch::asm");
    foreign("fn f() { core::arch::asm!(\"\") }", "core::arch belongs in simd: core::arch::asm");
    foreign("fn f() -> f64 { libm::exp(1.0) }", "libm belongs in reference: libm::exp");
}

#[test]
fn foreign_names_by_another_name() {
    let tree = with("src/rnn/mod.rs", "//! Time.\nuse std as own;\npub struct Rnn;\nfn f() { own::arch::x() }\n");
    assert_eq!(rules::foreign(&tree), ["src/rnn/mod.rs:4: std::arch belongs in simd: std::arch::x"]);
}

#[test]
fn unsafe_code() {
    for line in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "unsafe impl Send for Rnn {}",
        "#[unsafe(no_mangle)] fn f() {}",
        "macro_rules! f { () => { unsafe { g() } }; }",
    ] {
        let tree = with("src/rnn/mod.rs", &format!("//! Time, nothing unsafe.\npub struct Rnn;\n{line}\n"));
        assert_eq!(rules::unsafe_code(&tree), ["src/rnn/mod.rs:3: unsafe belongs in simd"], "{line}");
    }
}

#[test]
fn unsafe_blocks_without_a_reason() {
    let reason = |above: &str| {
        let text = format!("//! One.\nfn f() {{\n    {above}\n    unsafe {{ g() }}\n}}\n");
        rules::unsafe_without_reason(&with("src/simd/scalar.rs", &text))
    };
    let expected = ["src/simd/scalar.rs:4: an unsafe block without // SAFETY: above it"];
    assert_eq!(reason("// It is safe."), expected);
    assert_eq!(
        reason("// SAFETY: of another.\n"),
        ["src/simd/scalar.rs:5: an unsafe block without // SAFETY: above it"]
    );
    assert_eq!(reason("// SAFETY: it is."), [""; 0]);
    assert_eq!(reason("// SAFETY: it is,\n    // and why."), [""; 0]);
    let tree = with("src/simd/scalar.rs", "//! One.\nmacro_rules! f { () => {\n    unsafe { g() }\n}; }\n");
    assert_eq!(
        rules::unsafe_without_reason(&tree),
        ["src/simd/scalar.rs:3: an unsafe block without // SAFETY: above it"]
    );
}

#[test]
fn the_platforms_functions() {
    for (line, call) in [
        ("fn f(x: f32) -> f32 { x.exp() }", ".exp("),
        ("fn f(x: f32) -> f32 { (x + 1.0).powi(2) }", ".powi("),
        ("fn f(x: f64) -> f64 { f64::exp(x) }", "f64::exp"),
        ("fn f(x: f32) -> f32 { f32::ln_1p(x) }", "f32::ln_1p"),
        ("fn f(x: f32) -> f32 { std::primitive::f32::cbrt(x) }", "std::primitive::f32::cbrt"),
        ("fn f<F: Real>(x: F) -> F { F::exp(x) }", "F::exp"),
        ("fn f<F: Real>(x: F) -> F { <F as Real>::tanh(x) }", "<…>::tanh"),
        ("fn f(x: f64) -> f64 { <f64>::sin(x) }", "<…>::sin"),
        ("fn f(x: Option<f64>) -> Option<f64> { x.map(f64::tanh) }", "f64::tanh"),
        ("fn f(x: f64) { assert!(x.log2() > 1.0); }", ".log2("),
        ("macro_rules! f { ($x:expr) => { $x.cos() }; }", ".cos("),
        ("macro_rules! f { ($x:expr) => { f64::cos($x) }; }", "f64::cos"),
    ] {
        let tree = with("src/rnn/mod.rs", &format!("//! Time.\npub struct Rnn;\n{line}\n"));
        assert_eq!(rules::platform(&tree), [format!("src/rnn/mod.rs:3: {call} is the platform's")], "{line}");
        let tree = with("src/reference/mod.rs", &format!("//! Plain.\n{line}\n"));
        assert_eq!(rules::platform(&tree), [""; 0], "{line}");
    }
}

#[test]
fn functions_that_are_not_the_platforms() {
    for line in [
        "fn f(x: f32) -> f32 { crate::kernels::squash::exp(x).sqrt() }",
        "fn f(x: f64) -> f64 { f64::mul_add(x, x, f64::sqrt(x)) + std::f64::consts::LN_2 }",
        "fn f() -> Function { Function::tanh() } pub struct Function;",
        "fn f(x: Steps) -> f64 { x.exp }",
        "const TEXT: &str = \"x.exp()\"; // x.exp()",
    ] {
        let tree = with("src/rnn/mod.rs", &format!("//! Time.\npub struct Rnn;\n{line}\n"));
        assert_eq!(rules::platform(&tree), [""; 0], "{line}");
    }
}

/// The last arm of a match on a text, in the fifth line of a file.
fn arm(path: &str, first: &str, last: &str) -> Vec<String> {
    let text = format!(
        "//! Words.\nfn f(name: &str) -> R {{\n    match name {{\n        {first}\n        {last}\n    }}\n}}\n"
    );
    rules::default_arms(&with(path, &text))
}

#[test]
fn arms_for_every_other_word() {
    for (first, last) in [
        ("\"lstm\" => Cell::Lstm,", "_ => Cell::Gru,"),
        ("\"lstm\" => Cell::Lstm,", "other => Cell::new(other),"),
        ("\"lstm\" => Ok(Cell::Lstm),", "_ => { note(); Ok(Cell::Gru) }"),
        ("\"lstm\" | \"LSTM\" => Cell::Lstm,", "_ => Cell::Gru,"),
        ("Some(\"lstm\") => Cell::Lstm,", "Some(_) => Cell::Gru,"),
        ("(\"lstm\", true) => Cell::Lstm,", "(_, false) => Cell::Gru,"),
        ("\"lstm\" if fast => Cell::Lstm,", "_ => Cell::Gru,"),
        ("\"lstm\" => Ok(Cell::Lstm),", "_ => if a { Err(b) } else { Ok(Cell::Gru) },"),
    ] {
        for path in ["src/py/mod.rs", "src/io/mod.rs", "src/names.rs"] {
            let expected = format!("{path}:5: a default for every other word; make it an error");
            assert_eq!(arm(path, first, last), [expected], "{last}");
        }
        assert_eq!(arm("src/model/mod.rs", first, last), [""; 0], "no words come in there");
    }
}

#[test]
fn arms_that_refuse() {
    for (first, last) in [
        ("\"lstm\" => Ok(Cell::Lstm),", "_ => Err(Error::value(name)),"),
        ("\"lstm\" => Cell::Lstm,", "_ => return Err(Error::value(name).into()),"),
        ("\"lstm\" => Cell::Lstm,", "other => { let error = of(other); return Err(error); }"),
        ("\"lstm\" => Cell::Lstm,", "_ => Err(Error::value(name))?,"),
        ("\"lstm\" => Some(Cell::Lstm),", "_ => None,"),
        ("Some(\"lstm\") => Cell::Lstm,", "None => Cell::Gru,"),
        ("1 => Cell::Lstm,", "_ => Cell::Gru,"),
        ("\"lstm\" => Cell::Lstm,", "GRU => Cell::Gru,"),
    ] {
        assert_eq!(arm("src/py/mod.rs", first, last), [""; 0], "{last}");
    }
}

#[test]
fn files_that_do_not_say_what_they_are_for() {
    let expected = ["src/rnn/mod.rs:1: does not open with what it is for"];
    assert_eq!(rules::openings(&with("src/rnn/mod.rs", "pub struct Rnn;\n")), expected);
    assert_eq!(rules::openings(&with("src/rnn/mod.rs", "// Time.\npub struct Rnn;\n")), expected);
}

#[test]
fn long_files() {
    let long = |lines: usize| {
        let body = "fn f() {}\n\n// A comment.\n/* Another,\n   longer. */\n".repeat(lines);
        rules::long_files(&with("src/rnn/mod.rs", &format!("//! Time.\n{body}")))
    };
    assert_eq!(long(400), [""; 0]);
    assert_eq!(long(401), ["src/rnn/mod.rs:1: 401 lines of code, more than 400"]);
    // Tests within are read with the rest.
    let tests = format!("//! Time.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(398));
    let expected = ["src/rnn/mod.rs:1: 401 lines of code, more than 400"];
    assert_eq!(rules::long_files(&with("src/rnn/mod.rs", &tests)), expected);
}

#[test]
fn long_functions() {
    let long = |head: &str, lines: usize, tail: &str| {
        let body = "        g();\n        // A comment.\n\n".repeat(lines);
        let text = format!("//! Time.\n{head} fn f() {{\n{body}    }}\n{tail}\n");
        rules::long_functions(&with("src/rnn/mod.rs", &text))
    };
    let expected = ["src/rnn/mod.rs:2: f has 61 lines of code, more than 60"];
    assert_eq!(long("pub", 58, ""), [""; 0]);
    assert_eq!(long("pub", 59, ""), expected);
    assert_eq!(long("impl A {", 59, "}"), expected);
    assert_eq!(long("trait A {", 59, "}"), expected);
    assert_eq!(long("macro_rules! a { () => {", 59, "}; }"), expected);
    assert_eq!(long("fn outer() {", 58, "}"), ["src/rnn/mod.rs:2: outer has 61 lines of code, more than 60"]);
}
