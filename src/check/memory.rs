//! What the kernel killed for memory while something was asked: it explains an answer that was cut off. The engine counts
//! any process of a container, not only its first.

use std::collections::BTreeMap;

use super::ground::Ground;
use crate::world::replica::Replica;

/// How often a process was killed for memory until a moment, by container.
pub struct MemoryKills(BTreeMap<Replica, usize>);

impl MemoryKills {
    /// Until now.
    pub fn so_far(ground: &dyn Ground, replicas: impl IntoIterator<Item = Replica>) -> Self {
        let of = |replica: Replica| {
            let kills = ground.history(&replica).memory_kills;
            (replica, kills)
        };
        Self(replicas.into_iter().map(of).collect())
    }

    /// The first of these services in which one was killed since then, in words.
    pub fn since(&self, ground: &dyn Ground, services: &[String]) -> Option<String> {
        let of = |service: &'_ String| {
            let own = self.0.iter().filter(|(replica, _)| replica.service == *service);
            let mut killed = own.filter(|(replica, before)| ground.history(replica).memory_kills > **before);
            killed.next().map(|(replica, _)| replica.clone())
        };
        let killed = services.iter().find_map(of);
        killed.map(|replica| format!("a process in `{replica}` was killed for memory"))
    }
}
