//! `alert-lead-time`: production's own alert rules tell a failure, and in time.

mod drill;
mod leak;
mod ramp;
mod rest;
mod squeeze;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

use self::drill::Drill;
use self::ramp::{Ramped, ramp};
use self::squeeze::{Squeezed, squeezed};
use super::auth_faults::reaching;
use super::fault_trial::LATE_MS;
use super::{About, Again, At, Case, Check, Evidence, Given, Moment};
use crate::agent::front::fault::{Fault, Reach};
use crate::alerts::composed::Clock;
use crate::alerts::exporters::CADVISOR;
use crate::alerts::judged::{Judge, Said};
use crate::alerts::promtool::Promtool;
use crate::alerts::rules::{self, Rules};
use crate::alerts::series::{Labels, Recording};
use crate::config::alerts::Alerts;
use crate::config::settings::Rollback;
use crate::record::alerts::{AlertRecord, Firing, Scenario, Told};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Part};
use crate::record::stage::StageId;
use crate::text::units::of_millis;

static ABOUT: About = About {
    id: CheckId::AlertLeadTime,
    question: "do production's own alert rules tell a failure before on-call hears of it from users?",
    explain: "With stages.alerts, what production's Prometheus would scrape is recorded on the mirror, once a second: \
              what metrics.scrape names, and what is seen from outside under the names of a blackbox exporter and of \
              cAdvisor. First in control, then in each scenario: `upgrade` is the candidate in production's place, \
              `auth-down` stops the authentication dependency under the baseline, `auth-slow` lets its answers to \
              services come 5 s late (there, where nobody signs in, the suites run that reach it), `ramp` raises the \
              rate of stages.load on it by a half in each `record`, up to twelve times, until so long after something \
              has failed or crashed; then it begins anew; `memory` lowers what the release's first service may use, \
              until it is full after six times `record`, and on to nine times, as long as nothing is killed or fails: it \
              is recorded as if the limit stayed and what cAdvisor sees grew. Beside it a user signs in each second, and \
              metrics.probe is asked. The real promtool then evaluates production's rule files as they are: before the \
              scenario stands production as control showed it (before `ramp`, as it was at its own rate), for as long as \
              the longest window; after it everything goes on as it was last, for as long as the rules wait. Told is the \
              latest moment: the condition, a scrape, a turn of the group, its `for`, and the Alertmanager's group_wait. \
              A must_fire alert that is silent or later than `before` blocks; one that cannot be judged is inconclusive, \
              because it names what the mirror has not, or because it fires in control, too. Any other that fires in \
              control is a warning. What to do: correct the rule's metric, threshold or `for` (`rehearsal alerts \
              suggest` looks for the threshold), or add what production scrapes to metrics.scrape. Not seen: what \
              production scrapes of machines, and alerts of more than six hours.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::Drill),
        (StageId::Upgrade, Moment::Drill),
        (StageId::Rollback, Moment::Drill),
    ],
    step: "make a failure, and ask production's alert rules",
};

/// Alerts come before users do.
pub struct AlertLeadTime;

/// What the rules said.
#[derive(Debug, Serialize)]
pub struct Drilled {
    /// The version of promtool.
    promtool: String,
    /// Every recording, by scenario: `rehearsal alerts suggest` reads them.
    recordings: BTreeMap<Scenario, Recording>,
    /// Production before a scenario, where that is not as `control` showed it; read by the same.
    before: BTreeMap<Scenario, Recording>,
    /// How scenarios went, or why one could not be made.
    remarks: Vec<String>,
    /// What each rule said of each.
    alerts: Vec<AlertRecord>,
}

impl Check for AlertLeadTime {
    type Seen = Drilled;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn is_asked(&self, stage: StageId, given: &Given<'_>) -> bool {
        let stages = &given.settings.stages;
        let Some(alerts) = &stages.alerts else { return false };
        stage == StageId::Control || !made_in(stage, alerts, &stages.rollback).is_empty()
    }

    fn strains(&self, case: &Case<'_>) -> bool {
        let alerts = case.settings.stages.alerts.as_ref();
        let made = alerts.map(|alerts| made_in(case.stage, alerts, &case.settings.stages.rollback));
        let is_made = |one: &Scenario| !matches!(one, Scenario::Control | Scenario::Upgrade);
        made.is_some_and(|made| made.iter().any(is_made))
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Drilled, Lost> {
        let settings = at.case.settings;
        let Some(alerts) = &settings.stages.alerts else {
            return Err(Lost::new(Part::Step, "no alert rules are given"));
        };
        let rules = rules::read(&alerts.rules).map_err(|error| Lost::new(Part::Step, error.message))?;
        let promtool = Promtool::find().await.map_err(lost)?;
        for file in &alerts.rules {
            let checked = promtool.check(file).await.map_err(lost)?;
            checked
                .map_err(|why| Lost::new(Part::Promtool, format!("it does not take `{}`: {why}", file.display())))?;
        }
        let drill = Drill {
            at,
            alerts,
            rules: &rules,
            suites: Vec::new(),
            leak: None,
            asked: &Mutex::default(),
        };
        let mut told = Drilled {
            promtool: promtool.version.clone(),
            recordings: BTreeMap::new(),
            before: BTreeMap::new(),
            remarks: Vec::new(),
            alerts: Vec::new(),
        };
        let clock = clock(alerts);
        let judge = Judge {
            rules: &rules,
            clock: &clock,
            promtool: &promtool,
        };
        for scenario in made_in(at.case.stage, alerts, &settings.stages.rollback) {
            match made(&drill, scenario).await? {
                Ok(made) => told.take(alerts, judge, (scenario, made), control(at)).await?,
                Err(why) => told.take_unmade(alerts, &rules, scenario, &why),
            }
        }
        Ok(told)
    }

    fn judge(&self, case: &Case<'_>, _before: &Drilled, after: &Drilled) -> Vec<Finding> {
        let Some(alerts) = &case.settings.stages.alerts else {
            return Vec::new();
        };
        let open = after
            .alerts
            .iter()
            .filter(|alert| !is_told_by_another(alert, &after.alerts));
        super::together(open.filter_map(|alert| finding(case.stage, alerts, alert)))
    }

    /// What fails in `upgrade` is the release's own doing, once or again; what is done to the product is done to every release.
    fn again(&self, finding: &Finding) -> Again {
        let of_upgrade = format!(" {}", Scenario::Upgrade);
        match finding
            .detail
            .as_ref()
            .is_some_and(|detail| detail.ends_with(&of_upgrade))
        {
            true => Again::Once,
            false => Again::AsSeen,
        }
    }

    fn doubts(&self, case: &Case<'_>, seen: &Drilled) -> Vec<Finding> {
        let control = seen.recordings.get(&Scenario::Control);
        let failed = control.and_then(|recording| recording.first_failure);
        let doubt = failed.map(|second| {
            let title = format!("a user's request fails in control, {second} s after its recording began");
            Finding::new(ABOUT.id, case.stage, Blame::Mirror, title)
                .help("what alerts say of a failure cannot be told where production fails by itself")
        });
        doubt.into_iter().collect()
    }

    fn notes(&self, _case: &Case<'_>, seen: &Drilled) -> Vec<String> {
        let made = seen.recordings.iter().map(|(scenario, recording)| {
            let left_out = match recording.left_out {
                0 => String::new(),
                more => format!("; {more} series were too many and are left out"),
            };
            let (real, tracks) = (recording.seconds, recording.tracks.len());
            format!(
                "alerts in {scenario}: {real} s of {tracks} series are recorded, the rest is made from them; \
                 promtool {}{left_out}",
                seen.promtool
            )
        });
        let remarks = seen.remarks.iter().cloned();
        made.chain(remarks).collect()
    }

    fn alerts(&self, _case: &Case<'_>, seen: &Drilled) -> Vec<AlertRecord> {
        seen.alerts.clone()
    }
}

fn lost(failure: crate::alerts::promtool::Failure) -> Lost {
    Lost::new(Part::Promtool, failure.to_string())
}

/// As production's configuration has it.
pub fn clock(alerts: &Alerts) -> Clock {
    Clock {
        scrape: alerts.scrape_interval.max(Duration::from_secs(1)),
        evaluation: alerts.evaluation_interval.max(Duration::from_secs(1)),
        group_wait: alerts.group_wait,
    }
}

/// The scenarios that are made in a stage. What is done to production itself is done last of all.
fn made_in(stage: StageId, alerts: &Alerts, rollback: &Rollback) -> Vec<Scenario> {
    let last = match rollback {
        Rollback::Within(_) => StageId::Rollback,
        Rollback::ForwardOnly(_) => StageId::Upgrade,
    };
    let is_made = |scenario: &Scenario| match scenario {
        Scenario::Control => stage == StageId::Control,
        Scenario::Upgrade => stage == StageId::Upgrade,
        Scenario::AuthDown | Scenario::AuthSlow | Scenario::Ramp | Scenario::Memory => stage == last,
    };
    let all = [Scenario::Control].into_iter().chain(alerts.scenarios.iter().copied());
    all.filter(is_made).collect()
}

/// Production as `control` showed it.
fn control<'a>(at: &At<'a>) -> Option<&'a Recording> {
    let seen = at.seen_before::<AlertLeadTime>();
    seen.and_then(|seen| seen.recordings.get(&Scenario::Control))
}

/// A scenario that was made.
struct Made {
    /// Production before it, where that is not as `control` showed it.
    before: Option<Recording>,
    recording: Recording,
    /// How it went, where that says more.
    remark: Option<String>,
}

impl From<Recording> for Made {
    fn from(recording: Recording) -> Self {
        Self {
            before: None,
            recording,
            remark: None,
        }
    }
}

impl From<Ramped> for Made {
    fn from(ramped: Ramped) -> Self {
        Self {
            before: Some(ramped.usual),
            recording: ramped.raised,
            remark: Some(ramped.remark),
        }
    }
}

impl From<Squeezed> for Made {
    fn from(squeezed: Squeezed) -> Self {
        Self {
            before: None,
            recording: squeezed.recording,
            remark: Some(squeezed.remark),
        }
    }
}

impl Drilled {
    /// What the rules say of a scenario.
    async fn take(
        &mut self,
        alerts: &Alerts,
        judge: Judge<'_>,
        (scenario, made): (Scenario, Made),
        control: Option<&Recording>,
    ) -> Result<(), Lost> {
        let Made {
            before,
            recording,
            remark,
        } = made;
        let steady = before.as_ref().or(control).unwrap_or(&recording);
        let said = judge.judge(steady, &recording).await.map_err(lost)?;
        self.alerts
            .extend(records(alerts, judge.rules, &said, scenario, &recording));
        self.remarks
            .extend(remark.map(|remark| format!("alerts in {scenario}: {remark}")));
        self.before.extend(before.map(|before| (scenario, before)));
        self.recordings.insert(scenario, recording);
        Ok(())
    }

    /// Nothing is said of one that could not be made.
    fn take_unmade(&mut self, alerts: &Alerts, rules: &Rules, scenario: Scenario, why: &str) {
        let told = Told::NotJudged(format!("{scenario} could not be made: {why}"));
        let numbers = rules.alerts().map(|(_, rule)| (rule.number, told.clone()));
        let said: Said = numbers.collect();
        let nothing = Recording::default();
        self.alerts.extend(records(alerts, rules, &said, scenario, &nothing));
        self.remarks
            .push(format!("alerts in {scenario}: it could not be made: {why}"));
    }
}

/// Makes it, or says why it cannot.
async fn made(drill: &Drill<'_>, scenario: Scenario) -> Result<Result<Made, String>, Lost> {
    match (scenario, &drill.at.case.settings.stages.load) {
        (Scenario::Control | Scenario::Upgrade, _) => Ok(Ok(drill.record().await?.into())),
        (Scenario::AuthDown, _) => Ok(Ok(auth_down(drill).await?.into())),
        (Scenario::AuthSlow, _) => Ok(auth_slow(drill).await?.map(Made::from)),
        (Scenario::Ramp, Some(load)) => Ok(ramp(drill, load).await?.map(Made::from)),
        (Scenario::Memory, _) => Ok(squeezed(drill).await?.map(Made::from)),
        (Scenario::Ramp, None) => Ok(Err("stages.load does not say at which rate".to_owned())),
    }
}

async fn auth_down(drill: &Drill<'_>) -> Result<Recording, Lost> {
    let at = drill.at;
    let marks = at.marks();
    let services = at.case.settings.auth_services();
    for service in services {
        at.ground.stop(service).await;
    }
    let recorded = drill.record().await;
    for service in services.iter().rev() {
        at.ground.start_again(service).await?;
    }
    at.driver.set_aside(&marks).await;
    recorded
}

/// The fronts answer late in the product's place, and users ask for what needs it.
async fn auth_slow(drill: &Drill<'_>) -> Result<Result<Recording, String>, Lost> {
    let at = drill.at;
    if let Some(why) = at.ground.past_the_fronts() {
        return Ok(Err(why));
    }
    let suites = reaching(at).await?;
    let signs_in = at.case.settings.auth.as_ref().is_some_and(|auth| auth.login.is_some());
    if !signs_in && suites.is_empty() {
        let why = "no suite reaches the authentication dependency, and auth.login does not say how to sign in";
        return Ok(Err(why.to_owned()));
    }
    let marks = at.marks();
    at.ground.fault_begins(Fault::Slow(LATE_MS), Reach::Everything).await?;
    let drill = Drill { suites, ..*drill };
    let recorded = drill.record().await;
    at.ground.fault_ends().await?;
    at.driver.set_aside(&marks).await;
    recorded.map(Ok)
}

/// What is told of each alert, held to what the configuration wants of it.
fn records(alerts: &Alerts, rules: &Rules, said: &Said, scenario: Scenario, recording: &Recording) -> Vec<AlertRecord> {
    let record = |(group, rule): (&rules::Group, &rules::Rule)| {
        let alert = rule.alert()?.to_owned();
        let mut wanted = alerts.must_fire.iter().filter(|wanted| wanted.alert == alert);
        let of = |second: Option<usize>| second.map(|second| second as u64 * 1000);
        let told = match (scenario, said.get(&rule.number)?) {
            (Scenario::Memory, Told::Never) if asks_for_own_memory(rules, rule, recording) => Told::NotJudged(
                "what a service says itself of its memory does not grow where its limit falls".to_owned(),
            ),
            (_, told) => told.clone(),
        };
        Some(AlertRecord {
            scenario,
            group: group.name.clone(),
            must_fire: wanted.any(|wanted| wanted.scenarios.contains(&scenario)),
            told: held_to(told, of(recording.harm()), alerts.before),
            first_failure_ms: of(recording.first_failure),
            crash_ms: of(recording.crash),
            real_ms: recording.seconds as u64 * 1000,
            alert,
        })
    };
    rules.alerts().filter_map(record).collect()
}

/// Whether a rule looks at a figure of memory that is not seen from outside.
fn asks_for_own_memory(rules: &Rules, rule: &rules::Rule, recording: &Recording) -> bool {
    const WORDS: [&str; 3] = ["mem", "heap", "rss"];
    let is_own = |labels: &Labels| {
        let name = labels.name();
        labels.get("job") != CADVISOR && WORDS.iter().any(|word| name.contains(word))
    };
    let own: Vec<&str> = recording
        .tracks
        .iter()
        .filter(|track| is_own(&track.labels))
        .map(|track| track.labels.name())
        .collect();
    let needed = rules.needed_by([rule.number].into_iter());
    let mut asking = rules.all().filter(|(_, one)| needed.contains(&one.number));
    asking.any(|(_, one)| {
        let selectors = one
            .expression
            .as_ref()
            .map(|read| read.needs.selectors())
            .unwrap_or_default();
        own.iter()
            .any(|name| selectors.iter().any(|selector| selector.may_select(name)))
    })
}

/// Several rules may make one alert: it is enough that one of them tells in time.
fn is_told_by_another(alert: &AlertRecord, all: &[AlertRecord]) -> bool {
    let mut same = all
        .iter()
        .filter(|other| other.alert == alert.alert && other.scenario == alert.scenario);
    let fires = |other: &AlertRecord| matches!(other.told, Told::Fires(_));
    alert.must_fire && !fires(alert) && same.any(fires)
}

fn held_to(told: Told, harm_ms: Option<u64>, before: Option<Duration>) -> Told {
    match (told, harm_ms, before) {
        (Told::Fires(firing), Some(failed), Some(before))
            if firing.latest_ms > failed.saturating_add(crate::text::units::millis(before)) =>
        {
            Told::TooLate(firing)
        }
        (told, ..) => told,
    }
}

fn finding(stage: StageId, alerts: &Alerts, alert: &AlertRecord) -> Option<Finding> {
    let (name, scenario) = (&alert.alert, alert.scenario);
    let new = |blame, title: String| Finding::new(ABOUT.id, stage, blame, title).detail(format!("{name} {scenario}"));
    let wanted = alert.must_fire;
    let failed = alert.harm_ms().is_some();
    let quiet = where_quiet(scenario);
    let found = match &alert.told {
        Told::FalseAlarm if wanted => {
            let title = format!("`{name}` must fire in {scenario}, and it fires {quiet}, too: it says nothing");
            new(Blame::Mirror, title).help("make its condition one that production as it is does not meet")
        }
        Told::FalseAlarm if scenario == Scenario::Control => return None,
        Told::FalseAlarm => {
            let title = format!("`{name}` is a false alarm: it fires {quiet}, where nothing has failed");
            new(Blame::Nobody, title)
                .detail(format!("{name} false"))
                .help("raise its threshold or its `for`; `rehearsal alerts suggest` looks for the threshold")
        }
        Told::NotJudged(why) if wanted => {
            let title = format!("`{name}` must fire in {scenario}, and nothing can be told of it: {why}");
            new(Blame::Mirror, title).help(
                "add what production scrapes to stages.alerts.metrics, correct the rule, or see to what was in the way",
            )
        }
        Told::Never if wanted && failed => {
            let title = format!("`{name}` must fire in {scenario}, and it does not, however long the failure lasts");
            new(Blame::Candidate, title)
                .seen(when(alert))
                .help("correct its condition, or take it out of must_fire")
        }
        Told::Never if wanted && scenario != Scenario::Upgrade => {
            let title = format!("`{name}` must fire in {scenario}; it does not, and no user's request failed either");
            new(Blame::Mirror, title).help(let_users_fail(scenario))
        }
        Told::Fires(_) if wanted && !failed && scenario != Scenario::Upgrade && alerts.before.is_some() => {
            let title =
                format!("`{name}` fires in {scenario}, and no user's request failed: nobody can tell how long before");
            new(Blame::Mirror, title).help(format!("{}; or take `before` out", let_users_fail(scenario)))
        }
        Told::TooLate(firing) if wanted => too_late(new, alerts, alert, *firing),
        _ => return None,
    };
    Some(found)
}

/// Where nothing has failed before a scenario.
fn where_quiet(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Control | Scenario::Upgrade | Scenario::AuthDown | Scenario::AuthSlow | Scenario::Memory => {
            "in control"
        }
        Scenario::Ramp => "at production's own rate",
    }
}

/// What to do where nothing fails that anybody sees.
fn let_users_fail(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Control | Scenario::Upgrade | Scenario::AuthDown | Scenario::AuthSlow => {
            "add what users ask for to stages.alerts.metrics.probe, or describe auth.login"
        }
        Scenario::Memory => {
            "the report says how far its memory was lowered: add what users ask for to stages.alerts.metrics.probe"
        }
        Scenario::Ramp => {
            "the report says how far the rate was raised: begin with a higher stages.load.rate, or limit the service as \
             production does"
        }
    }
}

fn too_late(new: impl Fn(Blame, String) -> Finding, alerts: &Alerts, alert: &AlertRecord, firing: Firing) -> Finding {
    let harm = match alert.first_failure_ms {
        Some(_) => "first failed request",
        None => "first crash",
    };
    let allowed = match alerts.before.map_or(0, crate::text::units::millis) {
        0 => "and must fire before it".to_owned(),
        allowed => format!("{} are allowed", of_millis(allowed)),
    };
    let title = format!(
        "`{}` fires {} after the {harm} in {}, {allowed}",
        alert.alert,
        of_millis(firing.latest_ms.saturating_sub(alert.harm_ms().unwrap_or_default())),
        alert.scenario,
    );
    new(Blame::Candidate, title)
        .seen(when(alert))
        .help("lower its threshold (`rehearsal alerts suggest`), its `for`, or its group's interval")
}

/// The moments, for people.
fn when(alert: &AlertRecord) -> Vec<String> {
    let failed = alert.first_failure_ms;
    let failed = failed.map(|ms| {
        format!(
            "the first request of a user fails {} after the scenario began",
            of_millis(ms)
        )
    });
    let crashed = alert.crash_ms;
    let crashed = crashed.map(|ms| format!("a container crashes {} after it began", of_millis(ms)));
    let condition = match &alert.told {
        Told::Fires(firing) | Told::TooLate(firing) => Some(format!(
            "its condition holds after {}, on-call is told after {} at the latest",
            of_millis(firing.condition_ms),
            of_millis(firing.latest_ms)
        )),
        Told::Never | Told::FalseAlarm | Told::NotJudged(_) => None,
    };
    failed.into_iter().chain(crashed).chain(condition).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FIRES: Told = Told::Fires(Firing {
        condition_ms: 3_000,
        latest_ms: 9_000,
    });

    fn alerts(before: Option<Duration>) -> Alerts {
        Alerts {
            rules: Vec::new(),
            must_fire: Vec::new(),
            before,
            scenarios: BTreeSet::new(),
            scrape: Vec::new(),
            probe: Vec::new(),
            presets: BTreeSet::new(),
            scrape_interval: SECOND,
            evaluation_interval: SECOND,
            group_wait: SECOND,
            record: SECOND,
        }
    }

    fn wanted(told: Told, scenario: Scenario, first_failure_ms: Option<u64>) -> AlertRecord {
        AlertRecord {
            scenario,
            alert: "Down".to_owned(),
            group: "shop".to_owned(),
            must_fire: true,
            told,
            first_failure_ms,
            crash_ms: None,
            real_ms: 30_000,
        }
    }

    /// Whose doing it is; `None` where nothing is found.
    fn blamed(before: Option<Duration>, alert: &AlertRecord) -> Option<Blame> {
        finding(StageId::Upgrade, &alerts(before), alert).map(|finding| finding.blame)
    }

    #[test]
    fn an_alert_that_must_fire_and_cannot_be_told_of_is_never_a_pass() {
        let untold = Told::NotJudged("no series has this metric".to_owned());
        for scenario in [Scenario::Upgrade, Scenario::AuthDown] {
            for first_failure in [None, Some(5_000)] {
                for told in [untold.clone(), Told::FalseAlarm] {
                    let alert = wanted(told, scenario, first_failure);
                    assert_eq!(blamed(None, &alert), Some(Blame::Mirror), "{alert:?}");
                }
            }
        }
    }

    #[test]
    fn silence_where_something_failed_blocks_and_where_nothing_did_it_proves_nothing() {
        let silent = |scenario, failed| blamed(None, &wanted(Told::Never, scenario, failed));
        assert_eq!(silent(Scenario::Upgrade, Some(5_000)), Some(Blame::Candidate));
        assert_eq!(silent(Scenario::AuthDown, Some(5_000)), Some(Blame::Candidate));
        // A good release gives no alert a reason to fire; a product that is down and that nobody misses is another thing.
        assert_eq!(silent(Scenario::Upgrade, None), None);
        assert_eq!(silent(Scenario::AuthDown, None), Some(Blame::Mirror));
    }

    #[test]
    fn before_what_never_failed_nobody_can_tell_how_long() {
        let fires = |before| blamed(before, &wanted(FIRES, Scenario::AuthDown, None));
        assert_eq!(fires(Some(SECOND)), Some(Blame::Mirror));
        assert_eq!(fires(None), None);
    }

    #[test]
    fn a_rule_that_is_late_is_told_by_one_that_is_not_and_none_by_itself() {
        let fires = wanted(FIRES, Scenario::AuthDown, None);
        let late = AlertRecord {
            told: Told::Never,
            ..fires.clone()
        };
        let all = [late.clone(), fires.clone()];
        assert!(is_told_by_another(&late, &all));
        assert!(!is_told_by_another(&fires, &all));
        assert!(!is_told_by_another(&late, &all[..1]));
    }

    #[test]
    fn only_who_asks_for_a_time_is_held_to_one() {
        let late = |before| held_to(FIRES, Some(5_000), before);
        assert_eq!(late(None), FIRES);
        assert_eq!(late(Some(4 * SECOND)), FIRES);
        assert!(matches!(late(Some(3 * SECOND)), Told::TooLate(_)));
        let alert = wanted(late(Some(SECOND)), Scenario::AuthDown, Some(5_000));
        assert_eq!(blamed(Some(SECOND), &alert), Some(Blame::Candidate));
    }

    #[test]
    fn a_crash_that_no_user_has_noticed_is_what_an_alert_must_come_before() {
        let before = Some(Duration::ZERO);
        let crashed = AlertRecord {
            crash_ms: Some(5_000),
            ..wanted(held_to(FIRES, Some(5_000), before), Scenario::Ramp, None)
        };
        let found = finding(StageId::Rollback, &alerts(before), &crashed).expect("it is late");
        assert_eq!(
            found.title,
            "`Down` fires 4 s after the first crash in ramp, and must fire before it"
        );
        assert_eq!((crashed.crash_lead_ms(), crashed.lead_ms()), (Some(-4_000), None));
    }

    #[test]
    fn a_service_s_own_figures_of_its_memory_are_told_from_what_is_seen_outside() {
        let text = "groups:\n- name: g\n  rules:\n  - {record: 'own:bytes', expr: process_resident_memory_bytes}\n  \
                    - {alert: Own, expr: 'own:bytes > 1'}\n  - {alert: Outside, expr: 'container_memory_rss > 1'}\n";
        let source = crate::yaml::span::Source {
            path: "rules.yaml".into(),
            text: text.to_owned(),
        };
        let groups = rules::of_source(std::sync::Arc::new(source)).expect("rules");
        let rules = Rules { groups };
        let mut recorder = crate::alerts::series::Recorder::default();
        let sample = |name, job| crate::alerts::series::Sample {
            labels: Labels::of(name, [("job", job)]),
            kind: crate::alerts::series::Kind::Gauge,
            value: 1.0,
        };
        recorder.second([
            sample("process_resident_memory_bytes", "web"),
            sample("container_memory_rss", CADVISOR),
        ]);
        let recording = recorder.finish();
        let own = rules
            .alerts()
            .map(|(_, rule)| asks_for_own_memory(&rules, rule, &recording));
        assert_eq!(own.collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn what_fails_in_an_upgrade_is_looked_at_once_more_and_what_is_done_to_the_product_is_as_it_was_seen() {
        let again = |scenario| {
            let alert = wanted(Told::Never, scenario, Some(1));
            AlertLeadTime.again(&finding(StageId::Upgrade, &alerts(None), &alert).expect("it is silent"))
        };
        assert_eq!(again(Scenario::Upgrade), Again::Once);
        assert_eq!(again(Scenario::AuthDown), Again::AsSeen);
    }
}
