//! A scripted mirror: each release behaves as the test says, and a whole rehearsal takes milliseconds. The laws are tried
//! here; worlds on a real engine prove the wiring.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;

use super::Rehearsal;
use super::course::AfterFailure;
use super::recorder::Recorder;
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::agent::failure::CallFailureKind;
use crate::agent::probe::{ProbeSample, Question};
use crate::check::ground::{Copy, Expected, Ground, Grounds, Marks};
use crate::config::settings::Login;
use crate::context::Context;
use crate::engine::exec::ExecOutput;
use crate::engine::image::ImageFacts;
use crate::engine::watch::{Exit, History};
use crate::lock;
use crate::mirror::border::attempts::Attempts;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::names::authority::TlsProfile;
use crate::mirror::start::Started;
use crate::mirror::swap::{InFlight, Stopped, Swapped};
use crate::prepare::{self, Asked, Prepared};
use crate::record::finding::Finding;
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::recorded::Recorded;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::test::{Reply, TestRecord};
use crate::suite::login::{Kind, LoginOutcome, Trouble};
use crate::suite::{Captures, SuiteOutcome, SuiteRun};
use crate::text::redact::Redactor;
use crate::verdict::{self, Ended, Judgement};
use crate::world::model::Service;

/// Production: a shop, its database and the product with which people sign in.
const COMPOSE: &str = "
services:
  web: {image: 'shop:1', depends_on: [db, idp]}
  db: {image: 'postgres:15'}
  idp: {image: 'provider:1'}
";

/// What is rehearsed, where a test says nothing else.
pub const CONFIG: &str = "
production: {compose: compose.yaml}
candidate: {web: {image: 'shop:2'}}
auth:
  service: idp
  login: {start: 'http://web/login', expect: 'http://web/account', username: alice, password: wonderland}
suites:
  smoke:
    target: http://web
    requests:
      - {name: catalogue, get: /items}
      - {name: account, get: /account}
data:
  seed: {target: 'http://web', requests: [{name: order, post: /orders}]}
  verify: {target: 'http://web', requests: [{name: kept, get: /orders}]}
  write: {target: 'http://web', requests: [{name: another, post: /orders}]}
  verify_write: {target: 'http://web', requests: [{name: both, get: /orders}]}
";

/// How one release behaves.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Why it does not come up.
    pub down: Option<ServiceFailureKind>,
    /// Suite and test → how its runs end, one after the other; the last goes on for ever.
    pub tests: BTreeMap<(String, String), VecDeque<Told>>,
    /// How sign-ins end, one after the other; the last goes on for ever.
    pub sign_ins: VecDeque<SignIn>,
    /// What it says while it is in place.
    pub log: Vec<String>,
    /// It does not answer who has no session.
    pub silent_to_strangers: bool,
    /// The suite in which the kernel kills a process of its for memory.
    pub memory_kill_in: Option<String>,
    /// What the authentication product says when it refuses something.
    pub product_says: Option<String>,
    /// Exits of its container once it was up: code.
    pub exits: Vec<i64>,
    /// Statuses that the probe gets while it is in place.
    pub answers: Vec<Option<u16>>,
    /// Hosts outside that it seeks.
    pub seeks: Vec<String>,
    /// It had to be killed.
    pub killed: bool,
    /// What becomes of requests that it has begun when it is stopped.
    pub in_flight: Option<InFlight>,
    /// How long it takes to be ready.
    pub ready: Duration,
}

/// How a test ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// With this status.
    Ends(Status),
    /// It fails by this reply.
    Gets(Reply),
    /// It is not there at all.
    Absent,
}

/// How a sign-in ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// As it must.
    Works,
    /// In an error of the release.
    Fails,
    /// Nobody can tell.
    Lost,
}

impl Behaviour {
    /// A test ends so from its `after`th run on.
    pub fn test(mut self, suite: &str, name: &str, told: &[Told]) -> Self {
        let key = (suite.to_owned(), name.to_owned());
        self.tests.insert(key, told.iter().copied().collect());
        self
    }

    /// A test fails, always.
    pub fn fails(self, suite: &str, name: &str) -> Self {
        self.test(suite, name, &[Told::Ends(Status::Failed)])
    }

    /// Sign-ins end so.
    pub fn signs_in(mut self, ends: &[SignIn]) -> Self {
        self.sign_ins = ends.iter().copied().collect();
        self
    }

    /// It says this.
    pub fn says(mut self, line: &str) -> Self {
        self.log.push(line.to_owned());
        self
    }

    fn next_test(&mut self, suite: &str, name: &str) -> Told {
        let told = self.tests.get_mut(&(suite.to_owned(), name.to_owned()));
        told.and_then(next).unwrap_or(Told::Ends(Status::Passed))
    }
}

/// The next of a sequence whose last goes on for ever.
fn next<T: Clone>(sequence: &mut VecDeque<T>) -> Option<T> {
    if sequence.len() > 1 {
        sequence.pop_front()
    } else {
        sequence.front().cloned()
    }
}

/// A whole rehearsal.
#[derive(Debug, Clone)]
pub struct Story {
    /// The configuration.
    pub config: String,
    /// Production's release, in `control`.
    pub baseline: Behaviour,
    /// The candidate.
    pub candidate: Behaviour,
    /// Production's release when it has come back.
    pub back: Behaviour,
    /// Production's release on a mirror that the candidate has not touched.
    pub untouched: Behaviour,
    /// The agent is gone from this stage on.
    pub agent_lost_in: Option<StageId>,
    /// The product stopped is not noticed by the sign-in.
    pub deaf_to_auth: bool,
    /// `--only`.
    pub only: Vec<String>,
    /// `--fail-fast`.
    pub after_failure: AfterFailure,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            config: CONFIG.to_owned(),
            baseline: Behaviour::default(),
            candidate: Behaviour::default(),
            back: Behaviour::default(),
            untouched: Behaviour::default(),
            agent_lost_in: None,
            deaf_to_auth: false,
            only: Vec::new(),
            after_failure: AfterFailure::GoOn,
        }
    }
}

/// What came of it.
pub struct Played {
    /// What was recorded.
    pub recorded: Recorded,
    /// The verdict.
    pub judgement: Judgement,
}

impl Played {
    /// Check, severity, blame and title of every finding.
    pub fn findings(&self) -> Vec<String> {
        let words = |finding: &Finding| {
            format!(
                "{} {} {} in {}: {}",
                finding.check, finding.severity, finding.blame, finding.stage, finding.title
            )
        };
        self.recorded.findings.iter().map(words).collect()
    }

    /// How a check was answered in a stage.
    pub fn check(&self, id: &str, stage: StageId) -> Status {
        let checks = self.recorded.checks.iter();
        let mut own = checks.filter(|check| check.check.as_str() == id && check.stage == stage);
        let answer = own.next().expect("the check is planned");
        assert!(own.next().is_none(), "`{id}` is answered twice in {stage}");
        answer.status
    }
}

impl Story {
    /// Plays it.
    pub async fn play(self) -> Played {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("compose.yaml"), COMPOSE).expect("written");
        let file = folder.path().join("rehearsal.yaml");
        std::fs::write(&file, &self.config).expect("written");
        let asked = Asked {
            only: self.only.clone(),
            ..Asked::of(Some(&file))
        };
        let prepared = prepare::prepare(&asked, &context(folder.path()));
        let prepared = prepared.unwrap_or_else(|errors| panic!("{errors:?}"));
        self.rehearse(&prepared, folder.path()).await
    }

    async fn rehearse(self, prepared: &Prepared, folder: &std::path::Path) -> Played {
        let Prepared {
            settings,
            world,
            candidate,
            plan,
        } = prepared;
        let candidate = &candidate.services;
        let recorder = Recorder::begin(folder, Instant::now(), &Redactor::default(), Box::new(|_| ()));
        let recorder = recorder.expect("a folder of ours");
        let after_failure = self.after_failure;
        let grounds = ScriptedGrounds(self);
        let rehearsal = Rehearsal {
            settings,
            plan,
            lock: &lock::State::None,
            world,
            candidate,
            grounds: &grounds,
            pair: plan.pair(settings.auth_services()),
            recorder: recorder.clone(),
            redactor: Redactor::default(),
            hurl_image: "hurl".to_owned(),
            after_failure,
            ca: Vec::new(),
            deadline: Instant::now() + Duration::from_secs(600),
            today: time::macros::date!(2026 - 11 - 28),
        };
        rehearsal.run().await;
        let recorded = recorder.recorded(plan);
        let pair = plan.pair(settings.auth_services()).short();
        Played {
            judgement: verdict::judge(
                &recorded,
                verdict::Run {
                    policy: &settings.policy,
                    ended: Ended::AsPlanned,
                    pair: &pair,
                    partial: &plan.partial,
                },
            ),
            recorded,
        }
    }
}

fn context(folder: &std::path::Path) -> Context {
    Context {
        environment: BTreeMap::new(),
        directory: folder.to_path_buf(),
        terminal: false,
        width: 100,
        github: false,
        runs: folder.to_path_buf(),
    }
}

struct ScriptedGrounds(Story);

#[async_trait]
impl Grounds for ScriptedGrounds {
    async fn prepare(&self, copy: Copy) -> Result<Arc<dyn Ground>> {
        let story = self.0.clone();
        Ok(Arc::new(ScriptedGround(Mutex::new(State {
            copy,
            place: Place::Baseline,
            stage: StageId::Control,
            stopped: BTreeSet::new(),
            probes: BTreeSet::new(),
            memory_kills: 0,
            story,
        }))))
    }
}

/// Which behaviour is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Baseline,
    Candidate,
    Back,
}

struct State {
    story: Story,
    copy: Copy,
    place: Place,
    stage: StageId,
    stopped: BTreeSet<String>,
    probes: BTreeSet<String>,
    memory_kills: usize,
}

struct ScriptedGround(Mutex<State>);

impl State {
    fn now(&mut self) -> &mut Behaviour {
        match (self.copy, self.place) {
            (Copy::Untouched, _) => &mut self.story.untouched,
            (Copy::First, Place::Baseline) => &mut self.story.baseline,
            (Copy::First, Place::Candidate) => &mut self.story.candidate,
            (Copy::First, Place::Back) => &mut self.story.back,
        }
    }

    fn agent(&self) -> Result<(), Lost> {
        let gone = self
            .story
            .agent_lost_in
            .is_some_and(|stage| self.copy == Copy::First && self.stage >= stage);
        if gone {
            Err(Lost::new(Part::Agent, "it was killed"))
        } else {
            Ok(())
        }
    }

    fn failure(&self, service: &str, kind: ServiceFailureKind) -> ServiceFailure {
        ServiceFailure {
            service: service.to_owned(),
            kind,
            waited_by: Vec::new(),
            exit_code: Some(1),
            oom: false,
            restarts: 0,
            fatal: None,
            log: Vec::new(),
        }
    }
}

impl ScriptedGround {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn login_outcome(came_to: Outcome<(), Trouble>) -> LoginOutcome {
    LoginOutcome {
        came_to,
        trail: vec!["500 GET http://web/login".to_owned()],
        secrets: Vec::new(),
        duration: Duration::from_millis(3),
    }
}

fn trouble() -> Trouble {
    Trouble {
        kind: Kind::Error,
        message: "GET http://web/login answered 500".to_owned(),
        url: None,
        status: Some(500),
    }
}

#[async_trait]
impl Ground for ScriptedGround {
    async fn start(&self, _limit: Duration) -> Result<Vec<Started>> {
        let mut state = self.state();
        let down = state.now().down.clone();
        let ready = state.now().ready;
        let of = |service: &str| Started {
            service: service.to_owned(),
            begun: Duration::ZERO,
            took: ready,
            failure: down
                .clone()
                .filter(|_| service == "web")
                .map(|what| state.failure("web", what)),
        };
        Ok(["db", "idp", "web"].map(of).to_vec())
    }

    async fn swap(
        &self,
        releases: &BTreeMap<String, Service>,
        _within: Duration,
        role: Role,
        _asks: Option<&Question>,
    ) -> Outcome<Vec<Swapped>, ServiceFailure> {
        let mut state = self.state();
        if let Err(lost) = state.agent() {
            return Outcome::Lost(lost);
        }
        let Behaviour { killed, in_flight, .. } = state.now().clone();
        state.place = match role {
            Role::Candidate => Place::Candidate,
            Role::Baseline => Place::Back,
        };
        let now = state.now().clone();
        let first = releases.keys().next().cloned().unwrap_or_default();
        if let Some(what) = now.down {
            return Outcome::Broke(state.failure(&first, what));
        }
        let one = |service: &String| Swapped {
            service: service.clone(),
            stopped: Stopped {
                took: Duration::from_secs(1),
                killed,
                exit_code: Some(0),
                in_flight,
            },
            ready: now.ready,
            exits: 0,
        };
        Outcome::Held(releases.keys().map(one).collect())
    }

    async fn await_answers(
        &self,
        _expected: &Expected,
        _patience: Duration,
        _budget: Duration,
    ) -> Outcome<(), ServiceFailure> {
        self.state().agent().map_or_else(Outcome::Lost, Outcome::Held)
    }

    async fn stop(&self, service: &str) {
        self.state().stopped.insert(service.to_owned());
    }

    async fn start_again(&self, service: &str) -> Result<(), Lost> {
        self.state().stopped.remove(service);
        Ok(())
    }

    async fn run_suite(&self, run: SuiteRun<'_>) -> SuiteOutcome {
        let mut state = self.state();
        // Our own traffic must not change what a test sees.
        assert!(state.probes.is_empty(), "a probe runs beside {}", run.subject);
        let suite = run.subject.to_string();
        // After the rollback the entry has another name, and is the same.
        let key = suite.split(' ').next().unwrap_or_default().to_owned();
        let lost = state.agent().is_err();
        state.memory_kills += usize::from(state.now().memory_kill_in.as_deref() == Some(key.as_str()));
        let mut tests = Vec::new();
        for step in &run.body.requests {
            // The tests' own service, stopped, answers nothing.
            let told = match state.stopped.contains("web") {
                true => Told::Ends(Status::Failed),
                false => state.now().next_test(&key, &step.name),
            };
            let (status, reply) = match told {
                Told::Ends(status) => (status, Reply::Unknown),
                Told::Gets(reply) => (Status::Failed, reply),
                Told::Absent => continue,
            };
            let status = if lost { Status::Error } else { status };
            tests.push(TestRecord {
                suite: run.subject.clone(),
                name: step.name.clone(),
                stage: run.stage,
                status,
                duration_ms: 1,
                message: if status == Status::Passed {
                    String::new()
                } else {
                    format!("{}: answered 500", step.name)
                },
                detail: String::new(),
                service: Some("web".to_owned()),
                retries: 0,
                location: None,
                reply,
            });
        }
        SuiteOutcome {
            tests,
            captures: Captures::default(),
            secrets: Vec::new(),
        }
    }

    async fn sign_in(&self, _login: &Login, _session: &str, _ca: &[String]) -> LoginOutcome {
        let mut state = self.state();
        if let Err(lost) = state.agent() {
            return login_outcome(Outcome::Lost(lost));
        }
        let auth = state.stopped.contains("idp") && !state.story.deaf_to_auth;
        if auth || state.stopped.contains("web") {
            return login_outcome(Outcome::Broke(trouble()));
        }
        login_outcome(match next(&mut state.now().sign_ins).unwrap_or(SignIn::Works) {
            SignIn::Works => Outcome::Held(()),
            SignIn::Fails => Outcome::Broke(trouble()),
            SignIn::Lost => Outcome::Lost(Lost::new(Part::Agent, "it was killed")),
        })
    }

    async fn ask_without_session(&self, _login: &Login, _session: &str, _ca: &[String]) -> LoginOutcome {
        let mut state = self.state();
        let silent = state.now().silent_to_strangers;
        let heard = state.agent().and_then(|()| match silent {
            true => Err(Lost::new(Part::Step, "GET http://web/account got no answer (tls)")),
            false => Ok(()),
        });
        login_outcome(heard.map_or_else(Outcome::Lost, Outcome::Held))
    }

    async fn http(&self, _call: HttpCall) -> Result<Option<HttpAnswer>, Lost> {
        self.state().agent().map(|()| None)
    }

    async fn exec(&self, _service: &str, _command: &[String]) -> Option<ExecOutput> {
        None
    }

    async fn probe_begins(&self, name: &str, _asks: &Question) {
        self.state().probes.insert(name.to_owned());
    }

    async fn probe_ends(&self, name: &str) -> Result<Vec<ProbeSample>, Lost> {
        let mut state = self.state();
        assert!(state.probes.remove(name), "no probe `{name}` is running");
        state.agent()?;
        let answers = state.now().answers.clone();
        let answers = if answers.is_empty() {
            vec![Some(200); 10]
        } else {
            answers
        };
        let sample = |(number, status): (usize, Option<u16>)| ProbeSample {
            at_ms: number as u64 * 100,
            done_ms: number as u64 * 100 + 5,
            status,
            failure: status.is_none().then_some(CallFailureKind::Connect),
        };
        Ok(answers.into_iter().enumerate().map(sample).collect())
    }

    async fn attempts(&self) -> Result<Attempts, Lost> {
        let state = self.state();
        state.agent()?;
        let of = |behaviour: &Behaviour| BTreeMap::from([("web".to_owned(), behaviour.seeks.clone())]);
        Ok(Attempts {
            candidate: of(&state.story.candidate),
            production: of(&state.story.baseline),
            ..Attempts::default()
        })
    }

    fn fronts(&self) -> Vec<String> {
        Vec::new()
    }

    fn image(&self, _image: &str) -> ImageFacts {
        ImageFacts::default()
    }

    fn digests(&self, _image: &str) -> Vec<String> {
        Vec::new()
    }

    fn tls(&self) -> Option<(String, TlsProfile)> {
        None
    }

    fn stays(&self) -> bool {
        false
    }

    async fn agent_lives(&self) -> bool {
        self.state().agent().is_ok()
    }

    fn history(&self, service: &str) -> History {
        let mut state = self.state();
        let exits = if service == "web" {
            state.now().exits.clone()
        } else {
            Vec::new()
        };
        let exit = |code: i64| Exit {
            code,
            oom: false,
            at: Instant::now(),
        };
        History {
            starts: 1 + exits.len() as u32,
            exits: exits.into_iter().map(exit).collect(),
            memory_kills: state.memory_kills,
            running: true,
            ..History::default()
        }
    }

    fn enter(&self, stage: StageId) {
        self.state().stage = stage;
    }

    fn marks(&self, _services: &[String]) -> Marks {
        Marks::default()
    }

    fn beginnings(&self, _services: &[String]) -> Marks {
        Marks::default()
    }

    fn said(&self, _stage: StageId, _role: Role, service: &str) -> Vec<String> {
        let mut state = self.state();
        if service == "web" {
            state.now().log.clone()
        } else {
            Vec::new()
        }
    }

    fn tail(&self, service: &str, _count: usize) -> Vec<String> {
        self.said(StageId::Control, Role::Baseline, service)
    }

    fn new_lines(&self, services: &[String], _marks: &Marks) -> Vec<String> {
        let named = |service: &String| {
            let said = self.said(StageId::Upgrade, Role::Candidate, service);
            said.into_iter()
                .map(|line| format!("{service}: {line}"))
                .collect::<Vec<_>>()
        };
        services.iter().flat_map(named).collect()
    }

    async fn why(&self, services: &[String], _marks: &Marks) -> Option<String> {
        if services.iter().any(|service| service == "idp") {
            return self.state().now().product_says.clone();
        }
        crate::text::fatal::first_fatal(&self.said(StageId::Upgrade, Role::Candidate, "web"))
    }
}
