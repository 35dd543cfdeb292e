//! The mirror of containers as the ground of a rehearsal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use futures_util::future::join_all;

use crate::agent::client::Seen as LoadSeen;
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::agent::front::fault::{Fault, FaultAnswer, Reach};
use crate::agent::load::plan::LoadPlan;
use crate::agent::load::slice::Slice;
use crate::agent::probe::{ProbeAnswer, ProbeCall, ProbeSample, Question};
use crate::agent::processors::Processors;
use crate::agent::{Answer, Call};
use crate::check::ground::{Copy, Expected, Ground, Grounds, Marks};
use crate::check::log_difference::template;
use crate::config::settings::{Login, SignInBy};
use crate::engine::exec::ExecOutput;
use crate::engine::image::ImageFacts;
use crate::engine::usage::Usage;
use crate::engine::watch::History;
use crate::mirror::border::attempts::Attempts;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::names::authority::TlsProfile;
use crate::mirror::names::calls::Calls;
use crate::mirror::names::fronts::StandsFor;
use crate::mirror::names::issuer::Signer;
use crate::mirror::start::BroughtUp;
use crate::mirror::swap::Swapped;
use crate::mirror::{Mirror, Setup};
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::suite::leaving::{self, Exit, Patience, SignedOut};
use crate::suite::login::{self, CodeAgain, LoginOutcome, Session};
use crate::suite::returning::{self, Returned};
use crate::suite::{self, SuiteOutcome, SuiteRun, directory};
use crate::text::fatal::first_fatal;
use crate::text::units::bytes;
use crate::world::deploy::Deploy;
use crate::world::model::Service;
use crate::world::replica::Replica;

/// How long a log may take to say why something failed …
const CAUSE_WITHIN: Duration = Duration::from_secs(2);
/// … and how long what it said must stay the first cause.
const CAUSE_STEADY: Duration = Duration::from_millis(300);
/// A log that says nothing for so long has said what there was to say of a request.
const QUIET: Duration = Duration::from_millis(100);

/// An engine takes a start that has lasted so long for one that went well …
const WELL_FOR: Duration = Duration::from_secs(10);
/// … and puts the next start off by a minute at most.
const WELL_WITHIN: Duration = Duration::from_secs(75);

/// Lines of each service that are shown beside a failure.
const NEW_LINES: usize = 6;

/// A service that was stopped on purpose may take so long to be ready again.
const BACK_WITHIN: Duration = Duration::from_secs(120);

/// Milliseconds between questions of the probe.
pub(super) const INTERVAL_MS: u64 = 100;
/// Free bytes with which nothing can be written.
const NO_ROOM: u64 = 16 << 20;
/// A question's limit, milliseconds.
const TIMEOUT_MS: u64 = 5_000;

#[async_trait]
impl Grounds for Setup {
    async fn prepare(&self, copy: Copy) -> Result<Arc<dyn Ground>> {
        let setup = match copy {
            Copy::First => self.clone(),
            Copy::Untouched => beside(self, "again-"),
            Copy::Apart => beside(self, "apart-"),
        };
        Ok(Arc::new(Mirror::prepare(setup).await?))
    }
}

/// A further mirror, whose names begin so; of what happens there no stage tells.
fn beside(first: &Setup, prefix: &str) -> Setup {
    let (unheard, _) = tokio::sync::mpsc::unbounded_channel();
    Setup {
        prefix: prefix.to_owned(),
        logs: None,
        news: unheard,
        ..first.clone()
    }
}

fn gone(error: &anyhow::Error) -> Lost {
    Lost::new(Part::Agent, format!("{error:#}"))
}

/// A service that did not come up may not be to blame: without the engine none does, and without the agent none is seen
/// to.
async fn whose<T>(mirror: &Mirror, failure: ServiceFailure) -> Outcome<T, ServiceFailure> {
    match failure.kind {
        ServiceFailureKind::Lost(lost) => return Outcome::Lost(lost),
        ServiceFailureKind::NotGiven(..) => return Outcome::Lost(Lost::new(Part::Right, failure.headline())),
        _ => {}
    }
    if let Err(lost) = mirror.engine().answers().await {
        return Outcome::Lost(lost);
    }
    if let Err(error) = mirror.agent().call(Call::Ping).await {
        return Outcome::Lost(gone(&error));
    }
    let room = mirror.engine().room().await.ok();
    match room.and_then(|room| full(room.disk.ok()?)) {
        Some(lost) => Outcome::Lost(lost),
        None => Outcome::Broke(failure),
    }
}

/// Who has no room to write fails whatever it is. What a remote engine has nobody can tell.
fn full(free: u64) -> Option<Lost> {
    let words = || {
        let left = bytes(free);
        format!("{left} are left where the engine keeps containers and volumes: make room, and run again")
    };
    (free < NO_ROOM).then(|| Lost::new(Part::Disk, words()))
}

#[async_trait]
impl Ground for Mirror {
    async fn start(&self, limit: Duration) -> Result<BroughtUp> {
        Mirror::start(self, limit).await
    }

    async fn swap(
        &self,
        deploy: &Deploy,
        within: Duration,
        role: Role,
        asks: Option<&Question>,
    ) -> Outcome<Vec<Swapped>, ServiceFailure> {
        match Mirror::swap(self, deploy, within, role, asks).await {
            Ok(swapped) => Outcome::Held(swapped),
            Err(failure) => whose(self, *failure).await,
        }
    }

    async fn await_answers(
        &self,
        expected: &Expected,
        patience: Duration,
        budget: Duration,
    ) -> Outcome<(), ServiceFailure> {
        match super::front_pages::wait(self, expected, patience, budget).await {
            Ok(()) => Outcome::Held(()),
            Err(failure) => whose(self, *failure).await,
        }
    }

    async fn stop(&self, service: &str) {
        Mirror::stop(self, service).await;
    }

    async fn start_again(&self, service: &str) -> Result<(), Lost> {
        let came_back = Mirror::start_again(self, service, BACK_WITHIN).await;
        came_back.map_err(|failure| Lost::new(Part::Step, failure.line()))
    }

    async fn put_beside(&self, service: &Service, within: Duration) -> Outcome<(), ServiceFailure> {
        match Mirror::put_beside(self, service, within).await {
            Ok(()) => Outcome::Held(()),
            Err(failure) => whose(self, *failure).await,
        }
    }

    async fn take_from_beside(&self, service: &str) {
        Mirror::take_from_beside(self, service).await;
    }

    async fn comes_up_again(&self, service: &str, within: Duration) -> Outcome<(), ServiceFailure> {
        match Mirror::start_again(self, service, within).await {
            Ok(()) => Outcome::Held(()),
            Err(failure) => whose(self, *failure).await,
        }
    }

    async fn fault_begins(&self, fault: Fault, reach: Reach) -> Result<FaultAnswer, Lost> {
        let stands = self.fault(Some((fault, reach))).await;
        stands.map_err(|error| gone(&error))
    }

    async fn fault_ends(&self) -> Result<(), Lost> {
        let ended = self.fault(None).await.map_err(|error| gone(&error))?;
        match ended.gone.first() {
            None => Ok(()),
            Some(port) => Err(Lost::new(
                Part::Step,
                format!("the authentication dependency does not listen on port {port} any more"),
            )),
        }
    }

    fn past_the_fronts(&self) -> Option<String> {
        Mirror::past_the_fronts(self)
    }

    async fn run_suite(&self, run: SuiteRun<'_>) -> SuiteOutcome {
        suite::run(self, run).await
    }

    async fn sign_in(&self, login: &Login, session: &str, ca: &[String]) -> LoginOutcome {
        let begun = self.calls_so_far().await;
        let outcome = match &login.by {
            SignInBy::Ldap(asked) => directory::sign_in(self.agent(), login, asked, ca).await,
            _ => login::sign_in(self.agent(), login, session, ca).await,
        };
        self.signed_in(begun).await;
        outcome
    }

    async fn sign_in_wrongly(&self, login: &Login, session: &str, ca: &[String]) -> Option<LoginOutcome> {
        match &login.by {
            SignInBy::Ldap(asked) => Some(directory::sign_in_wrongly(self.agent(), login, asked, ca).await),
            _ => login::sign_in_wrongly(self.agent(), login, session, ca).await,
        }
    }

    async fn use_code_again(&self, login: &Login, session: &str, ca: &[String]) -> CodeAgain {
        match &login.by {
            // Nothing leads back from a directory.
            SignInBy::Ldap(_) => CodeAgain::no_code(),
            _ => login::use_code_again(self.agent(), login, session, ca).await,
        }
    }

    async fn sign_out(&self, login: &Login, by: (&str, &Exit), ca: &[String], patience: Patience) -> SignedOut {
        leaving::sign_out(self.agent(), login, by, ca, patience).await
    }

    async fn refresh(&self, login: &Login, left: &Session, ca: &[String]) -> Option<LoginOutcome> {
        login::refresh(self.agent(), login, left, ca).await
    }

    async fn come_back(&self, login: &Login, left: &Session, jar: &str, ca: &[String]) -> Returned {
        match &login.by {
            SignInBy::Ldap(asked) => directory::come_back(self.agent(), login, asked, ca).await,
            _ => returning::come_back(self.agent(), login, left, jar, ca).await,
        }
    }

    async fn ask_without_session(&self, login: &Login, session: &str, ca: &[String]) -> LoginOutcome {
        match &login.by {
            SignInBy::Ldap(asked) => directory::without_a_bind(self.agent(), login, asked, ca).await,
            _ => login::protected_without_session(self.agent(), login, session, ca).await,
        }
    }

    async fn http(&self, call: HttpCall) -> Result<Option<HttpAnswer>, Lost> {
        match self.agent().call(Call::Http(call)).await {
            Ok(Answer::Http(answer)) => Ok(Some(answer)),
            Ok(_) => Ok(None),
            Err(error) => Err(gone(&error)),
        }
    }

    async fn exec(&self, service: &str, command: &[String]) -> Option<ExecOutput> {
        Mirror::exec(self, service, command, None).await.ok()
    }

    async fn usage(&self) -> Vec<(Replica, Usage)> {
        let running = self.running_now();
        let used = running.into_iter().map(|running| async move {
            let usage = self.engine().usage(&running.id).await?;
            Some((running.replica, usage))
        });
        join_all(used).await.into_iter().flatten().collect()
    }

    async fn limit_memory(&self, service: &str, limit: u64) -> Outcome<(), String> {
        for running in self.containers_of(service) {
            if let Err(error) = self.engine().limit_memory(&running.id, limit).await {
                return match self.engine().answers().await {
                    Ok(()) => Outcome::Broke(format!("{error:#}")),
                    Err(lost) => Outcome::Lost(lost),
                };
            }
        }
        Outcome::Held(())
    }

    async fn processors(&self) -> Option<Processors> {
        match self.agent().call(Call::Processors).await {
            Ok(Answer::Processors(processors)) => processors,
            // An agent that is gone is found by whoever asks it for something that counts.
            Ok(_) | Err(_) => None,
        }
    }

    async fn probe_begins(&self, name: &str, asks: &Question) {
        let call = ProbeCall::Start {
            probe: name.to_owned(),
            asks: asks.clone(),
            interval_ms: INTERVAL_MS,
            timeout_ms: TIMEOUT_MS,
        };
        // An agent that is gone is found by the next question that needs an answer.
        let _started = self.agent().call(Call::Probe(call)).await;
    }

    async fn probe_ends(&self, name: &str) -> Result<Vec<ProbeSample>, Lost> {
        let stop = ProbeCall::Stop { probe: name.to_owned() };
        match self.agent().call(Call::Probe(stop)).await {
            Ok(Answer::Probe(ProbeAnswer::Stopped(_))) => {
                let samples = self.agent().samples(name).await;
                samples.map_err(|error| gone(&error))
            }
            Ok(other) => Err(Lost::new(
                Part::Probe,
                format!("the agent answered something else: {other:?}"),
            )),
            Err(error) => Err(gone(&error)),
        }
    }

    async fn load(&self, plan: LoadPlan) -> Result<Vec<Slice>, Lost> {
        let sent = self.agent().load(plan).await;
        sent.map_err(|error| gone(&error))
    }

    async fn load_while(&self, plan: LoadPlan, seen: LoadSeen<'_>) -> Result<Vec<Slice>, Lost> {
        let sent = self.agent().load_while(plan, seen).await;
        sent.map_err(|error| gone(&error))
    }

    async fn attempts(&self) -> Result<Attempts, Lost> {
        Mirror::attempts(self).await.map_err(|error| gone(&error))
    }

    async fn calls(&self) -> Result<Calls, Lost> {
        Mirror::calls(self).await.map_err(|error| gone(&error))
    }

    fn fronts(&self) -> Vec<String> {
        let issuers = Mirror::fronts(self)
            .iter()
            .filter(|front| front.stands_for == StandsFor::Issuer);
        issuers.map(|front| front.name.host.clone()).collect()
    }

    fn signer(&self) -> Option<Arc<Signer>> {
        Mirror::signer(self)
    }

    async fn show_keys(&self, keys: &[Arc<Signer>]) -> Result<(), Lost> {
        Mirror::show_keys(self, keys).await.map_err(|error| gone(&error))
    }

    fn image(&self, image: &str) -> ImageFacts {
        Mirror::image(self, image)
    }

    fn digests(&self, image: &str) -> Vec<String> {
        known_by(Mirror::image(self, image))
    }

    fn tls(&self) -> Option<(String, TlsProfile)> {
        let mut issuers = Mirror::fronts(self)
            .iter()
            .filter(|front| front.stands_for == StandsFor::Issuer);
        issuers.find_map(|front| Some((front.service.clone(), front.authority.as_ref()?.profile().clone())))
    }

    fn stays(&self) -> bool {
        self.engine().keeps()
    }

    async fn agent_lives(&self) -> bool {
        matches!(self.agent().call(Call::Ping).await, Ok(Answer::Done))
    }

    fn history(&self, replica: &Replica) -> History {
        Mirror::history(self, replica).unwrap_or_default()
    }

    async fn is_given_time(&self, replica: &Replica) {
        let Some(mut seen) = self.follow(replica) else { return };
        let before = seen.borrow().exits.len();
        let mut well = seen.clone();
        let is_well = async {
            drop(well.wait_for(|seen| seen.running && seen.healthy != Some(false)).await);
            tokio::time::sleep(WELL_FOR).await;
        };
        tokio::select! {
            _ended_again = seen.wait_for(|seen| seen.exits.len() > before) => {}
            () = is_well => {}
            () = tokio::time::sleep(WELL_WITHIN) => {}
        }
    }

    fn enter(&self, stage: StageId) {
        self.logs().enter(stage);
        self.calls_of_stage();
    }

    fn marks(&self, services: &[String]) -> Marks {
        let of = |replica: Replica| (replica.clone(), self.logs().mark(&replica));
        Marks(heard(self, services).map(of).collect())
    }

    fn beginnings(&self, services: &[String]) -> Marks {
        let of = |replica: Replica| (replica.clone(), self.logs().beginning(&replica));
        Marks(heard(self, services).map(of).collect())
    }

    fn said(&self, stage: StageId, role: Role, replica: &Replica) -> Vec<String> {
        self.logs().said(replica, stage, role).lines
    }

    fn tail(&self, service: &str, count: usize) -> Vec<String> {
        let of = |replica: Replica| {
            let last = self.logs().last(&replica, count).into_iter();
            last.map(|line| replica.said(&line)).collect::<Vec<_>>()
        };
        self.logs().replicas_of(service).into_iter().flat_map(of).collect()
    }

    fn said_since(&self, services: &[String], marks: &Marks) -> BTreeMap<Replica, Vec<String>> {
        let of = |replica: Replica| {
            let mark = marks.0.get(&replica).copied().unwrap_or_default();
            let said = self.logs().since(&replica, mark).lines;
            (replica, said)
        };
        heard(self, services).map(of).collect()
    }

    async fn set_aside(&self, services: &[String], marks: &Marks) -> BTreeMap<Replica, Vec<String>> {
        let mut more = self.logs().more();
        let limit = tokio::time::Instant::now() + CAUSE_WITHIN;
        let quiet = || limit.min(tokio::time::Instant::now() + QUIET);
        while let Ok(Ok(())) = tokio::time::timeout_at(quiet(), more.changed()).await {}
        let said = self.said_since(services, marks);
        said.iter()
            .for_each(|(replica, said)| self.logs().set_aside(replica, said));
        said
    }

    fn new_lines(&self, services: &[String], marks: &Marks) -> Vec<String> {
        let of = |replica: Replica| {
            let said = new_of(self, &replica, marks);
            let last = said.into_iter().rev().take(NEW_LINES).collect::<Vec<_>>();
            let named = last.into_iter().rev().map(|line| format!("{replica}: {}", line.trim()));
            named.collect::<Vec<_>>()
        };
        heard(self, services).flat_map(of).collect()
    }

    async fn why(&self, services: &[String], marks: &Marks) -> Option<String> {
        let mut more = self.logs().more();
        let limit = tokio::time::Instant::now() + CAUSE_WITHIN;
        let (mut cause, mut until) = (None, limit);
        loop {
            let now = new_cause(self, services, marks);
            if now != cause {
                cause = now;
                until = limit.min(tokio::time::Instant::now() + CAUSE_STEADY);
            }
            if tokio::time::timeout_at(until, more.changed()).await.is_err() {
                return cause;
            }
        }
    }
}

/// The first fatal line since the marks that was never said in `control`.
fn new_cause(mirror: &Mirror, services: &[String], marks: &Marks) -> Option<String> {
    heard(mirror, services).find_map(|replica| {
        let fatal = first_fatal(&new_of(mirror, &replica, marks))?;
        Some(replica.said(&fatal))
    })
}

/// Every replica of these services, in their order.
fn heard<'m>(mirror: &'m Mirror, services: &'m [String]) -> impl Iterator<Item = Replica> + 'm {
    services.iter().flat_map(|service| mirror.logs().replicas_of(service))
}

/// What a replica said since the marks, and none of its service in `control`.
fn new_of(mirror: &Mirror, replica: &Replica, marks: &Marks) -> Vec<String> {
    let mark = marks.0.get(replica).copied().unwrap_or_default();
    let all = mirror.logs().replicas_of(&replica.service).into_iter();
    let known = all.flat_map(|one| mirror.logs().known(&one));
    let known: BTreeSet<String> = known.map(|line| template(&line)).collect();
    let said = mirror.logs().since(replica, mark).lines.into_iter();
    said.filter(|line| !known.contains(&template(line))).collect()
}

/// Every digest by which an image may be known: registries', its own id.
fn known_by(image: ImageFacts) -> Vec<String> {
    let others = image.repo_digests.iter().filter_map(|known| known.split_once('@'));
    let others = others.map(|(_, digest)| digest.to_owned()).collect::<Vec<_>>();
    [image.digest, image.id].into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_on_a_full_disk_is_the_disk_s() {
        assert_eq!(full(NO_ROOM), None);
        let lost = full(4096).expect("nothing can be written there");
        assert_eq!(lost.part, Part::Disk);
        assert!(lost.to_string().contains("make room"), "{lost}");
    }
}
