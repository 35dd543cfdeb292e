//! Compose files, from as written to a typed [`Project`].
//!
//! The stages, one file each:
//!
//! 1. `load`: files, `include`, `extends`, in the order Compose takes them
//! 2. `canonical`: each file's short forms become long forms, its relative paths absolute
//! 3. `merge`: one file over another, by Compose's rules, `!reset` and `!override` included
//! 4. `read`: the merged tree becomes the typed model; what is unknown is refused
//! 5. `resolve`: names, implicit networks and dependencies, profiles, env files
//! 6. `json`: the canonical form, that of `docker compose config`
//!
//! Nothing here reads the process's environment or speaks to an engine.

mod canonical;
mod fields;
mod json;
mod load;
mod merge;
mod model;
mod port;
mod read;
mod resolve;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use model::*;
pub use scalar::parse_duration;

use crate::yaml::diagnostic::Diagnostic;

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
    load_with(options.clone(), Vec::new())
}

/// Merges a Compose file over a project, as one more `-f`. Only `service` may be in its `services`; new volumes,
/// networks, secrets and configs are welcome. Its relative paths are relative to the folder it stands in.
pub fn merge_service_fragment(project: &Project, service: &str, fragment_file: &Path) -> Result<Project, Diagnostic> {
    let fragment = load::Fragment {
        path: fragment_file.to_owned(),
        service: service.to_owned(),
    };
    let fragments = project.fragments.iter().cloned().chain([fragment]).collect();
    load_with(project.options.clone(), fragments)
}

fn load_with(options: LoadOptions, fragments: Vec<load::Fragment>) -> Result<Project, Diagnostic> {
    let loaded = load::load(&options, &fragments)?;
    let sections = read::sections(&loaded.root)?;
    resolve::project(sections, loaded, options, fragments)
}
