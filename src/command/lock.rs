//! `rehearsal lock`: takes a lock, or says what has moved since one was taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use time::OffsetDateTime;

use super::common::{failed, refuse, shown};
use crate::cli::LockArgs;
use crate::config::read::find;
use crate::context::Context;
use crate::lock::take::{self, FactSource, SourceKind, TakeOptions};
use crate::lock::{AuthFacts, Lock, OwnProbe, Trust, compare, probe, read, write};
use crate::prepare::elsewhere::Elsewhere;
use crate::prepare::{self, Asked, Prepared};
use crate::record::exit_code::ExitCode;
use crate::report::json;
use crate::report::terminal::{say, tell};
use crate::text::harmless::one_line;
use crate::text::redact::Redactor;

/// Where nobody says otherwise.
const FILE_NAME: &str = "production.lock";

/// From the command line to the exit code.
///
/// # Errors
/// Only what is our bug.
pub async fn lock(args: &LockArgs, context: &Context) -> Result<ExitCode> {
    if args.production_from.production_from.is_some() && !args.check {
        say(
            "error: `--production-from` is for `--check`: a lock that is taken is written beside the working tree's files",
        );
        return Ok(ExitCode::Usage);
    }
    let prepared = match configuration(args, context) {
        Ok(prepared) => prepared,
        Err(code) => return Ok(code),
    };
    let redactor = prepared.as_ref().map(Prepared::redactor).unwrap_or_default();
    let file = file(args, prepared.as_ref(), context);
    let elsewhere = prepared.as_ref().and_then(|prepared| prepared.elsewhere.as_ref());
    let old = match old(args, &file, elsewhere, &redactor) {
        Ok(old) => old,
        Err(code) => return Ok(code),
    };
    let options = match options(args, prepared.as_ref(), old.as_ref(), context) {
        Ok(options) => options,
        Err(error) => {
            failed(&error, &redactor);
            return Ok(ExitCode::Usage);
        }
    };
    let new = match take::take(&options, context, OffsetDateTime::now_utc()).await {
        Ok(new) => declared(new, old.as_ref()),
        Err(error) => {
            failed(&error.context("production could not be read"), &redactor);
            return Ok(ExitCode::Inconclusive);
        }
    };
    if let Some(note) = new.auth.as_ref().and_then(not_as_clients_see_it) {
        say(format!("note: {}", shown(note, &redactor)));
    }
    match (args.check, old) {
        (true, Some(old)) => Ok(check(&called(&file, elsewhere), &old, &new, &redactor)),
        _ => Ok(keep(&file, &new, &options, &redactor)),
    }
}

/// The configuration that is named or found; on a server there may be none.
fn configuration(args: &LockArgs, context: &Context) -> Result<Option<Prepared>, ExitCode> {
    if args.config.is_none() && find(&context.directory).is_none() {
        return Ok(None);
    }
    let asked = Asked {
        production_from: args.production_from.production_from.clone(),
        ..Asked::of(args.config.as_deref())
    };
    let prepared = prepare::prepare_production(&asked, context);
    prepared.map(Some).map_err(|errors| refuse(&errors))
}

/// What no probe can tell stays as somebody has written it down: the version of a provider that is not ours.
fn declared(mut new: Lock, old: Option<&Lock>) -> Lock {
    let product = old.and_then(|old| old.auth.as_ref()?.product.clone());
    if let (Some(product), true) = (product, new.auth.as_ref().is_none_or(|auth| auth.product.is_none())) {
        new.auth.get_or_insert_with(AuthFacts::default).product = Some(product);
    }
    new
}

fn file(args: &LockArgs, prepared: Option<&Prepared>, context: &Context) -> PathBuf {
    let configured = || prepared.and_then(|prepared| prepared.settings.production.lock.clone());
    let file = args
        .out
        .clone()
        .or_else(configured)
        .unwrap_or_else(|| PathBuf::from(FILE_NAME));
    context.directory.join(file)
}

/// A file as it is called where production's description comes from.
fn called(file: &Path, elsewhere: Option<&Elsewhere>) -> PathBuf {
    let text = file.display().to_string();
    elsewhere.map_or_else(|| file.to_owned(), |elsewhere| elsewhere.called(&text).into())
}

/// The lock that is there. To be checked it must be; to be taken again it may be absent, but not unreadable: it may
/// hold probes that nobody wants to lose.
fn old(
    args: &LockArgs,
    file: &Path,
    elsewhere: Option<&Elsewhere>,
    redactor: &Redactor,
) -> Result<Option<Lock>, ExitCode> {
    if !args.check && !file.exists() {
        return Ok(None);
    }
    read::load(file).map(Some).map_err(|error| {
        let error = error.to_string();
        let error = elsewhere.map_or_else(|| error.clone(), |elsewhere| elsewhere.called(&error));
        say(redactor.clean(&error));
        say(format!(
            "  in the lock `{}`",
            shown(called(file, elsewhere).display(), redactor)
        ));
        if args.check {
            ExitCode::Inconclusive
        } else {
            ExitCode::Usage
        }
    })
}

fn options(args: &LockArgs, prepared: Option<&Prepared>, old: Option<&Lock>, context: &Context) -> Result<TakeOptions> {
    let mut from = args.from.clone();
    if from.is_empty() {
        from.push(FactSource {
            services: Vec::new(),
            kind: SourceKind::Docker(None),
        });
    }
    let settings = prepared.map(|prepared| &prepared.settings);
    let auth = settings.and_then(|settings| settings.auth.as_ref());
    let services = prepared.map(|prepared| &prepared.world.services).into_iter().flatten();
    let ca = args
        .ca
        .as_ref()
        .map(|file| std::fs::read(context.directory.join(file)))
        .transpose()?;
    Ok(TakeOptions {
        from,
        services: services
            .map(|(name, service)| (name.clone(), service.image.clone()))
            .collect(),
        baseline: settings.map(|settings| settings.replaced.clone()).unwrap_or_default(),
        auth: auth.map(|auth| auth.services.clone()).unwrap_or_default(),
        project: args.project.clone(),
        probes: probes(args, old)?,
        issuer: args
            .auth_issuer
            .clone()
            .or_else(|| auth.and_then(|auth| auth.issuer.clone())),
        ca: ca.or_else(|| auth.and_then(|auth| auth.ca.clone().map(String::into_bytes))),
    })
}

/// The user's own probes. Those of the file are commands that somebody may have put into a pull request: they run on
/// production only when whoever starts this says so.
fn probes(args: &LockArgs, old: Option<&Lock>) -> Result<BTreeMap<String, OwnProbe>> {
    let mut probes = old.map(|old| old.probes.clone()).unwrap_or_default();
    if !probes.is_empty() && !args.run_probes {
        let list: Vec<String> = probes
            .iter()
            .map(|(name, probe)| format!("\n  {name}: {}", one_line(&probe.command)))
            .collect();
        bail!(
            "the lock has probes of its own, which would run on production:{}\nlook at them, and say `--run-probes`",
            list.concat()
        );
    }
    for (name, command) in &args.probe {
        if probe::find(name).is_some() {
            bail!("`{name}` is the name of a built-in probe: give yours a name of its own");
        }
        let matches = probes.get(name).and_then(|old| old.matches.clone());
        probes.insert(
            name.clone(),
            OwnProbe {
                command: command.clone(),
                matches,
            },
        );
    }
    Ok(probes)
}

fn check(file: &Path, old: &Lock, new: &Lock, redactor: &Redactor) -> ExitCode {
    let moved = compare::moved(old, new);
    for moved in &moved {
        tell(&shown(moved, redactor));
    }
    let taken = write::moment(old.captured.at);
    if moved.is_empty() {
        say(format!(
            "production is as `{}` has it, taken {taken}",
            shown(file.display(), redactor)
        ));
        return ExitCode::Pass;
    }
    if old.captured.from != new.captured.from {
        let (before, now) = (&old.captured.from, &new.captured.from);
        let note = format!("note: the lock was taken from {before}, and now {now} was asked");
        say(shown(note, redactor));
    }
    say(format!(
        "production has moved since {taken}: {} differences; take the lock again with `rehearsal lock`",
        moved.len()
    ));
    ExitCode::Block
}

fn keep(file: &Path, new: &Lock, options: &TakeOptions, redactor: &Redactor) -> ExitCode {
    let facts: usize = new.services.values().map(|service| service.facts.len()).sum();
    let absent: Vec<&str> = options
        .services
        .keys()
        .filter(|name| !new.services.contains_key(*name))
        .map(String::as_str)
        .collect();
    if let Err(error) = json::replace(file, write::text(new).as_bytes()) {
        failed(&error, redactor);
        return ExitCode::Usage;
    }
    let (shown_file, services, from) = (file.display(), new.services.len(), &new.captured.from);
    let wrote = format!("wrote `{shown_file}`: {services} services, {facts} facts, from {from}");
    say(shown(wrote, redactor));
    if !absent.is_empty() {
        let absent = absent.join(", ");
        let note = format!("note: nothing is known of {absent}: add where they run with `--from SERVICE=…`");
        say(shown(note, redactor));
    }
    ExitCode::Pass
}

/// What of the issuer's TLS this machine could not take.
fn not_as_clients_see_it(auth: &AuthFacts) -> Option<String> {
    let (issuer, tls) = (auth.issuer.as_deref()?, auth.tls.as_ref()?);
    match &tls.trust {
        _ if auth.discovery.is_none() => Some(format!(
            "`{issuer}` speaks {} only, which this program does not: its discovery document and keys were not read",
            tls.protocols.join(", ")
        )),
        Trust::No(why) => Some(format!(
            "the chain of `{issuer}` is not trusted on this machine ({why}): what is public was read all the same, look \
             at it twice; a company's own authority is given with `--ca FILE`"
        )),
        Trust::Yes | Trust::Unknown => None,
    }
}
