//! The house: which room imports which, read off the `use` lines and the paths in the code. A room imports only rooms
//! below it, and no files import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{ItemMod, UseTree};

use crate::source::{self, Source};

/// From top to bottom: a room, and every room that it imports. One that is taken from its line without need is taken out
/// of this table, one that is wanted upwards is a fault of the wish.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "command",
        &[
            "cli",
            "publish",
            "init",
            "report",
            "attest",
            "merge",
            "rehearsal",
            "verdict",
            "prepare",
            "check",
            "alerts",
            "mirror",
            "lock",
            "engine",
            "config",
            "world",
            "compose",
            "agent",
            "yaml",
            "text",
            "record",
            "context",
            "interrupt",
        ],
    ),
    (
        "cli",
        &["publish", "report", "attest", "prepare", "lock", "config", "agent"],
    ),
    ("publish", &["report", "attest", "yaml", "text", "record", "context"]),
    ("init", &["check", "lock", "engine", "config", "world", "yaml"]),
    ("report", &["attest", "text", "record"]),
    ("attest", &["record"]),
    ("merge", &["verdict", "plan", "check", "text", "record"]),
    (
        "rehearsal",
        &[
            "plan", "check", "suite", "mirror", "lock", "engine", "config", "world", "agent", "text", "record",
        ],
    ),
    ("verdict", &["record"]),
    (
        "prepare",
        &[
            "plan", "check", "alerts", "mirror", "lock", "engine", "config", "world", "compose", "text", "yaml",
            "record", "context",
        ],
    ),
    (
        "plan",
        &["check", "mirror", "engine", "config", "world", "yaml", "record"],
    ),
    (
        "check",
        &[
            "alerts", "suite", "mirror", "lock", "engine", "config", "world", "agent", "text", "record",
        ],
    ),
    ("alerts", &["engine", "yaml", "record"]),
    (
        "suite",
        &["mirror", "engine", "config", "agent", "text", "yaml", "record"],
    ),
    (
        "mirror",
        &["lock", "engine", "config", "world", "agent", "text", "record"],
    ),
    ("lock", &["engine", "agent", "yaml", "text", "record", "context"]),
    ("engine", &["world", "text", "record", "context"]),
    ("config", &["yaml", "text", "record"]),
    ("world", &["compose", "yaml"]),
    ("compose", &["yaml"]),
    ("agent", &[]),
    ("yaml", &[]),
    ("text", &["record"]),
    ("record", &[]),
    ("context", &[]),
    ("interrupt", &[]),
];

type Module = Vec<String>;

/// Which file imports which.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let sources = source::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let modules: BTreeSet<Module> = sources.iter().map(|source| source.module.clone()).collect();
    sources
        .iter()
        .map(|source| (source.module.clone(), of_file(source, &modules)))
        .collect()
}

fn of_file(source: &Source, modules: &BTreeSet<Module>) -> BTreeSet<Module> {
    let mut paths = Paths(Vec::new());
    paths.visit_file(&source.file);
    let resolved = paths.0.iter().filter_map(|path| resolve(path, &source.module, modules));
    resolved
        .filter(|module| *module != source.module && !module.is_empty())
        .collect()
}

/// Every path of a file, as written.
struct Paths(Vec<Vec<String>>);

impl<'a> Visit<'a> for Paths {
    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        if !source::is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        leaves(&item.tree, Vec::new(), &mut self.0);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0
            .push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    // `pub(in crate::engine)` imports nothing.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}
}

fn leaves(tree: &UseTree, mut so_far: Vec<String>, all: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            so_far.push(path.ident.to_string());
            leaves(&path.tree, so_far, all);
        }
        UseTree::Group(group) => group.items.iter().for_each(|item| leaves(item, so_far.clone(), all)),
        UseTree::Name(name) => {
            so_far.push(name.ident.to_string());
            all.push(so_far);
        }
        UseTree::Rename(name) => {
            so_far.push(name.ident.to_string());
            all.push(so_far);
        }
        UseTree::Glob(_) => all.push(so_far),
    }
}

/// The file of ours in which a path ends; `None` for a path of another crate, or a name of the file's own.
fn resolve(path: &[String], from: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    let mut base = from.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|first| first == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
        }
        child if rest.len() > 1 && modules.contains(&[from, &[child.to_owned()]].concat()) => {}
        _ => return None,
    }
    let whole: Module = base.into_iter().chain(rest.iter().cloned()).collect();
    (0..=whole.len())
        .rev()
        .map(|length| whole[..length].to_vec())
        .find(|module| modules.contains(module))
}

fn room(module: &[String]) -> &str {
    module.first().map_or("", String::as_str)
}

#[test]
fn each_room_imports_the_rooms_of_the_table_and_no_other() {
    let table: BTreeMap<&str, BTreeSet<&str>> = ROOMS
        .iter()
        .map(|(room, below)| (*room, below.iter().copied().collect()))
        .collect();
    let imports = imports();
    let mut found: BTreeMap<&str, BTreeSet<&str>> = table.keys().map(|room| (*room, BTreeSet::new())).collect();
    for (from, to) in imports
        .iter()
        .flat_map(|(from, all)| all.iter().map(move |to| (from, to)))
    {
        if room(from) != room(to) && !from.is_empty() {
            found.entry(room(from)).or_default().insert(room(to));
        }
    }
    assert_eq!(
        found, table,
        "the rooms and what they import (left: the code, right: the table)"
    );
}

#[test]
fn a_room_imports_only_rooms_below_it() {
    let place = |room: &str| ROOMS.iter().position(|(name, _)| *name == room);
    for (room, below) in ROOMS {
        for other in *below {
            assert!(
                place(other) > place(room),
                "`{room}` imports `{other}`, which stands above it"
            );
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports();
    assert!(imports.len() > 100, "only {} files were read", imports.len());
    let mut circles: BTreeMap<BTreeSet<Module>, String> = BTreeMap::new();
    for way in imports.keys().filter_map(|module| way_back(module, &imports)) {
        let words: Vec<String> = way.iter().map(|module| module.join("::")).collect();
        circles.insert(way.into_iter().collect(), words.join(" → "));
    }
    let told: Vec<&String> = circles.values().collect();
    assert!(told.is_empty(), "circles: {told:#?}");
}

/// The way along imports from a file back to it.
fn way_back(start: &Module, imports: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut open = vec![start];
    while let Some(module) = open.pop() {
        for next in imports.get(module).into_iter().flatten() {
            if next == start {
                return Some(trace(module, start, &came_from));
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, module);
                open.push(next);
            }
        }
    }
    None
}

fn trace(last: &Module, start: &Module, came_from: &BTreeMap<&Module, &Module>) -> Vec<Module> {
    let mut way = vec![start.clone(), last.clone()];
    let mut at = last;
    while let Some(before) = came_from.get(at).filter(|_| at != start) {
        way.push((*before).clone());
        at = before;
    }
    way.reverse();
    way
}

#[test]
fn a_path_is_resolved_as_the_compiler_does() {
    let module = |text: &str| {
        text.split("::")
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect::<Module>()
    };
    let modules: BTreeSet<Module> = ["", "a", "a::b", "c"].map(module).into();
    let cases = [
        ("crate::c::Thing", "a::b", Some("c")),
        ("super::Thing", "a::b", Some("a")),
        ("super::super::c", "a::b", Some("c")),
        ("b::Thing", "a", Some("a::b")),
        ("std::fmt", "a", None),
        ("Thing", "a", None),
    ];
    for (path, from, wanted) in cases {
        assert_eq!(
            resolve(&module(path), &module(from), &modules),
            wanted.map(module),
            "{path} in {from}"
        );
    }
}
