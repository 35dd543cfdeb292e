//! The words of a plan and of the record that is made of it: what reports say even where a secret is the same word.

use std::collections::BTreeSet;

use super::model::Plan;
use crate::record::check::CheckId;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::verdict::Verdict;

impl Plan {
    /// Every name in it, and every word of its vocabulary.
    pub fn names(&self) -> BTreeSet<String> {
        let releases = self.candidate.iter().chain(&self.baseline).chain(&self.mirror);
        let releases = releases.flat_map(|release| [release.service.clone(), release.image.clone()]);
        let steps = self
            .stages
            .iter()
            .flat_map(|stage| &stage.steps)
            .map(|step| step.id.to_string());
        let parts = steps.flat_map(|step| step.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        releases.chain(parts).chain(vocabulary()).collect()
    }
}

fn vocabulary() -> impl Iterator<Item = String> {
    let statuses = [
        Status::Passed,
        Status::Failed,
        Status::Error,
        Status::Skipped,
        Status::NotRun,
    ];
    let verdicts = [Verdict::Pass, Verdict::Block, Verdict::Inconclusive];
    let stages = StageId::ALL.iter().map(StageId::to_string);
    let checks = CheckId::ALL.iter().map(CheckId::to_string);
    let roles = ["candidate", "baseline", "mirror", "production", "rehearsal"].map(str::to_owned);
    let words = statuses.map(|word| word.to_string()).into_iter();
    words
        .chain(verdicts.map(|word| word.to_string()))
        .chain(stages)
        .chain(checks)
        .chain(roles)
}
