//! The built-in checks: one file each. A check is one thing: it *looks* at one release at one moment, and *judges* what
//! the candidate shows against what the baseline showed. Everything else is done once for all of them by whoever
//! executes the plan: when a check looks, what is kept of it as evidence, what becomes of a finding (repeats, an
//! untouched baseline, two pieces of evidence, waivers), and the answer.
//!
//! A new check is a file here, a line in [`catalog`], a fixture that makes it fire and a clean twin.

pub mod alert_lead_time;
pub mod asked;
pub mod auth_capability;
pub mod auth_directory;
pub mod auth_exercised;
pub mod auth_faults;
pub mod auth_login;
pub mod auth_refusals;
pub mod auth_rotate;
pub mod auth_rotation_skew;
pub mod auth_tokens;
pub mod auth_traffic;
pub mod boot_production_env;
pub mod candidate_exercised;
pub mod capabilities;
pub mod capacity;
pub mod catalog;
pub mod control;
pub mod crowd;
pub mod discovery;
pub mod egress;
pub mod facts;
pub mod fault_trial;
pub mod forged;
pub mod graceful_stop;
pub mod ground;
pub mod lives;
pub mod load;
pub mod load_limits;
pub mod load_usage;
pub mod log_difference;
pub mod memory;
pub mod mirror_fidelity;
pub mod no_auth;
pub mod pair;
pub mod question;
pub mod relative;
pub mod release;
pub mod resigned;
pub mod rollback;
pub mod runtime_constraint;
pub mod session_survival;
pub mod slowdown;
pub mod spans;
pub mod start_and_restart;
pub mod suites;
pub mod traffic;
pub mod trouble;
pub mod two;
pub mod upgrade_in_place;
pub mod waiver;
pub mod witness;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use time::Date;

use self::facts::Facts;
use self::ground::{Ground, Marks};
use self::pair::Pair;
use crate::config::settings::Settings;
use crate::lock;
use crate::record::alerts::AlertRecord;
use crate::record::calls::CallRecord;
use crate::record::check::CheckId;
use crate::record::fidelity::Fidelity;
use crate::record::finding::Finding;
use crate::record::load::{CapacityRecord, LoadRecord, SlowdownRecord};
use crate::record::outcome::{Lost, Part};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::record::test::TestRecord;
use crate::suite::guarded::Guarded;
use crate::suite::leaving::{Exit, Patience, SignedOut};
use crate::suite::login::{CodeAgain, LoginOutcome, Session};
use crate::suite::mix::Mix;
use crate::suite::returning::Returned;
use crate::world::candidates::Candidates;
use crate::world::model::World;
use crate::world::replica::Replica;

/// What a check is, for `rehearsal explain`, for the plan and for reports.
#[derive(Debug)]
pub struct About {
    /// Stable id.
    pub id: CheckId,
    /// The question it answers.
    pub question: &'static str,
    /// What it does, what makes it fire, what to do then.
    pub explain: &'static str,
    /// What its findings rest on.
    pub evidence: Evidence,
    /// In which stages it looks, and when there.
    pub looks: &'static [(StageId, Moment)],
    /// What its look does, for people, where it is a step of its own.
    pub step: &'static str,
}

/// What findings rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Something behaved in another way.
    Behaviour,
    /// Text or metadata: never blocks alone, only beside a failure in behaviour of the same stage.
    Text,
}

/// When a check looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When production has been tried in `control`: for comparison, no answer is given there.
    ForComparison,
    /// The same, when the probe has asked production alone, last before the swap.
    Probed,
    /// As a step of its own, once every service is up.
    Up,
    /// As a step of its own, after the suites.
    AfterSuites,
    /// As a step of its own, when all else of the stage has been tried: failures are made, and undone.
    Drill,
    /// As a step of its own, last of all. The mirror is not used after this.
    Last,
    /// When a release has given way to another: at how it stopped. The baseline's stop, in `upgrade`, is for comparison.
    Stopping,
    /// As soon as the other release was put in place, whether or not it came up.
    Swapped,
    /// When a release has been tried: before it is replaced, and at the end of the stage.
    Tried,
    /// When all stages are over, once for each release.
    Over,
    /// When all stages are over, on a mirror of its own, which is fit for nothing else after it: on production's release, and on the
    /// candidate in its place.
    Apart,
}

impl Moment {
    /// It is a step of the plan.
    pub fn is_step(self) -> bool {
        matches!(self, Self::Up | Self::AfterSuites | Self::Drill | Self::Last)
    }
}

/// What is known before anything runs.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// What was asked.
    pub settings: &'a Settings,
    /// Production.
    pub world: &'a World,
    /// What the release changes.
    pub candidate: &'a Candidates,
}

impl Given<'_> {
    /// Whether the release was compared with production, file by file, and is what runs.
    pub fn alters_nothing(&self) -> bool {
        let release = self.candidate;
        let is_known = release.refused.is_none() && release.other_project.is_none();
        self.settings.next.is_some() && release.is_empty() && is_known
    }
}

/// What a check may know without looking.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What was asked.
    pub settings: &'a Settings,
    /// Production.
    pub world: &'a World,
    /// What the release changes.
    pub candidate: &'a Candidates,
    /// Production's facts.
    pub lock: &'a lock::State,
    /// The pair in words.
    pub pair: &'a Pair,
    /// In which stage the question is asked.
    pub stage: StageId,
    /// The day on which signatures hold or have expired.
    pub today: Date,
}

impl About {
    /// When it looks in a stage, if it is asked there.
    pub fn moment_in(&self, stage: StageId) -> Option<Moment> {
        self.looks
            .iter()
            .find(|(id, _)| *id == stage)
            .map(|(_, moment)| *moment)
    }

    /// It gives an answer in that stage.
    pub fn answers_in(&self, stage: StageId) -> bool {
        match self.moment_in(stage) {
            None | Some(Moment::ForComparison | Moment::Probed) => false,
            Some(Moment::Stopping) => stage == StageId::Rollback,
            Some(_) => true,
        }
    }

    /// It makes load, or drills, and so tells the same wherever the suites run: one shard of several asks it.
    pub fn is_apart(&self) -> bool {
        let own = |(stage, moment): &(StageId, Moment)| *stage == StageId::Load || *moment == Moment::Drill;
        let later = self.looks.iter().filter(|(stage, _)| *stage != StageId::Control);
        let mut later = later.peekable();
        later.peek().is_some() && later.all(own)
    }

    /// It looks at production, and so at a difference later.
    pub fn compares(&self) -> bool {
        self.moment_in(StageId::Control).is_some() || self.moment_in(StageId::Upgrade) == Some(Moment::Stopping)
    }
}

impl At<'_> {
    /// Where the log of every service stands.
    pub fn marks(&self) -> Marks {
        self.ground.marks(&self.case.services())
    }
}

impl Case<'_> {
    /// Names of all services, of production's and of the candidate's.
    pub fn services(&self) -> Vec<String> {
        let names = self.world.services.keys().chain(self.candidate.services.keys());
        let names: BTreeSet<String> = names.cloned().collect();
        names.into_iter().collect()
    }

    /// Names of the candidate's services.
    pub fn candidates(&self) -> Vec<String> {
        self.candidate.services.keys().cloned().collect()
    }

    /// The containers that stand for these services, in whichever release.
    pub fn replicas<'s>(&self, services: impl IntoIterator<Item = &'s String>) -> BTreeSet<Replica> {
        let of = |service: &'s String| self.candidate.replicas(service, self.world);
        services.into_iter().flat_map(of).collect()
    }
}

/// Findings of several containers of one service as one for each thing that is found, which names every container.
fn together(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for finding in findings {
        match all.iter_mut().find(|one| one.identity() == finding.identity()) {
            Some(one) => one.take_in(finding),
            None => all.push(finding),
        }
    }
    all
}

/// One release at one moment.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// What is known.
    pub case: Case<'a>,
    /// Where to look.
    pub ground: &'a dyn Ground,
    /// Who runs the user's tests and signs in.
    pub driver: &'a dyn Driver,
    /// The release that is looked at.
    pub role: Role,
    /// What happened so far.
    pub facts: &'a Facts,
    /// What the same check saw of production, where it has looked.
    pub before: Option<&'a Seen>,
    /// The part that is looked at once more; `None` = all.
    pub part: Option<&'a str>,
    /// CAs that the gate's own requests trust, PEM.
    pub ca: &'a [String],
}

impl<'a> At<'a> {
    /// What a check saw of production, where it has looked.
    pub fn seen_before<C: Check>(&self) -> Option<&'a C::Seen> {
        self.before.and_then(Seen::of::<C>)
    }
}

/// Who runs the user's tests and signs the test user in, on the release that is looked at. Whatever is captured on the
/// way is kept out of everything that is written.
#[async_trait]
pub trait Driver: Sync {
    /// Runs a suite, or an entry of `data`.
    async fn run(&self, subject: &Subject) -> Vec<TestRecord>;

    /// The same, which may use these values as if it had captured them.
    async fn run_given(&self, subject: &Subject, given: BTreeMap<String, String>) -> Vec<TestRecord>;

    /// Runs a suite, and gives those of its requests that carried credentials.
    async fn guarded_by(&self, subject: &Subject) -> Vec<Guarded>;

    /// Signs in; `None` where the configuration does not say how, or the sign-in is left out.
    async fn sign_in(&self) -> Option<LoginOutcome>;

    /// Tries once to sign in with a wrong password; `None` as before, and where no password decides.
    async fn sign_in_wrongly(&self) -> Option<LoginOutcome>;

    /// What load sends, after one run of the suites that it is taken from.
    ///
    /// # Errors
    /// A test of theirs does not pass: which, and why.
    async fn mix(&self) -> Result<Mix, String>;

    /// Uses the code of a sign-in of its own a second time; `None` as before.
    async fn use_code_again(&self) -> Option<CodeAgain>;

    /// Gets another token by what came with that of a sign-in; `None` as before, and where nothing came.
    async fn refresh(&self, left: &Session) -> Option<LoginOutcome>;

    /// Signs in and out again by a way; so long at most until the page is refused. `None` as before.
    async fn sign_out(&self, exit: &Exit, patience: Patience) -> Option<SignedOut>;

    /// Somebody signs in anew where this session, which was kept for later, holds no more.
    ///
    /// # Errors
    /// Nobody can tell, or nobody can sign in any more.
    async fn keep_signed_in(&self, kept: &Session) -> Result<(), Lost>;

    /// What was said since the marks answers to attempts of ours that must fail: what logs say is not weighed by it.
    async fn set_aside(&self, since: &Marks);

    /// A text that is as good as a secret, and goes from everything that is written.
    fn hide(&self, secret: &str);

    /// Comes back with what a sign-in left; `None` as before.
    async fn come_back(&self, left: &Session) -> Option<Returned>;

    /// Asks for the protected page without a session.
    async fn ask_without_session(&self) -> Option<LoginOutcome>;
}

/// Why a part of a check's question has no answer although it could look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// Planned, with a meaning, and not looked at: no pass.
    NotRun(String),
    /// It does not count here; the report says so.
    Skipped(String),
}

/// How a finding is seen again before it blocks: flaky is not guilty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// It cannot be; what was seen stands.
    AsSeen,
    /// Another look, on the release that showed it and on a baseline that the candidate has not touched.
    Look,
    /// Another look, there and there, and no more than one: it takes long.
    Once,
    /// Another look, there and there, at this part of what the check sees.
    Part(String),
    /// These tests, there and there.
    Tests(Subject),
    /// These tests, on the release that showed it alone: what they are compared with is the candidate itself.
    TestsHere(Subject),
}

/// A built-in check.
pub trait Check: Sync + 'static {
    /// What it sees of one release; kept as evidence.
    type Seen: Serialize + Send + Sync + 'static;

    /// What it is.
    fn about(&self) -> &'static About;

    /// Whether its question has a place in a stage, of those in which it can look.
    fn is_asked(&self, _stage: StageId, _given: &Given<'_>) -> bool {
        true
    }

    /// Why the configuration leaves it out, or why it has no meaning here, if so.
    fn left_out(&self, _stage: StageId, _given: &Given<'_>) -> Option<String> {
        None
    }

    /// Looks at one release at one moment.
    fn look<'a>(&'a self, at: &'a At<'a>) -> impl Future<Output = Result<Self::Seen, Lost>> + Send + 'a;

    /// Its look as a step makes failures, or asks for more than production has to bear: what ends meanwhile is judged
    /// by it, or is nobody's.
    fn strains(&self, _case: &Case<'_>) -> bool {
        false
    }

    /// What one look alone shows: asked in `control`, and of checks that do not look there. Nothing of it is the
    /// candidate's doing.
    fn doubts(&self, _case: &Case<'_>, _seen: &Self::Seen) -> Vec<Finding> {
        Vec::new()
    }

    /// What the candidate shows and the baseline does not.
    fn judge(&self, _case: &Case<'_>, _before: &Self::Seen, _after: &Self::Seen) -> Vec<Finding> {
        Vec::new()
    }

    /// Why a part of the question has no answer although the check could look.
    fn unanswered(&self, _case: &Case<'_>, _after: &Self::Seen) -> Option<Unanswered> {
        None
    }

    /// Whether somebody can sign for a finding of this check.
    fn may_be_waived(&self, _finding: &Finding) -> bool {
        true
    }

    /// How a finding of this check is seen again.
    fn again(&self, _finding: &Finding) -> Again {
        Again::AsSeen
    }

    /// Several findings of one kind as one.
    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        findings
    }

    /// Remarks for the reader.
    fn notes(&self, _case: &Case<'_>, _seen: &Self::Seen) -> Vec<String> {
        Vec::new()
    }

    /// Rows for the fidelity table.
    fn rows(&self, _seen: &Self::Seen) -> Vec<Fidelity> {
        Vec::new()
    }

    /// Calls of the authentication dependency, for the reports.
    fn calls(&self, _case: &Case<'_>, _seen: &Self::Seen) -> Vec<CallRecord> {
        Vec::new()
    }

    /// What a release did under load, for the reports; `before` is the baseline, where this is the candidate.
    fn load(&self, _case: &Case<'_>, _before: Option<&Self::Seen>, _seen: &Self::Seen) -> Vec<LoadRecord> {
        Vec::new()
    }

    /// Slow-downs that must be caught, and what was seen of them, for the reports.
    fn slowdowns(&self, _case: &Case<'_>, _seen: &Self::Seen) -> Vec<SlowdownRecord> {
        Vec::new()
    }

    /// How much each release bears, for the reports.
    fn capacity(&self, _case: &Case<'_>, _seen: &Self::Seen) -> Option<CapacityRecord> {
        None
    }

    /// What production's alert rules said, for the reports.
    fn alerts(&self, _case: &Case<'_>, _seen: &Self::Seen) -> Vec<AlertRecord> {
        Vec::new()
    }
}

/// What a check saw, whatever its type.
#[derive(Clone)]
pub struct Seen {
    value: Arc<dyn Any + Send + Sync>,
    /// As it is written down.
    pub evidence: Value,
}

/// A check in the catalog.
pub trait Entry: Sync {
    /// See [`Check::about`].
    fn about(&self) -> &'static About;
    /// See [`Check::is_asked`].
    fn is_asked(&self, stage: StageId, given: &Given<'_>) -> bool;
    /// See [`Check::left_out`].
    fn left_out(&self, stage: StageId, given: &Given<'_>) -> Option<String>;
    /// See [`Check::look`].
    fn look<'a>(&'a self, at: &'a At<'a>) -> BoxFuture<'a, Result<Seen, Lost>>;
    /// See [`Check::strains`].
    fn strains(&self, case: &Case<'_>) -> bool;
    /// See [`Check::doubts`].
    fn doubts(&self, case: &Case<'_>, seen: &Seen) -> Vec<Finding>;
    /// See [`Check::judge`].
    fn judge(&self, case: &Case<'_>, before: &Seen, after: &Seen) -> Vec<Finding>;
    /// See [`Check::unanswered`].
    fn unanswered(&self, case: &Case<'_>, after: &Seen) -> Option<Unanswered>;
    /// See [`Check::may_be_waived`].
    fn may_be_waived(&self, finding: &Finding) -> bool;
    /// See [`Check::again`].
    fn again(&self, finding: &Finding) -> Again;
    /// See [`Check::fold`].
    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding>;
    /// See [`Check::notes`].
    fn notes(&self, case: &Case<'_>, seen: &Seen) -> Vec<String>;
    /// See [`Check::rows`].
    fn rows(&self, seen: &Seen) -> Vec<Fidelity>;
    /// See [`Check::calls`].
    fn calls(&self, case: &Case<'_>, seen: &Seen) -> Vec<CallRecord>;
    /// See [`Check::load`].
    fn load(&self, case: &Case<'_>, before: Option<&Seen>, seen: &Seen) -> Vec<LoadRecord>;
    /// See [`Check::slowdowns`].
    fn slowdowns(&self, case: &Case<'_>, seen: &Seen) -> Vec<SlowdownRecord>;
    /// See [`Check::capacity`].
    fn capacity(&self, case: &Case<'_>, seen: &Seen) -> Option<CapacityRecord>;
    /// See [`Check::alerts`].
    fn alerts(&self, case: &Case<'_>, seen: &Seen) -> Vec<AlertRecord>;
}

impl<C: Check> Entry for C {
    fn about(&self) -> &'static About {
        Check::about(self)
    }

    fn is_asked(&self, stage: StageId, given: &Given<'_>) -> bool {
        Check::is_asked(self, stage, given)
    }

    fn left_out(&self, stage: StageId, given: &Given<'_>) -> Option<String> {
        Check::left_out(self, stage, given)
    }

    fn look<'a>(&'a self, at: &'a At<'a>) -> BoxFuture<'a, Result<Seen, Lost>> {
        Box::pin(async move {
            let seen = Check::look(self, at).await?;
            let evidence = serde_json::to_value(&seen);
            let evidence = evidence.map_err(|error| Lost::new(Part::Step, format!("it cannot be written: {error}")))?;
            Ok(Seen {
                value: Arc::new(seen),
                evidence,
            })
        })
    }

    fn strains(&self, case: &Case<'_>) -> bool {
        Check::strains(self, case)
    }

    fn doubts(&self, case: &Case<'_>, seen: &Seen) -> Vec<Finding> {
        seen.of::<C>()
            .map_or_else(Vec::new, |seen| Check::doubts(self, case, seen))
    }

    fn judge(&self, case: &Case<'_>, before: &Seen, after: &Seen) -> Vec<Finding> {
        match (before.of::<C>(), after.of::<C>()) {
            (Some(before), Some(after)) => Check::judge(self, case, before, after),
            _ => Vec::new(),
        }
    }

    fn unanswered(&self, case: &Case<'_>, after: &Seen) -> Option<Unanswered> {
        after.of::<C>().and_then(|seen| Check::unanswered(self, case, seen))
    }

    fn may_be_waived(&self, finding: &Finding) -> bool {
        Check::may_be_waived(self, finding)
    }

    fn again(&self, finding: &Finding) -> Again {
        Check::again(self, finding)
    }

    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        Check::fold(self, findings)
    }

    fn notes(&self, case: &Case<'_>, seen: &Seen) -> Vec<String> {
        seen.of::<C>()
            .map_or_else(Vec::new, |seen| Check::notes(self, case, seen))
    }

    fn rows(&self, seen: &Seen) -> Vec<Fidelity> {
        seen.of::<C>().map_or_else(Vec::new, |seen| Check::rows(self, seen))
    }

    fn calls(&self, case: &Case<'_>, seen: &Seen) -> Vec<CallRecord> {
        seen.of::<C>()
            .map_or_else(Vec::new, |seen| Check::calls(self, case, seen))
    }

    fn load(&self, case: &Case<'_>, before: Option<&Seen>, seen: &Seen) -> Vec<LoadRecord> {
        let before = before.and_then(Seen::of::<C>);
        seen.of::<C>()
            .map_or_else(Vec::new, |seen| Check::load(self, case, before, seen))
    }

    fn slowdowns(&self, case: &Case<'_>, seen: &Seen) -> Vec<SlowdownRecord> {
        seen.of::<C>()
            .map_or_else(Vec::new, |seen| Check::slowdowns(self, case, seen))
    }

    fn capacity(&self, case: &Case<'_>, seen: &Seen) -> Option<CapacityRecord> {
        seen.of::<C>().and_then(|seen| Check::capacity(self, case, seen))
    }

    fn alerts(&self, case: &Case<'_>, seen: &Seen) -> Vec<AlertRecord> {
        seen.of::<C>()
            .map_or_else(Vec::new, |seen| Check::alerts(self, case, seen))
    }
}

impl Seen {
    fn of<C: Check>(&self) -> Option<&C::Seen> {
        self.value.downcast_ref()
    }
}
