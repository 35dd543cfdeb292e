//! Both releases on a mirror, each asked more and more in turns.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::compare::{Answer, Pair, compare, confirmed};
use super::held_to::HeldTo;
use super::ran_out::{Moment, RanOut, Whose, first};
use super::search::{Next, Search, Start};
use super::step::{Bore, COUNTS, SETTLES, SLICE, Step, phases};
use super::turn::{Stopped, Turn};
use crate::agent::load::plan::{Counts, LoadPlan, Phase, Rate};
use crate::agent::load::slice::Slice;
use crate::check::At;
use crate::check::load::most_at_once;
use crate::check::relative::looks::order;
use crate::check::relative::turns::mix as mix_of;
use crate::check::two::{TRIES, Two, send, silent};
use crate::record::outcome::{Lost, Part};
use crate::record::release::Role;
use crate::text::units::millis;

/// Turns of each release in a measurement.
const PAIRS: usize = 2;
/// Turns of both, among which the budget is shared.
const TURNS: u32 = 4;
/// Each release is warmed up so long, at the rate at which it begins.
const WARM_UP: Duration = Duration::from_secs(5);
/// So often both are asked after a turn before they are begun anew.
const TRIES_AFTER: usize = 5;
/// A search begins at this part of what production's release bore in `control`.
const BEGINS: f64 = 0.6;

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    /// What each release was held to, in words.
    pub(super) held_to: Vec<String>,
    /// Turns of both releases, production's first, whatever was first in time.
    pub(super) pairs: Vec<(Turn, Turn)>,
    /// The same on restarted containers, where the candidate bore less.
    pub(super) again: Vec<(Turn, Turn)>,
    pub(super) answer: Answer,
    /// What else was seen.
    pub(super) remarks: Vec<String>,
}

/// Both releases, ready to be asked.
struct Asking<'a> {
    at: &'a At<'a>,
    two: &'a Two<'a>,
    plan: LoadPlan,
    held_to: HeldTo,
    /// At which rate a search begins, and at which both are warmed up.
    from: Start,
    remarks: Vec<String>,
}

/// What was measured and the steps that were not sent, or why nothing was.
pub(super) async fn measure(
    at: &At<'_>,
    two: &Two<'_>,
    of_control: Option<&Measured>,
) -> Result<Result<(Measured, Vec<String>), String>, Lost> {
    let from = of_control.and_then(Measured::begins_at);
    let from = from.map_or(Start::unknown(two.load.rate), Start::near);
    let (mut asking, left_out) = match Asking::begin(at, two, from).await? {
        Ok(begun) => begun,
        Err(why) => return Ok(Err(why)),
    };
    let came_to = match at.role {
        Role::Baseline => asking.of_itself().await,
        Role::Candidate => {
            let unlike = of_control.and_then(Measured::unlike_itself);
            asking.of_candidate(unlike).await
        }
    };
    let rested = asking.rest().await;
    let came_to = came_to?;
    rested?;
    Ok(came_to.map(|measured| (measured, left_out)))
}

fn not_again(why: &str) -> Answer {
    Answer::CouldNotTell(format!("it was lower once, and could not be measured again: {why}"))
}

/// As they are compared.
pub(super) fn intervals<'t>(pairs: impl IntoIterator<Item = &'t (Turn, Turn)>) -> Vec<Pair> {
    let pairs = pairs.into_iter();
    pairs.map(|(old, new)| (old.interval(), new.interval())).collect()
}

impl Measured {
    /// Of production and itself: why nothing can be said of another release.
    fn unlike_itself(&self) -> Option<String> {
        let why = || {
            let bore = |turn: &Turn| turn.held.map_or("none".to_owned(), |held| format!("{held:.0}"));
            let all = self
                .pairs
                .iter()
                .map(|(second, own)| format!("{} and {}", bore(own), bore(second)));
            format!(
                "in control production's release and a second one of it do not bear the same: {}",
                all.collect::<Vec<_>>().join(", ")
            )
        };
        self.answer.differs().then(why)
    }

    /// A part of the least that production's release bore, which nobody has to be asked below.
    fn begins_at(&self) -> Option<f64> {
        let turns = self.pairs.iter().flat_map(|(second, own)| [second, own]);
        let least = turns.map(|turn| turn.held).collect::<Option<Vec<f64>>>()?;
        least.into_iter().reduce(f64::min).map(|least| least * BEGINS)
    }
}

impl<'a> Asking<'a> {
    /// Both anew, and warm.
    async fn begin(at: &'a At<'a>, two: &'a Two<'a>, from: Start) -> Result<Result<(Self, Vec<String>), String>, Lost> {
        let held_to = HeldTo::of(&two.load.thresholds);
        let mut asking = Self {
            at,
            two,
            plan: LoadPlan::default(),
            held_to,
            from,
            remarks: Vec::new(),
        };
        Ok(asking.anew().await?.map(|left_out| (asking, left_out)))
    }

    /// Both anew, with cookies and captures of now, and warm. The steps that are not sent.
    async fn anew(&mut self) -> Result<Result<Vec<String>, String>, Lost> {
        if let Err(why) = self.two.begin_anew(self.at).await? {
            return Ok(Err(why));
        }
        let (plan, left_out) = match self.two.sent(self.at).await {
            Ok(sent) => sent,
            Err(why) => return Ok(Err(why)),
        };
        self.plan = LoadPlan {
            slice_ms: millis(SLICE),
            timeout_ms: millis(self.held_to.patience()),
            ..plan
        };
        Ok(self.warm_up().await?.map(|()| left_out))
    }

    /// Neither has been asked for more than it bears, and both answer: so the next stage meets the one that stays.
    async fn rest(&self) -> Result<(), Lost> {
        let silent = match self.two.begin_anew(self.at).await? {
            Ok(()) => silent(self.at, &self.plan, TRIES).await?,
            Err(why) => Some(why),
        };
        match silent {
            None => Ok(()),
            Some(why) => Err(Lost::new(Part::Step, format!("after the rate was raised {why}"))),
        }
    }

    async fn warm_up(&self) -> Result<Result<(), String>, Lost> {
        if let Some(why) = silent(self.at, &self.plan, TRIES).await? {
            return Ok(Err(why));
        }
        let phase = |role| Phase {
            mix: mix_of(role),
            rate: Rate::Constant(self.from.rate),
            duration_ms: millis(WARM_UP),
            counts: Counts::WarmUp,
        };
        let phases = [Role::Baseline, Role::Candidate].map(phase).to_vec();
        send(self.at, &self.at_rate(self.from.rate), phases).await?;
        Ok(Ok(()))
    }

    /// The plan, with room for as much.
    fn at_rate(&self, rate: f64) -> LoadPlan {
        LoadPlan {
            most_at_once: most_at_once(rate, Duration::from_millis(self.plan.timeout_ms)),
            ..self.plan.clone()
        }
    }

    /// Production's release and a second one of it: where they are alike at once, they are.
    async fn of_itself(&mut self) -> Result<Result<Measured, String>, Lost> {
        let mut pairs = match self.pairs(0..1).await? {
            Ok(pairs) => pairs,
            Err(why) => return Ok(Err(why)),
        };
        if compare(&intervals(&pairs)).differs() {
            match self.pairs(1..PAIRS).await? {
                Ok(more) => pairs.extend(more),
                Err(why) => return Ok(Err(why)),
            }
        }
        let answer = compare(&intervals(&pairs));
        Ok(Ok(self.measured(pairs, Vec::new(), answer)))
    }

    /// The candidate and production's; again where it seems to bear less. `unlike`: why nothing can be said of it.
    async fn of_candidate(&mut self, unlike: Option<String>) -> Result<Result<Measured, String>, Lost> {
        let pairs = match self.pairs(0..PAIRS).await? {
            Ok(pairs) => pairs,
            Err(why) => return Ok(Err(why)),
        };
        let (again, answer) = match (unlike, compare(&intervals(&pairs))) {
            (Some(why), _) => (Vec::new(), Answer::CouldNotTell(why)),
            (None, Answer::Lower) => match self.again().await? {
                Ok(again) => {
                    let answer = confirmed(&intervals(&pairs), &intervals(&again));
                    (again, answer)
                }
                Err(why) => (Vec::new(), not_again(&why)),
            },
            (None, other) => (Vec::new(), other),
        };
        Ok(Ok(self.measured(pairs, again, answer)))
    }

    fn measured(&mut self, pairs: Vec<(Turn, Turn)>, again: Vec<(Turn, Turn)>, answer: Answer) -> Measured {
        Measured {
            held_to: self.held_to.words(),
            pairs,
            again,
            answer,
            remarks: std::mem::take(&mut self.remarks),
        }
    }

    /// Once more, from the beginning.
    async fn again(&mut self) -> Result<Result<Vec<(Turn, Turn)>, String>, Lost> {
        match self.anew().await? {
            Ok(_) => self.pairs(0..PAIRS).await,
            Err(why) => Ok(Err(why)),
        }
    }

    async fn pairs(&mut self, pairs: Range<usize>) -> Result<Result<Vec<(Turn, Turn)>, String>, Lost> {
        let mut all = Vec::new();
        for pair in pairs {
            match self.pair(pair).await? {
                Ok(turns) => all.push(turns),
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(all))
    }

    /// A turn of each, production's first in what comes back.
    async fn pair(&mut self, pair: usize) -> Result<Result<(Turn, Turn), String>, Lost> {
        let [one, other] = order(pair);
        // It had the last turn of the pair before.
        if pair > 0
            && let Err(why) = self.come_to(one).await?
        {
            return Ok(Err(why));
        }
        let first = self.turn(one).await?;
        if let Err(why) = self.come_to(one).await? {
            return Ok(Err(why));
        }
        let second = self.turn(other).await?;
        Ok(Ok(match one {
            Role::Baseline => (first, second),
            Role::Candidate => (second, first),
        }))
    }

    async fn turn(&self, role: Role) -> Result<Turn, Lost> {
        let (begun, within) = (Instant::now(), self.two.load.budget / TURNS);
        let (mut search, mut ran_out, mut asked) = (Search::from(self.from), RanOut::unknown(), Vec::new());
        let stopped = loop {
            let next = search.next();
            let (Next::Ask(rate) | Next::AskAgain(rate)) = next else {
                break Stopped::Found;
            };
            if begun.elapsed() + SETTLES + COUNTS > within {
                break Stopped::Spent;
            }
            let (bore, now) = match next {
                Next::AskAgain(_) => self.ask_and_watch(role, rate).await?,
                Next::Ask(_) | Next::Over => (self.ask(role, rate).await?, RanOut::unknown()),
            };
            if let (Next::AskAgain(_), Bore::Broke(_)) = (next, &bore) {
                ran_out = now;
            }
            asked.push((rate, bore.clone()));
            search.learn(rate, bore);
        };
        Ok(Turn::of(&search, stopped, ran_out, asked))
    }

    async fn ask(&self, role: Role, rate: f64) -> Result<Bore, Lost> {
        let slices: Vec<Slice> = send(self.at, &self.at_rate(rate), phases(mix_of(role), rate)).await?;
        Ok(Step::of(&slices, &self.held_to).bore(&self.held_to))
    }

    /// The same, and what is used while the rate counts.
    async fn ask_and_watch(&self, role: Role, rate: f64) -> Result<(Bore, RanOut), Lost> {
        let ground = self.at.ground;
        let watch = async {
            tokio::time::sleep(SETTLES).await;
            let before = Moment::now(ground).await;
            tokio::time::sleep(COUNTS).await;
            (before, Moment::now(ground).await)
        };
        let (bore, (before, after)) = tokio::join!(self.ask(role, rate), watch);
        let bore = bore?;
        let ran_out = match &bore {
            Bore::Broke(breaches) => first(self.whose(role), &before, &after, breaches),
            Bore::Held | Bore::Unsent(_) => RanOut::unknown(),
        };
        Ok((bore, ran_out))
    }

    fn whose(&self, role: Role) -> Whose<'_> {
        let (own, second) = (self.two.own.name.as_str(), self.two.second.name.as_str());
        match role {
            Role::Baseline => Whose {
                own: second,
                other: own,
                service: own,
            },
            Role::Candidate => Whose {
                own,
                other: second,
                service: own,
            },
        }
    }

    /// Whoever was asked for more than it bears answers again before the next turn; else both are begun anew.
    async fn come_to(&mut self, role: Role) -> Result<Result<(), String>, Lost> {
        if silent(self.at, &self.plan, TRIES_AFTER).await?.is_none() {
            return Ok(Ok(()));
        }
        let who = match (role, self.at.role) {
            (Role::Candidate, Role::Candidate) => "the candidate",
            (Role::Baseline, _) | (Role::Candidate, Role::Baseline) => "production's release",
        };
        self.remarks.push(format!(
            "{who} did not answer again after it had been asked for more than it bears, until it was restarted"
        ));
        Ok(self.anew().await?.map(|_| ()))
    }
}
