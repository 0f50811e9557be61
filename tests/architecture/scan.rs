//! One file as tokens: the paths in it, in whatever form they stand, macros included, and the places of what rules ask
//! about. Comments are no tokens, and text is one: neither can be taken for code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as it is written, in the inline modules around it.
#[derive(Clone, Debug)]
pub struct Written {
    /// `crate`, `super`, `self`, or anything else first; `*` last of a glob.
    pub segments: Vec<String>,
    /// The inline modules of the file that it stands in.
    pub scope: Vec<String>,
    pub line: usize,
    /// The name that a `use` gives it.
    pub alias: Option<String>,
    /// By `pub use`, also of a `pub(…)`.
    pub exported: bool,
    /// `::name`, which is no module of ours.
    pub foreign: bool,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Scan {
    /// Each use of a path; of a `use` with braces each one in them.
    pub paths: Vec<Written>,
    /// `.name(`, and the line.
    pub methods: Vec<(String, usize)>,
    /// `<…>::name`, and the line.
    pub qualified: Vec<(String, usize)>,
    /// Lines of the word unsafe.
    pub unsafes: Vec<usize>,
    /// Those of them that begin a block.
    pub unsafe_blocks: Vec<usize>,
    /// Name, first and last line of each function that has a body.
    pub functions: Vec<(String, usize, usize)>,
}

impl Scan {
    pub fn new(tokens: TokenStream) -> Self {
        let mut scan = Self::default();
        scan.walk(tokens, &[]);
        scan
    }

    fn walk(&mut self, tokens: TokenStream, scope: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut i = 0;
        while i < tokens.len() {
            let rest = &tokens[i..];
            match &tokens[i] {
                TokenTree::Group(group) => self.walk(group.stream(), scope),
                TokenTree::Ident(word) if word == "use" && !is_punct(rest.get(1), '<') => {
                    i += self.uses(&tokens[..i], rest, scope);
                    continue;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    if let [_, TokenTree::Ident(name), TokenTree::Group(body), ..] = rest {
                        self.walk(body.stream(), &[scope, &[name.to_string()]].concat());
                        i += 3;
                        continue;
                    }
                }
                TokenTree::Ident(word) if word == "fn" => self.function(rest),
                TokenTree::Ident(word) if word == "unsafe" => {
                    let line = word.span().start().line;
                    self.unsafes.push(line);
                    if matches!(rest.get(1), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace) {
                        self.unsafe_blocks.push(line);
                    }
                }
                TokenTree::Ident(_) => {
                    i += self.path(&tokens[..i], rest, scope);
                    continue;
                }
                _ => {}
            }
            i += 1;
        }
    }

    /// A path, a method or a lone name; how many tokens it takes.
    fn path(&mut self, before: &[TokenTree], rest: &[TokenTree], scope: &[String]) -> usize {
        let TokenTree::Ident(first) = &rest[0] else { return 1 };
        let line = first.span().start().line;
        let dot = is_punct(before.last(), '.') && !is_punct(before.iter().rev().nth(1), '.');
        if dot {
            if matches!(rest.get(1), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis) {
                self.methods.push((first.to_string(), line));
            }
            return 1;
        }
        let mut segments = vec![first.to_string()];
        let mut taken = 1;
        while is_punct(rest.get(taken), ':') && is_punct(rest.get(taken + 1), ':') {
            let Some(TokenTree::Ident(next)) = rest.get(taken + 2) else { break };
            segments.push(next.to_string());
            taken += 3;
        }
        let colons = is_punct(before.last(), ':') && is_punct(before.iter().rev().nth(1), ':');
        if colons && is_punct(before.iter().rev().nth(2), '>') {
            self.qualified.push((segments.join("::"), line));
        } else {
            let scope = scope.to_vec();
            self.paths.push(Written { segments, scope, line, alias: None, exported: false, foreign: colons });
        }
        taken
    }

    /// A `use` item; how many tokens it takes.
    fn uses(&mut self, before: &[TokenTree], rest: &[TokenTree], scope: &[String]) -> usize {
        let Some(end) = rest.iter().position(|token| is_punct(Some(token), ';')) else { return 1 };
        let tokens: TokenStream = rest[..=end].iter().cloned().collect();
        let Ok(item) = syn::parse2::<syn::ItemUse>(tokens) else {
            return 1; // of a macro's own variables: what paths there are in it stand there as in code
        };
        let visible = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "pub");
        let exported = match before {
            [.., last] if visible(last) => true,
            [.., word, TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => visible(word),
            _ => false,
        };
        let foreign = item.leading_colon.is_some();
        let mut leaves = vec![];
        flatten(&item.tree, &[], &mut leaves);
        for (segments, alias, line) in leaves {
            self.paths.push(Written { segments, scope: scope.to_vec(), line, alias: Some(alias), exported, foreign });
        }
        end + 1
    }

    fn function(&mut self, rest: &[TokenTree]) {
        let Some(TokenTree::Ident(name)) = rest.get(1) else { return };
        for token in &rest[2..] {
            match token {
                TokenTree::Punct(end) if end.as_char() == ';' => return,
                TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                    let (first, last) = (rest[0].span().start().line, body.span_close().end().line);
                    self.functions.push((name.to_string(), first, last));
                    return;
                }
                _ => {}
            }
        }
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == wanted)
}

/// Each path of a tree of braces: its segments, the name it gets, its line.
fn flatten(tree: &syn::UseTree, before: &[String], leaves: &mut Vec<(Vec<String>, String, usize)>) {
    let with =
        |name: String| if name == "self" && !before.is_empty() { before.to_vec() } else { [before, &[name]].concat() };
    match tree {
        syn::UseTree::Path(path) => flatten(&path.tree, &with(path.ident.to_string()), leaves),
        syn::UseTree::Name(name) => {
            let segments = with(name.ident.to_string());
            let alias = segments.last().cloned().unwrap_or_default();
            leaves.push((segments, alias, name.ident.span().start().line));
        }
        syn::UseTree::Rename(name) => {
            let line = name.ident.span().start().line;
            leaves.push((with(name.ident.to_string()), name.rename.to_string(), line));
        }
        syn::UseTree::Glob(star) => {
            leaves.push((with("*".into()), "*".into(), star.star_token.spans[0].start().line));
        }
        syn::UseTree::Group(group) => group.items.iter().for_each(|item| flatten(item, before, leaves)),
    }
}
