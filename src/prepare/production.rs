//! Production's description: what is read for it.

use std::collections::BTreeMap;

use crate::compose;
use crate::config::settings::{Production, Settings};

/// What `docker compose` would be given for production.
pub fn load_options(settings: &Settings) -> compose::LoadOptions {
    options_of(&settings.production)
}

/// The same of any description.
pub(super) fn options_of(production: &Production) -> compose::LoadOptions {
    compose::LoadOptions {
        files: production.compose.clone(),
        project_directory: production.project_directory.clone(),
        profiles: production.profiles.clone(),
        env_file: production.env_file.iter().cloned().collect(),
        environment: production.environment.clone(),
        project_name: None,
        folder_name: production.folder_name.clone(),
        dotenv: compose::Dotenv {
            files: production.env_file.iter().cloned().collect(),
            variables: BTreeMap::new(),
        },
    }
}
