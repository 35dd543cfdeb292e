//! Volumes that are folders of the host in disguise: bound by the options of the local driver.

use std::path::PathBuf;

use crate::compose::Volume;

/// A folder of the host that a volume stands for.
pub struct Behind {
    /// Where it is.
    pub path: PathBuf,
    /// Nobody writes to it.
    pub read_only: bool,
}

/// The folder that a volume of production stands for, where it is on this machine with something in it. What is empty the
/// engine fills with what the image has there, as it does with any volume.
pub fn folder_behind(volume: &Volume) -> Option<Behind> {
    let is_local = volume.driver.as_deref().is_none_or(|driver| driver == "local");
    let options = volume.driver_opts.get("o")?.split(',').map(str::trim);
    let options: Vec<&str> = options.collect();
    let is_bound = options.iter().any(|option| matches!(*option, "bind" | "rbind"));
    let path = PathBuf::from(volume.driver_opts.get("device")?);
    let mut entries = std::fs::read_dir(&path).ok()?;
    let is_there = is_local && is_bound && !volume.external && path.is_absolute() && entries.next().is_some();
    is_there.then(|| Behind {
        path,
        read_only: options.contains(&"ro"),
    })
}
