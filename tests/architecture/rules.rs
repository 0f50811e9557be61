//! The rules, each a function of some files that says `file:line: what is wrong` for every fault.

use crate::tree::{Edge, File, Tree, room};
use crate::{BORDER, FOREIGN, LIBM, LONGEST_FILE, LONGEST_FUNCTION, PLATFORM, ROOMS, UNSAFE};
use std::collections::{BTreeMap, BTreeSet};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// Files of no room, which no other rule would see.
pub fn rooms(tree: &Tree) -> Vec<String> {
    let lost = tree.files.iter().filter(|file| room(&file.path).is_none());
    lost.map(|file| format!("{}:1: belongs to no room", file.path)).collect()
}

/// Uses of a room that is not below.
pub fn upward(tree: &Tree) -> Vec<String> {
    let mut found = vec![];
    for file in &tree.files {
        let own = room(&file.path).unwrap_or("lib");
        let below = ROOMS.iter().find(|(name, _)| *name == own).map_or(&[][..], |(_, below)| below);
        for Edge { room, line, written, .. } in tree.edges(file) {
            if room != own && !below.contains(&room) {
                found.push(format!("{}:{line}: {own} must not use {room}: {written}", file.path));
            }
        }
    }
    found
}

/// Files that use each other, directly or by way of others: the shortest circles, no two through one file, so that a
/// knot of many may show another when one is open. A `pub use` makes none: it is a name on a door. Nor does a file that
/// is there for tests alone: it sees what it tests, which may let it in.
pub fn circles(tree: &Tree) -> Vec<String> {
    let of_tests = tree.of_tests();
    let mut uses: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| !of_tests.contains(&file.path)) {
        let own = uses.entry(&file.path).or_default();
        for edge in tree.edges(file).into_iter().filter(|edge| !edge.exported) {
            if let Some(other) = edge.file.filter(|other| !of_tests.contains(other)) {
                let line = own.entry(other).or_insert(edge.line);
                *line = edge.line.min(*line);
            }
        }
    }
    let (mut found, mut told) = (vec![], BTreeSet::<&str>::new());
    let mut circles: Vec<Vec<&str>> = uses.keys().filter_map(|file| shortest(&uses, file)).collect();
    circles.sort_by_key(Vec::len);
    for circle in circles {
        if circle.iter().any(|file| told.contains(file)) {
            continue;
        }
        told.extend(&circle);
        let line = uses[circle[0]][*circle.get(1).unwrap_or(&circle[0])];
        found.push(format!("{}:{line}: circle: {} -> {}", circle[0], circle.join(" -> "), circle[0]));
    }
    found
}

/// The shortest way from a file back to it.
fn shortest<'a>(uses: &'a BTreeMap<&str, BTreeMap<String, usize>>, begin: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![begin]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = vec![];
        for way in ways {
            for next in uses.get(way[way.len() - 1]).into_iter().flat_map(BTreeMap::keys) {
                if next == begin {
                    return Some(way);
                }
                if seen.insert(next) {
                    longer.push([&way[..], &[next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// Other crates' names outside their rooms.
pub fn foreign(tree: &Tree) -> Vec<String> {
    let mut found = vec![];
    for file in &tree.files {
        for (path, line) in tree.foreign(file) {
            let own = room(&file.path);
            let rule = FOREIGN.iter().find(|(name, home)| path.starts_with_all(name) && own != Some(*home));
            if let Some((name, home)) = rule {
                found.push(format!("{}:{line}: {} belongs in {home}: {}", file.path, name.join("::"), path.join("::")));
            }
        }
    }
    found
}

trait StartsWithAll {
    fn starts_with_all(&self, begin: &[&str]) -> bool;
}

impl StartsWithAll for Vec<String> {
    fn starts_with_all(&self, begin: &[&str]) -> bool {
        self.len() >= begin.len() && self.iter().zip(begin).all(|(a, b)| a == b)
    }
}

/// The word unsafe outside its room.
pub fn unsafe_code(tree: &Tree) -> Vec<String> {
    let outside = tree.files.iter().filter(|file| room(&file.path) != Some(UNSAFE));
    let lines = |file: &File| file.scan.unsafes.clone();
    outside
        .flat_map(|file| {
            lines(file).into_iter().map(|line| format!("{}:{line}: unsafe belongs in {UNSAFE}", file.path))
        })
        .collect()
}

/// Unsafe blocks without a `// SAFETY:` in the comment just above.
pub fn unsafe_without_reason(tree: &Tree) -> Vec<String> {
    let mut found = vec![];
    for file in &tree.files {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for &line in &file.scan.unsafe_blocks {
            let mut comment = lines[..line - 1].iter().rev().take_while(|line| line.starts_with("//"));
            if !comment.any(|line| line.starts_with("// SAFETY:")) {
                found.push(format!("{}:{line}: an unsafe block without // SAFETY: above it", file.path));
            }
        }
    }
    found
}

/// exp, tanh and the like of the platform's library, as a method, by a float's name, or by a type's variable.
pub fn platform(tree: &Tree) -> Vec<String> {
    let mut found = vec![];
    for file in tree.files.iter().filter(|file| room(&file.path) != Some(LIBM)) {
        let is_function = |name: &str| PLATFORM.contains(&name);
        let mut calls: Vec<(usize, String)> = vec![];
        let methods = file.scan.methods.iter().filter(|(name, _)| is_function(name));
        calls.extend(methods.map(|(name, line)| (*line, format!(".{name}("))));
        let qualified = file.scan.qualified.iter().filter(|(name, _)| is_function(name));
        calls.extend(qualified.map(|(name, line)| (*line, format!("<…>::{name}"))));
        for written in &file.scan.paths {
            let [.., of, name] = &written.segments[..] else { continue };
            let float = of == "f32" || of == "f64";
            // A type of ours would have to ask the library itself, in a file that this rule reads.
            let variable = of.starts_with(char::is_uppercase) && !tree.is_item(file, written, of);
            if is_function(name) && (float || variable) {
                calls.push((written.line, written.segments.join("::")));
            }
        }
        calls.sort();
        let told = calls.iter().map(|(line, call)| format!("{}:{line}: {call} is the platform's", file.path));
        found.extend(told);
    }
    found
}

/// Matches on a text whose last arm makes something of every other text.
pub fn default_arms(tree: &Tree) -> Vec<String> {
    let mut found = vec![];
    for file in &tree.files {
        if room(&file.path).is_some_and(|room| BORDER.contains(&room)) {
            let mut arms = DefaultArms(vec![]);
            arms.visit_file(&file.syntax);
            let told = |line: &usize| format!("{}:{line}: a default for every other word; make it an error", file.path);
            found.extend(arms.0.iter().map(told));
        }
    }
    found
}

struct DefaultArms(Vec<usize>);

impl Visit<'_> for DefaultArms {
    fn visit_expr_match(&mut self, node: &syn::ExprMatch) {
        let texts: Vec<&syn::Pat> = node.arms.iter().map(|arm| &arm.pat).filter(|pat| has_text(pat)).collect();
        for arm in &node.arms {
            let covers = texts.iter().any(|text| covers(&arm.pat, text));
            if covers && !refuses(&arm.body) {
                self.0.push(arm.pat.span().start().line);
            }
        }
        syn::visit::visit_expr_match(self, node);
    }
}

/// Whether a text stands in the pattern.
fn has_text(pat: &syn::Pat) -> bool {
    match pat {
        syn::Pat::Lit(lit) => matches!(lit.lit, syn::Lit::Str(_) | syn::Lit::ByteStr(_)),
        syn::Pat::Or(or) => or.cases.iter().any(has_text),
        syn::Pat::Tuple(tuple) => tuple.elems.iter().any(has_text),
        syn::Pat::TupleStruct(tuple) => tuple.elems.iter().any(has_text),
        syn::Pat::Reference(inner) => has_text(&inner.pat),
        syn::Pat::Paren(inner) => has_text(&inner.pat),
        syn::Pat::Guard(inner) => has_text(&inner.pat),
        syn::Pat::Ident(name) => name.subpat.as_ref().is_some_and(|(_, inner)| has_text(inner)),
        _ => false,
    }
}

/// Whether a pattern takes any text where another, `text`, has a certain one. One with a guard does not.
fn covers(pat: &syn::Pat, text: &syn::Pat) -> bool {
    match (pat, text) {
        (syn::Pat::Wild(_), _) => true,
        // A name in capitals is a constant.
        (syn::Pat::Ident(name), _) if name.subpat.is_none() => !name.ident.to_string().starts_with(char::is_uppercase),
        (_, syn::Pat::Guard(inner)) => covers(pat, &inner.pat),
        (_, syn::Pat::Or(or)) => or.cases.iter().any(|case| has_text(case) && covers(pat, case)),
        (syn::Pat::Tuple(a), syn::Pat::Tuple(b)) => {
            a.elems.iter().zip(&b.elems).any(|(a, b)| has_text(b) && covers(a, b))
        }
        (syn::Pat::TupleStruct(a), syn::Pat::TupleStruct(b)) => {
            let same = a.path.segments.last().map(|s| &s.ident) == b.path.segments.last().map(|s| &s.ident);
            same && a.elems.iter().zip(&b.elems).any(|(a, b)| has_text(b) && covers(a, b))
        }
        _ => false,
    }
}

/// Whether an arm ends in an error, or says that there is nothing by that name.
fn refuses(body: &syn::Expr) -> bool {
    match body {
        syn::Expr::Return(node) => node.expr.as_ref().is_some_and(|inner| refuses(inner)),
        syn::Expr::Try(node) => refuses(&node.expr),
        syn::Expr::Paren(node) => refuses(&node.expr),
        syn::Expr::MethodCall(node) => node.method == "into" && refuses(&node.receiver),
        syn::Expr::Call(node) => matches!(&*node.func, syn::Expr::Path(path) if path.path.is_ident("Err")),
        syn::Expr::Path(path) => path.path.is_ident("None"),
        syn::Expr::Block(node) => match node.block.stmts.last() {
            Some(syn::Stmt::Expr(last, _)) => refuses(last),
            Some(syn::Stmt::Macro(last)) => panics(&last.mac),
            _ => false,
        },
        syn::Expr::If(node) => {
            let ends = |block: &syn::Block| matches!(block.stmts.last(), Some(syn::Stmt::Expr(e, _)) if refuses(e));
            ends(&node.then_branch) && node.else_branch.as_ref().is_some_and(|(_, other)| refuses(other))
        }
        syn::Expr::Macro(node) => panics(&node.mac),
        _ => false,
    }
}

fn panics(mac: &syn::Macro) -> bool {
    mac.path.is_ident("unreachable") || mac.path.is_ident("panic")
}

/// Files that do not begin with what they are for.
pub fn openings(tree: &Tree) -> Vec<String> {
    let silent = tree.files.iter().filter(|file| !file.text.starts_with("//! "));
    silent.map(|file| format!("{}:1: does not open with what it is for", file.path)).collect()
}

/// Lines of code from one to another: not blank, not comment.
fn code(text: &str, first: usize, last: usize) -> usize {
    let mut inside = false;
    let mut count = 0;
    for (number, line) in text.lines().map(str::trim).enumerate() {
        let comment = inside || line.starts_with("//") || line.starts_with("/*");
        inside = (inside || line.starts_with("/*")) && !line.contains("*/");
        count += usize::from((first..=last).contains(&(number + 1)) && !line.is_empty() && !comment);
    }
    count
}

pub fn long_files(tree: &Tree) -> Vec<String> {
    let lines = |file: &File| code(&file.text, 1, usize::MAX);
    let long = tree.files.iter().map(|file| (file, lines(file))).filter(|(_, lines)| *lines > LONGEST_FILE);
    long.map(|(file, lines)| format!("{}:1: {lines} lines of code, more than {LONGEST_FILE}", file.path)).collect()
}

pub fn long_functions(tree: &Tree) -> Vec<String> {
    let mut found = vec![];
    for file in &tree.files {
        for (name, first, last) in &file.scan.functions {
            let lines = code(&file.text, *first, *last);
            if lines > LONGEST_FUNCTION {
                let path = &file.path;
                found.push(format!("{path}:{first}: {name} has {lines} lines of code, more than {LONGEST_FUNCTION}"));
            }
        }
    }
    found
}
