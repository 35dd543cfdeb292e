//! Trouble: what stands in the way of the rehearsal itself. Nothing of it is the candidate's doing, so nothing can be
//! said about the candidate.

use crate::engine::pull::failure::PullFailure;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::restore::{RestoreFailure, Restored};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Part};
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::text::units::counted;
use crate::world::candidates::UnseenScale;

/// The way out where this machine's engine may not give what production's does.
const ANOTHER_MACHINE: &str =
    "a property of this machine: use one whose engine may, or ask for less in a further file of production.compose";

fn finding(stage: StageId, title: String, help: &str) -> Finding {
    Finding::new(CheckId::Control, stage, Blame::Mirror, title).help(help)
}

/// A service of production did not come up on the mirror.
pub fn service_down(stage: StageId, failure: &ServiceFailure) -> Finding {
    let title = format!("the mirror did not come up: {}", failure.headline());
    let help = match failure.kind {
        ServiceFailureKind::NotGiven(..) => ANOTHER_MACHINE,
        _ => {
            "production's own release does not start on this mirror: compare its image, environment and volumes with production"
        }
    };
    finding(stage, title, help)
        .about(failure.replica.service.clone())
        .because(failure.fatal.clone())
        .seen(failure.log.clone())
}

/// What production has could not be restored.
pub fn not_restored(stage: StageId, restored: &Restored, failure: &RestoreFailure) -> Finding {
    let line = restored.failure_line().unwrap_or_default();
    let place = format!("data.restore at {}", failure.place);
    finding(
        stage,
        format!("the mirror did not get production's data: {line}"),
        "see to the dump, or to the command that writes or reads it (`through`): nothing is known of the candidate",
    )
    .seen(std::iter::once(place).chain(failure.said.clone()).collect())
}

/// The machine refused something the mirror needs.
pub fn machine(stage: StageId, error: &str) -> Finding {
    finding(
        stage,
        format!("the mirror could not be made: {error}"),
        "this is the machine's doing: see to it and run again",
    )
}

/// The shards of a run do not make the whole.
pub fn shards(title: String, way_out: &str) -> Finding {
    finding(StageId::Control, title, way_out)
}

/// The machine has too little of something that the run needs: said before anything starts.
pub fn too_little(what: &str, way_out: &str) -> Finding {
    finding(
        StageId::Control,
        format!("this machine cannot hold the run: {what}"),
        way_out,
    )
}

/// An image cannot be built, or has gone: the error's first line says which and why, the others are the builder's.
pub fn no_build(error: &str) -> Finding {
    let mut lines = error.lines().map(str::to_owned);
    let title = lines.next().unwrap_or_default();
    let help = "see to its recipe, or bring the image to the engine before the run";
    finding(StageId::Control, title, help).seen(lines.collect())
}

/// A release was named that is production's own.
pub fn nothing_to_rehearse(services: &[String]) -> Finding {
    let names: Vec<String> = services.iter().map(|name| format!("`{name}`")).collect();
    let (names, verb) = (names.join(" and "), if services.len() == 1 { "is" } else { "are" });
    let title = format!("nothing to rehearse: {names} {verb} what production runs, image and settings");
    let help = "name the release that is to come, or say policy: {same_release: pass}";
    finding(StageId::Control, title, help)
}

/// The release's files, variables and images are production's.
pub fn nothing_differs() -> Finding {
    let title = "nothing to rehearse: the release changes nothing that runs".to_owned();
    let help = "name the release that is to come: release.images, release.env, release.compose, or `--candidate`";
    finding(StageId::Control, title, help)
}

/// The release changes how many of some services run, and nothing that this mirror would show.
pub fn scale_unseen(scales: &[UnseenScale]) -> Finding {
    let words: Vec<String> = scales.iter().map(super::release::scale).collect();
    let most = scales
        .iter()
        .map(|scale| scale.from.max(scale.to))
        .max()
        .unwrap_or_default();
    let title = format!("nothing to rehearse: {}", words.join("; "));
    let help = format!("say policy: {{max_replicas: {most}}} where this machine can run so many");
    finding(StageId::Control, title, &help)
}

/// Something of the machine's or of the gate's own was lost meanwhile.
pub fn lost(stage: StageId, lost: &Lost) -> Finding {
    let told = cannot_tell(stage, lost.to_string(), Vec::new());
    match lost.part {
        Part::Right => told.help(ANOTHER_MACHINE),
        _ => told,
    }
}

/// An image cannot be had: by name, whose doing it is, and the way out.
pub fn no_image(failure: &PullFailure) -> Finding {
    let words = (!failure.words.is_empty()).then(|| failure.words.clone());
    let needed = format!("{} is needed by {}", failure.image, failure.wanted_by.join(", "));
    finding(StageId::Control, failure.title(), &failure.help())
        .because(words)
        .seen(vec![needed])
}

/// Fewer tests than the configuration asks for.
pub fn too_few_tests(stage: StageId, suite: &Subject, ran: u64, wanted: u64) -> Finding {
    let title = format!(
        "suite `{suite}` ran {}, at least {wanted} are needed",
        counted(ran, "test")
    );
    let help = "a suite without tests proves nothing: check its files, its selection of tests, and min_tests";
    finding(stage, title, help).detail(Finding::TOO_FEW)
}

/// What could not be told in a later stage, through nobody's fault but the machine's or the suite's.
pub fn cannot_tell(stage: StageId, title: String, evidence: Vec<String>) -> Finding {
    finding(
        stage,
        title,
        "Rehearsal could not tell: see the evidence, and run again",
    )
    .seen(evidence)
}
