//! `boot-production-env`: the candidate comes up with production's environment, and does what the baseline did.

use serde::Serialize;

use super::facts::Swap;
use super::release::blank_first;
use super::suites::{self, Compared, Shown, brief};
use super::{About, Again, At, Case, Check, Evidence, Moment, Unanswered, trouble};
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::Subject;

static ABOUT: About = About {
    id: CheckId::BootProductionEnv,
    question: "does the candidate come up in production's environment and pass the suites that production passes?",
    explain: "The candidate is started with production's environment, mounts, limits, user and flags. It must be \
              ready within stages.upgrade.within and pass every test that the baseline passed. Of a service with \
              several replicas each must answer a request that may be sent again (GET, HEAD, repeatable: true). A test's failure \
              blocks only after it was repeated on the candidate, and five times in all on a baseline that the \
              candidate has not touched. What to do: read the named test and the candidate's first fatal log line; \
              what the release newly needs must be in production's environment first.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::Tried),
    ],
    step: "",
};

/// The candidate does what the baseline did.
pub struct BootProductionEnv;

/// What a release showed.
#[derive(Debug, Serialize)]
pub struct Boots {
    /// Why it did not come up.
    did_not_come_up: Option<String>,
    #[serde(skip)]
    failure: Option<ServiceFailure>,
    tests: Vec<Shown>,
    #[serde(skip)]
    too_few: Vec<Finding>,
}

impl Check for BootProductionEnv {
    type Seen = Boots;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Boots, Lost> {
        let failure = match at.role {
            Role::Baseline => None,
            Role::Candidate => failure_of(at.facts.swap(StageId::Upgrade)?)?,
        };
        let suites = at.facts.ran_on(at.case.stage, at.role);
        let suites = suites.filter(|ran| matches!(ran.subject, Subject::Suite(_)));
        Ok(Boots {
            did_not_come_up: failure.as_ref().map(ServiceFailure::line),
            failure,
            tests: suites::shown(suites),
            too_few: match at.role {
                Role::Baseline => Vec::new(),
                Role::Candidate => suites::too_few(at.facts, at.case.stage),
            },
        })
    }

    fn judge(&self, case: &Case<'_>, before: &Boots, after: &Boots) -> Vec<Finding> {
        if let Some(failure) = &after.failure {
            return did_not_come_up(case, failure).into_iter().collect();
        }
        let mut found = suites::judge(case.stage, compared(before, after), |test| fails(case, test));
        found.extend(after.too_few.iter().cloned());
        found
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Boots) -> Option<Unanswered> {
        let why = "the candidate did not come up";
        after.failure.as_ref().map(|_| Unanswered::NotRun(why.to_owned()))
    }

    fn again(&self, finding: &Finding) -> Again {
        let suite = finding.tests.first().map(|test| test.suite.clone());
        suite.map_or(Again::AsSeen, Again::Tests)
    }

    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        suites::fold(findings)
    }
}

fn compared<'a>(before: &'a Boots, after: &'a Boots) -> Compared<'a> {
    Compared {
        before: &before.tests,
        after: &after.tests,
    }
}

/// The service that did not come up, if one did not.
pub(super) fn failure_of(swap: &Swap) -> Result<Option<ServiceFailure>, Lost> {
    match &swap.outcome {
        Outcome::Held(_) => Ok(None),
        Outcome::Broke(failure) => Ok(Some(failure.clone())),
        Outcome::Lost(lost) => Err(lost.clone()),
    }
}

/// Not ready in its time, or not started at all. What crashed is another check's; what is not the candidate's is the
/// mirror's.
fn did_not_come_up(case: &Case<'_>, failure: &ServiceFailure) -> Option<Finding> {
    // Production's own files have been asked the same, and came up: whoever waits, the release makes it wait in vain.
    let is_own = case.candidate.services.contains_key(&failure.replica.service)
        || matches!(failure.kind, ServiceFailureKind::NoHealthCheck(_));
    if !is_own {
        return Some(trouble::service_down(case.stage, failure));
    }
    let help = format!(
        "do not deploy: {} starts here and {} does not",
        case.pair.baseline(),
        case.pair.candidate()
    );
    let title = blank_first(case, &failure.replica.service, failure.headline());
    let found = Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
        .about(failure.replica.service.clone())
        .because(failure.fatal.clone())
        .seen(failure.log.clone())
        .help(help);
    (!matches!(failure.kind, ServiceFailureKind::Exited)).then_some(found)
}

/// A test that the baseline passes.
fn fails(case: &Case<'_>, test: &Shown) -> Finding {
    let title = format!(
        "`{}` / `{}` fails on the candidate: {}",
        test.suite,
        test.name,
        brief(&test.message)
    );
    let help = format!("do not deploy: {} passes this on the same mirror", case.pair.baseline());
    Finding::new(ABOUT.id, case.stage, Blame::Candidate, title).help(help)
}
