//! What a release's own files say before anything runs: a deploy that would be refused, another project's name, variables
//! that nothing sets.

use super::Case;
use crate::engine::build::wanted::CommandFailed;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::stage::StageId;
use crate::world::candidates::{Candidates, UnseenScale};
use crate::world::model::World;

/// The deploy would change nothing, because it would not begin.
pub fn refused(why: &str) -> Finding {
    let title = format!("the deploy itself would be refused: {why}");
    let help = "set it in production's environment before this release, or in release.env where the release brings it";
    Finding::new(CheckId::BootProductionEnv, StageId::Upgrade, Blame::Candidate, title)
        .detail("refused")
        .help(help)
}

/// The deploy would end before it begins: the candidate's own recipe does not build, twice.
pub fn not_built(failed: &CommandFailed) -> Finding {
    let title = format!("`{}` cannot be built: {}", failed.service, failed.words);
    Finding::new(CheckId::UpgradeInPlace, StageId::Upgrade, Blame::Candidate, title)
        .detail("not-built")
        .about(failed.service.clone())
        .because(failed.log.last().cloned())
        .seen(failed.log.clone())
        .help("see to the step of its recipe that ends so: it was tried twice")
}

/// What decides nothing here and may decide everything there.
pub fn warnings(release: &Candidates, production: &World) -> Vec<Finding> {
    let other = release.other_project.iter().map(|names| {
        let title = format!(
            "the release's files name the project `{}`, and production is `{}`: production would start on empty volumes, \
             beside what runs",
            names.release, names.production
        );
        let help = "take `name` out of the release's files, or give it production's; this rehearsal keeps production's";
        Finding::new(CheckId::UpgradeInPlace, StageId::Upgrade, Blame::Nobody, title)
            .detail("other-project")
            .help(help)
    });
    let unseen = release.unseen_scales(production);
    let scales = unseen.iter().map(|unseen| {
        let most = unseen.from.max(unseen.to);
        Finding::new(CheckId::UpgradeInPlace, StageId::Upgrade, Blame::Nobody, scale(unseen))
            .detail("scale-unseen")
            .about(unseen.service.clone())
            .help(format!(
                "say policy: {{max_replicas: {most}}} where this machine can run so many"
            ))
    });
    other.chain(scales).collect()
}

/// A change of scale that this mirror does not show, in words.
pub(super) fn scale(unseen: &UnseenScale) -> String {
    let UnseenScale {
        service, from, to, run, ..
    } = unseen;
    format!("`{service}` goes from {from} to {to} replicas, and {run} of either run here: that change is not rehearsed")
}

/// One sentence for each service with variables that nothing sets.
pub fn notes(release: &Candidates) -> Vec<String> {
    let unset = release.unset.iter();
    let words = unset.map(|(service, names)| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        format!(
            "warning: nothing sets {} for the release's `{service}`: blank, as Compose goes on",
            names.join(" and ")
        )
    });
    words.collect()
}

/// The title of a service's end, with the variables first that nothing sets for it.
pub(super) fn blank_first(case: &Case<'_>, service: &str, title: String) -> String {
    let names = case.candidate.unset.get(service).into_iter().flatten();
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.is_empty() {
        true => title,
        false => format!("{} is set nowhere, and {title}", names.join(" and ")),
    }
}
