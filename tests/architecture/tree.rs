//! Files as the modules they are: which file a path means, through `crate`, `super` and `self`, names that a `use` gave,
//! and re-exports, which are read from the files themselves.

use crate::scan::{Scan, Written};
use crate::{BASE, ROOMS};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
pub struct Source {
    /// From the root of the repository, with slashes.
    pub path: String,
    pub text: String,
}

/// A file and what it says.
pub struct File {
    pub path: String,
    pub text: String,
    pub scan: Scan,
    pub syntax: syn::File,
    /// `["rnn", "scan"]`
    module: Vec<String>,
}

/// One file's use of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// The file that defines what is used; of a path into a room that has no such file, nothing.
    pub file: Option<String>,
    pub room: &'static str,
    pub line: usize,
    pub written: String,
    /// `pub use`: a name on a door, of which the file itself need not know more.
    pub exported: bool,
}

#[derive(Default)]
struct Module {
    file: String,
    /// What it defines that is no alias of something of another type.
    items: BTreeSet<String>,
    aliases: BTreeMap<String, Written>,
    globs: Vec<Written>,
}

pub struct Tree {
    pub files: Vec<File>,
    modules: BTreeMap<Vec<String>, Module>,
}

/// What a path comes to.
#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    /// From the root of the crate.
    Ours(Vec<String>),
    Foreign(Vec<String>),
    /// A name of the module itself, or one that the language brings.
    Local,
}

/// More re-exports of re-exports than these are a circle.
const DEEPEST: usize = 16;

pub fn room(path: &str) -> Option<&'static str> {
    let first = path.strip_prefix("src/")?.split('/').next()?;
    room_of(first.trim_end_matches(".rs"))
}

fn room_of(name: &str) -> Option<&'static str> {
    if BASE.contains(&name) {
        return Some("base");
    }
    ROOMS.iter().map(|(room, _)| *room).find(|room| *room == name && name != "base")
}

fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut parts: Vec<String> = inside.split('/').map(String::from).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    parts
}

impl Tree {
    /// The files that are compiled for tests alone: `#[cfg(test)] mod name;`.
    pub fn of_tests(&self) -> BTreeSet<String> {
        let named = |file: &File| {
            let folder = file.path.strip_suffix("mod.rs").map(str::to_owned);
            let folder = folder.unwrap_or_else(|| format!("{}/", file.path.trim_end_matches(".rs")));
            let for_tests = |attribute: &syn::Attribute| {
                attribute.path().is_ident("cfg")
                    && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
            };
            let modules = file.syntax.items.iter().filter_map(move |item| match item {
                syn::Item::Mod(module) if module.content.is_none() && module.attrs.iter().any(for_tests) => {
                    Some(format!("{folder}{}.rs", module.ident))
                }
                _ => None,
            });
            modules.collect::<Vec<_>>()
        };
        self.files.iter().flat_map(named).collect()
    }

    pub fn new(sources: Vec<Source>) -> Self {
        let mut tree = Self { files: vec![], modules: BTreeMap::new() };
        for Source { path, text } in sources {
            let syntax = syn::parse_file(&text).unwrap_or_else(|e| panic!("{path}:{}: {e}", e.span().start().line));
            let scan = Scan::new(text.parse().expect("tokens"));
            let module = module_of(&path);
            tree.define(&path, &module, &syntax.items);
            for written in scan.paths.iter().filter(|written| written.alias.is_some()) {
                let within = [&module[..], &written.scope].concat();
                let own = tree.modules.entry(within).or_default();
                let alias = written.alias.clone().unwrap_or_default();
                if alias == "*" {
                    own.globs.push(written.clone());
                } else if alias != "_" {
                    own.aliases.insert(alias, written.clone());
                }
            }
            tree.files.push(File { path, text, scan, syntax, module });
        }
        tree
    }

    fn define(&mut self, path: &str, module: &[String], items: &[syn::Item]) {
        let own = self.modules.entry(module.to_vec()).or_default();
        own.file = path.into();
        for item in items {
            let name = match item {
                syn::Item::Const(item) => &item.ident,
                syn::Item::Enum(item) => &item.ident,
                syn::Item::Fn(item) => &item.sig.ident,
                syn::Item::Static(item) => &item.ident,
                syn::Item::Struct(item) => &item.ident,
                syn::Item::Trait(item) => &item.ident,
                syn::Item::Union(item) => &item.ident,
                _ => continue,
            };
            own.items.insert(name.to_string());
        }
        for item in items {
            if let syn::Item::Mod(syn::ItemMod { ident, content: Some((_, items)), .. }) = item {
                self.define(path, &[module, &[ident.to_string()]].concat(), items);
            }
        }
    }

    /// Whether a file's module, or one of those it globs, knows the name as an item of the crate.
    pub fn is_item(&self, file: &File, written: &Written, name: &str) -> bool {
        let within = [&file.module[..], &written.scope].concat();
        let own = self.modules.get(&within).is_some_and(|module| module.items.contains(name));
        own || matches!(self.meaning(&within, &[name.to_string()], false, 0), Meaning::Ours(_))
    }

    fn meaning(&self, module: &[String], segments: &[String], foreign: bool, depth: usize) -> Meaning {
        if foreign {
            return Meaning::Foreign(segments.to_vec());
        }
        let mut from = module.to_vec();
        let (first, rest) = (segments[0].as_str(), &segments[1..]);
        match first {
            "crate" => return Meaning::Ours(rest.to_vec()),
            "self" | "super" => {
                let ups = segments.iter().take_while(|one| *one == "super" || *one == "self").collect::<Vec<_>>();
                ups.iter().filter(|up| *up == &"super").for_each(|_| drop(from.pop()));
                return Meaning::Ours([&from[..], &segments[ups.len()..]].concat());
            }
            "Self" => return Meaning::Local,
            _ => {}
        }
        let Some(own) = self.modules.get(module) else { return Meaning::Foreign(segments.to_vec()) };
        if self.modules.contains_key(&[module, &segments[..1]].concat()) {
            return Meaning::Ours([module, segments].concat());
        }
        if own.items.contains(first) {
            return Meaning::Local;
        }
        match own.aliases.get(first) {
            // `use rayon;` names itself.
            Some(alias) if depth < DEEPEST && alias.segments[0] != first => {
                let begun = [&alias.segments[..], rest].concat();
                self.meaning(module, &begun, alias.foreign, depth + 1)
            }
            Some(alias) => Meaning::Foreign([&alias.segments[..], rest].concat()),
            // Where a glob leads, no other glob brings.
            None if depth == DEEPEST => Meaning::Foreign(segments.to_vec()),
            None => self.through_globs(module, own, segments).unwrap_or_else(|| Meaning::Foreign(segments.to_vec())),
        }
    }

    /// A name that only a glob can have brought.
    fn through_globs(&self, module: &[String], own: &Module, segments: &[String]) -> Option<Meaning> {
        own.globs.iter().find_map(|glob| {
            let folder = &glob.segments[..glob.segments.len() - 1];
            let Meaning::Ours(path) = self.meaning(module, folder, glob.foreign, DEEPEST) else { return None };
            let other = self.modules.get(&path)?;
            let known = other.items.contains(&segments[0])
                || other.aliases.contains_key(&segments[0])
                || self.modules.contains_key(&[&path[..], &segments[..1]].concat());
            (known && path != module).then(|| Meaning::Ours([&path[..], segments].concat()))
        })
    }

    /// The file that defines what a path from the crate's root means.
    pub fn resolve(&self, path: &[String]) -> Option<&str> {
        self.resolved(path, 0)
    }

    fn resolved(&self, path: &[String], depth: usize) -> Option<&str> {
        let mut at = 0;
        while at < path.len() && self.modules.contains_key(&path[..=at]) {
            at += 1;
        }
        let module = self.modules.get(&path[..at])?;
        if let Some(name) = path.get(at).filter(|_| depth < DEEPEST)
            && !module.items.contains(name)
        {
            let written = module.aliases.get(name).map(|alias| (&alias.segments, alias.foreign));
            let meaning = match written {
                Some((segments, foreign)) => Some(self.meaning(&path[..at], segments, foreign, 0)),
                None => self.through_globs(&path[..at], module, &path[at..=at]),
            };
            match meaning {
                Some(Meaning::Ours(other)) if other != path => return self.resolved(&other, depth + 1),
                Some(Meaning::Foreign(_)) => return None,
                _ => {}
            }
        }
        Some(&module.file).filter(|file| !file.is_empty()).map(String::as_str)
    }

    /// Every use of another file in this one, or of a room.
    pub fn edges(&self, file: &File) -> Vec<Edge> {
        let mut edges = vec![];
        for written in &file.scan.paths {
            let within = [&file.module[..], &written.scope].concat();
            let glob = written.segments.last().is_some_and(|last| last == "*");
            let segments = &written.segments[..written.segments.len() - usize::from(glob)];
            if segments.is_empty() {
                continue;
            }
            let Meaning::Ours(path) = self.meaning(&within, segments, written.foreign, 0) else { continue };
            let Some(first) = path.first() else { continue };
            // A lone name is no module, but a variable or the `mod` of one.
            if written.alias.is_none() && segments.len() == 1 && self.modules.contains_key(&path) {
                continue;
            }
            let found = self.resolve(&path);
            let Some(room) = found.and_then(room).or_else(|| room_of(first)) else { continue };
            let known = found.filter(|found| *found != "src/lib.rs").map(String::from);
            if known.as_ref() != Some(&file.path) && (known.is_some() || room != "lib") {
                let (line, exported) = (written.line, written.exported);
                edges.push(Edge { file: known, room, line, written: written.segments.join("::"), exported });
            }
        }
        edges
    }

    /// What a file names of other crates: path and line.
    pub fn foreign(&self, file: &File) -> Vec<(Vec<String>, usize)> {
        let foreign = |written: &Written| {
            let within = [&file.module[..], &written.scope].concat();
            match self.meaning(&within, &written.segments, written.foreign, 0) {
                Meaning::Foreign(path) => Some((path, written.line)),
                _ => None,
            }
        };
        file.scan.paths.iter().filter_map(foreign).collect()
    }
}
