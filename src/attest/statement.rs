//! What is signed: an in-toto statement about the images of all candidates, with a test result that others read and our
//! own words beside it. It is made from a record and from nothing else.
//!
//! Whoever knows only the test result must never let through what we would not: `PASSED` is a whole pass, `WARNED` one
//! for which somebody has signed, and everything else is `FAILED`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::refusal::Untold;
use super::strict;
use crate::record::cases::{self, Subject as CaseSubject};
use crate::record::inputs::Input;
use crate::record::release::{ProductionRecord, Release};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::v1::{Finding, Record};
use crate::record::verdict::Verdict;
use crate::record::word::Word;

/// Value of `_type`.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Value of `predicateType`.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// Value of [`Rehearsed::schema`].
const SCHEMA: &str = "rehearsal/verdict/v1";
/// So many names of failed cases.
const NAMES: usize = 200;
/// The only kind of digest that we know.
const SHA256: &str = "sha256";

/// An in-toto statement, version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Always the same.
    #[serde(rename = "_type")]
    kind: String,
    /// The images of all candidates; each digest once.
    pub subject: Vec<Named>,
    /// Always [`TEST_RESULT`].
    #[serde(rename = "predicateType")]
    predicate_type: String,
    /// What is said of them.
    pub predicate: TestResult,
}

/// Something by its digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// `sha256` and its digits.
    pub digest: BTreeMap<String, String>,
}

/// The predicate, with what others read of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// Whether others let it through.
    pub result: Word<TestVerdict>,
    /// What decided: the configuration first.
    pub configuration: Vec<Named>,
    /// Names of cases that failed, as `stage: suite / name`; the first of them.
    #[serde(default)]
    pub failed_tests: Vec<String>,
    /// Our own words.
    pub rehearsal: Rehearsed,
}

/// Words of the test result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "UPPERCASE")]
pub enum TestVerdict {
    /// A whole pass.
    Passed,
    /// A pass for which somebody has signed.
    Warned,
    /// Everything else.
    Failed,
}

/// What a rehearsal came to, and against what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// The form of this object.
    pub schema: String,
    /// The verdict.
    pub verdict: Word<Verdict>,
    /// The first line of every report.
    pub cause: String,
    /// What was left out, or signed for.
    pub partial: Vec<LeftOut>,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub finished: String,
    /// Replays the run. A text, because readers of JSON lose digits.
    pub seed: String,
    /// What rehearsed.
    pub tool: Tool,
    /// `sha256:…` of the configuration.
    pub configuration: String,
    /// `sha256:…` of the lock; null where the configuration names none.
    pub lock: Option<String>,
    /// `sha256:…` of the plan.
    pub plan: Option<String>,
    /// What wants to replace production.
    pub candidate: Vec<Known>,
    /// What production runs.
    pub baseline: Vec<Known>,
    /// Every other service of the mirror.
    pub environment: Vec<Known>,
    /// Where production's description comes from, where that is not the working tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<ProductionRecord>,
}

/// What rehearsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Something that a run left out, or for which somebody has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which, by the word of the record.
    pub part: Word<Part>,
    /// Of what, and why, as far as that is known.
    pub why: Vec<String>,
}

/// Words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Part {
    /// Only a part was asked for.
    Only,
    /// One of several parts of a run.
    Shard,
    /// There is no way back.
    ForwardOnly,
    /// No test notices a candidate.
    Unexercised,
    /// A finding is waived.
    Waived,
}

impl Part {
    /// What is left can never be taken for the whole.
    pub fn narrows(self) -> bool {
        matches!(self, Self::Only | Self::Shard)
    }
}

/// A service's release, and how its image is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The service.
    pub service: String,
    /// Its image as it was named.
    pub image: String,
    /// `sha256:…`; null where nobody could tell.
    pub digest: Option<String>,
    /// Whose digest that is.
    pub by: Word<By>,
}

/// Whose digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum By {
    /// The registry's, by which it can be pulled.
    Registry,
    /// The engine's own: no registry has it.
    ImageId,
    /// Nobody's: there is none.
    Nobody,
}

/// Why nothing can be said of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSaid {
    /// Nothing replaces anything.
    #[error("the run has no candidate, and a verdict is about images")]
    NoCandidate,
    /// An image that was never had.
    #[error("the digest of `{0}` is not known, for its image was not had")]
    NoDigest(String),
    /// The configuration was gone before it could be read again.
    #[error("the configuration could not be read again")]
    NoConfiguration,
    /// The lock was gone before it could be read again, and what passed was held against it.
    #[error("the lock could not be read again")]
    NoLock,
    /// Times that are none.
    #[error("the record's times cannot be read")]
    NoTime,
}

impl Statement {
    /// What is to be signed of a run.
    ///
    /// # Errors
    /// Nothing can be said of it.
    pub fn of(record: &Record) -> Result<Self, NotSaid> {
        let candidate: Vec<Known> = record.candidate.iter().map(Known::of).collect();
        Ok(Self {
            kind: STATEMENT.to_owned(),
            subject: subjects(&candidate)?,
            predicate_type: TEST_RESULT.to_owned(),
            predicate: TestResult::of(record, candidate)?,
        })
    }

    /// Reads what was signed.
    ///
    /// # Errors
    /// It is no statement of ours, or one that contradicts itself.
    pub fn read(text: &[u8]) -> Result<Self, Untold> {
        let none = |error: serde_json::Error| Untold::NoStatement(error.to_string());
        let value = strict::read(text).map_err(none)?;
        let says = |path: &str| value.pointer(path).and_then(|word| word.as_str()).unwrap_or_default();
        for (path, wanted) in [("/_type", STATEMENT), ("/predicateType", TEST_RESULT)] {
            if says(path) != wanted {
                return Err(Untold::NoStatement(format!("its `{}` is not `{wanted}`", &path[1..])));
            }
        }
        match says("/predicate/rehearsal/schema") {
            SCHEMA => serde_json::from_value(value).map_err(none),
            "" => Err(Untold::NoStatement("it has no words of Rehearsal".to_owned())),
            other => Err(Untold::OtherSchema(other.to_owned())),
        }
    }

    /// The subjects' digests, as `sha256:…`.
    ///
    /// # Errors
    /// One is of another kind, or there is none.
    pub fn digests(&self) -> Result<BTreeSet<String>, Untold> {
        let digests: Option<BTreeSet<String>> = self.subject.iter().map(Named::digest).collect();
        let digests = digests.filter(|digests| !digests.is_empty());
        digests.ok_or(Untold::Contradiction("it is about nothing that has a SHA-256"))
    }
}

/// Each digest once, under the first of its names.
fn subjects(candidate: &[Known]) -> Result<Vec<Named>, NotSaid> {
    let mut all: BTreeMap<&str, Named> = BTreeMap::new();
    for known in candidate {
        let digest = known.digest.as_deref();
        let digest = digest.ok_or_else(|| NotSaid::NoDigest(known.service.clone()))?;
        all.entry(digest)
            .or_insert_with(|| Named::of(&known.repository(), digest));
    }
    match all.is_empty() {
        true => Err(NotSaid::NoCandidate),
        false => Ok(all.into_values().collect()),
    }
}

impl Named {
    fn of(name: &str, digest: &str) -> Self {
        let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
        Self {
            name: name.to_owned(),
            digest: BTreeMap::from([(SHA256.to_owned(), digits.to_owned())]),
        }
    }

    /// `sha256:…`; `None` where it has another kind of digest, or one that is none.
    pub fn digest(&self) -> Option<String> {
        let digits = self.digest.get(SHA256).filter(|_| self.digest.len() == 1)?;
        let digest = format!("sha256:{digits}");
        is_digest(&digest).then_some(digest)
    }
}

/// Whether a text is `sha256:` and 64 small hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

impl TestResult {
    fn of(record: &Record, candidate: Vec<Known>) -> Result<Self, NotSaid> {
        let rehearsal = Rehearsed::of(record, candidate)?;
        let inputs = &record.inputs;
        let files = [
            ("rehearsal", &inputs.configuration),
            ("production.lock", &inputs.lock),
            ("plan.json", &inputs.plan),
        ];
        let files = files
            .into_iter()
            .filter_map(|(name, input)| Some(Named::of(name, input.as_ref()?.digest()?)));
        let failed = cases::of(record).into_iter().filter(|case| case.status.is_red());
        Ok(Self {
            result: rehearsal.result().into(),
            configuration: files.collect(),
            failed_tests: failed.map(|case| case_name(&case)).take(NAMES).collect(),
            rehearsal,
        })
    }
}

fn case_name(case: &cases::Case<'_>) -> String {
    let stage = case.stage.map(|stage| format!("{stage}: ")).unwrap_or_default();
    let name = match &case.subject {
        CaseSubject::Start(step) | CaseSubject::SignIn { step, .. } => step.id.clone(),
        CaseSubject::Check(answer) => answer.check.to_string(),
        CaseSubject::Test(test) => format!("{} / {}", test.suite, test.name),
        CaseSubject::Stage(..) => "stage".to_owned(),
        CaseSubject::Run => "run".to_owned(),
    };
    format!("{stage}{name}")
}

impl Rehearsed {
    fn of(record: &Record, candidate: Vec<Known>) -> Result<Self, NotSaid> {
        let known = |releases: &[Release]| releases.iter().map(Known::of).collect();
        let digest = |input: &Option<Input>| input.as_ref().and_then(Input::digest).map(str::to_owned);
        let inputs = &record.inputs;
        if inputs.lock == Some(Input::Unread) && record.verdict == Verdict::Pass {
            return Err(NotSaid::NoLock);
        }
        Ok(Self {
            schema: SCHEMA.to_owned(),
            verdict: record.verdict.clone(),
            cause: record.cause.clone(),
            partial: record.partial.iter().map(|part| LeftOut::of(part, record)).collect(),
            started: record.started.clone(),
            finished: finished(record).ok_or(NotSaid::NoTime)?,
            seed: record.seed.to_string(),
            tool: Tool {
                name: "rehearsal".to_owned(),
                version: record.rehearsal.clone(),
            },
            configuration: digest(&inputs.configuration).ok_or(NotSaid::NoConfiguration)?,
            lock: digest(&inputs.lock),
            plan: digest(&inputs.plan),
            candidate,
            baseline: known(&record.baseline),
            environment: known(&record.mirror),
            production: record.production.clone(),
        })
    }

    /// What others are told of it.
    pub fn result(&self) -> TestVerdict {
        let narrowed = |part: &LeftOut| part.part.known().is_none_or(Part::narrows);
        match self.verdict.known() {
            Some(Verdict::Pass) if self.partial.is_empty() => TestVerdict::Passed,
            Some(Verdict::Pass) if !self.partial.iter().any(narrowed) => TestVerdict::Warned,
            _ => TestVerdict::Failed,
        }
    }
}

/// When the run was over; `None` where its times are none.
fn finished(record: &Record) -> Option<String> {
    let took = Duration::milliseconds(i64::try_from(record.duration_ms).ok()?);
    let started = OffsetDateTime::parse(&record.started, &Rfc3339).ok()?;
    started.checked_add(took)?.format(&Rfc3339).ok()
}

impl LeftOut {
    fn of(word: &str, record: &Record) -> Self {
        let part: Word<Part> = word
            .parse()
            .map_or_else(|_| Word::Unknown(word.to_owned()), Word::Known);
        let why = match part.known() {
            Some(Part::Waived) => record.findings.iter().filter_map(waiver).collect(),
            Some(Part::ForwardOnly) => no_way_back(record).into_iter().collect(),
            _ => Vec::new(),
        };
        Self { part, why }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self.why.is_empty() {
            true => self.part.to_string(),
            false => format!("{}: {}", self.part, self.why.join("; ")),
        }
    }
}

fn waiver(finding: &Finding) -> Option<String> {
    let waived = finding.waived.as_ref()?;
    Some(format!("{}, {waived}", finding.check))
}

fn no_way_back(record: &Record) -> Option<String> {
    let stage = record.stages.iter().find(|stage| stage.id == StageId::Rollback)?;
    stage.reason.clone().filter(|_| stage.status == Status::Skipped)
}

impl Known {
    fn of(release: &Release) -> Self {
        let pushed = release.pushed.as_deref().and_then(|full| full.split_once('@'));
        let (digest, by) = match (pushed, &release.digest) {
            (Some((_, digest)), _) => (Some(digest), By::Registry),
            (None, Some(digest)) => (Some(digest.as_str()), By::ImageId),
            (None, None) => (None, By::Nobody),
        };
        let image = release.pushed.as_ref().unwrap_or(&release.image);
        Self {
            service: release.service.clone(),
            image: image.clone(),
            digest: digest.filter(|digest| is_digest(digest)).map(str::to_owned),
            by: by.into(),
        }
    }

    /// Its image without the digest.
    fn repository(&self) -> String {
        let (name, _) = self.image.split_once('@').unwrap_or((&self.image, ""));
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attest::samples;

    #[test]
    fn what_is_said_of_a_run_is_read_as_the_same() {
        let said = Statement::of(&samples::pass()).unwrap();
        let text = serde_json::to_vec(&said).unwrap();
        assert_eq!(Statement::read(&text), Ok(said));
    }

    #[test]
    fn the_statement_of_a_pass() {
        let said = serde_json::to_value(Statement::of(&samples::pass()).unwrap()).unwrap();
        insta::assert_json_snapshot!(said);
    }

    #[test]
    fn only_a_whole_pass_passes_for_others() {
        let result = |change: fn(&mut Record)| {
            let mut record = samples::pass();
            change(&mut record);
            Statement::of(&record).unwrap().predicate.result.to_string()
        };
        let partial = |word: &str| vec![word.to_owned()];
        assert_eq!(result(|_| ()), "PASSED");
        assert_eq!(result(|record| record.verdict = Verdict::Block.into()), "FAILED");
        assert_eq!(result(|record| record.verdict = Verdict::Inconclusive.into()), "FAILED");
        assert_eq!(
            result(|record| record.verdict = Word::Unknown("great".to_owned())),
            "FAILED"
        );
        let all = ["waived", "forward_only", "unexercised", "only", "shard", "of-tomorrow"].map(|word| {
            let mut record = samples::pass();
            record.partial = partial(word);
            Statement::of(&record).unwrap().predicate.result.to_string()
        });
        assert_eq!(all, ["WARNED", "WARNED", "WARNED", "FAILED", "FAILED", "FAILED"]);
    }

    #[test]
    fn services_of_one_image_are_one_subject() {
        let mut record = samples::pass();
        let again = Release {
            service: "worker".to_owned(),
            ..record.candidate[0].clone()
        };
        record.candidate.push(again);
        let said = Statement::of(&record).unwrap();
        assert_eq!((said.subject.len(), said.predicate.rehearsal.candidate.len()), (1, 2));
    }

    #[test]
    fn nothing_is_said_of_a_run_without_digest_time_or_configuration() {
        let said = |change: fn(&mut Record)| {
            let mut record = samples::pass();
            change(&mut record);
            Statement::of(&record).err()
        };
        assert_eq!(said(|record| record.candidate.clear()), Some(NotSaid::NoCandidate));
        let unknown = |record: &mut Record| (record.candidate[0].digest, record.candidate[0].pushed) = (None, None);
        assert_eq!(said(unknown), Some(NotSaid::NoDigest("web".to_owned())));
        assert_eq!(said(|record| record.started = "soon".to_owned()), Some(NotSaid::NoTime));
        assert_eq!(
            said(|record| record.inputs.configuration = None),
            Some(NotSaid::NoConfiguration)
        );
    }

    #[test]
    fn a_lock_that_could_not_be_read_is_not_that_there_was_none() {
        let mut record = samples::pass();
        record.inputs.lock = Some(Input::Unread);
        assert_eq!(Statement::of(&record).err(), Some(NotSaid::NoLock));
        record.verdict = Verdict::Inconclusive.into();
        assert!(Statement::of(&record).is_ok());
    }

    #[test]
    fn what_was_waived_is_named_with_its_reason() {
        let mut record = samples::block();
        record.partial = vec!["waived".to_owned()];
        record.findings[0].waived = Some("v1 retired (@acme/api)".to_owned());
        let said = Statement::of(&record).unwrap().predicate.rehearsal.partial;
        assert!(
            said[0]
                .words()
                .starts_with("waived: auth-login, v1 retired (@acme/api)")
        );
    }
}
