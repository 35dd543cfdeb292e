//! Reading `rehearsal.yaml`: from as written to [`Settings`], or to everything that is wrong with it.
//!
//! Four phases, each of which reports all it finds and ends the reading if it finds anything: syntax, variables
//! (`variables.rs`), structure by the grammar (`structure.rs`), meaning (the files named after the sections).

mod auth;
mod fields;
mod files;
mod production;
mod stages;
mod step;
mod structure;
mod suite;
#[cfg(test)]
mod tests;
mod variables;

use crate::yaml::tree;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::grammar;
use super::settings::Settings;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::Node;
use fields::Reader;

/// The name under which the configuration is searched.
pub const FILE_NAME: &str = "rehearsal.yaml";

const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// What the command line and the process contribute.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The configuration file, as the user named it: errors show it so.
    pub config: PathBuf,
    /// `--candidate SERVICE=IMAGE`, in order; of one service the last holds.
    pub candidate_overrides: Vec<(String, String)>,
    /// Which of its keys the command uses.
    pub keys: Keys,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// Why this job may have been given no secrets, and the way out: said where one is missing.
    pub withheld: Option<String>,
    /// The process's environment. It is handed in because only `context.rs` reads it.
    pub environment: BTreeMap<String, String>,
}

/// Which keys are resolved. What the other keys say is not looked at: they may well name variables and secrets that only a
/// pipeline has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keys {
    /// All of them.
    #[default]
    All,
    /// Those that say what production is.
    Production,
}

/// The configuration that holds for a folder: its own, or that of the nearest folder above it. The path must be
/// absolute, or there is nothing above it.
pub fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|file| file.is_file())
}

/// A file's absolute path, as [`Settings::file`] has it.
pub fn absolute(file: &Path) -> PathBuf {
    files::absolute(file)
}

/// Reads the configuration. The only way to fail is a mistake of the user's; all that its phase shows are returned, in
/// the order of their places. Nothing is started here.
pub fn load(options: &Options) -> Result<Settings, Vec<Diagnostic>> {
    read(options).map_err(|mut errors| {
        errors.sort_by_key(|error| error.span.as_ref().map(|span| span.range.start));
        errors
    })
}

fn read(options: &Options) -> Result<Settings, Vec<Diagnostic>> {
    let mut document = parse(&options.config).map_err(|error| vec![error])?;
    let folder = options.config.parent().unwrap_or(Path::new(""));
    let overridden: BTreeSet<_> = options
        .candidate_overrides
        .iter()
        .map(|(service, _)| service.as_str())
        .collect();
    variables::forget_overridden(&mut document, &overridden);
    let environment = variables::environment(&document, folder, &options.environment)?;
    // Also those of keys that are not used: what is marked is not shown.
    let marked = variables::secrets(&document, &environment);
    if options.keys == Keys::Production {
        variables::forget_all_but_production(&mut document);
    }
    variables::replace(&mut document, &environment)?;
    let mut secrets = variables::secrets(&document, &environment);
    secrets.extend(marked);
    let known = secrets.clone();
    let without_secrets = |errors: Vec<Diagnostic>| -> Vec<Diagnostic> {
        let clean = |error| variables::without_secrets(&known, error);
        errors.into_iter().map(clean).collect()
    };
    let errors = structure::check(&document, &grammar::FILE);
    if !errors.is_empty() {
        return Err(without_secrets(errors));
    }
    let reader = Reader::new(folder, environment, options.withheld.clone());
    let settings = settings(&reader, &document, options);
    let met = reader.finish().map_err(without_secrets)?;
    secrets.extend(met);
    Ok(Settings { secrets, ..settings })
}

fn parse(path: &Path) -> Result<Node, Diagnostic> {
    let bytes = std::fs::read(path).map_err(|error| {
        Diagnostic::new(format!("`{}` cannot be read: {error}", path.display()))
            .help("name the configuration with `--config`, or write one with `rehearsal init`")
    })?;
    let document = tree::parse(Arc::new(files::text(path, bytes)?)).map_err(with_way_out)?;
    if document.is_null() {
        return Err(Diagnostic::at(&document.span, "the configuration is empty")
            .help("it needs at least `production: {compose: …}` and a `candidate`"));
    }
    Ok(document)
}

fn settings(reader: &Reader, document: &Node, options: &Options) -> Settings {
    let file = reader.fields(document, &grammar::FILE);
    Settings {
        file: files::absolute(&options.config),
        production: production::production(&file),
        candidate: match options.keys {
            Keys::Production => BTreeMap::new(),
            Keys::All => production::candidates(&file, &options.candidate_overrides),
        },
        replaced: production::replaced(&file),
        auth: file.fields("auth", &grammar::AUTH).map(|fields| auth::auth(&fields)),
        suites: suite::suites(&file),
        data: file
            .fields("data", &grammar::DATA)
            .map(|fields| suite::data(&fields))
            .unwrap_or_default(),
        stages: stages::stages(file.fields("stages", &grammar::STAGES)),
        policy: stages::policy(file.fields("policy", &grammar::POLICY)),
        timeout: options.timeout.or(file.duration("timeout")).unwrap_or(TIMEOUT),
        secrets: BTreeMap::new(),
        addresses: reader.addresses(),
    }
}

/// The parser says what it stumbled over; this says what it usually is.
fn with_way_out(error: Diagnostic) -> Diagnostic {
    match error.help {
        Some(_) => error,
        None => error.help("indent with spaces, close every bracket, and quote a text that holds `: `, ` #` or `{{`"),
    }
}
