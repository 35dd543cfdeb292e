//! All that GitHub is told beyond the job's own files, each step only where the token may. Nothing here changes a verdict,
//! and nothing here fails: what GitHub was not told is said.

use super::api::{Api, Refusal};
use super::comment::Done;
use super::occasion::{Event, Occasion};
use super::{check_run, comment, deployment, status};
use crate::record::v1::Record;

/// How it is published.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name of our check run, commit status and comment.
    pub name: String,
    /// Whose the token is: by it our comment is found again.
    pub login: String,
    /// The job's own check run.
    pub check_run: Option<u64>,
    /// The environment of the deployment; none is made without.
    pub environment: Option<String>,
}

/// What GitHub was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Steps that are done.
    pub done: Vec<Step>,
    /// What was not, and why; one sentence each.
    pub notes: Vec<String>,
}

/// One of the things that GitHub is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Title, summary, annotations.
    CheckRun,
    /// The one comment.
    Comment,
    /// The verdict in one line.
    Status,
    /// The deployment and its status.
    Deployment,
    /// The answer to a deployment protection rule.
    Answer,
}

impl Step {
    /// What it is called.
    pub fn words(self) -> &'static str {
        match self {
            Self::CheckRun => "the check run",
            Self::Comment => "the comment",
            Self::Status => "the commit status",
            Self::Deployment => "the deployment",
            Self::Answer => "the answer to its protection rule",
        }
    }

    /// What the token needs for it.
    pub fn permission(self) -> &'static str {
        match self {
            Self::CheckRun => "checks: write",
            Self::Comment => "pull-requests: write",
            Self::Status => "statuses: write",
            Self::Deployment | Self::Answer => "deployments: write",
        }
    }
}

/// Tells GitHub. After another workflow only the comment: what decides is never taken from a record that somebody
/// else may have written.
pub async fn tell(api: &Api, occasion: &Occasion, result: &Record, wanted: &Wanted) -> Told {
    let mut told = Telling::default();
    if !matches!(occasion.event, Event::OtherWorkflow { .. }) {
        let run = wanted
            .check_run
            .map_or_else(|| check_run::Wanted::Named(wanted.name.clone()), check_run::Wanted::Own);
        told.step(Step::CheckRun, check_run::publish(api, occasion, result, &run).await);
        told.step(Step::Status, status::publish(api, occasion, result, &wanted.name).await);
        if let Some(environment) = &wanted.environment {
            let done = deployment::publish(api, occasion, result, environment).await;
            told.step(Step::Deployment, done);
        }
    }
    let which = comment::Wanted {
        name: &wanted.name,
        login: &wanted.login,
    };
    match comment::publish(api, occasion, result, &which).await {
        Ok(done) => told.comment(done, occasion),
        Err(refusal) => told.step(Step::Comment, Err(refusal)),
    }
    told.end()
}

/// While it is told.
#[derive(Debug, Default)]
struct Telling {
    told: Told,
    not_allowed: Vec<Step>,
}

impl Telling {
    fn step(&mut self, step: Step, done: Result<(), Refusal>) {
        match done {
            Ok(()) => self.told.done.push(step),
            Err(Refusal::NotAllowed(_)) => self.not_allowed.push(step),
            Err(refusal) => {
                let note = format!("{} could not be published: {refusal}", step.words());
                self.told.notes.push(note);
            }
        }
    }

    fn comment(&mut self, done: Done, occasion: &Occasion) {
        match done {
            Done::Told => self.told.done.push(Step::Comment),
            Done::Nothing => {}
            Done::NoPullRequest if matches!(occasion.event, Event::Other) => {}
            Done::NoPullRequest => self.told.notes.push(format!(
                "no open pull request has {} as its head: there is nothing to comment on",
                occasion.head
            )),
            Done::AsAnother(login) => {
                self.told.done.push(Step::Comment);
                self.told.notes.push(format!(
                    "the comment is by `{login}`, and will not be found again: say whose the token is with `--login {login}`"
                ));
            }
        }
    }

    /// All that the token may not is one note.
    fn end(mut self) -> Told {
        let missing = self.not_allowed.iter();
        let missing: Vec<String> = missing
            .map(|step| format!("{} (`{}`)", step.words(), step.permission()))
            .collect();
        if !missing.is_empty() {
            let note = format!(
                "this job's token may not write {}: give the job the permissions that you want; the verdict stands",
                missing.join(", ")
            );
            self.told.notes.push(note);
        }
        self.told
    }
}
