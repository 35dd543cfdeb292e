//! The ground: what a rehearsal and its checks may do to a mirror and see of it. The mirror of containers is one; tests
//! put a scripted one in its place, so that every law is tried in milliseconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;

use crate::agent::client::Seen as LoadSeen;
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::agent::front::fault::{Fault, FaultAnswer, Reach};
use crate::agent::load::plan::LoadPlan;
use crate::agent::load::slice::Slice;
use crate::agent::probe::{ProbeSample, Question};
use crate::agent::processors::Processors;
use crate::config::settings::Login;
use crate::engine::exec::ExecOutput;
use crate::engine::image::ImageFacts;
use crate::engine::usage::Usage;
use crate::engine::watch::History;
use crate::mirror::border::attempts::Attempts;
use crate::mirror::failure::ServiceFailure;
use crate::mirror::logs::Mark;
use crate::mirror::names::authority::TlsProfile;
use crate::mirror::names::calls::Calls;
use crate::mirror::names::issuer::Signer;
use crate::mirror::start::BroughtUp;
use crate::mirror::swap::Swapped;
use crate::record::outcome::{Lost, Outcome};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::suite::leaving::{Exit, Patience, SignedOut};
use crate::suite::login::{CodeAgain, LoginOutcome, Session};
use crate::suite::returning::Returned;
use crate::suite::{SuiteOutcome, SuiteRun};
use crate::world::deploy::Deploy;
use crate::world::model::Service;
use crate::world::replica::Replica;

/// Where logs stood at a moment, by replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(pub BTreeMap<Replica, Mark>);

/// Which mirror of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Copy {
    /// The one on which the deploy is rehearsed.
    #[default]
    First,
    /// Another one, which no candidate has touched.
    Untouched,
    /// One for looks that leave it unfit for anything else.
    Apart,
}

/// Where mirrors are made.
#[async_trait]
pub trait Grounds: Send + Sync {
    /// Makes networks, volumes and the agent; starts none of production's services.
    ///
    /// # Errors
    /// The machine refused something.
    async fn prepare(&self, copy: Copy) -> Result<Arc<dyn Ground>>;
}

/// What the answers to a wait are compared with.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The services that must answer.
    pub services: Vec<String>,
    /// Every address that the configuration names, and the service there; each host and port once, the probe's first.
    pub addresses: Vec<(String, url::Url)>,
    /// What the probe asks, and the status that the baseline gives.
    pub probe: Option<(String, u16)>,
}

impl Expected {
    /// The status that the baseline gives at an address, where it is known.
    pub fn good_of(&self, url: &url::Url) -> Option<u16> {
        let probe = self.probe.as_ref().filter(|(probe, _)| probe == url.as_str());
        probe.map(|(_, good)| *good)
    }
}

/// A mirror.
#[async_trait]
pub trait Ground: Send + Sync {
    /// Starts every service of production as its dependencies allow, and restores what it is to have.
    ///
    /// # Errors
    /// The agent did not come up: the machine's doing.
    async fn start(&self, within: Duration) -> Result<BroughtUp>;

    /// Deploys, while what `asks` names is under way where something gives way. It broke where a service did not come up:
    /// the first.
    async fn swap(
        &self,
        deploy: &Deploy,
        within: Duration,
        role: Role,
        asks: Option<&Question>,
    ) -> Outcome<Vec<Swapped>, ServiceFailure>;

    /// Waits until the services that have no health check answer. It broke where one does not answer, or has crashed
    /// meanwhile.
    async fn await_answers(
        &self,
        expected: &Expected,
        patience: Duration,
        budget: Duration,
    ) -> Outcome<(), ServiceFailure>;

    /// Stops a service, all of its replicas, production's way.
    async fn stop(&self, service: &str);

    /// Starts a service again that was stopped, all of its replicas, and waits until they are ready.
    ///
    /// # Errors
    /// It does not come back: nothing is known any more.
    async fn start_again(&self, service: &str) -> Result<(), Lost>;

    /// Puts a further service beside those in place, and waits until it is ready. It broke where it did not come up.
    async fn put_beside(&self, service: &Service, within: Duration) -> Outcome<(), ServiceFailure>;

    /// Takes it away again, if it is there.
    async fn take_from_beside(&self, service: &str);

    /// Starts a service again that was stopped, and waits for it so long at most. It broke where it is not ready then.
    async fn comes_up_again(&self, service: &str, within: Duration) -> Outcome<(), ServiceFailure>;

    /// The authentication dependency has a fault from now on, which its fronts do in its place: for new connections and
    /// for those that stand.
    ///
    /// # Errors
    /// The agent is gone.
    async fn fault_begins(&self, fault: Fault, reach: Reach) -> Result<FaultAnswer, Lost>;

    /// It has none any more.
    ///
    /// # Errors
    /// The agent is gone, or the product itself does not answer any more.
    async fn fault_ends(&self) -> Result<(), Lost>;

    /// How something may reach the authentication dependency past its fronts, if it may.
    fn past_the_fronts(&self) -> Option<String>;

    /// Runs one of the user's suites.
    async fn run_suite(&self, run: SuiteRun<'_>) -> SuiteOutcome;

    /// Signs the test user in, and asks for the protected page.
    async fn sign_in(&self, login: &Login, session: &str, ca: &[String]) -> LoginOutcome;

    /// Tries once to sign in with a wrong password; `None` where no password decides.
    async fn sign_in_wrongly(&self, login: &Login, session: &str, ca: &[String]) -> Option<LoginOutcome>;

    /// Signs in, and uses the code of that a second time; `None` where that says nothing. Held = it signs in again.
    async fn use_code_again(&self, login: &Login, session: &str, ca: &[String]) -> CodeAgain;

    /// Signs in and out again, and asks for the protected page then; so long at most, until it is refused.
    async fn sign_out(&self, login: &Login, by: (&str, &Exit), ca: &[String], patience: Patience) -> SignedOut;

    /// Gets another token by what came with that of a sign-in, and the protected page with it; `None` where nothing came.
    async fn refresh(&self, login: &Login, left: &Session, ca: &[String]) -> Option<LoginOutcome>;

    /// Asks for the protected page with what a sign-in left, and signs in anew where that is not taken any more.
    async fn come_back(&self, login: &Login, left: &Session, jar: &str, ca: &[String]) -> Returned;

    /// Asks for the protected page without a session: it must be refused.
    async fn ask_without_session(&self, login: &Login, session: &str, ca: &[String]) -> LoginOutcome;

    /// One request by the agent.
    ///
    /// # Errors
    /// The agent is gone.
    async fn http(&self, call: HttpCall) -> Result<Option<HttpAnswer>, Lost>;

    /// A command in a service's container, the first of several; `None` where it has none, or cannot run it.
    async fn exec(&self, service: &str, command: &[String]) -> Option<ExecOutput>;

    /// What each container of production's services uses, as far as the engine says.
    async fn usage(&self) -> Vec<(Replica, Usage)>;

    /// The containers of a service may use so many bytes of memory from now on, and no more of a swap. It broke, and why, where
    /// the engine does not take that from what runs.
    async fn limit_memory(&self, service: &str, limit: u64) -> Outcome<(), String>;

    /// What the processors of the engine's machine have done; `None` where nobody says.
    async fn processors(&self) -> Option<Processors>;

    /// Begins to ask the same again and again.
    async fn probe_begins(&self, name: &str, asks: &Question);

    /// Ends that, and gives what was seen.
    ///
    /// # Errors
    /// The agent is gone, and with it the answers.
    async fn probe_ends(&self, name: &str) -> Result<Vec<ProbeSample>, Lost>;

    /// Sends what a plan says, and gives what became of it, slice by slice.
    ///
    /// # Errors
    /// The agent is gone, or could not send it.
    async fn load(&self, plan: LoadPlan) -> Result<Vec<Slice>, Lost>;

    /// The same, until `seen` breaks it off.
    ///
    /// # Errors
    /// As before.
    async fn load_while(&self, plan: LoadPlan, seen: LoadSeen<'_>) -> Result<Vec<Slice>, Lost>;

    /// Who asked for names and addresses outside until now.
    ///
    /// # Errors
    /// The agent is gone.
    async fn attempts(&self) -> Result<Attempts, Lost>;

    /// What was asked of the authentication dependency in this stage so far, as its fronts saw it.
    ///
    /// # Errors
    /// The agent is gone.
    async fn calls(&self) -> Result<Calls, Lost>;

    /// The issuer's names that the mirror itself answers to.
    fn fronts(&self) -> Vec<String>;

    /// Who signs in the issuer's place, where a key of the run's own stands among the issuer's.
    fn signer(&self) -> Option<Arc<Signer>>;

    /// These keys of ours stand behind the issuer's from now on, and no others.
    ///
    /// # Errors
    /// The agent is gone, or no key of ours stands there.
    async fn show_keys(&self, keys: &[Arc<Signer>]) -> Result<(), Lost>;

    /// What is known of an image.
    fn image(&self, image: &str) -> ImageFacts;

    /// Digests by which an image is known here.
    fn digests(&self, image: &str) -> Vec<String>;

    /// The service for which the mirror answers under production's name, and how it speaks TLS there.
    fn tls(&self) -> Option<(String, TlsProfile)>;

    /// Whether it is to stay when the run is over.
    fn stays(&self) -> bool;

    /// Whether the agent still answers: without it nothing can be told.
    async fn agent_lives(&self) -> bool;

    /// What has happened to a replica's present container.
    fn history(&self, replica: &Replica) -> History;

    /// Waits for a replica that has ended, or that its health check calls ill: until it has been well for a while, or has
    /// ended once more.
    async fn is_given_time(&self, replica: &Replica);

    /// A stage begins: what is logged from now on is its.
    fn enter(&self, stage: StageId);

    /// Where the logs of these services stand.
    fn marks(&self, services: &[String]) -> Marks;

    /// Where the logs of these services' present releases begin.
    fn beginnings(&self, services: &[String]) -> Marks;

    /// What a replica said in a stage while this release had the turn, oldest first: one that is replaced what its own
    /// release said, one that stays what it said beside it.
    fn said(&self, stage: StageId, role: Role, replica: &Replica) -> Vec<String>;

    /// The last lines of a service; of several replicas, each line with its name.
    fn tail(&self, service: &str, count: usize) -> Vec<String>;

    /// What these services have said since the marks, container by container.
    fn said_since(&self, services: &[String], marks: &Marks) -> BTreeMap<Replica, Vec<String>>;

    /// Sets aside what these services said since the marks, once nothing more comes for a moment, and gives it: as said to
    /// attempts of ours that must fail, it is nothing that a release is known to say.
    async fn set_aside(&self, services: &[String], marks: &Marks) -> BTreeMap<Replica, Vec<String>>;

    /// What these services said since the marks and never in `control`, each line as `replica: line`, a few of each.
    fn new_lines(&self, services: &[String], marks: &Marks) -> Vec<String>;

    /// The first line that says why, among those that these services said since the marks and never in `control`. The
    /// log is given a moment: a busy engine hands lines on late, and the first line of an error seldom says why.
    async fn why(&self, services: &[String], marks: &Marks) -> Option<String>;
}
