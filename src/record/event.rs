//! Events: what a rehearsal says while it runs, one JSON line each. They are its only output; `events.jsonl`, the
//! terminal and `--format json` are readers of the same stream.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::container::{ContainerState, PullState};
use super::stage::StageId;
use super::status::Status;
use super::v1::{Check, Fidelity, Finding, Test};
use super::verdict::Verdict;

/// One line of `events.jsonl`.
#[derive(Debug, Clone)]
pub struct Event {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// What happened.
    pub kind: EventKind,
}

/// One object: the time, then what happened.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = serde_json::to_value(&self.kind).map_err(serde::ser::Error::custom)?;
        let time = ("at_ms".to_owned(), Value::from(self.at_ms));
        let rest = kind.as_object().cloned().unwrap_or_default();
        std::iter::once(time)
            .chain(rest)
            .collect::<Map<_, _>>()
            .serialize(serializer)
    }
}

/// What happened. A later version may add kinds; readers skip what they do not know.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run began; the plan is on disk.
    RunStarted {
        /// Id of the run, part of every name on the engine.
        run: String,
        /// Replays it.
        seed: u64,
    },
    /// A stage began.
    StageStarted {
        /// Which.
        stage: StageId,
    },
    /// A stage ended.
    StageFinished {
        /// Which.
        stage: StageId,
        /// How.
        status: Status,
        /// Why, where it is not `passed`.
        reason: Option<String>,
    },
    /// A step began.
    StepStarted {
        /// In which stage.
        stage: StageId,
        /// Id as in the plan.
        step: String,
    },
    /// A step ended.
    StepFinished {
        /// In which stage.
        stage: StageId,
        /// Id as in the plan.
        step: String,
        /// How.
        status: Status,
        /// Why, where it is not `passed`.
        reason: Option<String>,
        /// Milliseconds.
        duration_ms: u64,
    },
    /// A container of the mirror changed: created, started, ready, exited, unhealthy, killed by the kernel.
    Container {
        /// In which stage.
        stage: StageId,
        /// Service.
        service: String,
        /// What became of it.
        state: ContainerState,
        /// Exit code, out-of-memory flag, last log lines.
        detail: Option<String>,
    },
    /// An image is on its way to the engine: it begins, downloads, is tried again, is done, failed.
    Pull {
        /// Reference.
        image: String,
        /// How it gets on.
        state: PullState,
        /// Bytes, time, the registry's words.
        detail: Option<String>,
    },
    /// An image is built: it begins, is done, failed.
    Build {
        /// Reference.
        image: String,
        /// How it gets on.
        state: PullState,
        /// Time.
        detail: Option<String>,
    },
    /// A test ended.
    Test(Test),
    /// A check ended.
    Check(Check),
    /// Something was learned.
    Finding(Finding),
    /// The mirror has been compared with production's facts.
    Fidelity {
        /// One for each fact.
        rows: Vec<Fidelity>,
    },
    /// A remark for the reader.
    Note {
        /// One sentence.
        text: String,
    },
    /// The end.
    RunFinished {
        /// The verdict.
        verdict: Verdict,
        /// The first-cause line.
        cause: String,
        /// The process's exit code.
        exit_code: u8,
    },
}
