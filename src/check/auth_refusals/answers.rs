//! The answers to the attempts, and what they say of who may come in.

use std::collections::BTreeSet;

use serde::Serialize;

use super::parted::Parted;
use crate::agent::exchange::{HttpAnswer, SERVER_ERROR};
use crate::check::fault_trial::SAYS_SO;
use crate::check::forged::Forgery;
use crate::record::test::TOO_MANY;
use crate::suite::given::{self, Gives};
use crate::suite::guarded::Guarded;

/// What strangers and forged tokens came to.
#[derive(Debug, Default, Serialize)]
pub struct Refusals {
    pub(super) tried: Vec<Tried>,
    /// How long a revoked token was still taken, where it was refused in the end.
    pub(super) revoked_after_ms: Option<u64>,
    /// What production refused and this release was not asked, by request.
    pub(super) missing: BTreeSet<String>,
    /// What became of signing out, by each way.
    pub(super) parted: Vec<Parted>,
    /// Why production could not be asked as the configuration says.
    pub(super) doubt: Option<String>,
    /// What should have been told of that, and could not be.
    pub(super) untold: Vec<String>,
    /// What was not asked, and why.
    pub(super) left: Vec<String>,
    /// Why nothing was asked that should have been.
    pub(super) nothing: Option<String>,
}

/// One request in one way.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub(super) request: String,
    /// Its method may change something.
    pub(super) writes: bool,
    pub(super) forgery: Forgery,
    pub(super) answered: Answered,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answered {
    /// What the user gets.
    Given(u16),
    /// Something else.
    Refused(u16),
    /// A server error: neither given nor refused.
    Broken(u16),
    /// Too many had been asked: nobody knows what one alone would have got.
    Limited,
    /// It was refused, but so was the token itself by then: one that is over says nothing of its forgeries.
    Over,
    /// Nobody knows for what it was refused: so was a good token by the same key, or none could be made.
    Deaf,
    /// It asks for a password, and nobody knows whether the user's own does so, too.
    Unclear,
    /// Nothing: neither given nor refused.
    Silence,
}

impl Answered {
    pub(in crate::check) fn of(asked: &Guarded, answer: &HttpAnswer) -> Self {
        Self::that(given::gives(asked, answer), answer)
    }

    /// The same beside what the user gets, where nobody has kept that.
    pub(super) fn beside(asked: &Guarded, answer: &HttpAnswer, own: &HttpAnswer) -> Self {
        Self::that(given::gives_beside(asked, answer, own), answer)
    }

    fn that(gives: Gives, answer: &HttpAnswer) -> Self {
        match answer.status {
            status if gives == Gives::All => Self::Given(status),
            _ if gives == Gives::Unclear => Self::Unclear,
            TOO_MANY => Self::Limited,
            status if status >= SERVER_ERROR => Self::Broken(status),
            status => Self::Refused(status),
        }
    }

    pub(in crate::check) fn is_given(self) -> bool {
        matches!(self, Self::Given(_))
    }

    /// The status of a server error by which a release does not say that another one is away.
    pub(in crate::check) fn broken(self) -> Option<u16> {
        match self {
            Self::Broken(status) if !SAYS_SO.contains(&status) => Some(status),
            _ => None,
        }
    }

    /// For people, behind whoever is asked.
    pub(in crate::check) fn words(self) -> String {
        match self {
            Self::Given(status) | Self::Refused(status) | Self::Broken(status) => format!("answers {status}"),
            Self::Limited => format!("answers {TOO_MANY}"),
            Self::Over | Self::Deaf | Self::Unclear => "answers what nobody can tell".to_owned(),
            Self::Silence => "gives no answer".to_owned(),
        }
    }

    /// Nobody can tell what this says of who may come in.
    pub(in crate::check) fn tells_nothing(self) -> bool {
        matches!(
            self,
            Self::Silence | Self::Limited | Self::Over | Self::Deaf | Self::Unclear
        )
    }
}

impl Refusals {
    pub(super) fn answered(&self, request: &str, forgery: Forgery) -> Option<Answered> {
        let own = |tried: &&Tried| tried.request == request && tried.forgery == forgery;
        self.tried.iter().find(own).map(|tried| tried.answered)
    }

    /// The status of an answer that gave nothing, whatever else it was.
    pub(super) fn kept_back(&self, request: &str, forgery: Forgery) -> Option<u16> {
        match self.answered(request, forgery)? {
            Answered::Refused(status) | Answered::Broken(status) => Some(status),
            _ => None,
        }
    }

    /// What it refused, of what writes or of what does not.
    pub(super) fn refused(&self, turn: impl Fn(&Tried) -> bool) -> BTreeSet<String> {
        let refused = |tried: &&Tried| matches!(tried.answered, Answered::Refused(_)) && turn(tried);
        self.tried
            .iter()
            .filter(refused)
            .map(|tried| tried.request.clone())
            .collect()
    }

    pub(super) fn is_broken(&self) -> bool {
        let mut tried = self.tried.iter();
        tried.any(|tried| matches!(tried.answered, Answered::Broken(_))) || self.parted.iter().any(Parted::is_broken)
    }
}
