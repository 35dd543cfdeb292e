//! A leak, as it would look in production: there the limit stays and what is used grows, where on the mirror the limit falls.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::usage::Usage;
use crate::world::replica::Replica;

/// A service whose limit falls.
#[derive(Debug)]
pub struct Leak {
    /// Which.
    pub service: String,
    /// What it may use in production, bytes: its own limit, or all that the machine has.
    pub limit: u64,
    /// What it may use now.
    now: AtomicU64,
}

impl Leak {
    /// One that may still use all of it.
    pub fn of(service: String, limit: u64) -> Self {
        Self {
            service,
            limit,
            now: AtomicU64::new(limit),
        }
    }

    /// What it may use now, bytes.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// It may use so much from now on.
    pub fn is_now(&self, limit: u64) {
        self.now.store(limit, Ordering::Relaxed);
    }

    /// What a container uses, as it would look if its limit stayed.
    pub fn as_in_production(&self, replica: &Replica, usage: Usage) -> Usage {
        if replica.service != self.service {
            return usage;
        }
        let factor = self.limit as f64 / self.now().max(1) as f64;
        let grown = |part: Option<u64>| part.map(|part| (part as f64 * factor) as u64);
        Usage {
            memory: grown(usage.memory),
            working_set: grown(usage.working_set),
            rss: grown(usage.rss),
            memory_limit: Some(self.limit),
            ..usage
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_of_a_limit_that_falls_looks_as_if_it_grew() {
        let leak = Leak::of("web".to_owned(), 1_000);
        leak.is_now(250);
        let usage = Usage {
            working_set: Some(200),
            memory_limit: Some(250),
            ..Usage::default()
        };
        let seen = |service: &str| {
            let seen = leak.as_in_production(&Replica::only(service), usage);
            (seen.working_set, seen.memory_limit, seen.rss)
        };
        assert_eq!(seen("web"), (Some(800), Some(1_000), None));
        assert_eq!(seen("db"), (Some(200), Some(250), None));
    }
}
