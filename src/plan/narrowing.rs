//! What a plan leaves out because less was asked for: by `--only`, or because another shard does it.

use super::only::Only;
use super::shard::Mine;
use crate::record::check::CheckId;
use crate::record::partial::Partial;
use crate::record::shard::IN_ANOTHER;
use crate::record::stage::StageId;

/// What was asked for of the whole.
#[derive(Debug, Clone, Default)]
pub struct Narrowing {
    /// What `--only` names.
    pub only: Only,
    /// What is this shard's; `None` = it is no shard.
    pub mine: Option<Mine>,
}

impl Narrowing {
    pub(super) fn suite(&self, name: &str) -> bool {
        self.only.suite(name) && self.mine.as_ref().is_none_or(|mine| mine.suite(name))
    }

    pub(super) fn stage(&self, id: StageId) -> Option<String> {
        (!self.only.stage(id)).then(by_only)
    }

    pub(super) fn check(&self, id: CheckId) -> Option<String> {
        let others = self.mine.as_ref().is_some_and(|mine| !mine.check(id));
        match (self.only.check(id), others) {
            (false, _) => Some(by_only()),
            (true, true) => Some(IN_ANOTHER.to_owned()),
            (true, false) => None,
        }
    }

    pub(super) fn partial(&self) -> impl Iterator<Item = Partial> {
        let only = (!self.only.is_everything()).then(|| Partial::Only(self.only.to_string()));
        let shard = self.mine.as_ref().map(|mine| Partial::Shard(mine.place));
        only.into_iter().chain(shard)
    }
}

fn by_only() -> String {
    "left out by --only".to_owned()
}
