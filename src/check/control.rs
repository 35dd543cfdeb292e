//! `control`: production itself passes on the mirror, or nothing can be said of the candidate.

use serde::Serialize;

use super::suites::{self, Shown, and_more};
use super::{About, At, Case, Check, Evidence, Moment};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::world::model::World;

static ABOUT: About = About {
    id: CheckId::Control,
    question: "does production's own release pass on the mirror?",
    explain: "Production's release is started on the mirror at production's versions; every suite, the sign-in, \
              data.seed and data.verify run against it. It has stages.control.within to come up: on \
              empty volumes a first start is slow, so a service that is unhealthy on the way is waited for, and noted. \
              What data.restore names is put into its volumes before anything mounts them, and into its services before \
              others start, within no limit but the run's; a dump that cannot be read or restored to its end is \
              production's side of the mirror, too. Without data.restore and data.seed a migration meets empty tables, \
              and proves little: a note says so. Anything that fails there makes the verdict inconclusive: the \
              mirror or the suite is wrong, and the candidate is never blamed for it. A suite with fewer tests than \
              min_tests proves nothing and counts as failed; so does a service that is given the engine's socket, for what it \
              starts there is no part of the mirror. What to do: make the suites pass against production as \
              it is, starting with the service or test that is named.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Tried)],
    step: "",
};

/// Production passes.
pub struct Control;

/// What production showed.
#[derive(Debug, Serialize)]
pub struct Passes {
    tests: Vec<Shown>,
    /// The last lines of the services that will be replaced, where a test failed.
    said: Vec<String>,
    #[serde(skip)]
    too_few: Vec<Finding>,
}

/// Lines of a service's log beside a failure.
const LINES: usize = 20;

impl Check for Control {
    type Seen = Passes;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Passes, Lost> {
        let tests = suites::shown(at.facts.ran_on(StageId::Control, Role::Baseline));
        let said = |name: &String| at.ground.tail(name, LINES);
        Ok(Passes {
            said: if tests.iter().any(|test| test.status.is_red()) {
                at.case.candidate.services.keys().flat_map(said).collect()
            } else {
                Vec::new()
            },
            tests,
            too_few: suites::too_few(at.facts, StageId::Control),
        })
    }

    fn may_be_waived(&self, _finding: &Finding) -> bool {
        false
    }

    fn doubts(&self, case: &Case<'_>, seen: &Passes) -> Vec<Finding> {
        let mut subjects: Vec<&Subject> = Vec::new();
        for test in seen.tests.iter().filter(|test| test.status.is_red()) {
            if !subjects.contains(&&test.suite) {
                subjects.push(&test.suite);
            }
        }
        let failing: Vec<Finding> = subjects
            .into_iter()
            .filter_map(|subject| fails(case, subject, seen))
            .collect();
        drive_engine(case.world)
            .chain(with_consequences(failing, seen))
            .collect()
    }
}

/// Services that no mirror can have as production has them: known before anything starts.
pub fn drive_engine(world: &World) -> impl Iterator<Item = Finding> {
    world.engine_sockets.iter().map(|service| drives_engine(service))
}

/// What a service starts through the engine's socket would stand outside the mirror, and is not rehearsed.
fn drives_engine(service: &str) -> Finding {
    let title = format!(
        "`{service}` is given the engine's socket in production: what it starts or reads there is no part of the mirror"
    );
    let help = "where that does not matter, leave the service out (`profiles: [not-rehearsed]`) or take the mount out \
                (`volumes: !override`) in a further file of production.compose";
    Finding::new(CheckId::Control, StageId::Control, Blame::Mirror, title)
        .about(service.to_owned())
        .help(help)
}

/// What could not even be tried, and what ran too few tests, follows from what failed, and is told with it.
fn with_consequences(failing: Vec<Finding>, seen: &Passes) -> Vec<Finding> {
    let is_tried = |finding: &Finding| {
        let own = seen.tests.iter().filter(|test| finding.tests.contains(&test.id()));
        own.clone().count() == 0 || own.clone().any(|test| test.status != Status::NotRun)
    };
    let (mut causes, mut others): (Vec<Finding>, Vec<Finding>) = failing.into_iter().partition(is_tried);
    others.extend(seen.too_few.iter().cloned());
    match causes.first_mut() {
        Some(first) => others.into_iter().for_each(|other| first.take_in(other)),
        None => causes = others,
    }
    causes
}

/// Tests that production itself fails.
fn fails(case: &Case<'_>, subject: &Subject, seen: &Passes) -> Option<Finding> {
    let of = |test: &&Shown| test.suite == *subject && test.status.is_red();
    let failed: Vec<&Shown> = seen.tests.iter().filter(of).collect();
    let first = failed.first()?;
    let more = and_more(failed.len());
    let title = format!(
        "production itself ({}) fails `{subject}` / `{}`{more}",
        case.pair.baseline(),
        first.name
    );
    let evidence = failed.iter().map(|test| test.line());
    let found = Finding::new(CheckId::Control, StageId::Control, Blame::Mirror, title)
        .help("the mirror or the suite is wrong: make it pass against production's release first")
        .about(first.service.clone())
        .of_tests(failed.iter().map(|test| test.id()))
        .because(first.message.clone());
    Some(found.seen(evidence.chain(seen.said.iter().cloned()).collect()))
}
