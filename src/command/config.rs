//! `rehearsal config`: production as Rehearsal reads it, in Compose's canonical form.

use anyhow::Result;
use serde_json::Value;

use super::common::{context, print_json, refuse};
use crate::cli::{ConfigArgs, ConfigFormat};
use crate::compose;
use crate::context::Context;
use crate::prepare::{self, Asked};
use crate::record::exit_code::ExitCode;
use crate::report::terminal::tell;
use crate::yaml::diagnostic::Diagnostic;

pub fn config(args: &ConfigArgs) -> Result<ExitCode> {
    let context = context()?;
    let canonical = if args.compose.is_empty() {
        of_configuration(args, &context)
    } else {
        let loaded = compose::load(&of_files(args, &context));
        loaded
            .map(|project| project.canonical_json())
            .map_err(|error| vec![error])
    };
    let canonical = match canonical {
        Ok(canonical) => canonical,
        Err(errors) => return Ok(refuse(&errors)),
    };
    match args.format {
        ConfigFormat::Json => print_json(&canonical),
        ConfigFormat::Yaml => {
            let _read = tell(crate::yaml::write::yaml(&canonical).trim_end());
            Ok(ExitCode::Pass)
        }
    }
}

/// Without secrets, and with the paths that files have in the working tree, wherever they were taken from.
fn of_configuration(args: &ConfigArgs, context: &Context) -> Result<Value, Vec<Diagnostic>> {
    let asked = Asked {
        production_from: args.production_from.production_from.clone(),
        ..Asked::of(args.config.as_deref())
    };
    let prepared = prepare::prepare_production(&asked, context)?;
    let elsewhere = prepared.elsewhere.as_ref();
    let called = |error| match elsewhere {
        Some(elsewhere) => vec![elsewhere.name(error)],
        None => vec![error],
    };
    let project = compose::load(&prepare::load_options(&prepared.settings)).map_err(called)?;
    let mut canonical = project.canonical_json();
    prepared.redactor().clean_document(&mut canonical);
    if let Some(elsewhere) = elsewhere {
        elsewhere.as_in_working_tree(&mut canonical);
    }
    Ok(canonical)
}

fn of_files(args: &ConfigArgs, context: &Context) -> compose::LoadOptions {
    compose::LoadOptions {
        files: args.compose.clone(),
        project_directory: args.project_directory.clone(),
        profiles: args.profile.clone(),
        env_file: args.env_file.clone(),
        environment: context.environment.clone(),
        project_name: None,
        folder_name: None,
        dotenv: compose::Dotenv::default(),
    }
}
