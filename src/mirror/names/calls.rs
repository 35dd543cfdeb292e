//! What was asked of the authentication dependency at the fronts, and who asked.

use std::ops::Range;

use serde::Serialize;

use crate::agent::front::calls::{CallSeen, Said};

/// Calls of one stage.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// In the order in which they began.
    pub calls: Vec<Called>,
    /// Which of them the first sign-in of the stage made.
    pub first_sign_in: Option<Range<usize>>,
    /// Which of them the last one made.
    pub last_sign_in: Option<Range<usize>>,
    /// Calls of the whole run, the gate's own left out; `None` where some may have gone past the fronts.
    pub all: Option<usize>,
    /// Further calls of the whole run, which were too many to keep.
    pub more: u64,
    /// Where calls may have gone past the fronts, one sentence each.
    pub unseen: Vec<String>,
}

/// A call, and who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Called {
    /// Who.
    pub by: Caller,
    /// What.
    #[serde(flatten)]
    pub call: CallSeen,
}

impl Called {
    /// The gate itself asked the product: a browser speaks HTTP, and what else the sign-in speaks no release has caused.
    pub fn is_the_gates_own(&self) -> bool {
        self.by == Caller::Browser && matches!(self.call.said, Said::Ldap(_) | Said::Radius(_))
    }
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// A service.
    Service(String),
    /// The gate's own browser: the sign-in, suites of requests.
    Browser,
    /// A container of the user's tests.
    Tests,
    /// A container that the engine's DNS does not name.
    Unknown,
}

impl Calls {
    /// What a sign-in asked.
    pub fn of(&self, sign_in: &Option<Range<usize>>) -> &[Called] {
        let range = sign_in.clone().unwrap_or_default();
        self.calls.get(range).unwrap_or_default()
    }
}

/// Everything that the agent has told so far.
#[derive(Debug, Default)]
pub(in crate::mirror) struct CallLog {
    pub(in crate::mirror) calls: Vec<CallSeen>,
    pub(in crate::mirror) more: u64,
    pub(in crate::mirror) stage: usize,
    /// From here on the calls of the stage answer to faults of ours.
    pub(in crate::mirror) aside: Option<usize>,
    pub(in crate::mirror) first_sign_in: Option<Range<usize>>,
    pub(in crate::mirror) last_sign_in: Option<Range<usize>>,
}
