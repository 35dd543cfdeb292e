//! Whether GitHub stops what the gate blocks: the check is required, its job cannot be skipped, its exit code is heard.

use std::path::Path;

use super::{Diagnosis, Health, Whose};
use crate::context::Context;
use crate::publish::github::occasion::{self, Home};
use crate::publish::github::required::{self, Required};
use crate::publish::github::workflow::{Gate, Workflow};

/// What most call the branch that is deployed.
const BRANCH: &str = "main";

impl Diagnosis {
    /// Looks at the workflows that run Rehearsal; says nothing where none does.
    pub(super) async fn github(&mut self, branch: Option<&str>, context: &Context) {
        let has_workflows = |folder: &&Path| folder.join(".github/workflows").is_dir();
        let Some(root) = context.directory.ancestors().find(has_workflows) else {
            return;
        };
        let (all, unread) = Workflow::all(root);
        for path in unread {
            self.add(
                "workflow",
                Health::Note,
                format!("`{path}` cannot be read as a workflow"),
            );
        }
        let gates: Vec<Gate<'_>> = all.iter().flat_map(Workflow::gates).collect();
        for gate in &gates {
            self.hazards(gate);
        }
        let before_merge: Vec<&Workflow> = all
            .iter()
            .filter(|workflow| workflow.is_before_merge() && !workflow.gates().is_empty())
            .collect();
        for workflow in &before_merge {
            self.merge_queue(workflow);
        }
        let before_merge = before_merge.iter().flat_map(|workflow| workflow.gates());
        let checks: Vec<String> = before_merge
            .filter_map(|gate| gate.check().map(str::to_owned))
            .collect();
        if !checks.is_empty() {
            self.required(&checks, branch, context).await;
        }
    }

    fn hazards(&mut self, gate: &Gate<'_>) {
        for found in gate.hazards() {
            let mistake = found.mistake();
            let place = mistake
                .place
                .map_or_else(String::new, |(file, line, _)| format!("{file}:{line}: "));
            let seen = format!("{place}{}", mistake.message);
            self.wrong("workflow", seen, Whose::User, mistake.way_out.unwrap_or_default());
        }
    }

    fn merge_queue(&mut self, workflow: &Workflow) {
        let path = &workflow.path;
        match workflow.is_started_by("merge_group") {
            true => self.add(
                "merge queue",
                Health::Fine,
                format!("`{path}` is started by `merge_group`"),
            ),
            false => self.add(
                "merge queue",
                Health::Note,
                format!("`{path}` is not started by `merge_group`: a merge queue would wait for its check for ever"),
            ),
        }
    }

    async fn required(&mut self, checks: &[String], branch: Option<&str>, context: &Context) {
        let named = branch.map(str::to_owned).or_else(|| occasion::base(context));
        let branch = named.unwrap_or_else(|| BRANCH.to_owned());
        let asked = async {
            let api = Home::read(context)?.api(context)?;
            anyhow::Ok(required::of_branch(&api, &branch).await?)
        };
        match asked.await {
            Ok(required) => self.told(checks, &branch, &required),
            Err(error) => {
                let seen = format!("whether the check is required on `{branch}` could not be told: {error:#}");
                self.add("required check", Health::Note, seen);
            }
        }
    }

    fn told(&mut self, checks: &[String], branch: &str, required: &Required) {
        let one = checks.iter().find(|check| required.checks.contains(check));
        let names = format!("`{}`", checks.join("` or `"));
        match (one, &required.unseen) {
            (Some(check), _) => self.add(
                "required check",
                Health::Fine,
                format!("`{check}` is required on `{branch}`"),
            ),
            (None, Some(why)) => self.add(
                "required check",
                Health::Note,
                format!(
                    "no rule requires {names} on `{branch}`; whether the branch's older protection does could not be told: {why}"
                ),
            ),
            (None, None) => self.wrong(
                "required check",
                format!("{names} is not required on `{branch}`: what it blocks can be merged"),
                Whose::User,
                "require it in the rules of the branch (Settings, Rules)",
            ),
        }
    }
}
