//! What became of somebody who has signed out.

use serde::Serialize;
use strum::{Display, VariantArray};

use crate::agent::exchange::SERVER_ERROR;
use crate::suite::leaving::{After, Gone, Parting};

/// By what somebody leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum By {
    /// The link or form of the release's pages.
    SignOut,
    /// The issuer's address for it.
    SignOutAtIssuer,
}

/// What became of it.
#[derive(Debug, Serialize)]
pub(super) struct Parted {
    pub(super) by: By,
    pub(super) parting: Parting,
}

impl Parted {
    pub(super) fn is_broken(&self) -> bool {
        match &self.parting {
            Parting::Left(gone) => gone.broken().is_some(),
            Parting::NoWay(_) => false,
        }
    }
}

impl Gone {
    /// Whoever has left was refused, in the window or by kept cookies.
    pub(in crate::check) fn ended(&self) -> bool {
        [self.window, self.copy]
            .iter()
            .any(|after| matches!(after, After::Ended(_)))
    }

    pub(in crate::check) fn broken(&self) -> Option<u16> {
        let own = |after: &After| match after {
            After::Broken(status) => Some(*status),
            After::Given(_) | After::Ended(_) | After::Silent => None,
        };
        let way = self.way.filter(|status| *status >= SERVER_ERROR);
        way.or_else(|| [self.window, self.copy].iter().find_map(own))
    }
}
