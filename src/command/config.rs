//! `rehearsal config`: production as Rehearsal reads it, in Compose's canonical form.

use anyhow::Result;

use super::common::{context, print_json, refuse};
use crate::cli::{ConfigArgs, ConfigFormat};
use crate::compose;
use crate::context::Context;
use crate::prepare::{self, Asked};
use crate::record::exit_code::ExitCode;
use crate::report::terminal::tell;
use crate::text::redact::Redactor;

pub fn config(args: &ConfigArgs) -> Result<ExitCode> {
    let context = context()?;
    let (options, redactor) = if args.compose.is_empty() {
        let asked = Asked::of(args.config.as_deref());
        match prepare::prepare_production(&asked, &context) {
            Ok(prepared) => (prepare::load_options(&prepared.settings), prepared.redactor()),
            Err(errors) => return Ok(refuse(&errors)),
        }
    } else {
        (of_files(args, &context), Redactor::default())
    };
    let project = match compose::load(&options) {
        Ok(project) => project,
        Err(error) => return Ok(refuse(&[error])),
    };
    let mut canonical = project.canonical_json();
    redactor.clean_document(&mut canonical);
    match args.format {
        ConfigFormat::Json => print_json(&canonical),
        ConfigFormat::Yaml => {
            let _read = tell(crate::yaml::write::yaml(&canonical).trim_end());
            Ok(ExitCode::Pass)
        }
    }
}

fn of_files(args: &ConfigArgs, context: &Context) -> compose::LoadOptions {
    compose::LoadOptions {
        files: args.compose.clone(),
        project_directory: args.project_directory.clone(),
        profiles: args.profile.clone(),
        env_file: args.env_file.clone(),
        environment: context.environment.clone(),
        project_name: None,
    }
}
