//! The house rules that a compiler does not see: imports point down, unsafe code and the names of rayon,
//! pyo3 and libm have one room each, files stay small.

use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms it may use; its own is always allowed.
const ROOMS: [(&str, &[&str]); 11] = [
    ("base", &[]),
    ("simd", &["base"]),
    ("kernels", &["simd", "base"]),
    ("rnn", &["kernels", "simd", "base"]),
    ("nn", &["kernels", "simd", "base"]),
    ("optim", &["rnn", "kernels", "simd", "base"]),
    ("model", &["optim", "nn", "rnn", "kernels", "simd", "base"]),
    ("io", &["model", "optim", "nn", "rnn", "kernels", "simd", "base"]),
    ("py", &["io", "model", "optim", "nn", "rnn", "kernels", "simd", "base"]),
    ("reference", &["base"]),
    ("lib", &["py", "io", "model", "nn", "optim", "rnn", "kernels", "simd", "base", "reference"]),
];

/// Files at the top of src that are the base.
const BASE: [&str; 10] =
    ["buffer", "dropout", "error", "float", "function", "half", "narrow", "parallel", "rng", "shape"];

/// What `crate::Name` means when it is no room but re-exported in lib.rs.
const REEXPORTED: [(&str, &str); 12] = [
    ("Error", "base"),
    ("Result", "base"),
    ("Float", "base"),
    ("Function", "base"),
    ("Functions", "base"),
    ("Isa", "simd"),
    ("Dispatch", "simd"),
    ("Rnn", "rnn"),
    ("Batch", "rnn"),
    ("Cell", "rnn"),
    ("Config", "rnn"),
    ("Reset", "rnn"),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

fn src() -> Vec<(PathBuf, String)> {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files.len() > 20, "found only {files:?}");
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("text"))).collect()
}

fn room_of(name: &str) -> Option<&'static str> {
    if BASE.contains(&name) {
        return Some("base");
    }
    ROOMS.iter().map(|(room, _)| *room).find(|room| *room == name)
}

fn room_of_file(path: &Path) -> &'static str {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("in src");
    let first = inside.iter().next().and_then(|part| part.to_str()).expect("a name");
    room_of(first.trim_end_matches(".rs")).unwrap_or_else(|| panic!("{} belongs to no room", path.display()))
}

/// Code without comments and doc comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"))
}

#[test]
fn imports_point_down() {
    let mut seen = 0;
    for (path, text) in src() {
        let room = room_of_file(&path);
        let (_, below) = ROOMS.iter().find(|(name, _)| *name == room).expect("a room");
        for line in code(&text) {
            for used in line.split("crate::").skip(1) {
                let names = used.trim_start_matches('{').split(',').map(str::trim);
                for name in names.take(if used.starts_with('{') { usize::MAX } else { 1 }) {
                    let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let reexported = REEXPORTED.iter().find(|(n, _)| *n == name).map(|(_, room)| *room);
                    let Some(target) = room_of(&name).or(reexported) else { continue };
                    seen += 1;
                    let fine = target == room || below.contains(&target);
                    assert!(fine, "{}: {room} must not use {target}: {line}", path.display());
                }
            }
        }
    }
    assert!(seen > 50, "the test must see imports, it saw {seen}");
}

#[test]
fn some_words_have_one_room() {
    // (a word of code, where it may stand)
    let rooms = [
        ("unsafe", "simd"),
        ("pyo3", "py"),
        ("numpy::", "py"),
        ("std::arch", "simd"),
        ("rayon", "base"),
        ("serde_json", "io"),
        ("safetensors", "io"),
    ];
    for (path, text) in src() {
        let room = room_of_file(&path);
        for line in code(&text).filter(|line| !line.contains("unsafe_code")) {
            for (word, home) in rooms {
                assert!(!line.contains(word) || room == home, "{}: {word} belongs in {home}: {line}", path.display());
            }
        }
    }
}

#[test]
fn every_unsafe_block_says_why() {
    for (path, text) in src() {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (i, line) in lines.iter().enumerate() {
            let block = line.contains("unsafe {") && !line.starts_with("//");
            assert!(!block || lines[i - 1].starts_with("// SAFETY:"), "{}:{}: {line}", path.display(), i + 1);
        }
    }
}

/// exp, tanh and the like differ between machines' libraries: only the reference, an oracle with a
/// tolerance, may call them.
#[test]
fn no_library_functions_in_the_numerics() {
    for (path, text) in src() {
        let room = room_of_file(&path);
        for line in code(&text).filter(|_| room != "reference") {
            for name in [".exp(", ".exp_m1(", ".tanh(", ".ln(", ".powf(", ".powi(", ".sin(", ".cos("] {
                assert!(!line.contains(name), "{}: {name} is the platform's: {line}", path.display());
            }
        }
    }
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    for (path, text) in src() {
        assert!(text.starts_with("//! "), "{} does not open with what it is for", path.display());
        let lines = code(&text).count();
        assert!(lines <= 400, "{} has {lines} lines of code", path.display());
    }
}

/// In the one room whose files are of a kind, traits, then instruction sets, then what chooses among them: none needs
/// what needs it.
#[test]
fn instruction_sets_do_not_need_each_other_in_a_circle() {
    let files: Vec<(String, String)> = (src().into_iter())
        .filter(|(path, _)| room_of_file(path) == "simd" && !path.ends_with("mod.rs"))
        .map(|(path, text)| (path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned(), text))
        .collect();
    let needs = |text: &str, name: &str| {
        let imports = code(text).filter(|line| line.starts_with("use super::") || line.contains("super::"));
        imports.flat_map(|line| line.split(['{', '}', ' ', ',']).map(str::to_owned).collect::<Vec<_>>()).any(|word| {
            let word = word.trim_start_matches("super::");
            word.split("::").next() == Some(name) && word.contains("::")
        })
    };
    // Takes away what needs nothing that is left, until nothing is.
    let mut left = files;
    while !left.is_empty() {
        let before = left.len();
        let names: Vec<String> = left.iter().map(|(name, _)| name.clone()).collect();
        left.retain(|(own, text)| names.iter().any(|name| name != own && needs(text, name)));
        assert!(left.len() < before, "a circle in src/simd: {names:?}");
    }
}
