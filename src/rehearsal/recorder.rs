//! The recorder: takes what the stages say, writes it to disk as it happens, and keeps what the record is made from.

use crate::record::recorded::Recorded;
use crate::text::units::millis;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::scrub;
use crate::engine::pull::{Progress, Way};
use crate::plan::Plan;
use crate::record::alerts::AlertRecord;
use crate::record::calls::CallRecord;
use crate::record::event::{Event, EventKind};
use crate::record::fidelity::Fidelity;
use crate::record::finding::Finding;
use crate::record::load::{CapacityRecord, LoadRecord, SlowdownRecord};
use crate::record::measured::{ProbeRecord, TimeRecord};
use crate::record::recorded::{CheckRecord, StageRecord, StepRecord};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Step;
use crate::record::test::{TestId, TestRecord};
use crate::text::redact::Redactor;

/// The stream of events.
pub const EVENTS: &str = "events.jsonl";
/// The folder of what checks saw.
pub const EVIDENCE: &str = "evidence";

/// A reader of the stream: the terminal, `--format json`.
pub type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// What has been said so far. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
    begun: Instant,
    folder: Arc<Path>,
    redactor: Redactor,
    listener: Arc<Listener>,
}

#[derive(Default)]
struct Inner {
    file: Option<File>,
    said: Vec<Event>,
    stages: Vec<StageRecord>,
    tests: Vec<TestRecord>,
    checks: Vec<CheckRecord>,
    findings: Vec<Finding>,
    fidelity: Vec<Fidelity>,
    times: Vec<TimeRecord>,
    probes: Vec<ProbeRecord>,
    load: Vec<LoadRecord>,
    slowdowns: Vec<SlowdownRecord>,
    capacity: Option<CapacityRecord>,
    calls: Vec<CallRecord>,
    alerts: Vec<AlertRecord>,
    notes: Vec<String>,
    stage: Option<StageId>,
    over: bool,
}

impl Recorder {
    /// Writes to `events.jsonl` in `folder`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(folder: &Path, begun: Instant, redactor: &Redactor, listener: Listener) -> Result<Self> {
        let path = folder.join(EVENTS);
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&path);
        let file = file.with_context(|| format!("`{}` could not be made", path.display()))?;
        let inner = Inner {
            file: Some(file),
            ..Inner::default()
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
            begun,
            folder: folder.into(),
            redactor: redactor.clone(),
            listener: Arc::new(listener),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed_ms(&self) -> u64 {
        millis(self.begun.elapsed())
    }

    /// Says something. It is on disk, without secrets, when this returns.
    pub fn say(&self, kind: EventKind) {
        let mut event = Event {
            at_ms: self.elapsed_ms(),
            kind,
        };
        self.redactor.clean_texts(&mut event.kind);
        let mut inner = self.lock();
        if let Some(file) = inner.file.as_mut() {
            // A full disk must not turn into another verdict; the record is kept in memory too.
            let _written = writeln!(file, "{}", serde_json::to_string(&event).unwrap_or_default());
        }
        inner.said.push(event.clone());
        drop(inner);
        (self.listener)(&event);
    }

    /// Writes the stream again, without what has been learned since it was written. What could not be done, in a sentence.
    pub fn scrub(&self) -> Vec<String> {
        let path = self.folder.join(EVENTS);
        let mut inner = self.lock();
        let Inner { file, said, .. } = &mut *inner;
        said.iter_mut()
            .for_each(|event| self.redactor.clean_texts(&mut event.kind));
        let written = scrub::replace(&path, |written| {
            let line = |event: &Event| writeln!(written, "{}", serde_json::to_string(event).unwrap_or_default());
            said.iter().try_for_each(line)
        });
        let opened = written.and_then(|()| OpenOptions::new().append(true).open(&path));
        match opened {
            Ok(opened) => *file = Some(opened),
            Err(error) => return vec![scrub::problem(&path, &error)],
        }
        Vec::new()
    }

    /// What a check saw, as a file of its own below `evidence`. What cannot be written is no other verdict; the finding
    /// that rests on it is in the record.
    pub fn evidence(&self, name: &str, seen: &serde_json::Value) {
        let mut seen = seen.clone();
        self.redactor.clean_value(&mut seen);
        let text = serde_json::to_vec_pretty(&seen).unwrap_or_default();
        let folder = self.folder.join(EVIDENCE);
        let _written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(name), text));
    }

    /// Something happened to a container.
    pub fn container(&self, news: &crate::mirror::setup::Change) {
        let inner = self.lock();
        let (stage, over) = (inner.stage.unwrap_or(StageId::Control), inner.over);
        drop(inner);
        if over {
            return;
        }
        let took = news
            .took
            .map(|took| format!("after {}", crate::text::units::seconds(took)));
        self.say(EventKind::Container {
            stage,
            service: news.replica.to_string(),
            state: news.state,
            detail: news.detail.clone().or(took),
        });
    }

    /// An image is on its way.
    pub fn image(&self, progress: Progress) {
        let Progress {
            way,
            image,
            state,
            detail,
        } = progress;
        self.say(match way {
            Way::Pull => EventKind::Pull { image, state, detail },
            Way::Build => EventKind::Build { image, state, detail },
        });
    }

    /// The stages are over: what happens to containers from now on is the taking down.
    pub fn over(&self) {
        self.lock().over = true;
    }

    /// A stage begins.
    pub fn stage_started(&self, stage: StageId) {
        let start_ms = self.elapsed_ms();
        self.lock().stage = Some(stage);
        self.lock().stages.push(StageRecord {
            id: stage,
            status: Status::Error,
            reason: Some("cut off".to_owned()),
            start_ms,
            duration_ms: 0,
            steps: Vec::new(),
        });
        self.say(EventKind::StageStarted { stage });
    }

    /// A stage ends.
    pub fn stage_finished(&self, stage: StageId, status: Status, reason: Option<String>) {
        let now = self.elapsed_ms();
        if let Some(record) = self.lock().stages.iter_mut().find(|record| record.id == stage) {
            record.status = status;
            record.reason.clone_from(&reason);
            record.duration_ms = now - record.start_ms;
        }
        self.say(EventKind::StageFinished { stage, status, reason });
    }

    /// A step begins.
    pub fn step(&self, stage: StageId, id: &Step) -> OpenStep {
        self.say(EventKind::StepStarted {
            stage,
            step: id.to_string(),
        });
        OpenStep {
            recorder: self.clone(),
            stage,
            id: id.clone(),
            start_ms: self.elapsed_ms(),
        }
    }

    /// A step that others have timed.
    pub fn step_done(&self, stage: StageId, step: StepRecord) {
        self.say(EventKind::StepFinished {
            stage,
            step: step.id.to_string(),
            status: step.status,
            reason: step.reason.clone(),
            duration_ms: step.duration_ms,
        });
        if let Some(record) = self.lock().stages.iter_mut().find(|record| record.id == stage) {
            record.steps.push(step);
        }
    }

    /// Milliseconds since the run began, for steps that others time.
    pub fn now_ms(&self) -> u64 {
        self.elapsed_ms()
    }

    /// Tests have ended.
    pub fn tests(&self, tests: &[TestRecord]) {
        for test in tests {
            self.say(EventKind::Test(test.into()));
        }
        self.lock().tests.extend(tests.iter().cloned());
    }

    /// Gives a test that was recorded before another status: what the repeats showed.
    pub fn reclassify(&self, stage: StageId, which: &TestId, status: Status, why: &str) {
        let mut inner = self.lock();
        let wanted = |test: &&mut TestRecord| test.stage == stage && test.id() == *which;
        for test in inner.tests.iter_mut().filter(wanted) {
            test.status = status;
            test.message = format!("{why}: {}", test.message);
        }
    }

    /// A check has been answered.
    pub fn check(&self, check: CheckRecord) {
        self.say(EventKind::Check((&check).into()));
        self.lock().checks.push(check);
    }

    /// Something was learned.
    pub fn finding(&self, finding: Finding) {
        self.say(EventKind::Finding((&finding).into()));
        self.lock().findings.push(finding);
    }

    /// The mirror has been compared with production.
    pub fn fidelity(&self, rows: Vec<Fidelity>) {
        self.say(EventKind::Fidelity {
            rows: rows.iter().map(Into::into).collect(),
        });
        self.lock().fidelity = rows;
    }

    /// Times of the deploy have been measured.
    pub fn times(&self, times: Vec<TimeRecord>) {
        self.lock().times.extend(times);
    }

    /// The probe's questions in a stage are over.
    pub fn probe(&self, probe: ProbeRecord) {
        self.lock().probes.push(probe);
    }

    /// A release has been under load.
    pub fn load(&self, load: Vec<LoadRecord>) {
        self.lock().load.extend(load);
    }

    /// Two releases have been compared.
    pub fn slowdowns(&self, slowdowns: Vec<SlowdownRecord>) {
        self.lock().slowdowns.extend(slowdowns);
    }

    /// How much each release bears; nothing where that was not looked at.
    pub fn capacity(&self, capacity: Option<CapacityRecord>) {
        let mut inner = self.lock();
        inner.capacity = capacity.or(inner.capacity.take());
    }

    /// What was asked of the authentication dependency.
    pub fn calls(&self, calls: Vec<CallRecord>) {
        self.lock().calls.extend(calls);
    }

    /// What production's alert rules said.
    pub fn alerts(&self, alerts: Vec<AlertRecord>) {
        self.lock().alerts.extend(alerts);
    }

    /// A remark for the reader.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        self.say(EventKind::Note { text: text.clone() });
        self.lock().notes.push(text);
    }

    /// Stages that were begun.
    pub fn begun(&self) -> Vec<StageId> {
        self.lock().stages.iter().map(|stage| stage.id).collect()
    }

    /// Findings so far.
    pub fn findings(&self) -> Vec<Finding> {
        self.lock().findings.clone()
    }

    /// Everything so far; what was planned and did not happen is added as `not-run`.
    pub fn recorded(&self, plan: &Plan) -> Recorded {
        let inner = self.lock();
        let mut recorded = Recorded {
            stages: inner.stages.clone(),
            tests: inner.tests.clone(),
            checks: inner.checks.clone(),
            findings: inner.findings.clone(),
            fidelity: inner.fidelity.clone(),
            times: inner.times.clone(),
            probes: inner.probes.clone(),
            load: inner.load.clone(),
            slowdowns: inner.slowdowns.clone(),
            capacity: inner.capacity.clone(),
            calls: inner.calls.clone(),
            alerts: inner.alerts.clone(),
            notes: inner.notes.clone(),
        };
        drop(inner);
        let now = self.elapsed_ms();
        for stage in recorded.stages.iter_mut().filter(|stage| stage.duration_ms == 0) {
            stage.duration_ms = now - stage.start_ms;
        }
        super::not_run::complete(&mut recorded, plan);
        recorded
    }
}

/// A step under way.
pub struct OpenStep {
    recorder: Recorder,
    stage: StageId,
    id: Step,
    start_ms: u64,
}

impl OpenStep {
    /// It ended as it should.
    pub fn passed(self) {
        self.ended(Status::Passed, None);
    }

    /// It ended in another way.
    pub fn ended(self, status: Status, reason: Option<String>) {
        let duration_ms = self.recorder.elapsed_ms() - self.start_ms;
        let step = StepRecord {
            id: self.id,
            status,
            reason,
            start_ms: self.start_ms,
            duration_ms,
        };
        self.recorder.step_done(self.stage, step);
    }
}
