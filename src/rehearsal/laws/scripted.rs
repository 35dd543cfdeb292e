//! A scripted mirror: each release behaves as the test says, and a whole rehearsal takes milliseconds. The laws are tried
//! here; worlds on a real engine prove the wiring.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::agent::client::Seen as LoadSeen;
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::agent::failure::CallFailureKind;
use crate::agent::front::fault::{Fault, FaultAnswer, Reach};
use crate::agent::jar::CookieRule;
use crate::agent::load::plan::{Counts, LoadPlan, Phase, Rate};
use crate::agent::load::slice::Slice;
use crate::agent::probe::{ProbeSample, Question};
use crate::agent::processors::Processors;
use crate::check::ground::{Copy, Expected, Ground, Grounds, Marks};
use crate::check::load_limits::tests::slice;
use crate::config::settings::{Login, SignInBy};
use crate::context::Context;
use crate::engine::exec::ExecOutput;
use crate::engine::image::ImageFacts;
use crate::engine::usage::Usage;
use crate::engine::watch::{EndedBy, Exit, History};
use crate::lock;
use crate::mirror::border::attempts::Attempts;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind, Waited};
use crate::mirror::names::authority::TlsProfile;
use crate::mirror::names::calls::{Called, Calls};
use crate::mirror::names::issuer::Signer;
use crate::mirror::restore::Restored;
use crate::mirror::start::{BroughtUp, Started};
use crate::mirror::swap::{InFlight, Stopped, Swapped};
use crate::plan::Plan;
use crate::prepare::{self, Asked, Part, Prepared, Spec};
use crate::record::finding::Finding;
use crate::record::headline::Headline;
use crate::record::inputs::Inputs;
use crate::record::outcome::{self, Lost, Outcome};
use crate::record::recorded::Recorded;
use crate::record::release::{AuthRecord, LockRecord, Release, Role};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::record::test::{Reply, TestRecord};
use crate::record::v1::{self, Parts, Record};
use crate::record::verdict::Verdict;
use crate::rehearsal::Rehearsal;
use crate::rehearsal::course::AfterFailure;
use crate::rehearsal::recorder::Recorder;
use crate::suite::guarded::Guarded;
use crate::suite::leaving::{self, After, Gone, Parting, SignedOut};
use crate::suite::login::{CodeAgain, Kind, LoginOutcome, Session, Trouble, UsedCode};
use crate::suite::returning::{Received, Returned};
use crate::suite::{Captures, SuiteOutcome, SuiteRun};
use crate::text::redact::Redactor;
use crate::verdict::{self, Ended, Judgement};
use crate::world::deploy::Deploy;
use crate::world::model::Service;
use crate::world::replica::Replica;

/// Production: a shop, its database and the product with which people sign in.
pub const COMPOSE: &str = "
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

/// The issuer, where a story has one.
pub const ISSUER: &str = "http://idp/o";

/// A grace period.
const KILLED_AFTER: Duration = Duration::from_secs(10);

/// How one release behaves.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Why it does not come up.
    pub down: Option<ServiceFailureKind>,
    /// What was restored before it started.
    pub restored: Vec<Restored>,
    /// Suite and test → how its runs end, one after the other; the last goes on for ever.
    pub tests: BTreeMap<(String, String), VecDeque<Told>>,
    /// How sign-ins end, one after the other; the last goes on for ever.
    pub sign_ins: VecDeque<SignIn>,
    /// Whom it lets in beside the user.
    pub lets_in: BTreeSet<Stranger>,
    /// What it makes of sessions of before.
    pub sessions: Sessions,
    /// It takes a code a second time.
    pub takes_used_codes: bool,
    /// What the page behind the sign-in answers to who has signed out, and to who has kept the cookies; `None` = nothing leads
    /// out.
    pub signs_out: Option<(After, After)>,
    /// How the issuer's user info answers, and whom it names; `None` = discovery names none.
    pub user_info: Option<(u16, &'static str)>,
    /// By which status a token is refreshed; `None` = nothing comes with it for that.
    pub refreshes: Option<u16>,
    /// It takes any password.
    pub takes_any_password: bool,
    /// Who has tried a wrong password signs in no more for a while.
    pub locks_out: bool,
    /// What it says while it is in place.
    pub log: Vec<String>,
    /// What it says to whoever tries a wrong password or token.
    pub scolds: Option<String>,
    /// The status by which it answers whom it does not let in, if it is not 401.
    pub keeps_out_by: Option<u16>,
    /// It closes the connection on whom it does not let in, after so long.
    pub hangs_up: Option<Duration>,
    /// The user's token is taken no more when it has been forged.
    pub ends_tokens: bool,
    /// How it answers tokens that the run's own key has signed; `None` = as any forger's.
    pub reads: Option<Reader>,
    /// How it comes to know new keys of the issuer's.
    pub keys: Keys,
    /// What whoever signs in gets when the product has changed its key, one after the other before it works again; and
    /// whether it works again at all.
    pub rotated: Rotated,
    /// What becomes of whom the product has taken back what it gave.
    pub revoked: Revoked,
    /// It does not answer who has no session.
    pub silent_to_strangers: bool,
    /// The suite, or `login`, in which the kernel kills a process of its for memory.
    pub memory_kill_in: Option<String>,
    /// What the authentication product says when it refuses something.
    pub product_says: Option<String>,
    /// The replica that alone is down, exits and speaks; `None` = all of `web`.
    pub lame: Option<u32>,
    /// Exits of its container once it was up, when it is asked something: code.
    pub exits: Vec<i64>,
    /// Further exits, while it is in place: when, of which service, code.
    pub ends: Vec<(When, String, i64)>,
    /// How long what ends had run, where that was seen.
    pub runs: Option<Duration>,
    /// What the product says while it comes.
    pub jolts: Option<String>,
    /// Services that nothing starts again once they have ended by themselves.
    pub stays_down: BTreeSet<String>,
    /// Processes of its that the kernel kills for memory when it is asked something.
    pub memory_kills: usize,
    /// Services whose health check fails once something was asked.
    pub ill: BTreeSet<String>,
    /// Statuses that the probe gets while it is in place.
    pub answers: Vec<Option<u16>>,
    /// What the fronts of the product see.
    pub calls: Vec<Called>,
    /// Hosts outside that it seeks.
    pub seeks: Vec<String>,
    /// It had to be killed, after ten seconds.
    pub killed: bool,
    /// How long it takes to stop where it is not killed.
    pub stops_in: Duration,
    /// What becomes of requests that it has begun when it is stopped.
    pub in_flight: Option<InFlight>,
    /// How long it takes to be ready.
    pub ready: Duration,
    /// How long, then, until its front page answers.
    pub answers_after: Duration,
    /// How it does under load, one load after the other; the last goes on for ever.
    pub load: VecDeque<UnderLoad>,
    /// The same while it is asked in turns with production's release beside it, one measurement after the other.
    pub in_turns: VecDeque<UnderLoad>,
    /// How it bears faults of the authentication product.
    pub bears: Bears,
    /// How it bears a rate that rises.
    pub climbs: Climbs,
    /// What of memory it uses, where the engine says so.
    pub uses: Option<Uses>,
}

/// What a release uses of memory, and what becomes of a limit.
#[derive(Debug, Clone, Copy)]
pub struct Uses {
    /// Bytes.
    pub bytes: u64,
    /// The engine takes nothing from what runs below this.
    pub refused_below: u64,
}

/// What it may use where no limit has fallen.
pub const MEMORY: u64 = 1 << 30;

/// How a release bears a rate that rises: what happens from which rate on.
#[derive(Debug, Clone, Copy)]
pub struct Climbs {
    /// Its front page takes three seconds.
    pub slow: f64,
    /// Requests are answered by 500.
    pub fails: f64,
    /// Its container exits, and is not there any more until it is started again.
    pub crashes: f64,
}

impl Default for Climbs {
    fn default() -> Self {
        let never = f64::INFINITY;
        Self {
            slow: never,
            fails: never,
            crashes: never,
        }
    }
}

/// When a container ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// While the release comes up.
    ComingUp,
    /// As soon as it is asked something.
    Asked,
    /// Under load.
    Loaded,
    /// While it is given time to be well again.
    GivenTime,
}

/// By header and claims of a token to the status of the answer.
pub type Reader = fn(&Value, &Value) -> u16;

/// How a release comes to know new keys of the issuer's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keys {
    /// It asks whenever it is asked something.
    #[default]
    Always,
    /// When it starts, and never again.
    Once,
    /// So long after they are shown.
    After(Duration),
    /// … and until then it ends in an error.
    AfterErrors(Duration),
    /// It knows the newest alone.
    Newest,
    /// It forgets none.
    ForEver,
    /// It takes what it does not know.
    Any,
    /// It knows those that are shown, and the first one no more once there was another, until it is restarted.
    NeverBack,
}

/// What becomes of sign-ins and sessions when the product has changed its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotated {
    /// So many sign-ins are answered so; more than one can wait for are all of them until a restart.
    pub sign_ins: Vec<u16>,
    /// How those are answered who are signed in; `None` = as before.
    pub users: Option<u16>,
}

/// What becomes of what the product has taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Revoked {
    /// It is refused.
    #[default]
    IsRefused,
    /// It is still taken.
    IsTaken,
    /// It is refused, and the user never signs in again.
    LocksTheUser,
}

/// How a release does under load.
#[derive(Debug, Clone, Copy)]
pub struct UnderLoad {
    /// The median of its latency, milliseconds; p95 is not quite twice that.
    pub median_ms: u64,
    /// Of a hundred requests so many are answered by 500.
    pub errors: u64,
    /// Of a hundred requests so many are not sent.
    pub unsent: u64,
    /// Requests a second that it bears in turns; what is beyond it waits.
    pub bears: f64,
    /// Requests a second that the gate sends at most.
    pub sends: f64,
}

impl Default for UnderLoad {
    fn default() -> Self {
        Self {
            median_ms: 10,
            errors: 0,
            unsent: 0,
            bears: f64::INFINITY,
            sends: f64::INFINITY,
        }
    }
}

/// How a release bears faults of the authentication product.
#[derive(Debug, Clone)]
pub struct Bears {
    /// What it answers to sign-ins; `None` = they work all the same.
    pub answers: Option<u16>,
    /// The same to those who have a session.
    pub answers_users: Option<u16>,
    /// Exits of its container under each fault.
    pub exits: usize,
    /// Whether it starts.
    pub starts: Starts,
    /// Under each fault every so manieth sign-in ends in 503, if any does.
    pub loses_every: Option<usize>,
    /// How it comes back when the product does.
    pub back: Back,
}

/// What becomes of a release that starts under a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starts {
    /// It comes up.
    Up,
    /// It does not.
    Down,
    /// The engine does not say.
    Unheard,
}

/// How a release comes back when the product does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// By itself.
    AtOnce,
    /// Not before it is restarted.
    AfterARestart,
}

impl Default for Bears {
    fn default() -> Self {
        Self {
            answers: Some(503),
            answers_users: None,
            exits: 0,
            starts: Starts::Up,
            loses_every: None,
            back: Back::AtOnce,
        }
    }
}

/// How a test ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// With this status.
    Ends(Status),
    /// It fails by this reply.
    Gets(Reply),
    /// It passes by this reply.
    Shows(Reply),
    /// It is not there at all.
    Absent,
}

/// Who is not the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stranger {
    /// Somebody without a token.
    Nobody,
    /// Somebody with a token that the issuer has not signed.
    Forger,
}

/// The token of the user, whose parts mean nothing to anybody but a forger.
pub const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

/// What becomes of a session of before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sessions {
    /// It holds.
    #[default]
    Hold,
    /// It is refused, and a new sign-in works.
    AreRefused,
    /// It ends in an error.
    Break,
    /// It is refused, and there were too many sign-ins for a new one.
    AreLimited,
}

/// How a sign-in ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// As it must.
    Works,
    /// In an error of the release.
    Fails,
    /// By a cookie that browsers keep back by this rule.
    KeptBack(CookieRule),
    /// At a page that needs a script.
    NeedsScript,
    /// At such a page of the product's.
    NeedsScriptOfProduct,
    /// There were too many of them.
    Limited,
    /// Nobody can tell.
    Lost,
}

impl Behaviour {
    /// What a sign-in leaves: a token, where something is to be had by it.
    fn left(&self, by: &Login) -> Session {
        let token =
            matches!(by.by, SignInBy::Bearer(_)).then(|| ("Authorization".to_owned(), format!("Bearer {TOKEN}")));
        Session {
            headers: token.into_iter().collect(),
            ..Session::default()
        }
    }

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

    /// While it is in place a service ends so then, and again.
    pub fn ends(mut self, when: When, service: &str, codes: &[i64]) -> Self {
        let ends = codes.iter().map(|code| (when, service.to_owned(), *code));
        self.ends.extend(ends);
        self
    }

    /// What ends had run for so long.
    pub fn runs(mut self, long: Duration) -> Self {
        self.runs = Some(long);
        self
    }

    /// While it comes, the product says this.
    pub fn jolts(mut self, line: &str) -> Self {
        self.jolts = Some(line.to_owned());
        self
    }

    /// A service is not started again when it has ended.
    pub fn stays_down(mut self, service: &str) -> Self {
        self.stays_down.insert(service.to_owned());
        self
    }

    /// It says this.
    pub fn says(mut self, line: &str) -> Self {
        self.log.push(line.to_owned());
        self
    }

    /// It does so under load.
    pub fn bears(mut self, load: &[UnderLoad]) -> Self {
        self.load = load.iter().copied().collect();
        self
    }

    /// It does so in turns with production's release.
    pub fn in_turns(mut self, load: &[UnderLoad]) -> Self {
        self.in_turns = load.iter().copied().collect();
        self
    }

    /// Ten slices of what a plan says.
    fn under_load(&mut self, plan: &LoadPlan) -> Vec<Slice> {
        let does = next(&mut self.load).unwrap_or_default();
        let last = plan.phases.last().expect("a load has phases");
        let Rate::Constant(rate) = last.rate else {
            return Vec::new();
        };
        let (length_ms, each) = (
            last.duration_ms / 10,
            (rate * last.duration_ms as f64 / 10_000.0) as u64,
        );
        let slices = (0..10).map(|number| {
            let errors = each * does.errors / 100;
            let unsent = each * does.unsent / 100;
            Slice {
                planned: each,
                length_ms,
                ..slice(number, each - errors - unsent, does.median_ms, errors)
            }
        });
        slices.collect()
    }

    fn next_test(&mut self, suite: &str, name: &str) -> Told {
        let told = self.tests.get_mut(&(suite.to_owned(), name.to_owned()));
        told.and_then(next).unwrap_or(Told::Ends(Status::Passed))
    }
}

/// The slices of two releases in turns: mix 0 is production's beside, mix 1 what is in place.
fn slices_in_turns(plan: &LoadPlan, does: [UnderLoad; 2]) -> Vec<Slice> {
    let of_phase = |(number, phase): (usize, &Phase)| {
        let count = match phase.counts {
            Counts::Yes => phase.duration_ms.div_ceil(plan.slice_ms),
            Counts::WarmUp => 1,
        };
        let length_ms = phase.duration_ms / count;
        (0..count)
            .filter_map(|at| slice_in_turns(plan, number, (at * length_ms, length_ms), does))
            .collect::<Vec<_>>()
    };
    plan.phases.iter().enumerate().flat_map(of_phase).collect()
}

/// One that begins so long after its phase, and is so long.
fn slice_in_turns(
    plan: &LoadPlan,
    number: usize,
    (begins_ms, length_ms): (u64, u64),
    does: [UnderLoad; 2],
) -> Option<Slice> {
    let phase = &plan.phases[number];
    let Rate::Constant(rate) = phase.rate else { return None };
    let does = does.get(phase.mix)?;
    let each = ((rate * length_ms as f64 / 1_000.0) as u64).max(1);
    let errors = each * does.errors / 100;
    let unsent = (each * does.unsent / 100).max((each as f64 * (1.0 - does.sends / rate).max(0.0)) as u64);
    // Of each second that has gone by, so much waits.
    let waits = (1.0 - does.bears / rate).max(0.0) * (begins_ms + length_ms / 2) as f64;
    let all = slice(0, each - errors - unsent, does.median_ms + waits as u64, errors);
    Some(Slice {
        phase: number,
        mix: phase.mix,
        counts: phase.counts,
        start_ms: begins_ms,
        planned: each,
        length_ms,
        steps: match phase.counts {
            Counts::Yes => all.steps,
            // Whatever it is asked it does alike.
            Counts::WarmUp => vec![all.steps[0].clone(); plan.mixes[phase.mix].len()],
        },
        ..all
    })
}

/// A second of a load that rises.
fn slice_in_rise(start_ms: u64, rate: f64, does: Climbs) -> Slice {
    let each = (rate as u64).max(1);
    let errors = if rate >= does.fails { each } else { 0 };
    Slice {
        start_ms,
        length_ms: 1_000,
        ..slice(0, each - errors, 10, errors)
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
    /// Production's Compose file.
    pub compose: String,
    /// The release's, `next.yaml`.
    pub next: String,
    /// Production's alert rules, `alerts.yaml`.
    pub alerts: String,
    /// Test → the service without which it fails.
    pub needs: BTreeMap<String, String>,
    /// Production's release, in `control`.
    pub baseline: Behaviour,
    /// The candidate.
    pub candidate: Behaviour,
    /// Production's release when it has come back.
    pub back: Behaviour,
    /// Production's release on a mirror that the candidate has not touched.
    pub untouched: Behaviour,
    /// Production's release beside the one in place, one measurement after the other.
    pub beside: Behaviour,
    /// The agent is gone from this stage on.
    pub agent_lost_in: Option<StageId>,
    /// In this stage nobody can read what passed the fronts, though the agent lives.
    pub calls_lost_in: Option<StageId>,
    /// The product stopped is not noticed by the sign-in.
    pub deaf_to_auth: bool,
    /// Every call of the product passes a front.
    pub hears_all: bool,
    /// Nothing reaches the product past its fronts.
    pub fronts_stand: bool,
    /// The sign-in does not notice a fault at the fronts, as where somebody has another way.
    pub deaf_to_fronts: bool,
    /// The issuer shows the run's own key where the configuration asks for it.
    pub shows_our_key: bool,
    /// What nobody answers, of what the probe asks.
    pub unanswered: BTreeSet<String>,
    /// So many requests a mirror bears; to tests beyond them it answers 429.
    pub limit: Option<usize>,
    /// `--only`.
    pub only: Vec<String>,
    /// `--shard`.
    pub shard: Option<Spec>,
    /// `--fail-fast`.
    pub after_failure: AfterFailure,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            config: CONFIG.to_owned(),
            compose: COMPOSE.to_owned(),
            next: "services: {}".to_owned(),
            alerts: "groups: []".to_owned(),
            needs: BTreeMap::new(),
            baseline: Behaviour::default(),
            candidate: Behaviour::default(),
            back: Behaviour::default(),
            untouched: Behaviour::default(),
            beside: Behaviour::default(),
            agent_lost_in: None,
            calls_lost_in: None,
            deaf_to_auth: false,
            hears_all: false,
            fronts_stand: true,
            deaf_to_fronts: false,
            shows_our_key: true,
            unanswered: BTreeSet::new(),
            limit: None,
            only: Vec::new(),
            shard: None,
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
    /// What was deployed, in order.
    pub deploys: Vec<Deploy>,
    /// On the first mirror, in order: runs of tests, and what checks asked that may write.
    pub order: Vec<String>,
    /// What was to happen.
    pub plan: Plan,
    /// What can be divided of it.
    pub parts: Vec<Part>,
    /// The services of the authentication dependency.
    pub auth: Vec<String>,
}

impl Played {
    /// What a check came to that makes faults: on production's release, and on the candidate.
    pub fn under_faults(&self, check: &str) -> (Status, Status) {
        let of = |stage| self.check(check, stage);
        (of(StageId::Control), of(StageId::Faults))
    }

    /// A pass without a word, in which such a check has looked at both.
    #[track_caller]
    pub fn passes_under_faults(&self, check: &str) {
        assert_eq!(self.findings(), [""; 0]);
        self.ends(Verdict::Pass);
        assert_eq!(self.under_faults(check), (Status::Passed, Status::Passed));
    }

    /// Blocked by such a check's one finding, which says so.
    #[track_caller]
    pub fn is_blocked_under_faults(&self, check: &str, says: &str) {
        self.ends(Verdict::Block);
        let found = self.findings();
        let says = format!("{check} error candidate in faults: {says}");
        assert!(found.len() == 1 && found[0].starts_with(&says), "{found:?}");
        assert_eq!(self.under_faults(check), (Status::Passed, Status::Failed));
    }

    /// That is the verdict; else what was found is shown.
    #[track_caller]
    pub fn ends(&self, verdict: Verdict) {
        assert_eq!(self.judgement.verdict, verdict, "{:?}", self.findings());
    }

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
        std::fs::write(folder.path().join("compose.yaml"), &self.compose).expect("written");
        std::fs::write(folder.path().join("next.yaml"), &self.next).expect("written");
        std::fs::write(folder.path().join("alerts.yaml"), &self.alerts).expect("written");
        let file = folder.path().join("rehearsal.yaml");
        std::fs::write(&file, &self.config).expect("written");
        let asked = Asked {
            only: self.only.clone(),
            shard: self.shard.clone(),
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
            elsewhere: _,
        } = prepared;
        let recorder = Recorder::begin(folder, Instant::now(), &Redactor::default(), Box::new(|_| ()));
        let recorder = recorder.expect("a folder of ours");
        let after_failure = self.after_failure;
        let (deploys, order) = (Arc::default(), Arc::default());
        let grounds = ScriptedGrounds {
            story: self,
            services: world.services.clone(),
            deploys: Arc::clone(&deploys),
            order: Arc::clone(&order),
            signer: prepare::fronts::signer(settings).expect("a key").map(Arc::new),
        };
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
        let deploys = deploys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let order = order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Played {
            deploys,
            order,
            judgement: verdict::judge(
                &recorded,
                verdict::Run {
                    block_on: &settings.policy.block_on,
                    ended: Ended::AsPlanned,
                    pair: &pair,
                    partial: &plan.partial,
                    change: verdict::Change::Something,
                },
            ),
            recorded,
            plan: plan.clone(),
            parts: prepared.parts(),
            auth: settings.auth_services().to_vec(),
        }
    }
}

impl Played {
    /// The record that leaves the program, with a digest for each image.
    pub fn record(&self) -> Record {
        let known = |releases: &[Release]| {
            let known = |release: &Release| Release {
                digest: Some(format!("sha256:{}", release.image)),
                ..release.clone()
            };
            releases.iter().map(known).collect::<Vec<_>>()
        };
        let Judgement {
            verdict,
            headline,
            exit_code,
        } = self.judgement.clone();
        let parts = Parts::from(&self.recorded);
        let partial = self.plan.partial.iter().map(|part| part.word().to_owned());
        let mut record = Record {
            verdict: verdict.into(),
            cause: headline.to_string(),
            headline,
            partial: partial.collect(),
            shard: self.plan.shard.clone(),
            exit_code: exit_code.number(),
            seed: self.plan.seed,
            candidate: known(&self.plan.candidate),
            baseline: known(&self.plan.baseline),
            mirror: known(&self.plan.mirror),
            auth: Some(AuthRecord {
                services: self.auth.clone(),
                issuer: None,
            }),
            times: parts.times,
            probes: parts.probes,
            load: parts.load,
            calls: parts.calls,
            stages: parts.stages,
            findings: parts.findings,
            tests: parts.tests,
            checks: parts.checks,
            notes: self.recorded.notes.clone(),
            ..empty()
        };
        record.counts = v1::Counts::of(&record);
        record
    }
}

/// A record in which nothing stands.
fn empty() -> Record {
    Record {
        schema: v1::SCHEMA.to_owned(),
        verdict: Verdict::Inconclusive.into(),
        cause: String::new(),
        headline: Headline::default(),
        again: None,
        rerun: None,
        partial: Vec::new(),
        shard: None,
        exit_code: 3,
        started: "2026-11-28T09:00:00Z".to_owned(),
        duration_ms: 1_000,
        seed: 0,
        rehearsal: "0".to_owned(),
        inputs: Inputs::default(),
        candidate: Vec::new(),
        baseline: Vec::new(),
        mirror: Vec::new(),
        production: None,
        auth: None,
        lock: LockRecord::default(),
        fidelity: Vec::new(),
        times: Vec::new(),
        probes: Vec::new(),
        load: Vec::new(),
        slowdowns: Vec::new(),
        capacity: None,
        calls: Vec::new(),
        alerts: Vec::new(),
        stages: Vec::new(),
        findings: Vec::new(),
        tests: Vec::new(),
        checks: Vec::new(),
        counts: v1::Counts::default(),
        logs: Vec::new(),
        engine: None,
        notes: Vec::new(),
    }
}

fn context(folder: &std::path::Path) -> Context {
    Context {
        environment: BTreeMap::new(),
        directory: folder.to_path_buf(),
        terminal: false,
        width: 100,
        github: false,
        token: None,
        runs: folder.to_path_buf(),
    }
}

struct ScriptedGrounds {
    story: Story,
    services: BTreeMap<String, Service>,
    deploys: Arc<Mutex<Vec<Deploy>>>,
    order: Arc<Mutex<Vec<String>>>,
    signer: Option<Arc<Signer>>,
}

#[async_trait]
impl Grounds for ScriptedGrounds {
    async fn prepare(&self, copy: Copy) -> Result<Arc<dyn Ground>> {
        let story = self.story.clone();
        Ok(Arc::new(ScriptedGround(Mutex::new(State {
            copy,
            present: self.services.clone(),
            deploys: Arc::clone(&self.deploys),
            order: Arc::clone(&self.order),
            place: Place::Baseline,
            stage: StageId::Control,
            stopped: BTreeSet::new(),
            probes: BTreeMap::new(),
            asked: 0,
            memory_kills: 0,
            fault: None,
            signed_in: 0,
            begun: Instant::now(),
            lives: BTreeMap::new(),
            is_asked: false,
            wedged: false,
            scolded: Vec::new(),
            signer: self.signer.clone(),
            shown: self.signer.clone().into_iter().collect(),
            gone: Vec::new(),
            shown_at: tokio::time::Instant::now(),
            since_rotated: None,
            is_revoked: false,
            in_turns: None,
            rate: 0.0,
            memory: MEMORY,
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
    present: BTreeMap<String, Service>,
    deploys: Arc<Mutex<Vec<Deploy>>>,
    order: Arc<Mutex<Vec<String>>>,
    copy: Copy,
    place: Place,
    stage: StageId,
    stopped: BTreeSet<String>,
    /// The probes under way: what they ask, and since when.
    probes: BTreeMap<String, (String, tokio::time::Instant)>,
    /// Answers of the release to the probe and to tests.
    asked: usize,
    memory_kills: usize,
    fault: Option<Fault>,
    /// Sign-ins since it began.
    signed_in: usize,
    /// When the mirror came up.
    begun: Instant,
    /// What has happened to each container.
    lives: BTreeMap<Replica, Vec<Exit>>,
    /// The release in place was asked something.
    is_asked: bool,
    /// The release in place works no more, until it is restarted.
    wedged: bool,
    /// When somebody tried a wrong password, and on which release.
    scolded: Vec<(StageId, Role)>,
    signer: Option<Arc<Signer>>,
    /// The keys of ours that stand behind the issuer's, and since when; those that did once.
    shown: Vec<Arc<Signer>>,
    shown_at: tokio::time::Instant,
    gone: Vec<Arc<Signer>>,
    /// Sign-ins since the product has changed its key.
    since_rotated: Option<usize>,
    /// What the last sign-in gave has been taken back.
    is_revoked: bool,
    /// How production's release beside and the one in place do while both are there.
    in_turns: Option<[UnderLoad; 2]>,
    /// Requests a second of a load that rises.
    rate: f64,
    /// What the release may use.
    memory: u64,
}

struct ScriptedGround(Mutex<State>);

impl State {
    fn now(&mut self) -> &mut Behaviour {
        match (self.copy, self.place) {
            (Copy::Untouched, _) => &mut self.story.untouched,
            (Copy::First | Copy::Apart, Place::Baseline) => &mut self.story.baseline,
            (Copy::First | Copy::Apart, Place::Candidate) => &mut self.story.candidate,
            (Copy::First | Copy::Apart, Place::Back) => &mut self.story.back,
        }
    }

    /// Our own traffic must not change what others see.
    fn alone(&self, what: &str) {
        assert!(self.probes.is_empty(), "a probe runs beside {what}");
    }

    /// So many requests a second come from now on.
    fn rises_to(&mut self, rate: f64) -> Result<(), Lost> {
        self.agent()?;
        if self.rate == 0.0 && rate > 0.0 {
            self.note("a load that may rise");
        }
        self.rate = rate;
        if rate >= self.now().climbs.crashes && self.stopped.insert("web".to_owned()) {
            self.ends("web", None, 1, EndedBy::Itself);
        }
        Ok(())
    }

    fn note(&self, what: &str) {
        if self.copy == Copy::First {
            let line = format!("{:?}: {what}", self.place);
            self.order.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// What a fault at the fronts makes of something that the release does.
    fn under_fault(&mut self, of: impl Fn(&Bears) -> Option<u16>) -> Option<u16> {
        let is_met = self.fault.is_some() && !self.story.deaf_to_auth && !self.story.deaf_to_fronts;
        of(&self.now().bears).filter(|_| is_met)
    }

    /// Containers end by themselves.
    fn happens(&mut self, when: When) {
        let now = self.now().clone();
        let own = now.exits.iter().filter(|_| when == When::Asked);
        let own = own.map(|code| ("web", *code, now.lame));
        let others = now.ends.iter().filter(|(at, ..)| *at == when);
        let others = others.map(|(_, service, code)| (service.as_str(), *code, None));
        for (service, code, lame) in own.chain(others) {
            self.ends(service, lame, code, EndedBy::Itself);
        }
    }

    fn ends(&mut self, service: &str, lame: Option<u32>, code: i64, by: EndedBy) {
        let all = self.replicas([&service.to_owned()]).into_iter();
        let ran = self.now().runs;
        for replica in all.filter(|replica| lame.is_none_or(|number| number == replica.number)) {
            let exits = self.lives.entry(replica).or_default();
            exits.push(Exit {
                code,
                oom: false,
                at: Instant::now(),
                ran,
                by,
            });
        }
    }

    /// The first question shows what becomes of a release.
    fn is_asked(&mut self) {
        if !std::mem::replace(&mut self.is_asked, true) {
            self.happens(When::Asked);
        }
    }

    fn agent(&self) -> Result<(), Lost> {
        let gone = self
            .story
            .agent_lost_in
            .is_some_and(|stage| self.copy == Copy::First && self.stage >= stage);
        if gone {
            Err(Lost::new(outcome::Part::Agent, "it was killed"))
        } else {
            Ok(())
        }
    }

    /// What the issuer shows of itself, where somebody signs in its place.
    fn document(&mut self, url: &str) -> Option<Value> {
        let is_discovery = url == format!("{ISSUER}/.well-known/openid-configuration");
        if is_discovery && self.now().user_info.is_some() {
            return Some(json!({"userinfo_endpoint": format!("{ISSUER}/userinfo")}));
        }
        let signer = self.signer.as_ref()?;
        let own = json!({"kty": "RSA", "kid": "its own"});
        match url.strip_prefix(ISSUER)? {
            "/.well-known/openid-configuration" => Some(json!({"jwks_uri": format!("{ISSUER}/keys")})),
            "/keys" if self.story.shows_our_key => Some(json!({"keys": [own, signer.public()]})),
            "/keys" => Some(json!({"keys": [own]})),
            _ => None,
        }
    }

    /// How the release in place answers a token that a key of the run's own has signed, if it is one.
    fn by_our_key(&mut self, authorization: &str) -> Option<u16> {
        let (said, signature) = authorization.strip_prefix("Bearer ")?.rsplit_once('.')?;
        let part =
            |part: &str| -> Option<Value> { serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
        let (header, claims) = said.split_once('.')?;
        let (header, claims) = (part(header)?, part(claims)?);
        let first = self.signer.as_ref()?.kid();
        let kid = header.get("kid").and_then(Value::as_str).unwrap_or(first).to_owned();
        let all = self.signer.iter().chain(&self.shown).chain(&self.gone);
        let mut named = all.filter(|signer| signer.kid() == kid);
        let is_ours = named
            .next()
            .is_some_and(|own| own.sign(said).as_deref() == Some(signature));
        let reads = self.now().reads?;
        match (self.knows(&kid, is_ours), self.now().keys) {
            (true, _) => Some(reads(&header, &claims)),
            (false, Keys::AfterErrors(_)) if header.get("kid").is_some() => Some(500),
            (false, _) => None,
        }
    }

    /// Whether the release in place takes tokens by that key; `is_ours`: it has signed this one, and is or was shown.
    fn knows(&mut self, kid: &str, is_ours: bool) -> bool {
        let is = |signer: &Arc<Signer>| signer.kid() == kid;
        let (is_first, is_shown) = (self.signer.as_ref().is_some_and(is), self.shown.iter().any(is));
        let (is_newest, shown_for) = (self.shown.last().is_some_and(is), self.shown_at.elapsed());
        match self.now().keys {
            Keys::Always => is_ours && is_shown,
            Keys::Once => is_ours && is_first,
            Keys::After(after) | Keys::AfterErrors(after) => is_ours && is_shown && (is_first || shown_for >= after),
            Keys::Newest => is_ours && is_newest,
            Keys::ForEver => is_ours,
            Keys::NeverBack => is_ours && is_shown && (!is_first || self.gone.is_empty()),
            Keys::Any => is_ours && is_shown || kid.starts_with("rehearsal-") && !is_first,
        }
    }

    /// All containers of these services.
    fn replicas<'n>(&self, services: impl IntoIterator<Item = &'n String>) -> Vec<Replica> {
        let found = services.into_iter().filter_map(|name| self.present.get(name));
        found.flat_map(Service::instances).collect()
    }

    fn failure(&self, replica: &Replica, kind: ServiceFailureKind) -> ServiceFailure {
        ServiceFailure {
            replica: replica.clone(),
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

    /// What comes of a request; `None` = the connection is closed.
    fn answered(&self, call: &HttpCall) -> Result<Option<HttpAnswer>, Lost> {
        let mut state = self.state();
        state.alone(&call.url);
        state.agent()?;
        if call.method != "GET" {
            state.note(&format!("{} {}", call.method, call.url));
        }
        let mut headers = call.headers.iter();
        let who = headers
            .find(|(name, _)| name == "Authorization")
            .map(|(_, value)| value.as_str());
        if call.url.ends_with("/login") {
            // Everybody may see the page, where there is something to sign in with.
            let status = match state.stopped.contains("idp") || state.stopped.contains("web") {
                true => 500,
                false => 200,
            };
            let is_slow = state.rate >= state.now().climbs.slow || matches!(state.fault, Some(Fault::Slow(_)));
            return Ok(Some(HttpAnswer {
                status,
                duration_ms: if is_slow { 3_000 } else { 0 },
                ..HttpAnswer::default()
            }));
        }
        if let Some(document) = state.document(&call.url) {
            return Ok(Some(HttpAnswer {
                status: 200,
                body: BASE64_STANDARD.encode(document.to_string()),
                ..HttpAnswer::default()
            }));
        }
        let user_info = state
            .now()
            .user_info
            .filter(|_| call.url == format!("{ISSUER}/userinfo"));
        if let Some((status, sub)) = user_info {
            return Ok(Some(HttpAnswer {
                status,
                body: BASE64_STANDARD.encode(json!({"sub": sub}).to_string()),
                ..HttpAnswer::default()
            }));
        }
        if let Some(status) = who.and_then(|who| state.by_our_key(who)) {
            return Ok(Some(HttpAnswer {
                status,
                ..HttpAnswer::default()
            }));
        }
        let keeps_out_by = state.now().keeps_out_by.unwrap_or(401);
        let is_out = state.is_revoked && state.now().revoked != Revoked::IsTaken;
        let lets_in = &state.now().lets_in;
        let is_in = match who {
            Some(value) if value == format!("Bearer {TOKEN}") => !state.now().ends_tokens && !is_out,
            Some(_) => lets_in.contains(&Stranger::Forger),
            None => lets_in.contains(&Stranger::Nobody),
        };
        if !is_in && state.now().hangs_up.is_some() {
            return Ok(None);
        }
        Ok(Some(HttpAnswer {
            status: if is_in { 200 } else { keeps_out_by },
            ..HttpAnswer::default()
        }))
    }
}

/// Steps with a token carry it.
fn carried(run: &SuiteRun<'_>) -> Vec<Guarded> {
    let with_token = run.body.requests.iter().filter(|step| !step.headers.is_empty());
    let asked = with_token.filter_map(|step| {
        let call = HttpCall {
            method: step.method.clone(),
            url: format!("http://web{}", step.url),
            headers: step.headers.clone(),
            ..HttpCall::default()
        };
        let good = HttpAnswer {
            status: 200,
            ..HttpAnswer::default()
        };
        let name = format!("{} / {}", run.subject, step.name);
        Guarded::of(name, call, step.expect.clone(), &good)
    });
    asked.collect()
}

/// The containers that a behaviour tells of.
fn is_meant(replica: &Replica, lame: Option<u32>) -> bool {
    replica.service == "web" && lame.is_none_or(|number| number == replica.number)
}

fn login_outcome(came_to: Outcome<(), Trouble>) -> LoginOutcome {
    LoginOutcome {
        came_to,
        trail: vec!["500 GET http://web/login".to_owned()],
        secrets: Vec::new(),
        remarks: Vec::new(),
        left: Session::default(),
        duration: Duration::from_millis(3),
    }
}

fn trouble() -> Trouble {
    Trouble {
        url: None,
        ..answered(500)
    }
}

fn answered(status: u16) -> Trouble {
    Trouble {
        kind: Kind::Error,
        message: format!("GET http://web/login answered {status}"),
        url: Some("http://web/login".to_owned()),
        status: Some(status),
    }
}

#[async_trait]
impl Ground for ScriptedGround {
    async fn start(&self, _limit: Duration) -> Result<BroughtUp> {
        let mut state = self.state();
        state.happens(When::ComingUp);
        let down = state.now().down.clone();
        let (ready, lame) = (state.now().ready, state.now().lame);
        let restored = state.now().restored.clone();
        let present: Vec<String> = state.present.keys().cloned().collect();
        let comes = |service: &&String| !restored.iter().any(|one| one.failure.is_some()) || *service == "db";
        let replicas = state.replicas(present.iter().filter(comes));
        let of = |replica: Replica| Started {
            begun: Duration::ZERO,
            took: ready,
            failure: down
                .clone()
                .filter(|_| is_meant(&replica, lame))
                .map(|what| state.failure(&replica, what)),
            replica,
        };
        Ok(BroughtUp {
            started: replicas.into_iter().map(of).collect(),
            restored,
        })
    }

    async fn swap(
        &self,
        deploy: &Deploy,
        _within: Duration,
        role: Role,
        _asks: Option<&Question>,
    ) -> Outcome<Vec<Swapped>, ServiceFailure> {
        let mut state = self.state();
        if let Err(lost) = state.agent() {
            return Outcome::Lost(lost);
        }
        let Behaviour {
            killed,
            in_flight,
            stops_in,
            ..
        } = state.now().clone();
        let deploys = Arc::clone(&state.deploys);
        deploys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(deploy.clone());
        state.present = (*deploy.services).clone();
        // Other containers.
        let anew: Vec<String> = deploy.anew.difference(&deploy.rescaled).cloned().collect();
        for replica in state.replicas(&anew) {
            state.lives.remove(&replica);
        }
        (state.is_asked, state.memory_kills) = (false, 0);
        state.since_rotated = None;
        state.place = match role {
            Role::Candidate => Place::Candidate,
            Role::Baseline => Place::Back,
        };
        state.happens(When::ComingUp);
        let now = state.now().clone();
        let replicas = state.replicas(&deploy.anew);
        if let (Some(what), Some(first)) = (now.down, replicas.first()) {
            let lame = now
                .lame
                .and_then(|number| replicas.iter().find(|one| one.number == number));
            return Outcome::Broke(state.failure(lame.unwrap_or(first), what));
        }
        let one = |replica: Replica| Swapped {
            replica,
            stopped: Stopped {
                took: if killed { KILLED_AFTER } else { stops_in },
                killed,
                exit_code: Some(0),
                in_flight,
            },
            begun: Duration::ZERO,
            ready: now.ready,
            exits: 0,
        };
        Outcome::Held(replicas.into_iter().map(one).collect())
    }

    async fn await_answers(
        &self,
        _expected: &Expected,
        patience: Duration,
        budget: Duration,
    ) -> Outcome<(), ServiceFailure> {
        if self.state().now().answers_after > patience {
            let kind = ServiceFailureKind::NotReady(Waited::all_of(budget));
            return Outcome::Broke(self.state().failure(&Replica::only("web"), kind));
        }
        self.state().agent().map_or_else(Outcome::Lost, Outcome::Held)
    }

    async fn stop(&self, service: &str) {
        let mut state = self.state();
        if service == "idp" {
            state.note("idp is stopped");
        }
        if !state.stopped.contains(service) {
            state.ends(service, None, 0, EndedBy::Us);
        }
        state.stopped.insert(service.to_owned());
    }

    async fn start_again(&self, service: &str) -> Result<(), Lost> {
        let mut state = self.state();
        state.stopped.remove(service);
        state.wedged = false;
        state.since_rotated = None;
        state.gone.clear();
        Ok(())
    }

    async fn put_beside(&self, service: &Service, _within: Duration) -> Outcome<(), ServiceFailure> {
        let mut state = self.state();
        if let Err(lost) = state.agent() {
            return Outcome::Lost(lost);
        }
        state.note(&format!("{} comes beside", service.name));
        if let Some(what) = state.story.beside.down.clone() {
            return Outcome::Broke(state.failure(&Replica::only(&service.name), what));
        }
        let own = next(&mut state.now().in_turns).unwrap_or_default();
        let beside = next(&mut state.story.beside.in_turns).unwrap_or_default();
        state.in_turns = Some([beside, own]);
        Outcome::Held(())
    }

    async fn take_from_beside(&self, service: &str) {
        let mut state = self.state();
        if state.in_turns.take().is_some() {
            state.note(&format!("{service} goes"));
        }
    }

    async fn comes_up_again(&self, service: &str, _within: Duration) -> Outcome<(), ServiceFailure> {
        let mut state = self.state();
        state.stopped.remove(service);
        state.wedged = false;
        match state.now().bears.starts {
            Starts::Up => Outcome::Held(()),
            Starts::Down => Outcome::Broke(state.failure(&Replica::only(service), ServiceFailureKind::Exited)),
            Starts::Unheard => Outcome::Lost(Lost::new(outcome::Part::Engine, "it does not answer")),
        }
    }

    async fn fault_begins(&self, fault: Fault, _reach: Reach) -> Result<FaultAnswer, Lost> {
        let mut state = self.state();
        state.agent()?;
        state.fault = Some(fault);
        state.signed_in = 0;
        state.note(&format!("a fault: {fault:?}"));
        for _ in 0..state.now().bears.exits {
            let lame = state.now().lame;
            state.ends("web", lame, 1, EndedBy::Itself);
        }
        Ok(FaultAnswer::default())
    }

    async fn fault_ends(&self) -> Result<(), Lost> {
        let mut state = self.state();
        state.agent()?;
        state.fault = None;
        let stays_broken = state.now().bears.back == Back::AfterARestart;
        state.wedged |= stays_broken;
        Ok(())
    }

    fn past_the_fronts(&self) -> Option<String> {
        let story = &self.state().story;
        (!story.fronts_stand).then(|| "calls to `idp` under its own names are not seen: the story says so".to_owned())
    }

    async fn run_suite(&self, run: SuiteRun<'_>) -> SuiteOutcome {
        let mut state = self.state();
        match run.subject {
            Subject::Rotate => {
                assert_ne!(
                    state.copy,
                    Copy::First,
                    "a key that is gone takes with it what others look at"
                );
                state.since_rotated = Some(0);
            }
            Subject::Revoke => {
                assert_eq!(run.inherited.values.get("token").map(String::as_str), Some(TOKEN));
                state.is_revoked = true;
            }
            Subject::Suite(_) | Subject::Data(_) => {}
        }
        state.alone(&run.subject.to_string());
        state.is_asked();
        let suite = run.subject.to_string();
        state.note(&suite);
        // After the rollback the entry has another name, and is the same.
        let key = suite.split(' ').next().unwrap_or_default().to_owned();
        let lost = state.agent().is_err();
        state.memory_kills += usize::from(state.now().memory_kill_in.as_deref() == Some(key.as_str()));
        let mut tests = Vec::new();
        for step in &run.body.requests {
            // The tests' own service, stopped, answers nothing.
            // What only the candidate has, only the candidate lacks.
            let missing = |service: &String| state.place == Place::Candidate && !state.present.contains_key(service);
            let lacks = |service: &String| state.stopped.contains(service) || missing(service);
            let lacking = state.story.needs.get(&step.name).is_some_and(lacks);
            state.asked += 1;
            let limited = state.story.limit.is_some_and(|limit| state.asked > limit);
            let told = match (state.stopped.contains("web") || lacking, limited) {
                (true, _) => Told::Ends(Status::Failed),
                (false, true) => Told::Gets(Reply::Status(429)),
                (false, false) => state.now().next_test(&key, &step.name),
            };
            let (status, reply) = match told {
                Told::Ends(status) => (status, Reply::Unknown),
                Told::Gets(reply) => (Status::Failed, reply),
                Told::Shows(reply) => (Status::Passed, reply),
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
            guarded: carried(&run),
            tests,
            captures: Captures::default(),
            secrets: Vec::new(),
        }
    }

    async fn sign_in(&self, login: &Login, _session: &str, _ca: &[String]) -> LoginOutcome {
        let mut state = self.state();
        state.alone("a sign-in");
        if let Err(lost) = state.agent() {
            return login_outcome(Outcome::Lost(lost));
        }
        state.is_asked();
        state.memory_kills += usize::from(state.now().memory_kill_in.as_deref() == Some("login"));
        let auth = state.stopped.contains("idp") && !state.story.deaf_to_auth;
        if auth || state.stopped.contains("web") || state.wedged {
            return login_outcome(Outcome::Broke(trouble()));
        }
        if let Some(status) = state.under_fault(|bears| bears.answers) {
            return login_outcome(Outcome::Broke(answered(status)));
        }
        let since = state.since_rotated;
        let answers = since.and_then(|since| state.now().rotated.sign_ins.get(since).copied());
        state.since_rotated = since.map(|since| since + 1);
        if let Some(status) = answers {
            return login_outcome(Outcome::Broke(answered(status)));
        }
        if state.is_revoked && state.now().revoked == Revoked::LocksTheUser {
            return login_outcome(Outcome::Broke(answered(401)));
        }
        state.is_revoked = false;
        state.signed_in += 1;
        let signed_in = state.signed_in;
        let is_lost = |bears: &Bears| bears.loses_every.is_some_and(|every| signed_in.is_multiple_of(every));
        if let Some(status) = state.under_fault(|bears| is_lost(bears).then_some(503)) {
            return login_outcome(Outcome::Broke(answered(status)));
        }
        let left = state.now().left(login);
        let outcome = login_outcome(match next(&mut state.now().sign_ins).unwrap_or(SignIn::Works) {
            SignIn::Works => Outcome::Held(()),
            SignIn::Fails => Outcome::Broke(trouble()),
            SignIn::NeedsScript => Outcome::Broke(Trouble {
                kind: Kind::Script,
                message: "the sign-in page of idp needs JavaScript: use a test container".to_owned(),
                ..trouble()
            }),
            SignIn::NeedsScriptOfProduct => Outcome::Broke(Trouble {
                kind: Kind::Script,
                message: "the sign-in page of idp needs JavaScript: use a test container".to_owned(),
                url: Some("http://idp/authorize".to_owned()),
                status: Some(200),
            }),
            SignIn::KeptBack(rule) => Outcome::Broke(Trouble {
                kind: Kind::Cookie(rule),
                message: "no browser sends the cookie `sid`".to_owned(),
                ..trouble()
            }),
            SignIn::Limited => Outcome::Broke(answered(429)),
            SignIn::Lost => Outcome::Lost(Lost::new(outcome::Part::Agent, "it was killed")),
        });
        LoginOutcome { left, ..outcome }
    }

    async fn sign_in_wrongly(&self, _login: &Login, _session: &str, _ca: &[String]) -> Option<LoginOutcome> {
        let mut state = self.state();
        if let Err(lost) = state.agent() {
            return Some(login_outcome(Outcome::Lost(lost)));
        }
        let role = match state.place {
            Place::Candidate => Role::Candidate,
            Place::Baseline | Place::Back => Role::Baseline,
        };
        let stage = state.stage;
        state.scolded.push((stage, role));
        let refused = Trouble {
            kind: Kind::Refused,
            status: state.now().keeps_out_by.or(Some(401)),
            ..trouble()
        };
        Some(login_outcome(match state.now().takes_any_password {
            true => Outcome::Held(()),
            false => Outcome::Broke(refused),
        }))
    }

    async fn use_code_again(&self, _login: &Login, _session: &str, _ca: &[String]) -> CodeAgain {
        let mut state = self.state();
        let refused = Trouble {
            kind: Kind::Refused,
            status: Some(400),
            ..trouble()
        };
        let now = state.now().clone();
        let came_to = match state.agent() {
            Err(lost) => Outcome::Lost(lost),
            Ok(()) if now.locks_out => Outcome::Broke(answered(401)),
            Ok(()) if now.takes_used_codes => Outcome::Held(UsedCode::Taken),
            Ok(()) => Outcome::Held(UsedCode::Refused(refused)),
        };
        CodeAgain {
            came_to,
            secrets: Vec::new(),
        }
    }

    async fn sign_out(
        &self,
        _login: &Login,
        (_session, exit): (&str, &leaving::Exit),
        _ca: &[String],
        _patience: leaving::Patience,
    ) -> SignedOut {
        let mut state = self.state();
        let parting = match state.now().signs_out {
            Some((window, copy)) => Parting::Left(Gone {
                by: match exit {
                    leaving::Exit::Shown => "POST http://web/logout".to_owned(),
                    leaving::Exit::Issuers(address) => format!("GET {address}"),
                },
                way: Some(200),
                window,
                copy,
            }),
            None => Parting::NoWay("http://web/account shows no link or form by which to sign out".to_owned()),
        };
        SignedOut {
            came_to: match state.agent() {
                Ok(()) => Outcome::Held(parting),
                Err(lost) => Outcome::Lost(lost),
            },
            secrets: Vec::new(),
        }
    }

    async fn refresh(&self, _login: &Login, _left: &Session, _ca: &[String]) -> Option<LoginOutcome> {
        let mut state = self.state();
        let came_to = match state.now().refreshes? {
            200 => Outcome::Held(()),
            status => Outcome::Broke(Trouble {
                kind: Kind::Refused,
                ..answered(status)
            }),
        };
        Some(login_outcome(came_to))
    }

    async fn come_back(&self, _login: &Login, _left: &Session, _jar: &str, _ca: &[String]) -> Returned {
        let mut state = self.state();
        let sessions = state.now().sessions;
        let faulty = state.under_fault(|bears| bears.answers_users);
        let rotated = state.now().rotated.users;
        let faulty = faulty.or(rotated.filter(|_| state.since_rotated.is_some()));
        Returned {
            came_to: match (state.agent(), sessions) {
                (Ok(()), _) if faulty.is_some() => Outcome::Broke(answered(faulty.unwrap_or_default())),
                (Err(lost), _) => Outcome::Lost(lost),
                (Ok(()), Sessions::Hold) => Outcome::Held(Received::Known),
                (Ok(()), Sessions::AreRefused) => Outcome::Held(Received::Anew("answered 302".to_owned())),
                (Ok(()), Sessions::Break) => Outcome::Broke(trouble()),
                (Ok(()), Sessions::AreLimited) => Outcome::Broke(answered(429)),
            },
            trail: Vec::new(),
            secrets: Vec::new(),
        }
    }

    async fn ask_without_session(&self, _login: &Login, _session: &str, _ca: &[String]) -> LoginOutcome {
        let mut state = self.state();
        let silent = state.now().silent_to_strangers;
        let heard = state.agent().and_then(|()| match silent {
            true => Err(Lost::new(
                outcome::Part::Step,
                "GET http://web/account got no answer (tls)",
            )),
            false => Ok(()),
        });
        login_outcome(heard.map_or_else(Outcome::Lost, Outcome::Held))
    }

    async fn http(&self, call: HttpCall) -> Result<Option<HttpAnswer>, Lost> {
        let answer = self.answered(&call)?;
        if answer.is_none() {
            let after = self.state().now().hangs_up.unwrap_or_default();
            tokio::time::sleep(after).await;
        }
        Ok(answer)
    }

    async fn exec(&self, _service: &str, _command: &[String]) -> Option<ExecOutput> {
        None
    }

    async fn usage(&self) -> Vec<(Replica, Usage)> {
        let mut state = self.state();
        let memory_limit = Some(state.memory);
        let of = |uses: Uses| {
            let usage = Usage {
                memory: Some(uses.bytes),
                working_set: Some(uses.bytes),
                memory_limit,
                ..Usage::default()
            };
            (Replica::only("web"), usage)
        };
        state.now().uses.map(of).into_iter().collect()
    }

    async fn limit_memory(&self, _service: &str, limit: u64) -> Outcome<(), String> {
        let mut state = self.state();
        let uses = state.now().uses.expect("it uses some");
        if limit < uses.refused_below {
            return Outcome::Broke("device or resource busy".to_owned());
        }
        state.memory = limit;
        if limit < uses.bytes && state.stopped.insert("web".to_owned()) {
            state.memory_kills += 1;
            // Its policy starts it again, with as little.
            for _ in 0..2 {
                state.ends("web", None, 137, EndedBy::Itself);
            }
        }
        Outcome::Held(())
    }

    async fn processors(&self) -> Option<Processors> {
        None
    }

    async fn probe_begins(&self, name: &str, asks: &Question) {
        let now = tokio::time::Instant::now();
        self.state().probes.insert(name.to_owned(), (asks.to_string(), now));
    }

    async fn probe_ends(&self, name: &str) -> Result<Vec<ProbeSample>, Lost> {
        let mut state = self.state();
        let probe = state.probes.remove(name);
        let (asks, since) = probe.unwrap_or_else(|| panic!("no probe `{name}` is running"));
        state.agent()?;
        let asked = usize::try_from(since.elapsed().as_millis() / 100).unwrap_or_default();
        let mut answers = state.now().answers.clone();
        if state.story.unanswered.contains(&asks) {
            answers = vec![None; 10];
        } else if answers.is_empty() {
            answers = vec![Some(200); state.story.limit.map_or(10, |_| asked.max(1))];
        }
        state.asked += answers.iter().flatten().count();
        let sample = |(number, status): (usize, Option<u16>)| ProbeSample {
            at_ms: number as u64 * 100,
            done_ms: number as u64 * 100 + 5,
            status,
            failure: status.is_none().then_some(CallFailureKind::Connect),
        };
        Ok(answers.into_iter().enumerate().map(sample).collect())
    }

    async fn load(&self, plan: LoadPlan) -> Result<Vec<Slice>, Lost> {
        // Only who looks on meanwhile sees that it lasts.
        let uses = self.state().now().uses;
        if uses.is_some() {
            let lasts = plan.phases.iter().map(|phase| phase.duration_ms).sum();
            tokio::time::sleep(Duration::from_millis(lasts)).await;
        }
        let mut state = self.state();
        state.agent()?;
        match state.in_turns {
            Some(does) => Ok(slices_in_turns(&plan, does)),
            None => {
                state.note("load");
                state.happens(When::Loaded);
                Ok(state.now().under_load(&plan))
            }
        }
    }

    async fn load_while(&self, plan: LoadPlan, seen: LoadSeen<'_>) -> Result<Vec<Slice>, Lost> {
        let (mut all, mut begun_ms) = (Vec::new(), 0);
        for phase in &plan.phases {
            for into in (0..phase.duration_ms).step_by(1_000) {
                let rate = match phase.rate {
                    Rate::Constant(rate) => rate,
                    Rate::Ramp(from, to) => from + (to - from) * into as f64 / phase.duration_ms as f64,
                };
                self.state().rises_to(rate)?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                let does = self.state().now().climbs;
                let slice = slice_in_rise(begun_ms + into, rate, does);
                let goes_on = seen(std::slice::from_ref(&slice));
                all.push(slice);
                if goes_on.is_break() {
                    self.state().rises_to(0.0)?;
                    return Ok(all);
                }
            }
            begun_ms += phase.duration_ms;
        }
        self.state().rises_to(0.0)?;
        Ok(all)
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

    async fn calls(&self) -> Result<Calls, Lost> {
        let mut state = self.state();
        state.agent()?;
        if state.story.calls_lost_in == Some(state.stage) {
            return Err(Lost::new(outcome::Part::Agent, "a page of calls was not answered"));
        }
        let calls = state.now().calls.clone();
        let all = Some(0..calls.len());
        Ok(Calls {
            all: state.story.hears_all.then_some(calls.len()),
            first_sign_in: all.clone(),
            last_sign_in: all,
            calls,
            ..Calls::default()
        })
    }

    fn fronts(&self) -> Vec<String> {
        Vec::new()
    }

    fn signer(&self) -> Option<Arc<Signer>> {
        self.state().signer.clone()
    }

    async fn show_keys(&self, keys: &[Arc<Signer>]) -> Result<(), Lost> {
        let mut state = self.state();
        state.agent()?;
        let shown = std::mem::replace(&mut state.shown, keys.to_vec());
        state.gone.extend(shown);
        state.shown_at = tokio::time::Instant::now();
        state.note(&format!("the issuer shows {} of our keys", keys.len()));
        Ok(())
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

    fn history(&self, replica: &Replica) -> History {
        let mut state = self.state();
        let exits = state.lives.get(replica).cloned().unwrap_or_default();
        let (is_asked, now) = (state.is_asked, state.now().clone());
        let own = if is_asked && replica.service == "web" {
            now.memory_kills
        } else {
            0
        };
        let has_ended = exits.iter().any(|exit| exit.by == EndedBy::Itself);
        let is_down = has_ended && now.stays_down.contains(&replica.service);
        let is_there = state.present.contains_key(&replica.service) && !state.stopped.contains(&replica.service);
        History {
            starts: 1 + exits.len() as u32,
            since: Some(state.begun),
            exits,
            memory_kills: state.memory_kills + own,
            running: is_there && !is_down,
            healthy: Some(!(is_asked && now.ill.contains(&replica.service))),
            ..History::default()
        }
    }

    async fn is_given_time(&self, _replica: &Replica) {
        self.state().happens(When::GivenTime);
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

    fn said(&self, stage: StageId, role: Role, replica: &Replica) -> Vec<String> {
        let mut state = self.state();
        if is_meant(replica, state.now().lame) {
            let scolded = state.scolded.contains(&(stage, role));
            let now = state.now();
            let scolds = now.scolds.clone().filter(|_| scolded);
            now.log.iter().cloned().chain(scolds).collect()
        } else if replica.service == "idp" && stage == StageId::Upgrade {
            state.now().jolts.clone().into_iter().collect()
        } else {
            Vec::new()
        }
    }

    fn said_since(&self, services: &[String], _marks: &Marks) -> BTreeMap<Replica, Vec<String>> {
        let mut state = self.state();
        let jolts = state
            .now()
            .jolts
            .clone()
            .filter(|_| services.iter().any(|name| name == "idp"));
        jolts
            .into_iter()
            .map(|line| (Replica::only("idp"), vec![line]))
            .collect()
    }

    async fn set_aside(&self, _services: &[String], _marks: &Marks) -> BTreeMap<Replica, Vec<String>> {
        let scolds = self.state().now().scolds.clone();
        BTreeMap::from([(Replica::only("web"), scolds.into_iter().collect())])
    }

    fn tail(&self, service: &str, _count: usize) -> Vec<String> {
        self.said(StageId::Control, Role::Baseline, &Replica::only(service))
    }

    fn new_lines(&self, services: &[String], _marks: &Marks) -> Vec<String> {
        let named = |service: &String| {
            let said = self.said(StageId::Upgrade, Role::Candidate, &Replica::only(service));
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
        crate::text::fatal::first_fatal(&self.said(StageId::Upgrade, Role::Candidate, &Replica::only("web")))
    }
}
