//! `rollback`: after the candidate has written, the baseline comes back, reads everything, in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::boot_production_env::failure_of;
use super::ground::Copy;
use super::lives::{self, AGAIN, Life, Usual};
use super::spans::{self, Span};
use super::suites::{self, Compared, Shown, brief};
use super::{About, Again, At, Case, Check, Evidence, Moment, together};
use crate::mirror::failure::ServiceFailure;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::{DataEntry, Subject};
use crate::record::test::Sight;
use crate::text::units::{millis, seconds, times};
use crate::world::model::Service;
use crate::world::replica::Replica;

static ABOUT: About = About {
    id: CheckId::Rollback,
    question: "is there a way back?",
    explain: "The candidate runs data.write and data.verify_write, then the baseline takes its place again on the same \
              volumes, against the clock. It must be ready within stages.rollback.within and pass what it passed in \
              control; data.verify and data.verify_write must hold, and its services must stay up as they did in control. A migration that the old release cannot read is \
              found here and nowhere else. What to do: make the migration readable by both releases, or say \
              forward_only with the reason, so that nobody counts on a rollback.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Probed), (StageId::Rollback, Moment::Tried)],
    step: "",
};

/// There is a way back.
pub struct Rollback;

/// What the way back showed: what the candidate wrote before it, and what the baseline does after it.
#[derive(Debug, Default, Serialize)]
pub struct WayBack {
    /// Why the baseline did not come up again.
    did_not_come_up: Option<String>,
    #[serde(skip)]
    failure: Option<ServiceFailure>,
    took_ms: Option<u64>,
    within_ms: Option<u64>,
    on: Option<Role>,
    tests: Vec<Shown>,
    /// How production's containers lived: in `control`, and since the way back.
    lives: BTreeMap<Replica, Life>,
    #[serde(skip)]
    too_few: Vec<Finding>,
}

impl Check for Rollback {
    type Seen = WayBack;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<WayBack, Lost> {
        let tests = WayBack {
            on: Some(at.role),
            tests: suites::shown(at.facts.ran_on(at.case.stage, at.role)),
            ..WayBack::default()
        };
        if at.case.stage == StageId::Control {
            let lives = lives(at).await;
            return Ok(WayBack { lives, ..tests });
        }
        if at.role == Role::Candidate {
            return Ok(tests);
        }
        let swap = at.facts.swap(StageId::Rollback)?;
        let failure = failure_of(swap)?;
        let lives = match (&failure, at.facts.on) {
            (None, Copy::First) => lives(at).await,
            (Some(_), _) | (None, Copy::Untouched | Copy::Apart) => BTreeMap::new(),
        };
        Ok(WayBack {
            lives,
            did_not_come_up: failure.as_ref().map(ServiceFailure::line),
            failure,
            took_ms: Some(millis(swap.took)),
            within_ms: Some(millis(swap.within)),
            too_few: suites::too_few(at.facts, StageId::Rollback),
            tests: comparable(at, tests.tests),
            ..tests
        })
    }

    fn judge(&self, case: &Case<'_>, before: &WayBack, after: &WayBack) -> Vec<Finding> {
        if let Some(failure) = &after.failure {
            return vec![not_ready(case, failure)];
        }
        let mut found: Vec<Finding> = too_slow(case, after).into_iter().collect();
        let shown = Compared {
            before: &before.tests,
            after: &after.tests,
        };
        let tell = |test: &Shown| match after.on {
            Some(Role::Candidate) => write_fails(case, test),
            _ if is_data(test) && shown.sight(test) == Sight::Blind => not_seen(case, test),
            _ => fails(case, test),
        };
        found.extend(suites::judge(case.stage, shown, tell));
        found.extend(after.too_few.iter().cloned());
        let lives = after.lives.iter().filter(|_| case.stage == StageId::Rollback);
        let lived = lives.filter_map(|(replica, life)| lived(case, replica, before.lives.get(replica), life));
        found.extend(together(lived));
        found
    }

    fn again(&self, finding: &Finding) -> Again {
        let suite = finding.tests.first().map(|test| test.suite.clone());
        match suite {
            // It is compared with its run on the candidate.
            Some(suite @ Subject::Data(DataEntry::VerifyWriteAfter)) => Again::TestsHere(suite),
            Some(suite) => Again::Tests(suite),
            None => Again::AsSeen,
        }
    }

    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        suites::fold(findings)
    }

    fn notes(&self, _case: &Case<'_>, seen: &WayBack) -> Vec<String> {
        let took = seen.took_ms.filter(|_| seen.failure.is_none());
        let back = |took| {
            format!(
                "rollback: the baseline was back after {}",
                seconds(Duration::from_millis(took))
            )
        };
        took.map(back).into_iter().collect()
    }
}

/// What the candidate wrote is compared with its own reading: a test that it did not pass itself says nothing of the way
/// back, and has been told there.
fn comparable(at: &At<'_>, tests: Vec<Shown>) -> Vec<Shown> {
    let written = at.facts.ran_on(StageId::Rollback, Role::Candidate);
    let written = written.filter(|ran| ran.subject == Subject::Data(DataEntry::VerifyWrite));
    let unread: BTreeSet<&str> = written
        .flat_map(|ran| &ran.tests)
        .filter(|test| test.status != Status::Passed)
        .map(|test| test.name.as_str())
        .collect();
    let after = Subject::Data(DataEntry::VerifyWriteAfter);
    let is_compared = |test: &Shown| test.suite != after || !unread.contains(test.name.as_str());
    tests.into_iter().filter(is_compared).collect()
}

/// How production's containers live; those of services that the release removes come back, too.
async fn lives(at: &At<'_>) -> BTreeMap<Replica, Life> {
    let (stage, role) = (at.case.stage, Role::Baseline);
    let (swapping, lived) = (Span::swapping(stage, role), [Span::lived(stage, role)]);
    let mut all = BTreeMap::new();
    for replica in at.case.world.services.values().flat_map(Service::instances) {
        let before = at
            .seen_before::<Rollback>()
            .and_then(|before| before.lives.get(&replica));
        if stage == StageId::Rollback {
            lives::give_time(at, &replica, before, &lived).await;
        }
        let candidate = spans::of_candidate_until(StageId::Rollback);
        let life = Life {
            back: Some(at.facts.lived.of(at.ground, &replica, &candidate).exits),
            ..Life::after(at, &replica, swapping, &lived)
        };
        all.insert(replica, life);
    }
    all
}

/// What becomes of a container when the baseline is back that did not become of it in `control`.
fn lived(case: &Case<'_>, replica: &Replica, before: Option<&Life>, life: &Life) -> Option<Finding> {
    let before = before?;
    if life.usual(Some(before)) != Usual::Stays {
        return None;
    }
    let stays = !case.candidate.touched().contains(&replica.service);
    let badly = life.last.as_ref().is_some_and(|last| last.code != 0);
    // A one-shot did not run in `control` either, and had ended well.
    let was_well = before.running || (badly && life.over);
    let is_down = was_well && !life.running && life.later + life.on_the_way > 0;
    let what = match life.later {
        _ if stays && !is_worth_a_word(life) => return None,
        _ if is_down => "exited and does not run any more".to_owned(),
        0 => return ill(case, replica, before, life),
        more => format!("exited {}", times(more)),
    };
    let title = format!("after the rollback `{replica}` {what}{}", life.last_words());
    let blame = match life.later >= AGAIN || (is_down && badly && !stays) {
        true => Blame::Candidate,
        false => Blame::Nobody,
    };
    let found = Finding::new(ABOUT.id, case.stage, blame, title).detail("exited");
    let found = found.about(replica.service.clone()).because(life.fatal.clone());
    Some(found.help(way_out(case)))
}

/// One exit of what stays may be what every deploy does to it, and what it did beside the candidate has been told.
fn is_worth_a_word(life: &Life) -> bool {
    life.later >= AGAIN && life.back.is_none_or(|beside| beside < AGAIN)
}

/// Production's own health check fails.
fn ill(case: &Case<'_>, replica: &Replica, before: &Life, life: &Life) -> Option<Finding> {
    let title = format!("after the rollback `{replica}` was ready, and its own health check fails since");
    let found = finding(case, title).detail("unhealthy").about(replica.service.clone());
    let found = found.because(life.fatal.clone()).help(way_out(case));
    life.is_ill(Some(before)).then_some(found)
}

fn finding(case: &Case<'_>, title: String) -> Finding {
    Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
}

fn way_out(case: &Case<'_>) -> String {
    format!(
        "{} leaves nothing that {} can live with: make it readable by both, or declare rollback.forward_only",
        case.pair.candidate(),
        case.pair.baseline()
    )
}

/// The baseline does not come up again.
fn not_ready(case: &Case<'_>, failure: &ServiceFailure) -> Finding {
    let title = format!("there is no way back: {}", failure.headline());
    finding(case, title)
        .detail("not-ready")
        .about(failure.replica.service.clone())
        .because(failure.fatal.clone())
        .seen(failure.log.clone())
        .help(way_out(case))
}

/// The baseline came back too late.
fn too_slow(case: &Case<'_>, seen: &WayBack) -> Option<Finding> {
    let (took, within) = (seen.took_ms?, seen.within_ms?);
    let title = format!(
        "the rollback took {}, {} are allowed",
        seconds(Duration::from_millis(took)),
        seconds(Duration::from_millis(within))
    );
    let found = finding(case, title).detail("too-slow");
    (took > within).then(|| found.help("raise stages.rollback.within only if production can bear it"))
}

/// A test that the baseline passed in control and fails now.
fn fails(case: &Case<'_>, test: &Shown) -> Finding {
    let title = format!(
        "after the rollback `{}` / `{}` fails: {}",
        test.suite,
        test.name,
        brief(&test.message)
    );
    finding(case, title).help(way_out(case))
}

fn is_data(test: &Shown) -> bool {
    matches!(test.suite, Subject::Data(_))
}

/// Whether the baseline reads what is there cannot be told: it does not show it.
fn not_seen(case: &Case<'_>, test: &Shown) -> Finding {
    let title = format!(
        "after the rollback the data could not be looked at: `{}` / `{}`: {}",
        test.suite,
        test.name,
        brief(&test.message)
    );
    let help = format!(
        "plan the way back before deploying {}: after it {} does not answer this any more; what it reads is not known",
        case.pair.candidate(),
        case.pair.baseline()
    );
    finding(case, title).help(help)
}

/// The candidate cannot do `data.write`, or does not read back what it wrote.
fn write_fails(case: &Case<'_>, test: &Shown) -> Finding {
    let title = format!(
        "`{}` / `{}` fails on the candidate: {}",
        test.suite,
        test.name,
        brief(&test.message)
    );
    let help = format!("do not deploy: {} does this on the same mirror", case.pair.baseline());
    finding(case, title).help(help)
}
