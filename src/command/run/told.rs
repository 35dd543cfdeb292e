//! What a run tells when it is over: its record, made of what was recorded, and every report made from it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use time::format_description::well_known::Rfc3339;

use super::signer::Signer;
use super::{Run, logs};
use crate::attest::bundle;
use crate::cli::{Format, GithubArgs};
use crate::command::common::shown;
use crate::command::out::LOGS;
use crate::command::{publish, refused, repository};
use crate::config::settings::Auth;
use crate::context::Context;
use crate::publish::github::steps::Step;
use crate::record::event::EventKind;
use crate::record::exit_code::ExitCode;
use crate::record::headline::Headline;
use crate::record::partial::Partial;
use crate::record::recorded::Recorded;
use crate::record::release::{AuthRecord, EngineRecord};
use crate::record::texts::Texts as _;
use crate::record::v1::{Counts, Parts, Record, SCHEMA};
use crate::record::verdict::Verdict;
use crate::rehearsal::recorder::{EVIDENCE, Recorder};
use crate::rehearsal::scrub;
use crate::report::github::Mistake;
use crate::report::terminal::say;
use crate::report::{ReportKind, json};
use crate::text::redact::Redactor;
use crate::verdict::{self, Ended, Judgement};

impl Run<'_> {
    pub(super) fn mask_secrets(&self) {
        if self.format == Format::Github {
            // GitHub would take an ordinary word out of every line of the job.
            let secrets = self.prepared.settings.secrets.values().map(String::as_str);
            let secrets = secrets.filter(|secret| !self.redactor.is_ordinary(secret));
            self.warn(refused::job(self.context).mask(secrets, &mut std::io::stdout()));
        }
    }

    /// What was learned on the way goes from what was written before, too.
    pub(super) fn scrub(&self, recorder: &Recorder) {
        self.warn(scrub::logs(&self.out.folder.join(LOGS), &self.redactor));
        self.warn(scrub::evidence(&self.out.folder.join(EVIDENCE), &self.redactor));
        self.warn(recorder.scrub());
    }

    pub(super) fn warn(&self, problems: Vec<String>) {
        for problem in problems {
            say(format!("warning: {}", self.redactor.clean(&problem)));
        }
    }

    /// The record and all reports, whatever the run came to.
    pub(super) async fn tell(&self, recorder: &Recorder, ended: Ended) -> Judgement {
        let engine = match &self.engine {
            Some(engine) => engine.describe().await.ok(),
            None => None,
        };
        let (mut result, mut judgement) = self.judge(recorder, ended, engine);
        self.redactor.clean_texts(&mut result);
        if let Err(error) = json::write(&result, &self.out.folder.join(json::RESULT)) {
            without_record(&mut result, &mut judgement, &error);
        }
        recorder.say(EventKind::RunFinished {
            verdict: judgement.verdict,
            cause: result.cause.clone(),
            exit_code: judgement.exit_code.number(),
        });
        self.warn(sign(self.signer.as_ref(), &result, &self.out.folder));
        self.report(&result).await;
        judgement
    }

    /// The verdict, and the record that holds it.
    fn judge(&self, recorder: &Recorder, ended: Ended, engine: Option<EngineRecord>) -> (Record, Judgement) {
        let mut recorded = recorder.recorded(&self.prepared.plan);
        // Before anything is cut: half a secret would not be known any more.
        self.redactor.clean_texts(&mut recorded);
        let pair = self.prepared.plan.pair(self.prepared.settings.auth_services()).short();
        let partial = self.partial(&recorded);
        let judgement = verdict::judge(
            &recorded,
            verdict::Run {
                block_on: &self.prepared.settings.policy.block_on,
                ended,
                pair: &pair,
                partial: &partial,
                change: match self.prepared.alters_nothing() {
                    true => verdict::Change::Nothing,
                    false => verdict::Change::Something,
                },
            },
        );
        recorded
            .findings
            .sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.stage, finding.check));
        let mut parts = Parts::from(&recorded);
        repository::name_places(&mut parts.tests, self.context);
        let mut notes = self.prepared.plan.notes.clone();
        notes.extend(recorded.notes);
        notes.extend(self.hazards.iter().map(Mistake::line));
        let mut result = Record {
            schema: SCHEMA.to_owned(),
            verdict: judgement.verdict.into(),
            cause: judgement.headline.to_string(),
            headline: judgement.headline.clone(),
            again: (judgement.verdict == Verdict::Block).then(|| self.again()),
            rerun: Some(self.rerun()),
            partial: partial.iter().map(|part| part.word().to_owned()).collect(),
            shard: self.prepared.plan.shard.clone(),
            exit_code: judgement.exit_code.number(),
            started: self.started.format(&Rfc3339).unwrap_or_default(),
            duration_ms: crate::text::units::millis(self.begun.elapsed()),
            seed: self.prepared.plan.seed,
            rehearsal: env!("CARGO_PKG_VERSION").to_owned(),
            inputs: self.inputs.clone(),
            candidate: self.prepared.plan.candidate.clone(),
            baseline: self.prepared.plan.baseline.clone(),
            mirror: self.prepared.plan.mirror.clone(),
            production: self.prepared.plan.production.clone(),
            auth: self.prepared.settings.auth.as_ref().map(auth_record),
            lock: self.lock.record(),
            counts: Counts::default(),
            fidelity: parts.fidelity,
            times: parts.times,
            probes: parts.probes,
            load: parts.load,
            slowdowns: parts.slowdowns,
            capacity: parts.capacity,
            calls: parts.calls,
            alerts: parts.alerts,
            stages: parts.stages,
            findings: parts.findings,
            tests: parts.tests,
            checks: parts.checks,
            logs: logs::ends(&self.out.folder.join(LOGS)),
            engine,
            notes,
        };
        result.counts = Counts::of(&result);
        if let Some(elsewhere) = &self.prepared.elsewhere {
            result.each_text(&mut |text| *text = elsewhere.called(text));
        }
        (result, judgement)
    }

    /// The command that brings the moment back: the mirror with the candidate in place.
    fn again(&self) -> String {
        let candidate = match self.candidates() {
            none if none.is_empty() => " --with-candidate".to_owned(),
            named => named,
        };
        format!("rehearsal up{}{candidate}", self.whose())
    }

    /// The command that runs the same again.
    fn rerun(&self) -> String {
        let what = &self.args.what;
        let only: String = what.only.iter().map(|only| format!(" --only {only}")).collect();
        let shard = self.args.shard.as_ref().map(|shard| format!(" --shard '{shard}'"));
        let only: String = shard.into_iter().chain([only]).collect();
        let fail_fast = if self.args.fail_fast { " --fail-fast" } else { "" };
        let (whose, candidates, seed) = (self.whose(), self.candidates(), self.prepared.plan.seed);
        format!("rehearsal run{whose}{candidates}{only}{fail_fast} --seed {seed}")
    }

    /// Whose production it is, as options of a command.
    fn whose(&self) -> String {
        let what = &self.args.what;
        let config = what.config.as_ref().map(|file| format!(" --config {}", file.display()));
        let from = what.production_from.production_from.as_ref();
        let from = from.map(|from| format!(" --production-from {from}"));
        config.into_iter().chain(from).collect()
    }

    /// The candidates that were named, as options of a command.
    fn candidates(&self) -> String {
        let candidates = self.args.what.candidate.iter();
        candidates
            .map(|(name, image)| format!(" --candidate {name}={image}"))
            .collect()
    }

    /// What was left out, and what somebody has signed for.
    fn partial(&self, recorded: &Recorded) -> Vec<Partial> {
        let mut partial = self.prepared.plan.partial.clone();
        for finding in recorded.findings.iter().filter(|finding| finding.waived.is_some()) {
            let waived = Partial::Waived(finding.check);
            if !partial.contains(&waived) {
                partial.push(waived);
            }
        }
        partial
    }

    /// Reports never change the verdict: what cannot be written is a warning, and only what is there is named.
    async fn report(&self, result: &Record) {
        let written = json::write_all(result, &self.out.folder);
        self.warn(written.problems);
        self.warn(further(result, &self.args.told.report, &self.context.directory));
        if self.format == Format::Github {
            self.warn(refused::job(self.context).publish(result, &self.args.told.out));
        }
        if self.format != Format::Json {
            let reports = self.out.reports(&self.args.told.out);
            say(format!("\n{}", self.terminal.summary(result, &reports)));
        }
        // Last: a job that is cancelled is not waited for.
        let github = &self.args.told.github;
        if self.format == Format::Github && !told_by_check_run(result, github, self.context, &self.redactor).await {
            self.warn(refused::job(self.context).annotate(result, &mut std::io::stdout()));
        }
        // Nobody reading any more is no reason for another exit code.
        let _flushed = std::io::stdout().flush();
    }
}

impl Run<'_> {
    /// What this job's workflow does with the exit code, said beside its lines before anything starts.
    pub(super) fn warn_of_workflow(&self) {
        if self.format == Format::Github {
            self.warn(refused::job(self.context).warn(&self.hazards, &mut std::io::stdout()));
        }
    }
}

/// Tells GitHub, where this job has a token; whether a check run has every annotation then.
pub(in crate::command) async fn told_by_check_run(
    result: &Record,
    github: &GithubArgs,
    context: &Context,
    redactor: &Redactor,
) -> bool {
    // What one shard came to is nobody's verdict: `merge` tells GitHub.
    if !context.github || context.token.is_none() || result.shard.is_some() {
        return false;
    }
    match publish::tell(result, github, context).await {
        Ok(told) => {
            publish::tell_notes(&told, redactor);
            told.done.contains(&Step::CheckRun)
        }
        Err(error) => {
            say(format!(
                "warning: GitHub was told nothing: {}",
                shown(format_args!("{error:#}"), redactor)
            ));
            false
        }
    }
}

/// Signs what a run came to, whatever that is. What cannot be signed is a warning: no file, no deploy.
pub(in crate::command) fn sign(signer: Option<&Signer>, record: &Record, folder: &Path) -> Vec<String> {
    let Some(signer) = signer else { return Vec::new() };
    let file = folder.join(bundle::FILE);
    let signed = signer.bundle(record).and_then(|signed| json::replace(&file, &signed));
    let failed = signed.err();
    let told = failed
        .iter()
        .map(|error| format!("the verdict was not signed: {error:#}"));
    told.collect()
}

fn auth_record(auth: &Auth) -> AuthRecord {
    AuthRecord {
        services: auth.services.clone(),
        issuer: auth.issuer.clone(),
    }
}

/// No record, no pass: nobody could ever see what was rehearsed.
pub(in crate::command) fn without_record(result: &mut Record, judgement: &mut Judgement, error: &anyhow::Error) {
    if judgement.verdict != Verdict::Pass {
        return;
    }
    judgement.verdict = Verdict::Inconclusive;
    judgement.exit_code = ExitCode::Inconclusive;
    judgement.headline = Headline::plain(&format!(
        "nothing red was seen, but the record could not be kept: {error:#}"
    ));
    result.verdict = judgement.verdict.into();
    result.exit_code = judgement.exit_code.number();
    result.headline = judgement.headline.clone();
    result.cause = judgement.headline.to_string();
}

/// `--report KIND=PATH`.
pub fn further(result: &Record, wanted: &[(ReportKind, PathBuf)], directory: &Path) -> Vec<String> {
    let one = |(kind, path): &(ReportKind, PathBuf)| json::replace(&directory.join(path), &kind.write(result)?);
    let failed = wanted.iter().filter_map(|report| one(report).err());
    failed.map(|error| format!("{error:#}")).collect()
}
