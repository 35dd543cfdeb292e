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
}

/// A file to merge whose relative paths are relative to the folder it stands in.
#[derive(Debug, Clone)]
pub(super) struct Fragment {
    /// Where it stands.
    pub path: PathBuf,
    /// The one service that it may change.
    pub service: String,
}
