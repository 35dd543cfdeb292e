//! Compose files, from as written to a typed [`Project`].
//!
//! The stages, one file each:
//!
//! 1. [`load`](self): files, `include`, `extends`, in the order Compose takes them
//! 2. `canonical`: each file's short forms become long forms, its relative paths absolute
//! 3. `merge`: one file over another, by Compose's rules, `!reset` and `!override` included
//! 4. `read`: the merged tree becomes the typed model; what is unknown is refused
//! 5. `resolve`: names, implicit networks and dependencies, profiles, env files
//! 6. `json`: the canonical form, that of `docker compose config`
//!
//! Nothing here reads the process's environment or speaks to an engine.

mod model;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use model::*;

use super::diagnostic::Diagnostic;

/// What `docker compose` would be given on its command line.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `-f`, in merge order; none means the default names in the project directory.
    pub files: Vec<PathBuf>,
    /// `--project-directory`; default is the folder of the first file.
    pub project_directory: Option<PathBuf>,
    /// `--profile`.
    pub profiles: Vec<String>,
    /// `--env-file`: replaces the project directory's `.env`.
    pub env_file: Vec<PathBuf>,
    /// The process's environment, which wins over every env file.
    pub environment: BTreeMap<String, String>,
    /// `--project-name`.
    pub project_name: Option<String>,
}

/// Reads a project as `docker compose config` does.
pub fn load(options: &LoadOptions) -> Result<Project, Diagnostic> {
    let _ = options;
    Err(Diagnostic::new("the Compose loader is not there yet"))
}

/// Merges a Compose file over a project, as one more `-f`; only `service` (and no other) may be in its `services`.
pub fn merge_service_fragment(project: &Project, service: &str, fragment_file: &Path) -> Result<Project, Diagnostic> {
    let _ = service;
    let mut options = project.options.clone();
    options.files.push(fragment_file.to_owned());
    load(&options)
}

impl Project {
    /// The project as `docker compose config --format json` prints it.
    pub fn canonical_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}
