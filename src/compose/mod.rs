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
mod options;
mod port;
mod read;
mod resolve;
mod scalar;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use model::{
    BindOptions, Blkio, Build, Condition, CredentialSpec, Dependency, Deploy, Device, DeviceRequest, EnvFile,
    FileMount, FileObject, FileSource, Healthcheck, Hook, ImageOptions, Ipam, IpamPool, Limits, Logging, Model,
    ModelBinding, Mount, MountKind, Network, NetworkAttachment, NetworkMode, Placement, Port, Project, Provider,
    Resources, Restart, RestartPolicy, Service, TmpfsOptions, Ulimit, UpdateConfig, Volume, VolumeOptions, VolumesFrom,
    Watch,
};
pub use options::{Dotenv, LoadOptions};
pub use scalar::parse_duration;

use self::options::Fragment;
use crate::yaml::diagnostic::Diagnostic;

/// Reads a project as `docker compose config` does.
pub fn load(options: &LoadOptions) -> Result<Project, Diagnostic> {
    load_with(options.clone(), Vec::new())
}

/// The files that a project is loaded from: as named, else those of Compose's default names in the project directory.
pub fn files(options: &LoadOptions) -> Result<Vec<PathBuf>, Diagnostic> {
    load::files(options)
}

/// The name of the project that these files are, as `docker compose` finds it.
pub fn name(options: &LoadOptions) -> Result<String, Diagnostic> {
    load::name(options)
}

/// Merges a Compose file over a project, as one more `-f`. Only `service` may be in its `services`; new volumes,
/// networks, secrets and configs are welcome. Its relative paths are relative to the folder it stands in.
pub fn merge_service_fragment(project: &Project, service: &str, fragment_file: &Path) -> Result<Project, Diagnostic> {
    let fragment = Fragment {
        path: fragment_file.to_owned(),
        service: service.to_owned(),
    };
    let fragments = project.fragments.iter().cloned().chain([fragment]).collect();
    load_with(project.options.clone(), fragments)
}

fn load_with(options: LoadOptions, fragments: Vec<Fragment>) -> Result<Project, Diagnostic> {
    let loaded = load::load(&options, &fragments)?;
    let sections = read::sections(&loaded.root)?;
    resolve::project(sections, loaded, options, fragments)
}
