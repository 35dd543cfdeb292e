//! Two releases of one service on one mirror: the one in place and production's beside it, both begun anew, and what is
//! sent to the one and to the other.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use super::load::{nothing_to_send, only_candidate, sending};
use super::relative::turns::mix as mix_of;
use super::{At, Case};
use crate::agent::load::plan::{Counts, LoadPlan, LoadStep, Phase, Rate};
use crate::agent::load::slice::Slice;
use crate::config::settings::{Host, Load, RequestStep, Settings, Suite};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome};
use crate::record::release::Role;
use crate::suite::mix::Mix;
use crate::world::beside::beside;
use crate::world::candidates::Candidates;
use crate::world::model::{Service, World};

/// So often both are asked until they answer well: what has no health check may listen later than it is ready.
pub(super) const TRIES: usize = 30;
/// So long a suite that fails is run again: each run may take a while itself, and writes.
const MIX_WITHIN: Duration = Duration::from_secs(30);
/// Requests a second meanwhile, and their limit and the time for each step, milliseconds.
const TRIED_AT: f64 = 10.0;
const EACH_MS: u64 = 100;
/// The least time of a try, milliseconds: so long it is waited for the next.
const TRY_MS: u64 = 1_000;

/// A release in place, and production's beside it.
pub(super) struct Two<'a> {
    pub(super) own: &'a Service,
    pub(super) second: Service,
    pub(super) load: &'a Load,
}

/// Why nothing was measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Untold(pub(super) String);

impl Untold {
    /// What was asked for cannot be looked at, whoever asked.
    pub(super) fn finding(case: &Case<'_>, check: CheckId, what: &str, why: &str) -> Finding {
        let found = Finding::new(
            check,
            case.stage,
            Blame::Mirror,
            format!("{what} cannot be told: {why}"),
        );
        found.about(only_candidate(case))
    }
}

/// What is sent, and the steps that are not.
pub(super) type Sent = (LoadPlan, Vec<String>);

impl<'a> Two<'a> {
    /// On a mirror.
    pub(super) fn of(at: &At<'a>) -> Result<Self, String> {
        let (release, world) = (at.case.candidate, at.case.world);
        let second = beside(release, world).map_err(|obstacle| obstacle.to_string())?;
        let changed = release.services.keys().next();
        let own = changed.and_then(|name| match at.role {
            Role::Baseline => world.services.get(name),
            Role::Candidate => release.services.get(name),
        });
        let load = at.case.settings.stages.load.as_ref();
        let (own, load) = own.zip(load).ok_or("no release is compared under load")?;
        Ok(Self { own, second, load })
    }

    /// Neither has run longer than the other, and neither is where it was in an earlier measurement.
    pub(super) async fn begin_anew(&self, at: &At<'_>) -> Result<Result<(), String>, Lost> {
        at.ground.take_from_beside(&self.second.name).await;
        at.ground.stop(&self.own.name).await;
        at.ground.start_again(&self.own.name).await?;
        let within = at.case.settings.stages.control.within;
        match at.ground.put_beside(&self.second, within).await {
            Outcome::Held(()) => Ok(Ok(())),
            Outcome::Broke(failure) => Ok(Err(format!(
                "production's release does not come up beside: {}",
                failure.line()
            ))),
            Outcome::Lost(lost) => Err(lost),
        }
    }

    /// The steps of the mix that go to the service itself, to the one and to the other.
    pub(super) async fn sent(&self, at: &At<'_>) -> Result<Sent, String> {
        let mix = self.mix(at).await?;
        if mix.steps.is_empty() {
            return Err(nothing_to_send(&mix));
        }
        let others = self.others(at);
        let (own, elsewhere): (Vec<LoadStep>, Vec<LoadStep>) = mix
            .steps
            .iter()
            .cloned()
            .partition(|step| self.is_asked_by(step, &others));
        let unsent = |step: &LoadStep| {
            let name = &self.own.name;
            format!(
                "`{}`: it is not asked of `{name}` itself, and would reach the release in place alone",
                step.name
            )
        };
        let of_mix = mix.left_out.iter().map(|(step, why)| format!("`{step}`: {why}"));
        let left_out: Vec<String> = of_mix.chain(elsewhere.iter().map(unsent)).collect();
        match own.is_empty() {
            true => Err(left_out.last().cloned().unwrap_or_default()),
            false => Ok((self.plan(&mix, own), left_out)),
        }
    }

    /// What was just started may need a while until all that speak to it have found it.
    async fn mix(&self, at: &At<'_>) -> Result<Mix, String> {
        let begun = Instant::now();
        loop {
            match at.driver.mix().await {
                Ok(mix) => return Ok(mix),
                Err(why) if begun.elapsed() >= MIX_WITHIN => return Err(why),
                Err(_) => tokio::time::sleep(Duration::from_millis(TRY_MS)).await,
            }
        }
    }

    /// Names that somebody else bears, too: other services, and the mirror's own fronts.
    fn others(&self, at: &At<'_>) -> Vec<String> {
        let all = at
            .case
            .world
            .services
            .values()
            .chain(at.case.candidate.services.values());
        let others = all.filter(|other| other.name != self.own.name);
        let names = others.flat_map(Service::names).cloned();
        let hosts = at.case.settings.production.hosts.iter().map(Host::name);
        names.chain(at.ground.fronts()).chain(hosts).collect()
    }

    fn is_asked_by(&self, step: &LoadStep, others: &[String]) -> bool {
        let url = Url::parse(&step.url).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        let bears = |name: &String| name.eq_ignore_ascii_case(host);
        self.own.names().any(bears) && !others.iter().any(bears)
    }

    fn plan(&self, mix: &Mix, own: Vec<LoadStep>) -> LoadPlan {
        let beside = own.iter().map(|step| LoadStep {
            at: Some(self.second.name.clone()),
            ..step.clone()
        });
        let mut mixes = vec![Vec::new(); 2];
        mixes[mix_of(Role::Baseline)] = beside.collect();
        mixes[mix_of(Role::Candidate)] = own;
        LoadPlan {
            mixes,
            ..sending(self.load, mix)
        }
    }
}

/// Sends these phases of a plan.
pub(super) async fn send(at: &At<'_>, plan: &LoadPlan, phases: Vec<Phase>) -> Result<Vec<Slice>, Lost> {
    let plan = LoadPlan { phases, ..plan.clone() };
    at.ground.load(plan).await
}

/// Asks both until every step is answered well, so often at most; why not, where one never is.
pub(super) async fn silent(at: &At<'_>, plan: &LoadPlan, tries: usize) -> Result<Option<String>, Lost> {
    let phases = [Role::Baseline, Role::Candidate].map(|role| {
        let steps = u64::try_from(plan.mixes[mix_of(role)].len()).unwrap_or(u64::MAX);
        Phase {
            mix: mix_of(role),
            rate: Rate::Constant(TRIED_AT),
            duration_ms: steps.saturating_mul(EACH_MS).max(TRY_MS),
            counts: Counts::WarmUp,
        }
    });
    let mut last = None;
    for _ in 0..tries {
        let slices = send(at, plan, phases.to_vec()).await?;
        last = [Role::Baseline, Role::Candidate]
            .into_iter()
            .find_map(|role| never_good(role, plan, &slices));
        if last.is_none() {
            return Ok(None);
        }
    }
    Ok(last)
}

/// The first step that a release did not answer well once.
fn never_good(role: Role, plan: &LoadPlan, slices: &[Slice]) -> Option<String> {
    let mix = mix_of(role);
    let own = || slices.iter().filter(|slice| slice.mix == mix);
    let good = |at: usize| own().filter_map(|slice| slice.steps.get(at)).any(|step| step.good > 0);
    let who = match role {
        Role::Baseline => "the second container of production's release",
        Role::Candidate => "the release in place",
    };
    let mut steps = plan.mixes[mix].iter().enumerate();
    let (_, step) = steps.find(|(at, _)| !good(*at))?;
    Some(format!(
        "{who} does not answer `{}` well, begun anew and with the cookies and captures of a run of the suite",
        step.name
    ))
}

/// Why two releases cannot be asked at once under a load, if they cannot.
pub fn not_at_once(settings: &Settings, load: &Load, (candidate, world): (&Candidates, &World)) -> Option<String> {
    let own = candidate.services.values().next();
    match beside(candidate, world) {
        Err(obstacle) => Some(obstacle.to_string()),
        Ok(_) => own.and_then(|own| asked_elsewhere(settings, load, own)),
    }
}

/// Whom the requests of a load ask, where none of them asks the service itself. What is filled in while it runs is known
/// only then.
fn asked_elsewhere(settings: &Settings, load: &Load, own: &Service) -> Option<String> {
    let suites = settings.suites.iter();
    let suites = suites.filter(|suite| load.mix.as_ref().is_none_or(|name| *name == suite.name));
    let hosts = suites.flat_map(|suite| suite.body.requests.iter().map(move |step| host(suite, step)));
    let hosts: BTreeSet<String> = hosts.collect::<Option<_>>()?;
    // A name of production's hosts is answered by what stands before the service, whoever else bears it.
    let is_front = |host: &String| {
        settings
            .production
            .hosts
            .iter()
            .any(|front| front.name().eq_ignore_ascii_case(host))
    };
    let bears = |host: &String| own.names().any(|name| name.eq_ignore_ascii_case(host)) && !is_front(host);
    if hosts.is_empty() || hosts.iter().any(bears) {
        return None;
    }
    let (hosts, own) = (hosts.into_iter().collect::<Vec<_>>().join("`, `"), &own.name);
    Some(format!(
        "the load asks `{hosts}` and not `{own}` itself: whatever stands before it reaches the release in place alone"
    ))
}

fn host(suite: &Suite, step: &RequestStep) -> Option<String> {
    if step.url.contains("{{") {
        return None;
    }
    let address = Url::parse(&step.url).ok();
    let target = || Url::parse(suite.body.target.as_ref()?).ok();
    Some(address.or_else(target)?.host_str()?.to_owned())
}
