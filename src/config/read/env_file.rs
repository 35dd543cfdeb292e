//! What production's env file says to `docker compose` itself: `COMPOSE_FILE`, `COMPOSE_PATH_SEPARATOR`, `COMPOSE_PROFILES`
//! hold where the configuration is silent. Where both speak and differ, half a production would be mirrored: refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::settings::Tops;
use super::fields::{Fields, Reader};
use super::files;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::env_file::{self, Format};
use crate::yaml::file;
use crate::yaml::span::{Source, Span};

/// Production's env file: the one that is named, else the project directory's `.env`.
pub(super) struct EnvFile {
    /// As people are told of it.
    name: String,
    folder: PathBuf,
    variables: BTreeMap<String, String>,
}

impl EnvFile {
    /// One that cannot be read has been told, or will be.
    pub(super) fn of(production: &Fields, compose: &[PathBuf], project_directory: Option<&Path>) -> Self {
        let reader = production.reader;
        let origin = reader.origin(&production.node.span);
        let beside = compose.first().and_then(|file| file.parent());
        let folder = project_directory.or(beside).unwrap_or(&origin.folder).to_path_buf();
        let named = production
            .get("env_file")
            .map(|node| (reader.path(node), reader.text(node)));
        let (path, name) = named.unwrap_or_else(|| (folder.join(".env"), ".env".to_owned()));
        let text = file::text(&path).unwrap_or_default();
        let lookup = |name: &str| origin.environment.get(name).cloned();
        let source = Source { path, text };
        let variables = env_file::parse(source.into(), Format::Dotenv, &lookup);
        Self {
            name: format!("`{name}`"),
            folder,
            variables: variables.map(|all| all.into_iter().collect()).unwrap_or_default(),
        }
    }

    /// What it says from a release on, whose variables lie over it; its files are those of the folder that the release's
    /// tree has in production's place.
    pub(super) fn under(self, variables: &BTreeMap<String, String>, tops: Option<&Tops>) -> ReleaseEnv {
        let below = tops.and_then(|tops| Some(tops.here.join(self.folder.strip_prefix(&tops.there).ok()?)));
        let all = self.variables.iter().chain(variables);
        ReleaseEnv {
            over: Self {
                name: "the release's variables".to_owned(),
                folder: below.unwrap_or_else(|| self.folder.clone()),
                variables: all.map(|(name, value)| (name.clone(), value.clone())).collect(),
            },
            names: variables.keys().cloned().collect(),
            production: self,
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The files that it names, as they stand in its folder.
    fn named_files(&self) -> Option<Vec<PathBuf>> {
        let separator = self.get("COMPOSE_PATH_SEPARATOR").unwrap_or(":");
        let names = self.get("COMPOSE_FILE")?.split(separator);
        let paths = names
            .filter(|name| !name.is_empty())
            .map(|name| files::absolute(&self.folder.join(name)));
        Some(paths.collect())
    }

    /// Refuses what it names and is not there.
    fn are_there(&self, reader: &Reader, named: &[PathBuf], span: &Span) {
        for missing in named.iter().filter(|path| !path.is_file()) {
            let message = format!(
                "`COMPOSE_FILE` of {} names {}, which is no file",
                self.name,
                shown(missing)
            );
            reader.refuse(Diagnostic::at(span, message).help("its paths count from production's project directory"));
        }
    }

    /// Production's Compose files; `written` are the configuration's.
    pub(super) fn files(&self, production: &Fields, written: Vec<PathBuf>, span: &Span) -> Vec<PathBuf> {
        let reader = production.reader;
        match self.named_files() {
            Some(named) if written.is_empty() => {
                self.are_there(reader, &named, span);
                named
            }
            Some(named) if !same_files(&named, &written) => {
                let message = format!(
                    "`production.compose` is `{}`, and `COMPOSE_FILE` of {} is `{}`",
                    production.texts("compose").join("`, `"),
                    self.name,
                    self.get("COMPOSE_FILE").unwrap_or_default()
                );
                let place = production.get("compose").map_or(span, |node| &node.span);
                reader.refuse(
                    Diagnostic::at(place, message)
                        .help("production runs what its env file says: take `compose` out, or make the two the same"),
                );
                written
            }
            None if written.is_empty() => {
                let help = "add `compose: …`, or an `env_file` that has `COMPOSE_FILE`";
                reader.refuse(Diagnostic::at(span, "`production` lacks `compose`").help(help));
                written
            }
            _ => written,
        }
    }

    /// Refuses profiles that are not those of the env file.
    pub(super) fn agrees_on_profiles(&self, production: &Fields, written: &[String]) {
        let (Some(named), Some(node)) = (self.get("COMPOSE_PROFILES"), production.get("profiles")) else {
            return;
        };
        if !same_names(named, written) {
            let message = format!(
                "`production.profiles` is {}, and `COMPOSE_PROFILES` of {} is {named}",
                written.join(","),
                self.name
            );
            production.reader.refuse(
                Diagnostic::at(&node.span, message)
                    .help("production runs what its env file says: take `profiles` out, or make the two the same"),
            );
        }
    }
}

/// What a release's variables say to `docker compose`, over production's.
pub(super) struct ReleaseEnv {
    over: EnvFile,
    /// The variables that the release itself sets.
    names: BTreeSet<String>,
    production: EnvFile,
}

impl ReleaseEnv {
    /// The release's Compose files: those that are written, else those that its own variables name.
    pub(super) fn files(&self, release: &Fields, written: Vec<PathBuf>, span: &Span) -> Vec<PathBuf> {
        let own = self.names.contains("COMPOSE_FILE");
        let Some(named) = self.over.named_files().filter(|_| own) else {
            return written;
        };
        let reader = release.reader;
        if written.is_empty() {
            self.over.are_there(reader, &named, span);
            return named;
        }
        let is_new = self.over.get("COMPOSE_FILE") != self.production.get("COMPOSE_FILE");
        if is_new && !named_alike(&named, &written) {
            let message = format!(
                "`release.compose` is `{}`, and `COMPOSE_FILE` of {} is `{}`",
                release.texts("compose").join("`, `"),
                self.over.name,
                self.over.get("COMPOSE_FILE").unwrap_or_default()
            );
            let place = release.get("compose").map_or(span, |node| &node.span);
            reader.refuse(Diagnostic::at(place, message).help(
                "the deploy takes the files that its variables name: take `compose` out, or make the two the same",
            ));
        }
        written
    }

    /// Refuses profiles that production's description fixes and the release's variables would change: those of the
    /// command line win over every variable.
    pub(super) fn agrees_on_profiles(&self, reader: &Reader, fixed: &[String], span: &Span) {
        let is_fixed = !fixed.is_empty() && self.production.get("COMPOSE_PROFILES").is_none();
        let named = self.over.variables.get("COMPOSE_PROFILES");
        let named = named.filter(|_| is_fixed && self.names.contains("COMPOSE_PROFILES"));
        let Some(named) = named.filter(|named| !same_names(named, fixed)) else {
            return;
        };
        let message = format!(
            "`production.profiles` is {}, and `COMPOSE_PROFILES` of {} is {named}",
            fixed.join(","),
            self.over.name
        );
        reader.refuse(Diagnostic::at(span, message).help(
            "profiles of the command line win over variables: take `profiles` out of `production` and say them in its \
             env file, or take them out of the release",
        ));
    }
}

/// Whether a list as `docker compose` has it names these.
fn same_names(listed: &str, names: &[String]) -> bool {
    let listed = listed.split(',').map(str::trim).filter(|name| !name.is_empty());
    let listed: BTreeSet<&str> = listed.collect();
    listed == names.iter().map(String::as_str).collect()
}

fn same_files(one: &[PathBuf], other: &[PathBuf]) -> bool {
    let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    one.iter().map(real).eq(other.iter().map(real))
}

/// Whether files lie under the same names, wherever: the release's stand beside production's here.
fn named_alike(one: &[PathBuf], other: &[PathBuf]) -> bool {
    let name = |path: &PathBuf| path.file_name().map(ToOwned::to_owned);
    one.iter().map(name).eq(other.iter().map(name))
}

/// By its name: where it stands, the configuration or the env file says.
fn shown(path: &Path) -> String {
    format!("`{}`", path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())
}
