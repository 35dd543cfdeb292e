//! What a run tells when it is over: its record, made of what was recorded, and every report made from it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use time::format_description::well_known::Rfc3339;

use super::Run;
use crate::cli::Format;
use crate::command::out::LOGS;
use crate::command::{refused, repository};
use crate::record::event::EventKind;
use crate::record::exit_code::ExitCode;
use crate::record::headline::Headline;
use crate::record::partial::Partial;
use crate::record::recorded::Recorded;
use crate::record::release::EngineRecord;
use crate::record::v1::{Counts, Parts, Record, SCHEMA};
use crate::record::verdict::Verdict;
use crate::rehearsal::recorder::{EVIDENCE, Recorder};
use crate::rehearsal::scrub;
use crate::report::terminal::say;
use crate::report::{ReportKind, json};
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
        self.report(&result);
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
                policy: &self.prepared.settings.policy,
                ended,
                pair: &pair,
                partial: &partial,
            },
        );
        recorded
            .findings
            .sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.stage, finding.check));
        let mut parts = Parts::from(&recorded);
        repository::name_places(&mut parts.tests, self.context);
        let mut notes = self.prepared.plan.notes.clone();
        notes.extend(recorded.notes);
        let mut result = Record {
            schema: SCHEMA.to_owned(),
            verdict: judgement.verdict.into(),
            cause: judgement.headline.to_string(),
            headline: judgement.headline.clone(),
            again: (judgement.verdict == Verdict::Block).then(|| self.again()),
            partial: partial.iter().map(|part| part.word().to_owned()).collect(),
            exit_code: judgement.exit_code.number(),
            started: self.started.format(&Rfc3339).unwrap_or_default(),
            duration_ms: crate::text::units::millis(self.begun.elapsed()),
            seed: self.prepared.plan.seed,
            rehearsal: env!("CARGO_PKG_VERSION").to_owned(),
            candidate: self.prepared.plan.candidate.clone(),
            baseline: self.prepared.plan.baseline.clone(),
            mirror: self.prepared.plan.mirror.clone(),
            lock: self.lock.record(),
            counts: Counts::default(),
            fidelity: parts.fidelity,
            stages: parts.stages,
            findings: parts.findings,
            tests: parts.tests,
            checks: parts.checks,
            engine,
            notes,
        };
        result.counts = Counts::of(&result);
        (result, judgement)
    }

    /// The command that brings the moment back: the mirror with the candidate in place.
    fn again(&self) -> String {
        let what = &self.args.what;
        let config = what.config.as_ref().map(|file| format!(" --config {}", file.display()));
        let mut candidates = what
            .candidate
            .iter()
            .map(|(name, image)| format!(" --candidate {name}={image}"));
        let candidate = match candidates.next() {
            Some(first) => std::iter::once(first).chain(candidates).collect(),
            None => " --with-candidate".to_owned(),
        };
        format!("rehearsal up{}{candidate}", config.unwrap_or_default())
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
    fn report(&self, result: &Record) {
        let written = json::write_all(result, &self.out.folder);
        self.warn(written.problems);
        self.warn(further(result, &self.args.report, &self.context.directory));
        if self.format == Format::Github {
            self.warn(refused::job(self.context).publish(result, &self.args.out, &mut std::io::stdout()));
        }
        if self.format != Format::Json {
            let reports = self.out.reports(&self.args.out);
            say(format!("\n{}", self.terminal.summary(result, &reports)));
        }
        // Nobody reading any more is no reason for another exit code.
        let _flushed = std::io::stdout().flush();
    }
}

/// No record, no pass: nobody could ever see what was rehearsed.
fn without_record(result: &mut Record, judgement: &mut Judgement, error: &anyhow::Error) {
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
