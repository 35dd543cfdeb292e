//! What a workflow does with the verdict, read from its file: a gate is as good as the job around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::context::Context;
use crate::report::github::Mistake;
use crate::yaml::span::{Source, Span};
use crate::yaml::tree::{self, Node, Value};

/// Where workflows are.
const FOLDER: &str = ".github/workflows";
/// Nobody writes a longer one.
const LONGEST: u64 = 1024 * 1024;

/// A workflow's file.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// As the repository names it.
    pub path: String,
    root: Node,
}

/// A step that runs Rehearsal, with its job.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    workflow: &'a Workflow,
    /// The job's id.
    pub id: &'a str,
    job: &'a Node,
    step: &'a Node,
}

/// What lets a verdict get lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hazard {
    /// The command's output goes through a pipe, and the shell asks only the last command of it.
    Piped,
    /// Another command decides where this one fails.
    Excused,
    /// The step may fail.
    StepGoesOn,
    /// The job may fail.
    JobGoesOn,
    /// The job runs on a condition.
    OnCondition,
    /// The job runs after others.
    AfterOthers,
    /// The workflow is filtered by paths.
    ByPaths,
}

impl Hazard {
    /// What is wrong, and the way out.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Piped => (
                "the output of `rehearsal run` is piped in a shell without `pipefail`, so the step passes whatever the verdict",
                "write `shell: bash` at the step, or `set -o pipefail` in its first line",
            ),
            Self::Excused => (
                "`rehearsal run ||` goes on with another command, so the step passes whatever the verdict",
                "take what follows `||` away",
            ),
            Self::StepGoesOn => (
                "the step that rehearses has `continue-on-error`, so the job passes whatever the verdict",
                "take `continue-on-error` away, or let a later step fail by `steps.ID.outcome`",
            ),
            Self::JobGoesOn => (
                "the job that rehearses has `continue-on-error`, so the workflow passes whatever the verdict",
                "take `continue-on-error` away",
            ),
            Self::OnCondition => (
                "the job that rehearses has `if`: GitHub counts a skipped job as passed",
                "take `if` away; put the condition on a step before, or on another job",
            ),
            Self::AfterOthers => (
                "the job that rehearses has `needs`: where one of these fails it is skipped, and GitHub counts that as passed",
                "take `needs` away, or require those jobs too",
            ),
            Self::ByPaths => (
                "the workflow is filtered by paths: where it does not run, a required check waits for ever",
                "take `paths` and `paths-ignore` away: a change that alters nothing that runs passes by itself",
            ),
        }
    }

    /// The exit code itself gets lost, in whatever workflow it stands.
    pub fn loses_exit_code(&self) -> bool {
        matches!(self, Self::Piped | Self::Excused | Self::StepGoesOn | Self::JobGoesOn)
    }
}

/// A hazard where it stands.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it is.
    pub hazard: Hazard,
    place: Span,
    path: String,
}

impl Found {
    /// As people are told.
    pub fn mistake(&self) -> Mistake {
        let (message, way_out) = self.hazard.words();
        let (line, column) = self.place.line_column();
        Mistake {
            place: Some((self.path.clone(), line, column)),
            message: message.to_owned(),
            way_out: Some(way_out.to_owned()),
        }
    }
}

impl Workflow {
    /// Reads one; nothing where that is no workflow that can be read, which GitHub says better than we.
    pub fn parse(path: &str, text: String) -> Option<Self> {
        let source = Source {
            path: PathBuf::from(path),
            text,
        };
        let root = tree::parse(Arc::new(source)).ok()?;
        Some(Self {
            path: path.to_owned(),
            root,
        })
    }

    /// All of a repository, and the files that could not be read.
    pub fn all(repository: &Path) -> (Vec<Self>, Vec<String>) {
        let found = std::fs::read_dir(repository.join(FOLDER))
            .into_iter()
            .flatten()
            .flatten();
        let mut files: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|kind| kind == "yml" || kind == "yaml"));
        files.sort();
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let path = format!("{FOLDER}/{name}");
            match read(&file).and_then(|text| Self::parse(&path, text)) {
                Some(workflow) => all.push(workflow),
                None => unread.push(path),
            }
        }
        (all, unread)
    }

    /// The one that runs this job, as the job's workspace has it.
    pub fn of_job(context: &Context) -> Option<Self> {
        let named = context.variable("GITHUB_WORKFLOW_REF")?.split('@').next()?;
        let path = &named[named.find(FOLDER)?..];
        if path.split('/').any(|part| part == "..") {
            return None;
        }
        let file = context.path("GITHUB_WORKSPACE")?.join(path);
        Self::parse(path, read(&file)?)
    }

    /// The steps that run Rehearsal.
    pub fn gates(&self) -> Vec<Gate<'_>> {
        let jobs = self.root.get("jobs").and_then(Node::as_map).unwrap_or_default();
        let steps = jobs.iter().flat_map(|job| {
            let steps = job.node.get("steps").and_then(Node::as_seq).unwrap_or_default();
            steps.iter().map(|step| Gate {
                workflow: self,
                id: &job.key,
                job: &job.node,
                step,
            })
        });
        steps.filter(Gate::rehearses).collect()
    }

    /// The event is among its triggers.
    pub fn is_started_by(&self, event: &str) -> bool {
        match self.root.get("on").map(|on| &on.value) {
            Some(Value::Str(one)) => one == event,
            Some(Value::Seq(all)) => all.iter().any(|one| one.as_str() == Some(event)),
            Some(Value::Map(all)) => all.iter().any(|one| one.key == event),
            _ => false,
        }
    }

    /// Whether it stops a merge: only there a job that is skipped lets something pass.
    pub fn is_before_merge(&self) -> bool {
        self.is_started_by("pull_request") || self.is_started_by("merge_group")
    }

    fn filter(&self) -> Option<&Span> {
        let on = self.root.get("on")?;
        let events = ["pull_request", "merge_group"]
            .into_iter()
            .filter_map(|event| on.get(event));
        let filters = events.flat_map(|event| ["paths", "paths-ignore"].map(|filter| event.entry(filter)));
        Some(&filters.flatten().next()?.key_span)
    }
}

impl Gate<'_> {
    fn rehearses(&self) -> bool {
        let action = self.step.get("uses").and_then(Node::as_str);
        let action = action.and_then(|uses| uses.split('@').next());
        let by_action = action.is_some_and(|action| action.rsplit('/').next() == Some("rehearsal"));
        (by_action && !self.is_a_part()) || !self.commands().is_empty()
    }

    /// What divides a run, or runs one of its shards, is no gate: the merge is.
    fn is_a_part(&self) -> bool {
        let with = self.step.get("with");
        with.is_some_and(|with| with.get("into").is_some() || with.get("shard").is_some())
    }

    /// It runs whatever the jobs before it came to.
    fn runs_always(&self) -> bool {
        let condition = self.job.get("if").and_then(Node::as_str).unwrap_or_default();
        let condition = condition.trim().trim_start_matches("${{").trim_end_matches("}}");
        condition.trim() == "always()"
    }

    /// The lines that run the command, quoted texts taken out.
    fn commands(&self) -> Vec<String> {
        let script = self.step.get("run").and_then(Node::as_str).unwrap_or_default();
        let script = script.replace("\\\n", " ");
        script.lines().map(unquoted).filter(|line| runs(line)).collect()
    }

    /// The name under which GitHub shows the job, and by which it is required; nothing where that is made on the run.
    pub fn check(&self) -> Option<&str> {
        let name = self.job.get("name").and_then(Node::as_str).unwrap_or(self.id);
        let plain = !name.contains("${{") && self.job.get("strategy").is_none();
        plain.then_some(name)
    }

    /// What lets its verdict get lost.
    pub fn hazards(&self) -> Vec<Found> {
        let script = self.step.entry("run").map(|entry| &entry.key_span);
        let commands = self.commands();
        let piped = commands.iter().any(|line| is_piped(line)) && !self.has_pipefail();
        let excused = commands.iter().any(|line| line.contains("||"));
        let may_skip = self.workflow.is_before_merge() && !self.runs_always();
        let before_merge = |span: Option<Span>| span.filter(|_| may_skip);
        let found = [
            (Hazard::Piped, script.filter(|_| piped).cloned()),
            (Hazard::Excused, script.filter(|_| excused).cloned()),
            (Hazard::StepGoesOn, goes_on(self.step)),
            (Hazard::JobGoesOn, goes_on(self.job)),
            (Hazard::OnCondition, before_merge(key(self.job, "if"))),
            (Hazard::AfterOthers, before_merge(key(self.job, "needs"))),
            (Hazard::ByPaths, self.workflow.filter().cloned()),
        ];
        let found = found.into_iter().filter_map(|(hazard, place)| {
            Some(Found {
                hazard,
                place: place?,
                path: self.workflow.path.clone(),
            })
        });
        found.collect()
    }

    /// A shell that is named `bash` has it; the one that nobody names has not.
    fn has_pipefail(&self) -> bool {
        let default = |node: &'_ Node| node.get("defaults")?.get("run")?.get("shell")?.as_text();
        let own = self.step.get("shell").and_then(Node::as_text);
        let shell = own
            .or_else(|| default(self.job))
            .or_else(|| default(&self.workflow.root));
        let script = self.step.get("run").and_then(Node::as_str).unwrap_or_default();
        shell.is_some_and(|shell| shell == "bash" || shell.contains("pipefail")) || script.contains("pipefail")
    }
}

fn key(node: &Node, name: &str) -> Option<Span> {
    Some(node.entry(name)?.key_span.clone())
}

/// Anything but a plain `false` may let it.
fn goes_on(node: &Node) -> Option<Span> {
    let entry = node.entry("continue-on-error")?;
    (entry.node.as_bool() != Some(false)).then(|| entry.key_span.clone())
}

fn read(file: &Path) -> Option<String> {
    let length = std::fs::metadata(file).ok()?.len();
    (length <= LONGEST).then(|| std::fs::read_to_string(file).ok())?
}

/// A line of a script without what stands in quotes and after `#`: a bar in there is no pipe.
fn unquoted(line: &str) -> String {
    let mut plain = String::new();
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (None, '#') if plain.ends_with(char::is_whitespace) || plain.is_empty() => break,
            (None, _) => plain.push(letter),
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
        }
    }
    plain
}

fn runs(line: &str) -> bool {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| word.rsplit('/').next() != Some("rehearsal"));
    let is_there = words.next().is_some();
    match words.next() {
        // One shard is no gate: the merge is.
        Some("run") => is_there && !words.any(|word| word.starts_with("--shard")),
        other => is_there && other == Some("merge"),
    }
}

fn is_piped(line: &str) -> bool {
    let after = line.find("rehearsal").map_or("", |at| &line[at..]);
    after.replace("||", "").contains('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(text: &str) -> Workflow {
        Workflow::parse(".github/workflows/x.yml", text.to_owned()).expect("YAML")
    }

    fn hazards(text: &str) -> Vec<Hazard> {
        let workflow = workflow(text);
        let gates = workflow.gates();
        gates.iter().flat_map(Gate::hazards).map(|found| found.hazard).collect()
    }

    fn step(step: &str) -> Vec<Hazard> {
        hazards(&format!("on: push\njobs:\n  r:\n    steps:\n      - {step}\n"))
    }

    #[test]
    fn a_pipe_loses_the_verdict_unless_the_shell_has_pipefail() {
        for piped in [
            "run: rehearsal run | tee log",
            "run: ./bin/rehearsal run --fail-fast 2>&1 | tee log",
            "{run: rehearsal run |& tee log, shell: sh}",
            "run: \"rehearsal run \\\\\\n  | tee log\"",
        ] {
            assert_eq!(step(piped), [Hazard::Piped], "{piped}");
        }
        for whole in [
            "run: rehearsal run",
            "run: rehearsal run > log",
            "run: rehearsal run --candidate 'web=a|b'",
            "run: 'rehearsal run # | tee log'",
            "run: cat x | rehearsal-lint",
            "{run: rehearsal run | tee log, shell: bash}",
            "{run: 'set -euo pipefail; rehearsal run | tee log'}",
        ] {
            assert_eq!(step(whole), [], "{whole}");
        }
    }

    #[test]
    fn the_shell_may_be_named_for_the_job_or_the_workflow() {
        let steps = "steps: [{run: rehearsal run | tee log}]";
        let defaults = "defaults: {run: {shell: bash}}";
        assert_eq!(hazards(&format!("on: push\njobs: {{r: {{{defaults}, {steps}}}}}")), []);
        assert_eq!(hazards(&format!("on: push\n{defaults}\njobs: {{r: {{{steps}}}}}")), []);
        assert_eq!(hazards(&format!("on: push\njobs: {{r: {{{steps}}}}}")), [Hazard::Piped]);
    }

    #[test]
    fn what_lets_a_step_or_a_job_fail_unseen_is_found_at_its_line() {
        assert_eq!(step("run: rehearsal run || true"), [Hazard::Excused]);
        assert_eq!(
            step("{uses: rehearsal-dev/rehearsal@abc, continue-on-error: true}"),
            [Hazard::StepGoesOn]
        );
        assert_eq!(
            step("{uses: rehearsal-dev/rehearsal@abc, continue-on-error: false}"),
            []
        );
        let text = "on: push\njobs:\n  r:\n    continue-on-error: ${{ true }}\n    steps: [{run: rehearsal run}]\n";
        let workflow = workflow(text);
        let found = workflow.gates()[0].hazards();
        assert_eq!(found[0].hazard, Hazard::JobGoesOn);
        let place = found[0].mistake().place.expect("a place");
        assert_eq!(place, (".github/workflows/x.yml".to_owned(), 4, 5));
    }

    #[test]
    fn a_job_that_may_be_skipped_is_found_where_it_stops_a_merge() {
        let job = "jobs: {r: {if: x, needs: [b], steps: [{uses: rehearsal-dev/rehearsal@abc}]}}";
        let wanted = [Hazard::OnCondition, Hazard::AfterOthers];
        assert_eq!(hazards(&format!("on: [pull_request, merge_group]\n{job}")), wanted);
        assert_eq!(hazards(&format!("on: push\n{job}")), []);
        let filtered = "on: {pull_request: {paths: [src]}}\njobs: {r: {steps: [{run: rehearsal run}]}}";
        assert_eq!(hazards(filtered), [Hazard::ByPaths]);
    }

    #[test]
    fn triggers_are_read_in_each_of_their_forms() {
        for on in ["merge_group", "[push, merge_group]", "{merge_group: null}"] {
            assert!(workflow(&format!("on: {on}")).is_started_by("merge_group"), "{on}");
        }
        assert!(!workflow("on: push").is_started_by("merge_group"));
    }

    #[test]
    fn a_check_is_called_as_its_job() {
        let named = |job: &str| {
            let workflow = workflow(&format!(
                "on: push\njobs: {{r: {{{job}, steps: [{{run: rehearsal run}}]}}}}"
            ));
            workflow.gates()[0].check().map(str::to_owned)
        };
        assert_eq!(named("x: y").as_deref(), Some("r"));
        assert_eq!(named("name: The deploy").as_deref(), Some("The deploy"));
        assert_eq!(named("name: 'x ${{ matrix.y }}'"), None);
    }

    #[test]
    fn what_is_no_workflow_has_no_gate() {
        for text in ["", "jobs: 3", "jobs: {r: {steps: [1, {run: 3}]}}", "on: push"] {
            assert!(workflow(text).gates().is_empty(), "{text}");
        }
        assert!(Workflow::parse("x", "a: [".to_owned()).is_none());
    }
}
