//! The product's sources as the compiler reads them, without what is compiled for tests alone (`#[test]`, `#[cfg(test)]`,
//! and the files of a module that is so marked).

use std::path::{Path, PathBuf};

use syn::{Attribute, Item, ItemMod, Lit, Meta};

/// One file and the module that it is.
pub struct Source {
    /// `["mirror", "start"]`; empty for the root.
    pub module: Vec<String>,
    /// Its items.
    pub file: syn::File,
}

/// Every file of a crate, as its modules name them.
pub fn all(root: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    read(root, Vec::new(), &mut sources);
    sources
}

fn read(path: &Path, module: Vec<String>, sources: &mut Vec<Source>) {
    let file = parsed(path);
    for item in &file.items {
        let Item::Mod(inner) = item else { continue };
        if inner.content.is_none() && !is_for_tests(&inner.attrs) {
            let name = [module.clone(), vec![inner.ident.to_string()]].concat();
            read(&file_of(path, inner), name, sources);
        }
    }
    sources.push(Source { module, file });
}

/// A file as the compiler reads it.
pub fn parsed(path: &Path) -> syn::File {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file of `mod NAME;` in this file.
pub fn file_of(file: &Path, module: &ItemMod) -> PathBuf {
    let folder = file.parent().expect("in a folder");
    if let Some(path) = module.attrs.iter().find_map(path_of) {
        return folder.join(path);
    }
    let own = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
    let folder = match own {
        "lib" | "main" | "mod" => folder.to_owned(),
        own => folder.join(own),
    };
    let (name, nested) = (
        module.ident.to_string(),
        folder.join(module.ident.to_string()).join("mod.rs"),
    );
    if nested.exists() {
        nested
    } else {
        folder.join(name).with_extension("rs")
    }
}

/// What `#[path = "…"]` says.
fn path_of(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match (&pair.value, attribute.path().is_ident("path")) {
        (syn::Expr::Lit(text), true) => match &text.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// It is compiled for tests alone.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test = attribute
            .path()
            .segments
            .last()
            .is_some_and(|last| last.ident == "test");
        let cfg = attribute.path().is_ident("cfg");
        is_test || cfg && attribute.parse_args::<syn::Ident>().is_ok_and(|what| what == "test")
    })
}
