//! Room: what the engine's machine has for containers and images.

use std::path::Path;

use anyhow::Result;

use super::Engine;
use super::line::address::Endpoint;

/// What the engine's machine has; each as far as it can be told from here, else why it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Bytes of memory.
    pub memory: Result<u64, String>,
    /// Free bytes where the engine keeps images, containers and volumes.
    pub disk: Result<u64, String>,
    /// Processors.
    pub processors: Result<u64, String>,
}

impl Engine {
    /// Asks for it.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn room(&self) -> Result<Room> {
        let info = self.docker().info().await?;
        let number = |told: Option<i64>, what: &str| {
            let told = told.and_then(|count| u64::try_from(count).ok());
            told.filter(|count| *count > 0)
                .ok_or_else(|| format!("the engine does not say {what}"))
        };
        Ok(Room {
            memory: number(info.mem_total, "how much memory it has"),
            disk: self.free(info.docker_root_dir.as_deref()),
            processors: number(info.ncpu, "how many processors it has"),
        })
    }

    /// Only of an engine on this machine can the disk be looked at: no engine tells how much of it is free.
    fn free(&self, root: Option<&str>) -> Result<u64, String> {
        let Endpoint::Socket(_) = self.line.endpoint() else {
            return Err(
                "the engine is on another machine, and engines do not tell how much of their disk is free".to_owned(),
            );
        };
        match root.filter(|root| !root.is_empty()) {
            Some(root) => free(Path::new(root)),
            None => Err("the engine does not say where it keeps images".to_owned()),
        }
    }
}

/// Bytes that are free for everybody on the disk of a folder of this machine.
///
/// # Errors
/// Why it cannot be told.
pub fn free(folder: &Path) -> Result<u64, String> {
    let found = rustix::fs::statvfs(folder);
    let found = found.map_err(|error| format!("`{}` cannot be looked at: {error}", folder.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
