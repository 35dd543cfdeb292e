//! What a project is loaded from: the files of the command line, and the fragments merged over them.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// What the project directory is called where production is, if not as here.
    pub folder_name: Option<String>,
    /// What `.env` in the project directory says where production is, if not as here.
    pub dotenv: Dotenv,
}

/// The host's `.env`, where a service's own `env_file` names it: what is interpolated has other sources.
#[derive(Debug, Clone, Default)]
pub struct Dotenv {
    /// Files that stand for it, each over those before; none means the file itself.
    pub files: Vec<PathBuf>,
    /// Variables that it says besides, over all others.
    pub variables: BTreeMap<String, String>,
}

/// A file to merge whose relative paths are relative to the folder it stands in.
#[derive(Debug, Clone)]
pub(super) struct Fragment {
    /// Where it stands.
    pub path: PathBuf,
    /// The one service that it may change.
    pub service: String,
}
