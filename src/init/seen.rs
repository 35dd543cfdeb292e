//! What there is to guess from.

use std::path::Path;

use super::secrets::Secrets;
use crate::world::model::World;

/// Production, and the folder beside it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Production, as its Compose file says.
    pub world: &'a World,
    /// What must not be written down.
    pub secrets: &'a Secrets,
    /// The folder of the configuration.
    pub folder: &'a Path,
}
