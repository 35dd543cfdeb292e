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
    /// The connection was closed without an answer, of what reads twice in a row: who is meant gets none.
    Closed,
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

    /// It gave nothing, whatever else it was.
    pub(super) fn keeps_back(self) -> bool {
        matches!(self, Self::Refused(_) | Self::Broken(_) | Self::Closed)
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
            Self::Closed => "closes the connection".to_owned(),
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

    /// An answer that gave nothing, whatever else it was.
    pub(super) fn kept_back(&self, request: &str, forgery: Forgery) -> Option<Answered> {
        self.answered(request, forgery).filter(|answered| answered.keeps_back())
    }

    /// What it gave nobody, of what writes or of what does not.
    pub(super) fn refused(&self, turn: impl Fn(&Tried) -> bool) -> BTreeSet<String> {
        let refused = |tried: &&Tried| tried.answered.keeps_back() && turn(tried);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_given_nothing_was_kept_back_by_whatever_answer() {
        let of = |answered: Answered| {
            let tried = Tried {
                request: "smoke / mine".to_owned(),
                writes: false,
                forgery: Forgery::NoCredentials,
                answered,
            };
            let seen = Refusals {
                tried: vec![tried],
                ..Refusals::default()
            };
            let kept_back = seen.kept_back("smoke / mine", Forgery::NoCredentials);
            (kept_back.is_some(), seen.refused(|_| true).len())
        };
        for answered in [Answered::Refused(401), Answered::Broken(500), Answered::Closed] {
            assert_eq!(of(answered), (true, 1), "{answered:?}");
        }
        for answered in [
            Answered::Given(200),
            Answered::Limited,
            Answered::Silence,
            Answered::Unclear,
        ] {
            assert_eq!(of(answered), (false, 0), "{answered:?}");
        }
    }
}
