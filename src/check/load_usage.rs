//! What containers use while something is under way: a look at them every few seconds, and figures over time of those looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::ground::Ground;
use crate::agent::load::plan::SLICE;
use crate::engine::usage::Usage;
use crate::record::load::{UsageRecord, UsedRecord};
use crate::text::units::millis;
use crate::world::replica::Replica;

/// Looks at most: a record is to hold them, and a drawing to show them.
const MOST: u32 = 120;

/// A look at all containers.
#[derive(Debug, Clone)]
struct Look {
    /// Since the first.
    at: Duration,
    used: BTreeMap<Replica, Usage>,
}

/// Looks on while something is under way that is to last so long; gives what it came to, and what each service used.
pub(super) async fn beside<T>(
    ground: &dyn Ground,
    lasts: Duration,
    under_way: impl Future<Output = T>,
) -> (T, Vec<UsageRecord>) {
    let (mut looks, over) = (Vec::new(), CancellationToken::new());
    let under_way = async {
        let came_to = under_way.await;
        over.cancel();
        came_to
    };
    let looking = over.run_until_cancelled(look_on(ground, every(lasts), &mut looks));
    let (came_to, _) = join(under_way, looking).await;
    (came_to, series(&looks))
}

/// As often as the load has slices, and more seldom where those would be too many.
fn every(lasts: Duration) -> Duration {
    (lasts / MOST).max(SLICE)
}

async fn look_on(ground: &dyn Ground, every: Duration, looks: &mut Vec<Look>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = Instant::now();
    for _ in 0..MOST {
        ticks.tick().await;
        let at = begun.elapsed();
        let used = ground.usage().await.into_iter().collect();
        looks.push(Look { at, used });
    }
}

fn series(looks: &[Look]) -> Vec<UsageRecord> {
    let replicas = looks.iter().flat_map(|look| look.used.keys());
    let services: BTreeSet<&str> = replicas.map(|replica| replica.service.as_str()).collect();
    services.into_iter().map(|service| of_service(service, looks)).collect()
}

fn of_service(service: &str, looks: &[Look]) -> UsageRecord {
    let before = std::iter::once(None).chain(looks.iter().map(Some));
    let moments = looks.iter().zip(before).map(|(look, before)| UsedRecord {
        at_ms: millis(look.at),
        processors: before.and_then(|before| look.processors_since(before, service)),
        memory: look.sum(service, |usage| usage.working_set),
    });
    let mut last_first = looks.iter().rev();
    UsageRecord {
        service: service.to_owned(),
        memory_limit: last_first.find_map(|look| look.sum(service, |usage| usage.memory_limit)),
        moments: moments.collect(),
    }
}

impl Look {
    fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = (&'a Replica, &'a Usage)> {
        self.used.iter().filter(move |(replica, _)| replica.service == service)
    }

    /// Of all replicas; nothing where there is none, or nobody says it of one.
    fn sum(&self, service: &str, figure: impl Fn(&Usage) -> Option<u64>) -> Option<u64> {
        let figures: Option<Vec<u64>> = self.of(service).map(|(_, usage)| figure(usage)).collect();
        let figures = figures.filter(|figures| !figures.is_empty())?;
        Some(figures.into_iter().fold(0, u64::saturating_add))
    }

    /// Processors in the mean; nothing where not the same containers ran all the time.
    fn processors_since(&self, before: &Self, service: &str) -> Option<f64> {
        let seconds = self.at.checked_sub(before.at)?.as_secs_f64();
        let (now, then) = (self.of(service).count(), before.of(service).count());
        if seconds <= 0.0 || now == 0 || now != then {
            return None;
        }
        let more = self.of(service).map(|(replica, usage)| {
            let more = usage.cpu_seconds? - before.used.get(replica)?.cpu_seconds?;
            // One that began anew counts from nothing.
            (more >= 0.0).then_some(more)
        });
        let used = more.sum::<Option<f64>>()? / seconds;
        Some((used * 1_000.0).round() / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one replica: how many seconds of a processor until now, and bytes of 1000.
    fn look(seconds: u64, used: &[(&str, f64, u64)]) -> Look {
        let usage = |cpu_seconds, memory| Usage {
            cpu_seconds: Some(cpu_seconds),
            working_set: Some(memory),
            memory_limit: Some(1_000),
            ..Usage::default()
        };
        Look {
            at: Duration::from_secs(seconds),
            used: used
                .iter()
                .map(|(service, cpu, memory)| (Replica::only(service), usage(*cpu, *memory)))
                .collect(),
        }
    }

    fn processors(looks: &[Look]) -> Vec<Option<f64>> {
        series(looks)[0]
            .moments
            .iter()
            .map(|moment| moment.processors)
            .collect()
    }

    #[test]
    fn processors_are_the_mean_between_two_looks_and_the_first_look_says_none() {
        let looks = [
            look(0, &[("web", 7.0, 100)]),
            look(2, &[("web", 8.0, 200)]),
            look(4, &[("web", 11.0, 300)]),
        ];
        assert_eq!(processors(&looks), [None, Some(0.5), Some(1.5)]);
        let web = &series(&looks)[0];
        assert_eq!(web.memory_limit, Some(1_000));
        let memory: Vec<_> = web.moments.iter().map(|moment| (moment.at_ms, moment.memory)).collect();
        assert_eq!(memory, [(0, Some(100)), (2_000, Some(200)), (4_000, Some(300))]);
    }

    #[test]
    fn a_container_that_began_anew_or_was_away_says_nothing_of_its_processors() {
        let anew = [look(0, &[("web", 7.0, 100)]), look(2, &[("web", 0.5, 200)])];
        assert_eq!(processors(&anew), [None, None]);
        let away = [
            look(0, &[("web", 7.0, 100)]),
            look(2, &[]),
            look(4, &[("web", 8.0, 100)]),
        ];
        assert_eq!(processors(&away), [None, None, None]);
        assert_eq!(series(&away)[0].moments[1].memory, None);
    }

    #[test]
    fn replicas_count_together_and_say_nothing_where_one_is_not_known() {
        let mut looks = [look(0, &[("web", 1.0, 100)]), look(2, &[("web", 2.0, 100)])];
        let second = Replica::numbered("web", 2);
        for (look, cpu) in looks.iter_mut().zip([1.0, 4.0]) {
            let usage = Usage {
                cpu_seconds: Some(cpu),
                working_set: Some(50),
                ..Usage::default()
            };
            look.used.insert(second.clone(), usage);
        }
        assert_eq!(processors(&looks), [None, Some(2.0)]);
        let both = &series(&looks)[0];
        assert_eq!(both.moments[0].memory, Some(150));
        assert_eq!(both.memory_limit, None, "nobody says it of the second");
    }

    #[test]
    fn a_load_of_an_hour_is_looked_at_as_often_as_one_of_four_minutes() {
        assert_eq!(every(Duration::from_secs(10)), SLICE);
        assert_eq!(every(Duration::from_secs(240)), SLICE);
        assert_eq!(every(Duration::from_secs(3_600)), Duration::from_secs(30));
    }
}
