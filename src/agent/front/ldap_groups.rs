//! Which entries of a directory are groups, as its answers tell: what holds another entry is one. So whoever asks for the
//! groups that hold a group is seen to follow groups within groups. Names are kept as numbers that lead back to none.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use crate::agent::session::lock;

/// Groups that are kept.
const MOST_GROUPS: usize = 100_000;

/// An entry's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Dn(u64);

impl Dn {
    /// However it is written: case and blanks around commas say nothing. The root's name is none.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let name = String::from_utf8_lossy(name).to_lowercase();
        let mut hasher = DefaultHasher::new();
        name.split(',').for_each(|part| part.trim().hash(&mut hasher));
        (!name.trim().is_empty()).then(|| Self(hasher.finish()))
    }
}

/// Those that are known. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Groups(Arc<Mutex<HashSet<Dn>>>);

impl Groups {
    /// This is one.
    pub(super) fn learn(&self, group: Dn) {
        let mut known = lock(&self.0);
        if known.len() < MOST_GROUPS {
            known.insert(group);
        }
    }

    /// Whether it is one, as far as anything has told.
    pub(super) fn has(&self, entry: Dn) -> bool {
        lock(&self.0).contains(&entry)
    }
}
