//! Production's description from elsewhere than the working tree: from the tree of a git ref, or from another checkout.
//! In a pull request it is the base's, so that no change waives its own failure.

pub mod explain;
mod export;
mod git;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use self::export::{Export, Missing};
use self::git::{GitError, Repository};
use crate::config::read::{self, Lacking, Place};
use crate::config::settings::{Production, Tops};
use crate::context::Context;
use crate::record::release::ProductionRecord;
use crate::yaml::diagnostic::{Diagnostic, nearest};
use crate::yaml::span::{Source, Span};

/// As long as people write a commit.
const SHORT: usize = 7;
/// Paths that a note names.
const NAMED: usize = 3;
/// How a folder begins, which no ref does.
const FOLDERS: [&str; 3] = ["/", "./", "../"];

/// A description of production that is not the working tree's. What was written for it goes with this.
pub struct Elsewhere {
    /// Who describes it.
    pub described: Described,
    /// For the plan and the record.
    pub record: ProductionRecord,
    /// What a reader must know of it, one sentence each.
    pub notes: Vec<String>,
    /// That the working tree's holds, in words.
    pub warning: Option<String>,
    /// Its first folder, and the working tree's.
    tops: Tops,
    /// How files there are called, where they are a ref's.
    tree: Option<Tree>,
}

/// Who describes production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Described {
    /// A configuration there.
    There(PathBuf),
    /// The working tree's configuration, of the files there: there is none yet.
    OfFiles {
        /// The working tree's.
        config: PathBuf,
        /// Its place there.
        folder: PathBuf,
        /// What is not there.
        lacking: Lacking,
    },
    /// The working tree's configuration, of its own files: there are none of them.
    Here,
}

/// An exported tree.
struct Tree {
    export: Export,
    /// By this the ref is known.
    name: String,
}

impl Elsewhere {
    /// Finds what was asked for. `config` is the working tree's configuration: the one there has the same place.
    ///
    /// # Errors
    /// There is no such ref or folder, or it cannot be read.
    pub(super) fn find(asked: &str, config: &Path, context: &Context) -> Result<Self, Diagnostic> {
        let config = &read::absolute(config);
        let checkout = git::checkout_of(config.parent().unwrap_or(Path::new("")));
        if asked.trim().is_empty() || asked.starts_with('-') {
            let error = format!("`--production-from={asked}` names neither a ref of git nor a folder");
            return Err(Diagnostic::new(error).help(
                "write `--production-from main`, or `--production-from ../base` with another checkout's folder",
            ));
        }
        let asked = asked.trim_end_matches('/');
        if is_folder(asked) {
            return of_folder(asked, config, checkout.as_deref(), context);
        }
        let Some(checkout) = checkout else {
            let error = format!("`{asked}` is no ref of git: `{}` is in no checkout", config.display());
            return Err(Diagnostic::new(error).help(format!("for a folder of that name write `./{asked}`")));
        };
        of_ref(asked, config, checkout, context)
    }

    /// The configuration that describes production there, with what it is read with; nothing where that is the working tree's. Whoever names files by `PWD` means
    /// those beside the configuration.
    pub(super) fn base(&self, context: &Context) -> Option<read::Base> {
        let (config, place) = match self.described.clone() {
            Described::There(config) => (config, Place::Beside),
            Described::OfFiles { config, folder, .. } => (config, Place::Folder(folder)),
            Described::Here => return None,
        };
        let mut environment = context.environment.clone();
        if let Some(folder) = environment.get_mut("PWD")
            && let Ok(within) = Path::new(folder).strip_prefix(&self.tops.here)
        {
            *folder = self.tops.there.join(within).display().to_string();
        }
        Some(read::Base {
            config,
            place,
            environment,
            tops: self.tops.clone(),
        })
    }

    /// A second checkout may be called as one likes; production's folder is called as the first.
    pub(super) fn call_folder(&self, production: &mut Production) {
        let first = production.compose.first().and_then(|file| file.parent());
        let directory = production.project_directory.as_deref().or(first);
        if directory.is_some_and(|directory| is_same_folder(directory, &self.tops.there)) {
            let name = self.tops.here.file_name();
            production.folder_name = name.map(|name| name.to_string_lossy().into_owned());
        }
    }

    /// That a change waits for its merge, for all keys that are not heard.
    pub(super) fn unheard(&self, keys: &[&str]) -> Option<String> {
        let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let (keys, from) = (keys.join(", "), &self.record.from);
        let words = format!("what the working tree says of {keys} holds once it is merged: here that of {from} does");
        (!keys.is_empty()).then_some(words)
    }

    /// A mistake with files called as they are there: `main:compose.yaml`.
    pub fn name(&self, error: Diagnostic) -> Diagnostic {
        let Some(tree) = &self.tree else { return error };
        let source = |source: &Source| Source {
            path: PathBuf::from(tree.called(&source.path.display().to_string())),
            text: source.text.clone(),
        };
        Diagnostic {
            message: tree.called(&error.message),
            label: error.label.as_deref().map(|text| tree.called(text)),
            help: error.help.as_deref().map(|text| tree.called(text)),
            span: error.span.as_ref().map(|span| Span {
                source: Arc::new(source(&span.source)),
                ..span.clone()
            }),
            ..error
        }
    }

    /// A text with files called so.
    pub fn called(&self, text: &str) -> String {
        self.tree
            .as_ref()
            .map_or_else(|| text.to_owned(), |tree| tree.called(text))
    }

    /// A document with the paths that the same files have in the working tree.
    pub fn as_in_working_tree(&self, document: &mut Value) {
        let Tops { there, here } = &self.tops;
        match document {
            Value::String(text) => {
                *text = text.replace(&there.display().to_string(), &here.display().to_string());
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.as_in_working_tree(item)),
            Value::Object(members) => members.values_mut().for_each(|value| self.as_in_working_tree(value)),
            _ => {}
        }
    }
}

impl Tree {
    fn called(&self, text: &str) -> String {
        let Self { export, name } = self;
        let (top, folder) = (export.top.display(), export.folder().display());
        text.replace(&format!("{top}/"), &format!("{name}:"))
            .replace(&top.to_string(), &format!("{name}:"))
            .replace(&folder.to_string(), &format!("{name}:.."))
    }
}

fn is_folder(asked: &str) -> bool {
    // Without its last slash the root is blank.
    asked.is_empty() || [".", ".."].contains(&asked) || FOLDERS.iter().any(|start| asked.starts_with(start))
}

fn of_folder(asked: &str, config: &Path, checkout: Option<&Path>, context: &Context) -> Result<Elsewhere, Diagnostic> {
    let folder = context.directory.join(asked);
    if !folder.is_dir() {
        let error = format!("`--production-from {asked}`: there is no such folder");
        return Err(Diagnostic::new(error).help("check the base out there first, or name a ref of git"));
    }
    let other = git::checkout_of(&folder);
    if checkout.is_some() && other.as_deref() == checkout {
        let error = format!(
            "`--production-from {asked}` is of the same checkout as `{}`",
            config.display()
        );
        return Err(Diagnostic::new(error).help(
            "a change under test does not say what production is: name a ref of git, or the folder of a checkout of its own",
        ));
    }
    let commit = other.and_then(|top| {
        let repository = Repository::of(top, &context.environment);
        repository.commit("HEAD").ok().flatten()
    });
    let found = described(&folder, config, checkout);
    let beside = std::fs::canonicalize(config.parent().unwrap_or(Path::new(""))).unwrap_or_default();
    let tops = Tops {
        there: std::fs::canonicalize(&folder).unwrap_or(folder),
        here: checkout.map_or(beside, Path::to_path_buf),
    };
    Ok(elsewhere(
        asked,
        asked.to_owned(),
        commit,
        found,
        (tops, Missing::default()),
    ))
}

fn of_ref(asked: &str, config: &Path, checkout: PathBuf, context: &Context) -> Result<Elsewhere, Diagnostic> {
    let repository = Repository::of(checkout.clone(), &context.environment);
    let commit = repository.commit(asked).map_err(|error| no_git(asked, &error))?;
    let Some(commit) = commit else {
        return Err(no_such_ref(asked, &repository, &context.directory));
    };
    let mut export = Export::of(&repository, &commit, &context.runs).map_err(|error| {
        let error = format!("the tree of `{asked}` could not be had: {error:#}");
        Diagnostic::new(error).help("make room below the folder of temporary files, or name another checkout's folder")
    })?;
    let name = if commit.starts_with(asked) {
        short(&commit)
    } else {
        asked
    };
    let found = described(&export.top, config, Some(&checkout));
    let missing = std::mem::take(&mut export.missing);
    let tops = Tops {
        there: export.top.clone(),
        here: checkout,
    };
    Ok(Elsewhere {
        tree: Some(Tree {
            export,
            name: name.to_owned(),
        }),
        ..elsewhere(asked, name.to_owned(), Some(commit.clone()), found, (tops, missing))
    })
}

fn elsewhere(
    asked: &str,
    name: String,
    commit: Option<String>,
    described: Described,
    (tops, missing): (Tops, Missing),
) -> Elsewhere {
    let known = commit.as_deref().map(short).filter(|commit| *commit != name);
    let whole = known.map_or_else(|| name.clone(), |commit| format!("{name} ({commit})"));
    let (statement, warning) = described.words(&whole);
    Elsewhere {
        described,
        record: ProductionRecord {
            from: asked.to_owned(),
            commit,
            statement,
        },
        notes: warning
            .iter()
            .map(|warning| format!("warning: {warning}"))
            .chain(missing.notes(&name))
            .collect(),
        warning,
        tops,
        tree: None,
    }
}

/// Who describes production in another checkout: the configuration that has the place of this one. Where there is none, the next
/// above it held for that folder: one that a change adds further down does not hide it. Where there is none either, this one
/// does, of the files that are there.
fn described(top: &Path, config: &Path, checkout: Option<&Path>) -> Described {
    let Ok(folder) = std::fs::canonicalize(config.parent().unwrap_or(Path::new(""))) else {
        return Described::Here;
    };
    let within = checkout.and_then(|checkout| folder.strip_prefix(checkout).ok());
    let folder = top.join(within.unwrap_or(Path::new("")));
    let same = config.file_name().map(|name| folder.join(name));
    let above = folder.ancestors().take_while(|folder| folder.starts_with(top));
    let above = above.map(|folder| folder.join(read::FILE_NAME));
    if let Some(there) = same.into_iter().chain(above).find(|file| file.is_file()) {
        return Described::There(there);
    }
    match read::lacking(config, &folder) {
        Some(lacking) => Described::OfFiles {
            config: config.to_path_buf(),
            folder,
            lacking,
        },
        None => Described::Here,
    }
}

impl Described {
    /// What it is called in the plan and the record; and a warning where the working tree has a say.
    fn words(&self, whole: &str) -> (String, Option<String>) {
        let name = read::FILE_NAME;
        match self {
            Self::There(_) => (format!("production as of {whole}"), None),
            Self::OfFiles { lacking, .. } => (
                format!(
                    "production as the files of {whole} say: it has no `{name}` yet, and the working tree's names them"
                ),
                Some(format!(
                    "{whole} has no `{name}`: which files describe production, the policy and the authentication product are \
                     as the working tree says{}",
                    lacking_words(lacking)
                )),
            ),
            Self::Here => (
                format!("production as the working tree says: {whole} has no `{name}` yet"),
                Some(format!(
                    "{whole} has no `{name}`, and none of the Compose files that the working tree's names: production, policy \
                     and the authentication product are as the working tree says"
                )),
            ),
        }
    }
}

fn lacking_words(lacking: &Lacking) -> String {
    let named = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let stands_in = named(&lacking.stands_in);
    let left_out = named(&lacking.left_out);
    let all = [
        (stands_in, "and so are, for want of them there,"),
        (left_out, "no part of production there:"),
    ];
    let said = all.iter().filter(|(names, _)| !names.is_empty());
    said.map(|(names, words)| format!("; {words} {names}")).collect()
}

impl Missing {
    fn notes(&self, name: &str) -> Vec<String> {
        let kinds = [
            (&self.submodules, "is a submodule, whose files are not in this tree"),
            (
                &self.pointers,
                "is kept by Git LFS: what is in the tree is its pointer, not its content",
            ),
            (&self.links, "is a link out of the tree, or to nothing, and is left out"),
        ];
        let told = kinds.iter().filter(|(paths, _)| !paths.is_empty());
        told.map(|(paths, what)| {
            let named = paths
                .iter()
                .take(NAMED)
                .map(|path| format!("`{name}:{}`", path.display()));
            let more = match paths.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" (and {more} more alike)"),
            };
            let named = named.collect::<Vec<_>>().join(", ");
            format!("warning: {named}{more}: {what}; where production needs it, name another checkout's folder")
        })
        .collect()
    }
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| std::fs::canonicalize(path).ok();
    place(one).is_some() && place(one) == place(other)
}

fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}

fn no_git(asked: &str, error: &GitError) -> Diagnostic {
    Diagnostic::new(format!("`{asked}` could not be looked up: {error}"))
        .help("install git, or name the folder of another checkout, as in `--production-from ../base`")
}

fn no_such_ref(asked: &str, repository: &Repository, directory: &Path) -> Diagnostic {
    let names = repository.names();
    let remote = names.iter().find(|name| name.ends_with(&format!("/{asked}")));
    let near = remote
        .map(String::as_str)
        .or_else(|| nearest(asked, names.iter().map(String::as_str)));
    let mut ways = Vec::new();
    if let Some(near) = near {
        ways.push(format!("did you mean `{near}`?"));
    }
    if near.is_none() && repository.is_shallow() {
        ways.push(format!("only the newest commits are here: {}", fetched(asked)));
    } else if near.is_none() {
        ways.push(format!("where the remote has it, {}", fetched(asked)));
    }
    if directory.join(asked).is_dir() {
        ways.push(format!("for the folder of that name write `./{asked}`"));
    }
    Diagnostic::new(format!("git knows no `{asked}` here")).help(ways.join("; "))
}

/// How one commit is brought here.
fn fetched(asked: &str) -> String {
    match git::is_object_id(asked) {
        true => format!("`git fetch --depth=1 origin {asked}` brings it"),
        false => {
            let branch = asked.strip_prefix("origin/").unwrap_or(asked);
            format!("`git fetch --depth=1 origin {branch}:refs/remotes/origin/{branch}` brings it as `origin/{branch}`")
        }
    }
}
