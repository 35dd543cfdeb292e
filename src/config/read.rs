//! Reading `rehearsal.yaml`: from as written to [`Settings`], or to everything that is wrong with it.
//!
//! Four phases, each of which reports all it finds and ends the reading if it finds anything: syntax, variables
//! (`variables.rs`), structure by the grammar (`structure.rs`), meaning (the files named after the sections).

mod alerts;
mod auth;
mod base;
mod directory;
mod env_file;
mod faults;
mod fields;
mod files;
mod hosts;
mod load;
mod production;
mod release;
mod restore;
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

use super::alerts::Alerts;
use super::grammar;
use super::settings::{Faults, Load, Next, Settings, Tops};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::file::{self, MOST_TEXT};
use crate::yaml::tree::{Entry, Node};
pub use base::Lacking;
use fields::{Origin, Reader};
pub use hosts::place as host_place;

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
    /// The configuration that says what production is, where that is another one: `--production-from`.
    pub production_from: Option<Base>,
    /// Which of its keys the command uses.
    pub keys: Keys,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// Why this job may have been given no secrets, and the way out: said where one is missing.
    pub withheld: Option<String>,
    /// The process's environment. It is handed in because only `context.rs` reads it.
    pub environment: BTreeMap<String, String>,
}

/// A configuration that says what production is, and nothing else.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its file.
    pub config: PathBuf,
    /// Where its paths lead.
    pub place: Place,
    /// The process's environment, as it is there.
    pub environment: BTreeMap<String, String>,
    /// Where the same files are.
    pub tops: Tops,
}

/// Where a configuration's paths lead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// To what is beside it.
    #[default]
    Beside,
    /// Into a folder that has no configuration yet: what it lacks of [`Lacking`] apart.
    Folder(PathBuf),
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

/// What a folder without a configuration lacks of the files that this one says production is. `None` where it has none of the
/// Compose files, or where that cannot be told: nothing there is known to be production.
pub fn lacking(config: &Path, folder: &Path) -> Option<Lacking> {
    let document = parse(config).ok()?;
    base::lacking(&document, folder, beside(config))
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
    let whole = match &options.production_from {
        Some(base) => described(options, base)?,
        None => Whole {
            own: own(options, &options.environment)?,
            production: None,
            next: None,
            unheard: Vec::new(),
        },
    };
    let Whole {
        own,
        production,
        next,
        unheard,
    } = whole;
    own.check()?;
    let reader = Reader::new(own.origin, production, options.withheld.clone());
    let next = next.map(|next| next.read(&reader));
    let settings = settings(&reader, &own.document, options, next);
    let met = reader
        .finish()
        .map_err(|errors| without_secrets(&own.secrets, errors))?;
    let mut secrets = own.secrets;
    secrets.extend(met);
    Ok(Settings {
        secrets,
        unheard,
        ..settings
    })
}

/// All that is known of a configuration before it is looked at key by key.
struct Whole {
    own: Written,
    /// Whose the description of production is, where it is another file's.
    production: Option<Origin>,
    next: Option<WrittenNext>,
    /// See [`Settings::unheard`].
    unheard: Vec<&'static str>,
}

/// The configuration with the base's description of production.
fn described(options: &Options, base: &Base) -> Result<Whole, Vec<Diagnostic>> {
    let (base_tops, place) = (&base.tops, &base.place);
    let base = written(&base.config, place, &base.environment, base::keep_description)?;
    base::describes(&base.document).map_err(|error| vec![error])?;
    // What the mirror's production is given is what tests know, too.
    let mut process = base.origin.environment.clone();
    process.extend(options.environment.clone());
    let mut own = own(options, &process)?;
    own.secrets.extend(base.secrets);
    let next = next(&mut own, options, base_tops)?;
    // Of what is replaced, nothing but the form is looked at.
    if own.document.get("production").is_some() {
        own.check()?;
    }
    let unheard = match place {
        Place::Beside => base::unheard(&own.document, &base.document),
        // It is the same one.
        Place::Folder(_) => Vec::new(),
    };
    base::describe(&mut own.document, base.document);
    Ok(Whole {
        own,
        production: Some(base.origin),
        next,
        unheard,
    })
}

/// What the working tree says of production, where that is the release.
struct WrittenNext {
    entry: Entry,
    /// What its Compose files see: nothing of the base's.
    environment: BTreeMap<String, String>,
    tops: Tops,
}

impl WrittenNext {
    fn read(self, reader: &Reader) -> Next {
        Next {
            production: production::described(reader, &self.entry.node, self.environment, self.entry.key_span).0,
            tops: self.tops,
        }
    }
}

/// Where neither `candidate` nor `release` is given, the release is production as the working tree has it.
fn next(own: &mut Written, options: &Options, tops: &Tops) -> Result<Option<WrittenNext>, Vec<Diagnostic>> {
    let is_said = |key| own.document.get(key).is_some_and(|node| !node.is_null());
    let is_named = is_said("candidate") || is_said("release") || !options.candidate_overrides.is_empty();
    let Some(entry) = own.document.entry("production").cloned() else {
        return Ok(None);
    };
    if is_named || options.keys == Keys::Production {
        return Ok(None);
    }
    let environment = variables::environment(&own.document, &own.origin.folder, &options.environment)?;
    let known = own.secrets.clone().into_iter();
    let others = known.filter_map(|(name, value)| {
        let other = environment
            .get(&name)
            .filter(|other| **other != value && !other.is_empty())?;
        Some((format!("{name} of the working tree"), other.clone()))
    });
    own.secrets.extend(others);
    Ok(Some(WrittenNext {
        entry,
        environment,
        tops: tops.clone(),
    }))
}

/// A configuration file with its variables replaced.
struct Written {
    document: Node,
    origin: Origin,
    /// Also those of keys that are not used: what is marked is not shown.
    secrets: BTreeMap<String, String>,
}

impl Written {
    /// Whether it has the form that the grammar says.
    fn check(&self) -> Result<(), Vec<Diagnostic>> {
        let errors = structure::check(&self.document, &grammar::FILE);
        match errors.is_empty() {
            true => Ok(()),
            false => Err(without_secrets(&self.secrets, errors)),
        }
    }
}

fn without_secrets(secrets: &BTreeMap<String, String>, errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let clean = |error| variables::without_secrets(secrets, error);
    errors.into_iter().map(clean).collect()
}

/// The configuration as it stands there.
fn own(options: &Options, process: &BTreeMap<String, String>) -> Result<Written, Vec<Diagnostic>> {
    let overrides = options.candidate_overrides.iter();
    let overridden: BTreeSet<_> = overrides.map(|(service, _)| service.as_str()).collect();
    written(&options.config, &Place::Beside, process, |document| {
        variables::forget_overridden(document, &overridden);
        if options.keys == Keys::Production {
            variables::forget_all_but_production(document);
        }
    })
}

/// Reads a file. `forget` takes out what nobody will ask for.
fn written(
    file: &Path,
    place: &Place,
    process: &BTreeMap<String, String>,
    forget: impl Fn(&mut Node),
) -> Result<Written, Vec<Diagnostic>> {
    let mut document = parse(file).map_err(|error| vec![error])?;
    let folder = match place {
        Place::Beside => beside(file),
        Place::Folder(folder) => {
            base::settle(&mut document, folder, beside(file));
            folder.as_path()
        }
    };
    let environment = variables::environment(&document, folder, process)?;
    let marked = variables::secrets(&document, &environment);
    forget(&mut document);
    variables::replace(&mut document, &environment)?;
    let mut secrets = variables::secrets(&document, &environment);
    secrets.extend(marked);
    let origin = Origin {
        source: Arc::clone(&document.span.source),
        folder: folder.to_owned(),
        environment,
    };
    Ok(Written {
        document,
        origin,
        secrets,
    })
}

fn beside(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

fn parse(path: &Path) -> Result<Node, Diagnostic> {
    let bytes = file::bytes(path, MOST_TEXT).map_err(|error| {
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

fn settings(reader: &Reader, document: &Node, options: &Options, next: Option<Next>) -> Settings {
    faults::need_auth(reader, document);
    let file = reader.fields(document, &grammar::FILE);
    // What is asked is compared with what is there in the order of the contract.
    let auth = file.fields("auth", &grammar::AUTH).map(|fields| auth::auth(&fields));
    let suites = suite::suites(&file);
    let (production, said) = production::production(&file);
    let mut settings = Settings {
        file: files::absolute(&options.config),
        candidate: match options.keys {
            Keys::Production => BTreeMap::new(),
            Keys::All => production::candidates(&file, &options.candidate_overrides, next.as_ref()),
        },
        release: release::release(&file, (&production, said), next.as_ref().map(|next| &next.tops)),
        production,
        replaced: production::replaced(&file),
        auth,
        data: file
            .fields("data", &grammar::DATA)
            .map(|fields| suite::data(&fields))
            .unwrap_or_default(),
        stages: stages::stages(&file, &suites),
        suites,
        policy: stages::policy(file.fields("policy", &grammar::POLICY)),
        timeout: TIMEOUT,
        secrets: BTreeMap::new(),
        unheard: Vec::new(),
        next,
        addresses: reader.addresses(),
    };
    let both_at_once = settings
        .stages
        .load
        .as_ref()
        .map(Load::both_at_once)
        .unwrap_or_default();
    let faults = settings.stages.faults.as_ref();
    let rotations = 1 + u32::from(settings.auth.as_ref().is_some_and(|auth| auth.rotate.is_some()));
    let until_taken = faults.map(Faults::until_keys_are_taken).unwrap_or_default() * rotations;
    let timeout = options.timeout.or(file.duration("timeout"));
    let alerts = settings.stages.alerts.as_ref();
    let until_failed = alerts.map(Alerts::until_something_fails).unwrap_or_default();
    settings.timeout = timeout.unwrap_or(TIMEOUT + both_at_once + until_taken + until_failed);
    settings
}

/// The parser says what it stumbled over; this says what it usually is.
fn with_way_out(error: Diagnostic) -> Diagnostic {
    match error.help {
        Some(_) => error,
        None => error.help("indent with spaces, close every bracket, and quote a text that holds `: `, ` #` or `{{`"),
    }
}
