//! `rehearsal config`: production as Rehearsal reads it, in Compose's canonical form.

use anyhow::Result;

use super::common::{context, print_json, refuse};
use crate::cli::{ConfigArgs, ConfigFormat};
use crate::compose;
use crate::prepare::{self, Asked};
use crate::record::exit_code::ExitCode;

pub fn config(args: &ConfigArgs) -> Result<ExitCode> {
    let context = context()?;
    let options = if args.compose.is_empty() {
        let asked = Asked::of(args.config.as_deref());
        match prepare::prepare(&asked, &context) {
            Ok(prepared) => prepare::load_options(&prepared.settings),
            Err(errors) => return Ok(refuse(&errors)),
        }
    } else {
        compose::LoadOptions {
            files: args.compose.clone(),
            project_directory: args.project_directory.clone(),
            profiles: args.profile.clone(),
            env_file: args.env_file.clone(),
            environment: context.environment.clone(),
            project_name: None,
        }
    };
    let project = match compose::load(&options) {
        Ok(project) => project,
        Err(error) => return Ok(refuse(&[error])),
    };
    let canonical = project.canonical_json();
    match args.format {
        ConfigFormat::Json => print_json(&canonical),
        ConfigFormat::Yaml => {
            print!("{}", crate::yaml::write::yaml(&canonical));
            Ok(ExitCode::Pass)
        }
    }
}
