//! What production's env file says to `docker compose` itself: `COMPOSE_FILE`, `COMPOSE_PATH_SEPARATOR`, `COMPOSE_PROFILES`
//! hold where the configuration is silent. Where both speak and differ, half a production would be mirrored: refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fields::Fields;
use super::files;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::env_file::{self, Format};
use crate::yaml::file;
use crate::yaml::span::{Source, Span};

/// Production's env file: the one that is named, else the project directory's `.env`.
pub(super) struct EnvFile {
    /// As the user knows it.
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
            name,
            folder,
            variables: variables.map(|all| all.into_iter().collect()).unwrap_or_default(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Production's Compose files; `written` are the configuration's.
    pub(super) fn files(&self, production: &Fields, written: Vec<PathBuf>, span: &Span) -> Vec<PathBuf> {
        let separator = self.get("COMPOSE_PATH_SEPARATOR").unwrap_or(":");
        let named = self.get("COMPOSE_FILE").map(|names| {
            let paths = names.split(separator).filter(|name| !name.is_empty());
            paths
                .map(|name| files::absolute(&self.folder.join(name)))
                .collect::<Vec<_>>()
        });
        let reader = production.reader;
        match named {
            Some(named) if written.is_empty() => {
                for missing in named.iter().filter(|path| !path.is_file()) {
                    let message = format!(
                        "`COMPOSE_FILE` of `{}` names {}, which is no file",
                        self.name,
                        shown(missing)
                    );
                    reader.refuse(
                        Diagnostic::at(span, message).help("its paths count from production's project directory"),
                    );
                }
                named
            }
            Some(named) if !same_files(&named, &written) => {
                let message = format!(
                    "`production.compose` is `{}`, and `COMPOSE_FILE` of `{}` is `{}`",
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
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let names = named.split(',').map(|name| name.trim().to_owned());
        if sorted(names.filter(|name| !name.is_empty()).collect()) != sorted(written.to_vec()) {
            let message = format!(
                "`production.profiles` is {}, and `COMPOSE_PROFILES` of `{}` is {named}",
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

fn same_files(one: &[PathBuf], other: &[PathBuf]) -> bool {
    let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    one.iter().map(real).eq(other.iter().map(real))
}

/// By its name: where it stands, the configuration or the env file says.
fn shown(path: &Path) -> String {
    format!("`{}`", path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())
}
