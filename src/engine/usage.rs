//! What a container uses, as the engine counts it. Everything here only reads.

use bollard::models::{ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters as query;
use futures_util::StreamExt as _;

use super::Engine;

/// What a container has used since it was started, and uses now. What an engine does not count is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Seconds of processor time.
    pub cpu_seconds: Option<f64>,
    /// Periods of the processor's scheduler.
    pub periods: Option<u64>,
    /// Those in which it was throttled.
    pub throttled_periods: Option<u64>,
    /// Bytes of memory, caches included.
    pub memory: Option<u64>,
    /// Those that cannot be taken away at once.
    pub working_set: Option<u64>,
    /// Those that are no caches.
    pub rss: Option<u64>,
    /// Bytes that it may use at most.
    pub memory_limit: Option<u64>,
    /// How often it met that limit.
    pub memory_failures: Option<u64>,
    /// Bytes received.
    pub received: Option<u64>,
    /// Bytes sent.
    pub sent: Option<u64>,
    /// Processes.
    pub processes: Option<u64>,
}

impl Engine {
    /// What a container uses; nothing where it does not run, or the engine does not say.
    pub async fn usage(&self, container: &str) -> Option<Usage> {
        let options = query::StatsOptions {
            stream: false,
            one_shot: true,
        };
        let mut stats = Box::pin(self.docker().stats(container, Some(options)));
        stats.next().await?.ok().map(usage)
    }
}

fn usage(stats: ContainerStatsResponse) -> Usage {
    let cpu = stats.cpu_stats.unwrap_or_default();
    let throttling = cpu.throttling_data.unwrap_or_default();
    let memory = stats.memory_stats.unwrap_or_default();
    let networks = stats.networks.unwrap_or_default();
    let sum = |bytes: Vec<u64>| (!bytes.is_empty()).then(|| bytes.iter().sum::<u64>());
    let total = cpu.cpu_usage.and_then(|usage| usage.total_usage);
    Usage {
        cpu_seconds: total.map(|nanoseconds| nanoseconds as f64 / 1e9),
        periods: throttling.periods,
        throttled_periods: throttling.throttled_periods,
        memory: memory.usage,
        working_set: working_set(&memory),
        rss: counted(&memory, &["anon", "total_rss"]),
        memory_limit: memory.limit,
        memory_failures: memory.failcnt,
        received: sum(networks.values().filter_map(|one| one.rx_bytes).collect()),
        sent: sum(networks.values().filter_map(|one| one.tx_bytes).collect()),
        processes: stats.pids_stats.and_then(|pids| pids.current),
    }
}

/// The two versions of control groups call the same by two names.
fn counted(memory: &ContainerMemoryStats, names: &[&str]) -> Option<u64> {
    let stats = memory.stats.as_ref()?;
    names.iter().find_map(|name| stats.get(*name).copied())
}

fn working_set(memory: &ContainerMemoryStats) -> Option<u64> {
    let idle = counted(memory, &["inactive_file", "total_inactive_file"]).unwrap_or_default();
    Some(memory.usage?.saturating_sub(idle))
}
