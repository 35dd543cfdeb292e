//! `upgrade-in-place`: the candidate takes over the baseline's volumes under traffic, without loss and in time.

use serde::Serialize;

use super::question::moved;
use super::suites::{self, Compared, Shown, brief};
use super::traffic::{Good, Traffic};
use super::{About, Again, At, Case, Check, Evidence, Moment, Unanswered};
use crate::agent::exchange::SERVER_ERROR;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome};
use crate::record::stage::StageId;
use crate::record::step::{DataEntry, Subject};
use crate::record::test::Sight;
use crate::text::units::seconds;

static ABOUT: About = About {
    id: CheckId::UpgradeInPlace,
    question: "does the candidate take over production's data and traffic?",
    explain: "The baseline writes data.seed, then the candidate takes its place on the same volumes while a probe asks \
              every 100 ms. data.verify must hold on the candidate as it did on the baseline; the longest time without \
              a good answer (the status that the baseline gives) must stay within stages.upgrade.max_downtime, and \
              the probe must be answered well again. Where nobody chose the probe, a release whose own health check asks \
              something else, or that redirects where production shows a page, is only warned about. Single failures outside that gap are warned about \
              where they are more frequent than the baseline's own (Fisher's exact test at 5 %). 38 % of the upgrade \
              failures that DUPTester (SOSP'21) studied are data formats.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Probed), (StageId::Upgrade, Moment::Tried)],
    step: "",
};

/// The candidate takes over data and traffic.
pub struct UpgradeInPlace;

/// What became of production's data and traffic.
#[derive(Debug, Serialize)]
pub struct TakesOver {
    came_up: bool,
    verify: Vec<Shown>,
    /// Nothing where production answers nothing that can be asked.
    traffic: Option<Traffic>,
    /// Why another answer than production's says nothing of the release; nothing where it does.
    other_answer: Option<String>,
}

impl Check for UpgradeInPlace {
    type Seen = TakesOver;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<TakesOver, Lost> {
        let stage = at.case.stage;
        let came_up = match stage {
            StageId::Control => true,
            _ => match &at.facts.swap(stage)?.outcome {
                Outcome::Lost(lost) => return Err(lost.clone()),
                outcome => outcome.held().is_some(),
            },
        };
        let traffic = at.facts.traffic.get(&stage).cloned().transpose()?;
        let verify = at.facts.ran_on(stage, at.role);
        let verify = verify.filter(|ran| ran.subject == Subject::Data(DataEntry::Verify));
        Ok(TakesOver {
            came_up,
            verify: suites::shown(verify),
            other_answer: traffic.as_ref().and_then(|traffic| other_answer(at, traffic)),
            traffic,
        })
    }

    /// A probe that production itself never answers proves nothing.
    fn doubts(&self, case: &Case<'_>, seen: &TakesOver) -> Vec<Finding> {
        let traffic = seen.traffic.as_ref().filter(|_| case.stage == StageId::Control);
        let deaf = traffic.filter(|traffic| traffic.good.is_none() && traffic.asked > 0);
        let tell = |traffic: &Traffic| {
            let title = format!(
                "production itself never answers the probe `{}`: {}",
                traffic.asked_for, traffic.last
            );
            Finding::new(CheckId::Control, case.stage, Blame::Mirror, title)
                .help("set stages.upgrade.probe to an address inside the mirror that production answers")
        };
        deaf.map(tell).into_iter().collect()
    }

    fn judge(&self, case: &Case<'_>, before: &TakesOver, after: &TakesOver) -> Vec<Finding> {
        let shown = Compared {
            before: &before.verify,
            after: &after.verify,
        };
        let tell = |test: &Shown| match shown.sight(test) {
            Sight::Seen => data_lost(case, test),
            Sight::Blind => not_seen(case, test),
            Sight::Unclear => not_shown(case, test),
        };
        let mut found = suites::judge(case.stage, shown, tell);
        if let (Some(before), Some(swap), true) = (&before.traffic, &after.traffic, after.came_up) {
            found.extend(answered(case, before, swap, after.other_answer.as_deref()));
        }
        found
    }

    fn unanswered(&self, _case: &Case<'_>, after: &TakesOver) -> Option<Unanswered> {
        (!after.came_up).then(|| Unanswered::NotRun("the candidate did not come up".to_owned()))
    }

    fn again(&self, finding: &Finding) -> Again {
        let suite = finding.tests.first().map(|test| test.suite.clone());
        suite.map_or(Again::AsSeen, Again::Tests)
    }

    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        suites::fold(findings)
    }

    fn notes(&self, case: &Case<'_>, seen: &TakesOver) -> Vec<String> {
        match (&seen.traffic, case.stage) {
            (_, StageId::Control) => Vec::new(),
            (Some(traffic), stage) if seen.came_up => vec![format!("{stage}: {}", traffic.words())],
            (None, _) => {
                vec!["production answers nothing that can be asked of what the release changes: downtime was not measured".to_owned()]
            }
            (Some(_), _) => Vec::new(),
        }
    }
}

fn finding(case: &Case<'_>, blame: Blame, title: String) -> Finding {
    Finding::new(ABOUT.id, case.stage, blame, title)
}

/// What the baseline wrote does not read the same on the candidate.
fn data_lost(case: &Case<'_>, test: &Shown) -> Finding {
    let title = format!(
        "data of the baseline is not as it was: `{}`: {}",
        test.name,
        brief(&test.message)
    );
    let help = format!(
        "do not deploy: the migration of {} loses or changes production's data",
        case.pair.candidate()
    );
    finding(case, Blame::Candidate, title).help(help)
}

/// Whether the data is as it was cannot be told: the candidate does not show it.
fn not_seen(case: &Case<'_>, test: &Shown) -> Finding {
    let title = format!(
        "the baseline's data could not be looked at: `{}`: {}",
        test.name,
        brief(&test.message)
    );
    let help = format!(
        "do not deploy: {} answers this on the same mirror; whether the data is as it was is not known",
        case.pair.baseline()
    );
    finding(case, Blame::Candidate, title).help(help)
}

/// The data is not as it was, or could not be looked at: what the test itself says is all that is known.
fn not_shown(case: &Case<'_>, test: &Shown) -> Finding {
    let title = format!(
        "the baseline's data is not shown as it was: `{}`: {}",
        test.name,
        brief(&test.message)
    );
    let help = format!(
        "do not deploy: {} shows it on the same mirror; whether the data has changed or could not be looked at is in \
         what the test says",
        case.pair.baseline()
    );
    finding(case, Blame::Candidate, title).help(help)
}

fn evidence(before: &Traffic, swap: &Traffic) -> Vec<String> {
    vec![swap.words(), format!("baseline alone: {}", before.words())]
}

/// How the probe was answered around the swap.
fn answered(case: &Case<'_>, before: &Traffic, swap: &Traffic, other: Option<&str>) -> Vec<Finding> {
    if let Some(why) = other {
        return vec![answers_otherwise(case, before, swap, why)];
    }
    let not_recovered = not_recovered(case, before, swap);
    let late = too_long(case, before, swap);
    let found = not_recovered.into_iter().chain(late);
    found.chain(single_failures(case, before, swap)).collect()
}

/// What nobody wrote down to be asked may be answered in another way, where the release itself asks something else, or
/// where a page has become a redirect or the other way round.
fn other_answer(at: &At<'_>, swap: &Traffic) -> Option<String> {
    let chosen = at.case.settings.stages.upgrade.probe.is_none() && at.case.stage == StageId::Upgrade;
    let (Some(Good::Status(old)), Some(Good::Status(new))) = (swap.good, swap.last_answer) else {
        return None;
    };
    if !chosen || swap.recovered || new >= SERVER_ERROR {
        return None;
    }
    let moved = moved(&at.case, &swap.asked_for, |image| at.ground.image(image));
    let is_well = |status: u16| (200..400).contains(&status);
    let same = (is_well(old) && is_well(new)).then(|| format!("production answers {old}"));
    moved.map(|url| format!("its own health check asks `{url}`")).or(same)
}

fn answers_otherwise(case: &Case<'_>, before: &Traffic, swap: &Traffic, why: &str) -> Finding {
    let title = format!(
        "the candidate answers `{}` by {}, and {why}: how long nobody was answered is not known",
        swap.asked_for, swap.last
    );
    finding(case, Blame::Nobody, title)
        .detail("other-answer")
        .seen(evidence(before, swap))
        .help("set stages.upgrade.probe to an address that both releases answer alike")
}

fn not_recovered(case: &Case<'_>, before: &Traffic, swap: &Traffic) -> Option<Finding> {
    let title = format!(
        "`{}` is not answered as before after the upgrade: {}",
        swap.asked_for, swap.last
    );
    let help = format!(
        "do not deploy: {} answers it with {}",
        case.pair.baseline(),
        swap.good_words()
    );
    let found = finding(case, Blame::Candidate, title).detail("not-recovered");
    (!swap.recovered).then(|| found.seen(evidence(before, swap)).help(help))
}

fn too_long(case: &Case<'_>, before: &Traffic, swap: &Traffic) -> Option<Finding> {
    let budget = case.settings.stages.upgrade.max_downtime;
    let title = format!(
        "{} of downtime during the upgrade, {} are allowed",
        seconds(swap.downtime),
        seconds(budget)
    );
    let help = "make the candidate ready sooner, or raise stages.upgrade.max_downtime if production can bear it";
    let found = finding(case, Blame::Candidate, title).detail("downtime");
    (swap.downtime > budget).then(|| found.seen(evidence(before, swap)).help(help))
}

fn single_failures(case: &Case<'_>, before: &Traffic, swap: &Traffic) -> Option<Finding> {
    let more = swap.recovered && swap.fails_more_often_than(before);
    let title = format!(
        "{} of {} probe requests failed outside the swap itself",
        swap.singles, swap.outside
    );
    let found = finding(case, Blame::Nobody, title).detail("single-failures");
    more.then(|| {
        found
            .seen(evidence(before, swap))
            .help("look for errors right after start")
    })
}
