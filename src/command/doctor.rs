//! `rehearsal doctor`: looks at this machine, lists what runs have left on it, and removes that if asked.
//!
//! Exit codes: 0 nothing is wrong; 2 the configuration cannot be used; 3 something else stands in a run's way, or is
//! left over.

mod budget;
mod github;

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use strum::Display;
use time::OffsetDateTime;

use super::common::engine;
use crate::cli::{DoctorArgs, DoctorFormat};
use crate::command::entry::moment;
use crate::config::read;
use crate::context::Context;
use crate::engine::Engine;
use crate::engine::sweep::{self, Leftover, Liveness};
use crate::lock;
use crate::prepare::{self, Asked, Prepared};
use crate::record::exit_code::ExitCode;
use crate::report::terminal::tell;
use crate::text::harmless;

/// Less than this on a disk is worth a word: images and volumes need room.
const LITTLE: u64 = 2 * 1024 * 1024 * 1024;

/// What was looked at, and what was seen.
#[derive(Debug, Serialize)]
struct Examined {
    about: &'static str,
    state: Health,
    seen: String,
    /// Whose doing it is, where something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    whose: Option<Whose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

/// Whose doing something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display)]
enum Whose {
    #[serde(rename = "you")]
    #[strum(to_string = "you")]
    User,
    #[serde(rename = "the machine")]
    #[strum(to_string = "the machine")]
    Machine,
    #[serde(rename = "a killed run")]
    #[strum(to_string = "a killed run")]
    KilledRun,
}

/// What becomes of what dead runs have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cleaning {
    Listed,
    Removed,
}

/// How it is with what a run has on the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
enum State {
    Alive,
    Kept,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Fine,
    Note,
    Wrong,
}

/// What a run has on the engine.
#[derive(Debug, Serialize)]
struct Left {
    run: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_for: Option<String>,
    objects: Vec<String>,
    removed: bool,
}

#[derive(Debug, Default, Serialize)]
struct Diagnosis {
    lines: Vec<Examined>,
    runs: Vec<Left>,
    /// Lock files of dead runs.
    files: Vec<PathBuf>,
}

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub async fn doctor(args: &DoctorArgs, context: &Context) -> Result<ExitCode> {
    let mut report = Diagnosis::default();
    let cleaning = match args.remove {
        true => Cleaning::Removed,
        false => Cleaning::Listed,
    };
    let engine = report.engine(cleaning, context).await;
    report.disk("working directory", &context.directory);
    report.disk("temporary files", &std::env::temp_dir());
    let prepared = report.configuration(args, context);
    if let Some(prepared) = prepared {
        report
            .budget(&prepared, engine.as_ref(), &context.directory.join(&args.out))
            .await;
    }
    report.github(args.branch.as_deref(), context).await;
    if engine.is_some() {
        report.leftovers();
    }
    report.files(cleaning, &context.runs);
    let code = report.code();
    match args.format {
        DoctorFormat::Json => drop(tell(&serde_json::to_string_pretty(&report)?)),
        DoctorFormat::Human => report.print(),
    }
    Ok(code)
}

impl Diagnosis {
    fn add(&mut self, about: &'static str, state: Health, seen: String) {
        self.lines.push(Examined {
            about,
            state,
            seen,
            whose: None,
            way_out: None,
        });
    }

    fn wrong(&mut self, about: &'static str, seen: String, whose: Whose, way_out: impl Into<String>) {
        self.lines.push(Examined {
            about,
            state: Health::Wrong,
            seen,
            whose: Some(whose),
            way_out: Some(way_out.into()),
        });
    }

    async fn engine(&mut self, cleaning: Cleaning, context: &Context) -> Option<Engine> {
        let engine = match engine(context).await {
            Ok(engine) => engine,
            Err(error) => {
                let way_out = "start Docker or Podman, or set DOCKER_HOST to where one listens";
                self.wrong("engine", one_line(&format!("{error:#}")), Whose::Machine, way_out);
                return None;
            }
        };
        match engine.describe().await {
            Ok(found) => {
                let facts: Vec<String> = found
                    .facts
                    .iter()
                    .map(|(name, value)| format!("{name} {value}"))
                    .collect();
                let words = format!(
                    "{} {}, API {}, {}, {}",
                    found.name,
                    found.version,
                    found.api,
                    found.platform,
                    facts.join(", ")
                );
                self.add("engine", Health::Fine, one_line(&words));
            }
            Err(error) => self.wrong(
                "engine",
                one_line(&format!("{error:#}")),
                Whose::Machine,
                "look into its own log",
            ),
        }
        match sweep::leftovers(&engine).await {
            Ok(all) => {
                for left in all {
                    let goes = cleaning == Cleaning::Removed && left.liveness == Liveness::Dead;
                    let removed = goes && self.remove(&engine, &left).await;
                    self.runs.push(Left {
                        removed,
                        ..described(left)
                    });
                }
            }
            Err(error) => self.wrong(
                "leftovers",
                one_line(&format!("{error:#}")),
                Whose::Machine,
                "look into the engine's log",
            ),
        }
        Some(engine)
    }

    async fn remove(&mut self, engine: &Engine, left: &Leftover) -> bool {
        match sweep::remove_run(engine, &left.run).await {
            Ok(kept) => {
                if let Some(words) = kept.words() {
                    self.add("leftovers", Health::Note, words);
                }
                true
            }
            Err(error) => {
                let seen = one_line(&format!("{error:#}"));
                self.wrong("leftovers", seen, Whose::Machine, "look into the engine's log");
                false
            }
        }
    }

    fn disk(&mut self, about: &'static str, folder: &Path) {
        let Ok(found) = rustix::fs::statvfs(folder) else {
            return self.add(
                about,
                Health::Note,
                format!("`{}` cannot be looked at", folder.display()),
            );
        };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let gigabytes = format!(
            "{}.{} GB free at `{}`",
            free / 1_000_000_000,
            free / 100_000_000 % 10,
            folder.display()
        );
        if free < LITTLE {
            self.wrong(
                about,
                gigabytes,
                Whose::Machine,
                "make room: reports, logs and images are written",
            );
        } else {
            self.add(about, Health::Fine, gigabytes);
        }
    }

    fn configuration(&mut self, args: &DoctorArgs, context: &Context) -> Option<Prepared> {
        let Some(file) = args.config.clone().or_else(|| read::find(&context.directory)) else {
            let seen = format!(
                "no `{}` in `{}` or above it",
                read::FILE_NAME,
                context.directory.display()
            );
            self.add("configuration", Health::Note, seen);
            return None;
        };
        let asked = Asked::of(Some(&file));
        let prepared = match prepare::prepare_production(&asked, context) {
            Ok(prepared) => prepared,
            Err(errors) => {
                let first = errors.first().map(|error| error.message.clone()).unwrap_or_default();
                let way_out = format!("`rehearsal plan --config {}` points at the place", file.display());
                let seen = format!("`{}`: {}", file.display(), one_line(&first));
                self.wrong("configuration", seen, Whose::User, way_out);
                return None;
            }
        };
        let services = prepared.world.services.len();
        let seen = format!("`{}`: production has {services} service(s)", file.display());
        self.add("configuration", Health::Fine, seen);
        let production = &prepared.settings.production;
        let lock = lock::State::read(
            production.lock.as_deref(),
            production.max_lock_age,
            OffsetDateTime::now_utc(),
        );
        match &lock {
            lock::State::None => self.add("lock", Health::Note, lock.statement()),
            lock::State::Fresh(..) => self.add("lock", Health::Fine, lock.statement()),
            lock::State::Unusable { why, .. } => {
                self.wrong(
                    "lock",
                    one_line(why),
                    Whose::User,
                    "until then every run is inconclusive",
                );
            }
        }
        Some(prepared)
    }

    fn leftovers(&mut self) {
        let is_there = |left: &&Left| left.state == State::Dead && !left.removed;
        let dead = self.runs.iter().filter(is_there).count();
        let removed = self.runs.iter().filter(|left| left.removed).count();
        match dead {
            0 if removed > 0 => self.add(
                "leftovers",
                Health::Fine,
                format!("those of {removed} run(s) were removed"),
            ),
            0 => self.add("leftovers", Health::Fine, "none on the engine".to_owned()),
            dead => {
                let seen = format!("{dead} run(s) that nobody owns have something on the engine");
                self.wrong(
                    "leftovers",
                    seen,
                    Whose::KilledRun,
                    "`rehearsal doctor --remove`, or the next run",
                );
            }
        }
    }

    fn files(&mut self, cleaning: Cleaning, runs: &Path) {
        self.files = match cleaning {
            Cleaning::Removed => sweep::remove_lock_files(runs),
            Cleaning::Listed => sweep::dead_lock_files(runs),
        };
        if !self.files.is_empty() {
            let seen = format!("{} of dead runs in `{}`", self.files.len(), runs.display());
            self.wrong(
                "lock files",
                seen,
                Whose::KilledRun,
                "`rehearsal doctor --remove`, or the next run",
            );
        }
    }

    fn code(&self) -> ExitCode {
        let wrong = |line: &&Examined| line.state == Health::Wrong;
        match self
            .lines
            .iter()
            .filter(wrong)
            .map(|line| line.about)
            .collect::<Vec<_>>()
            .as_slice()
        {
            [] => ExitCode::Pass,
            all if all.contains(&"configuration") => ExitCode::Usage,
            _ => ExitCode::Inconclusive,
        }
    }

    fn print(&self) {
        for line in &self.lines {
            let mark = match line.state {
                Health::Fine => '✓',
                Health::Note => '·',
                Health::Wrong => '✗',
            };
            tell(&format!("{mark} {:<18} {}", line.about, one_line(&line.seen)));
            if let (Some(whose), Some(way_out)) = (line.whose, &line.way_out) {
                tell(&format!("  {:<18} {whose}: {}", "", one_line(way_out)));
            }
        }
        for left in &self.runs {
            let age = left
                .age_seconds
                .map_or_else(String::new, |age| format!(", {} min old", age / 60));
            let state = match left.removed {
                true => "removed".to_owned(),
                false => left.state.to_string(),
            };
            let kept = left
                .kept_for
                .as_ref()
                .map_or_else(String::new, |file| format!(", of {}", one_line(file)));
            tell(&format!(
                "  run {}: {state}{age}, until {}{kept}",
                one_line(&left.run),
                left.until
            ));
            for object in &left.objects {
                tell(&format!("    {}", one_line(object)));
            }
        }
        for file in &self.files {
            tell(&format!("  file {}", one_line(&file.display().to_string())));
        }
    }
}

fn described(left: Leftover) -> Left {
    let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default();
    Left {
        run: left.run,
        state: match left.liveness {
            Liveness::Alive => State::Alive,
            Liveness::Kept => State::Kept,
            Liveness::Dead => State::Dead,
        },
        age_seconds: left.since.map(|since| now.saturating_sub(since)),
        until: moment(left.deadline),
        kept_for: left.kept_for,
        objects: left
            .objects
            .into_iter()
            .map(|object| format!("{} {}", object.kind, object.name))
            .collect(),
        removed: false,
    }
}

/// Names on an engine are other people's words, too.
fn one_line(text: &str) -> String {
    harmless::line(text, 400)
}
