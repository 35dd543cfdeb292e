//! What ran out first where a release broke: read off what its container, those it asks and the machine used meanwhile.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::time::Instant;

use super::step::Breach;
use crate::agent::processors::Processors;
use crate::check::ground::Ground;
use crate::engine::usage::Usage;
use crate::record::load::Resource;
use crate::world::replica::Replica;

/// Throttled in so many of its periods, a container is at its limit of processor time.
const THROTTLED: f64 = 0.25;
/// So full, memory has run out.
const FULL: f64 = 0.95;
/// So busy, the machine has no more.
const BUSY: f64 = 0.95;
/// Processors that one thread takes when it does nothing but work.
const ONE: std::ops::RangeInclusive<f64> = 0.9..=1.1;

/// What ran out, and whose it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct RanOut {
    pub(super) resource: Resource,
    /// A service, where it is a service's.
    pub(super) of: Option<String>,
}

/// What is used at a moment.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    at: Instant,
    used: Vec<(Replica, Usage)>,
    /// Processes that were killed for memory until now.
    kills: BTreeMap<Replica, usize>,
    processors: Option<Processors>,
}

/// Whose release is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    /// Its containers' service, as the mirror has it.
    pub(super) own: &'a str,
    /// The other release's.
    pub(super) other: &'a str,
    /// The service that both are releases of.
    pub(super) service: &'a str,
}

impl Moment {
    /// Now.
    pub(super) async fn now(ground: &dyn Ground) -> Self {
        let (used, processors) = tokio::join!(ground.usage(), ground.processors());
        let kills = used
            .iter()
            .map(|(replica, _)| (replica.clone(), ground.history(replica).memory_kills));
        Self {
            at: Instant::now(),
            kills: kills.collect(),
            used,
            processors,
        }
    }
}

/// What a container used between two moments.
#[derive(Debug)]
struct Used {
    service: String,
    /// The share of its periods in which it was throttled.
    throttled: Option<f64>,
    /// Processors, in the mean.
    processors: Option<f64>,
    /// The shares of its memory, at the begin and at the end.
    memory: Option<(f64, f64)>,
    /// Processes that were killed for memory.
    kills: usize,
}

impl Used {
    fn between(before: &Moment, after: &Moment, replica: &Replica, now: &Usage) -> Option<Self> {
        let (_, then) = before.used.iter().find(|(known, _)| known == replica)?;
        let share = |part: f64, all: f64| (all > 0.0).then_some(part / all);
        let more = |now: Option<u64>, then: Option<u64>| now?.checked_sub(then?).map(|more| more as f64);
        let (throttled, periods) = (
            more(now.throttled_periods, then.throttled_periods),
            more(now.periods, then.periods),
        );
        let seconds = after.at.saturating_duration_since(before.at).as_secs_f64();
        let of = |moment: &Moment| moment.kills.get(replica).copied().unwrap_or_default();
        let memory = |of: &Usage| {
            let both = of.working_set.zip(of.memory_limit);
            both.and_then(|(used, most)| share(used as f64, most as f64))
        };
        Some(Self {
            service: replica.service.clone(),
            throttled: throttled.zip(periods).and_then(|(part, all)| share(part, all)),
            processors: now
                .cpu_seconds
                .zip(then.cpu_seconds)
                .and_then(|(now, then)| share(now - then, seconds)),
            memory: memory(then).zip(memory(now)),
            kills: of(after).saturating_sub(of(before)),
        })
    }

    fn ran_out(&self) -> Option<Resource> {
        let is_throttled = self.throttled.is_some_and(|share| share >= THROTTLED);
        // Some rest full, and want for nothing.
        let is_filled = self.memory.is_some_and(|(then, now)| then < FULL && now >= FULL);
        match (self.kills, is_throttled, is_filled) {
            (1.., ..) | (0, false, true) => Some(Resource::Memory),
            (0, true, _) => Some(Resource::CpuLimit),
            (0, false, false) => None,
        }
    }
}

/// What ran out first: something of the release's own, then of those that it asks, then the machine's; or what its answers
/// say; or nobody can tell.
pub(super) fn first(whose: Whose<'_>, before: &Moment, after: &Moment, breaches: &[Breach]) -> RanOut {
    let used: Vec<Used> = after
        .used
        .iter()
        .filter(|(replica, _)| replica.service != whose.other)
        .filter_map(|(replica, now)| Used::between(before, after, replica, now))
        .collect();
    let (own, others): (Vec<&Used>, Vec<&Used>) = used.iter().partition(|used| used.service == whose.own);
    let named = |used: &Used| match used.service == whose.own {
        true => whose.service.to_owned(),
        false => used.service.clone(),
    };
    let limit = own.iter().chain(&others).find_map(|used| {
        Some(RanOut {
            resource: used.ran_out()?,
            of: Some(named(used)),
        })
    });
    let one = || {
        let has_several = after.processors.is_some_and(|processors| processors.count > 1);
        let works = |used: &&&Used| used.processors.is_some_and(|count| ONE.contains(&count));
        let used = own.iter().find(works).filter(|_| has_several)?;
        Some(RanOut {
            resource: Resource::OneProcessor,
            of: Some(named(used)),
        })
    };
    limit
        .or_else(|| is_busy(before, after).then(|| of_nobody(Resource::Machine)))
        .or_else(one)
        .unwrap_or_else(|| of_nobody(of_answers(breaches)))
}

fn is_busy(before: &Moment, after: &Moment) -> bool {
    let processors = before.processors.zip(after.processors);
    processors.is_some_and(|(before, after)| after.busy_since(&before).is_some_and(|share| share >= BUSY))
}

/// What breaks by errors alone has run out of something that only errors tell of.
fn of_answers(breaches: &[Breach]) -> Resource {
    match breaches {
        [
            Breach::Fails {
                failed, unconnected, ..
            },
        ] if unconnected * 2.0 > *failed => Resource::Connections,
        [Breach::Fails { .. }] => Resource::Errors,
        _ => Resource::Unknown,
    }
}

fn of_nobody(resource: Resource) -> RanOut {
    RanOut { resource, of: None }
}

impl RanOut {
    /// Nobody has looked, or nobody can tell.
    pub(super) fn unknown() -> Self {
        of_nobody(Resource::Unknown)
    }

    /// What several turns say together: the same, as far as they say anything.
    pub(super) fn together<'r>(all: impl Iterator<Item = &'r Self>) -> Self {
        let mut known = all.filter(|one| one.resource != Resource::Unknown);
        let Some(first) = known.next() else {
            return Self::unknown();
        };
        match known.all(|other| other == first) {
            true => first.clone(),
            false => Self::unknown(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::load::Quantile;

    const WEB: Whose<'_> = Whose {
        own: "web.beside",
        other: "web",
        service: "web",
    };

    /// In ten periods a second of which so many are throttled, with so many processors and so much of 100 bytes of memory.
    fn usage(seconds: u64, throttled: u64, processors: f64, memory: u64) -> Usage {
        Usage {
            cpu_seconds: Some(7.0 + processors * seconds as f64),
            periods: Some(100 + 10 * seconds),
            throttled_periods: Some(50 + throttled * seconds),
            working_set: Some(memory),
            memory_limit: Some(100),
            ..Usage::default()
        }
    }

    /// Three seconds of these, on two processors of which so many ticks of a hundred were busy.
    fn moments(used: &[(&str, u64, f64, u64)], busy: u64) -> (Moment, Moment) {
        let begun = Instant::now();
        let of = |seconds: u64| Moment {
            at: begun + Duration::from_secs(seconds),
            used: used
                .iter()
                .map(|(service, throttled, processors, memory)| {
                    let usage = usage(seconds, *throttled, *processors, *memory);
                    (Replica::only(service), usage)
                })
                .collect(),
            kills: BTreeMap::new(),
            processors: Some(Processors {
                count: 2,
                ticks: 1_000 + 100 * seconds,
                busy: 500 + busy * seconds,
            }),
        };
        (of(0), of(3))
    }

    fn slow() -> Vec<Breach> {
        vec![Breach::Slow {
            quantile: Quantile::P95,
            took: Duration::from_secs(2),
            most: Duration::from_secs(1),
        }]
    }

    fn fails(failed: f64, unconnected: f64) -> Vec<Breach> {
        let most = 0.01;
        vec![Breach::Fails {
            failed,
            unconnected,
            most,
        }]
    }

    #[track_caller]
    fn found(used: &[(&str, u64, f64, u64)], busy: u64, breaches: &[Breach], resource: Resource, of: Option<&str>) {
        let (before, after) = moments(used, busy);
        let of = of.map(str::to_owned);
        assert_eq!(first(WEB, &before, &after, breaches), RanOut { resource, of });
    }

    #[test]
    fn a_container_that_is_throttled_is_at_its_limit_though_the_machine_is_busy_too() {
        found(
            &[("web.beside", 9, 0.5, 10)],
            99,
            &slow(),
            Resource::CpuLimit,
            Some("web"),
        );
        found(&[("web.beside", 1, 0.3, 10)], 40, &slow(), Resource::Unknown, None);
    }

    #[test]
    fn the_other_releases_container_says_nothing_and_a_database_does() {
        found(
            &[("web.beside", 0, 0.3, 10), ("web", 9, 0.5, 99)],
            40,
            &slow(),
            Resource::Unknown,
            None,
        );
        found(
            &[("web.beside", 0, 0.3, 10), ("db", 9, 0.5, 10)],
            40,
            &slow(),
            Resource::CpuLimit,
            Some("db"),
        );
        found(
            &[("db", 9, 0.5, 10), ("web.beside", 9, 0.3, 10)],
            40,
            &slow(),
            Resource::CpuLimit,
            Some("web"),
        );
    }

    #[test]
    fn memory_that_fills_or_was_taken_away_has_run_out_and_what_rests_full_has_not() {
        found(&[("web.beside", 0, 0.3, 96)], 40, &slow(), Resource::Unknown, None);
        let (before, _) = moments(&[("web.beside", 0, 0.3, 60)], 40);
        let (_, after) = moments(&[("web.beside", 0, 0.3, 96)], 40);
        assert_eq!(first(WEB, &before, &after, &slow()).resource, Resource::Memory);
        let (before, mut after) = moments(&[("web.beside", 0, 0.3, 10)], 40);
        after.kills.insert(Replica::only("web.beside"), 1);
        assert_eq!(first(WEB, &before, &after, &slow()).resource, Resource::Memory);
    }

    #[test]
    fn a_machine_without_idle_processors_and_a_thread_that_has_one_of_two() {
        found(&[("web.beside", 0, 1.0, 10)], 97, &slow(), Resource::Machine, None);
        found(
            &[("web.beside", 0, 0.98, 10)],
            60,
            &slow(),
            Resource::OneProcessor,
            Some("web"),
        );
        found(&[("web.beside", 0, 1.4, 10)], 80, &slow(), Resource::Unknown, None);
    }

    #[test]
    fn only_errors_tell_of_what_only_errors_show() {
        found(
            &[("web.beside", 0, 0.3, 10)],
            40,
            &fails(0.4, 0.3),
            Resource::Connections,
            None,
        );
        found(
            &[("web.beside", 0, 0.3, 10)],
            40,
            &fails(0.4, 0.1),
            Resource::Errors,
            None,
        );
        let both = [fails(0.4, 0.3), slow()].concat();
        found(&[("web.beside", 0, 0.3, 10)], 40, &both, Resource::Unknown, None);
    }

    #[test]
    fn where_nobody_counts_nobody_can_tell_and_turns_that_differ_say_nothing() {
        let (mut before, mut after) = moments(&[("web.beside", 9, 1.0, 99)], 99);
        for moment in [&mut before, &mut after] {
            moment.used[0].1 = Usage::default();
            moment.processors = None;
        }
        assert_eq!(first(WEB, &before, &after, &slow()), RanOut::unknown());
        let of = |resource| RanOut { resource, of: None };
        let (machine, errors) = (of(Resource::Machine), of(Resource::Errors));
        assert_eq!(RanOut::together([&RanOut::unknown(), &machine].into_iter()), machine);
        assert_eq!(RanOut::together([&errors, &machine].into_iter()), RanOut::unknown());
        assert_eq!(RanOut::together([].into_iter()), RanOut::unknown());
    }
}
