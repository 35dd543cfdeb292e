//! How long the product's functions are, held against what they once were: it may get better, not worse.
//!
//! Counted is every function with a body: free ones, methods, what a trait gives, and functions within functions. Not
//! counted are closures, and what is compiled for tests alone (`#[test]`, `#[cfg(test)]`, and the files of a module that
//! is so marked).
//!
//! A function is as long as the lines from the first of its signature, with `pub` and without the attributes and comments
//! above it, to the one of its closing brace: both are counted, and so are blank lines and comments in between.

use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, ItemImpl, ItemMod, Signature, TraitItemFn, Visibility};

use crate::source::{self, is_for_tests};

// At commit 8047a77 there were 2112 functions: median 10, p75 16, p90 24, p95 30, p99 45, the longest 92.
const MEDIAN: usize = 10;
const P99: usize = 45;
const LONGEST: usize = 92;

/// A function, with its place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    lines: usize,
    name: String,
    place: String,
}

/// All functions of a crate, file by file as its modules name them.
struct Crate {
    functions: Vec<Function>,
    file: PathBuf,
}

impl Crate {
    fn read(root: &Path) -> Vec<Function> {
        let mut all = Self {
            functions: Vec::new(),
            file: root.to_owned(),
        };
        all.read_file();
        all.functions
    }

    fn read_file(&mut self) {
        self.visit_file(&source::parsed(&self.file));
    }

    fn count(&mut self, visibility: &Visibility, signature: &Signature, body: &Block) {
        let first = match visibility {
            Visibility::Inherited => signature.span(),
            shown => shown.span(),
        };
        let (first, last) = (first.start().line, body.brace_token.span.close().end().line);
        self.functions.push(Function {
            lines: last - first + 1,
            name: signature.ident.to_string(),
            place: format!("{}:{first}", self.file.display()),
        });
    }
}

impl<'a> Visit<'a> for Crate {
    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        if is_for_tests(&module.attrs) {
            return;
        }
        if module.content.is_some() {
            return visit::visit_item_mod(self, module);
        }
        let file = source::file_of(&self.file, module);
        let outer = std::mem::replace(&mut self.file, file);
        self.read_file();
        self.file = outer;
    }

    fn visit_item_impl(&mut self, block: &'a ItemImpl) {
        if !is_for_tests(&block.attrs) {
            visit::visit_item_impl(self, block);
        }
    }

    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        if !is_for_tests(&function.attrs) {
            self.count(&function.vis, &function.sig, &function.block);
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            self.count(&function.vis, &function.sig, &function.block);
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'a TraitItemFn) {
        if let Some(body) = &function.default {
            self.count(&Visibility::Inherited, &function.sig, body);
            visit::visit_trait_item_fn(self, function);
        }
    }
}

/// The value below which so many of a hundred are.
fn quantile(sorted: &[Function], percent: usize) -> usize {
    sorted[sorted.len() * percent / 100].lines
}

#[test]
fn functions_are_not_longer_than_they_were() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all: Vec<Function> = ["lib.rs", "main.rs"]
        .iter()
        .flat_map(|root| Crate::read(&source.join(root)))
        .collect();
    all.sort();
    assert!(all.len() > 1000, "only {} functions were found", all.len());
    let figures = [50, 75, 90, 95, 99].map(|percent| quantile(&all, percent));
    let longest = all.last().expect("there are many");
    let said = format!(
        "{} functions, quantiles {figures:?}, the longest {longest:?}",
        all.len()
    );
    println!("{said}");
    assert!(figures[0] <= MEDIAN, "the median: {said}");
    assert!(figures[4] <= P99, "p99: {said}\n{:#?}", &all[all.len() * 99 / 100..]);
    assert!(longest.lines <= LONGEST, "the longest: {said}");
}

#[test]
fn lines_are_counted_from_the_signature_to_the_closing_brace_and_tests_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    write(
        "lib.rs",
        "/// Said.\n#[must_use]\npub fn three(\n    a: u8) -> u8 {\n    a }\nfn one() {}\nmod inner;\n#[cfg(test)]\nmod tests;\n\
         trait T {\n    fn none();\n    fn two(&self) {\n    }\n}\nstruct S;\nimpl S {\n    fn four(&self) {\n        // said\n\n    }\n}\n",
    );
    write(
        "inner.rs",
        "#[cfg(test)]\nmod tests {\n    fn of_tests() {}\n}\n#[test]\nfn a_test() {}\nfn five() {\n    fn one_within() {}\n\n\n}\n",
    );
    let all = Crate::read(&folder.path().join("lib.rs"));
    let found: Vec<(&str, usize)> = all.iter().map(|one| (one.name.as_str(), one.lines)).collect();
    let wanted = [
        ("three", 3),
        ("one", 1),
        ("five", 5),
        ("one_within", 1),
        ("two", 2),
        ("four", 4),
    ];
    assert_eq!(found, wanted);
    assert!(all[0].place.ends_with("lib.rs:3"), "{}", all[0].place);
}
