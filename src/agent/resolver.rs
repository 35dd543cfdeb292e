//! Names to addresses, without the C library (a static binary must not go through NSS) and without a memory: a
//! container's address changes when its release is swapped.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

tokio::task_local! {
    /// Time that an exchange spent on names: no part of a service's answer time.
    pub(super) static LOOKUP: Cell<Duration>;
    /// Whose turn it is in the session of an exchange.
    pub(super) static TURNS: Turns;
    /// The name that is looked up in the place of a host's own.
    pub(super) static INSTEAD: Option<Instead>;
}

/// A host that is reached by another name: what a URL says, and what a server hears, stays the host. So one replica is
/// asked of several that bear one name.
#[derive(Debug)]
pub(super) struct Instead {
    host: String,
    reached_at: String,
}

impl Instead {
    /// The host of a URL by that name; `None` without one.
    pub fn of(url: &str, reached_at: Option<&str>) -> Option<Self> {
        Some(Self {
            host: Url::parse(url).ok()?.host_str()?.to_owned(),
            reached_at: reached_at?.to_owned(),
        })
    }

    /// What is looked up for a host.
    fn name_of(host: &str) -> String {
        let name = INSTEAD.try_with(|instead| {
            let instead = instead
                .as_ref()
                .filter(|instead| instead.host.eq_ignore_ascii_case(host))?;
            Some(instead.reached_at.clone())
        });
        name.ok().flatten().unwrap_or_else(|| host.to_owned())
    }
}

/// Whose turn it is among those that bear one name: a service may be several containers, and engines name them in an
/// order of chance. The first question goes to the first, the next one to the next: as behind any front, and the same in
/// every run. Cheap to clone: all clones are the same turns.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<String, usize>>>);

impl Turns {
    fn next(&self, host: &str) -> usize {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(host.to_owned()).or_default();
        *turn = turn.wrapping_add(1);
        turn.wrapping_sub(1)
    }
}

/// The resolver of the container's `resolv.conf` and `hosts`.
#[derive(Clone)]
pub(crate) struct Resolver {
    names: Arc<Result<TokioResolver, String>>,
    turns: Turns,
}

impl Resolver {
    /// As the system says. Without a readable `resolv.conf` only `hosts` is asked.
    pub(crate) fn system() -> Self {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
            TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
        });
        tune(builder.options_mut());
        Self {
            names: Arc::new(builder.build().map_err(|error| error.to_string())),
            turns: Turns::default(),
        }
    }

    /// The addresses of a host name, IPv4 first, and of several the one first whose turn it is. No search domain is tried.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let resolver = self.names.as_ref().as_ref().map_err(Clone::clone)?;
        let absolute = format!("{}.", host.trim_end_matches('.'));
        let found = resolver.lookup_ip(absolute).await;
        let found = found.map_err(|error| format!("cannot resolve `{host}`: {error}"))?;
        let addresses: Vec<_> = found.iter().collect();
        match addresses.len() {
            0 => Err(format!("`{host}` has no address")),
            1 => Ok(addresses),
            _ => Ok(in_turn(addresses, self.turn(host))),
        }
    }

    /// An exchange takes its session's turns, all else the process's.
    fn turn(&self, host: &str) -> usize {
        let of_session = TURNS.try_with(|turns| turns.next(host));
        of_session.unwrap_or_else(|_| self.turns.next(host))
    }

    /// The name that an address has, without the final dot; `None` where it has none.
    pub(super) async fn of_address(&self, address: IpAddr) -> Option<String> {
        let resolver = self.names.as_ref().as_ref().ok()?;
        let found = resolver.reverse_lookup(address).await.ok()?;
        let pointer = found.answers().iter().find_map(|record| match &record.data {
            RData::PTR(name) => Some(name.to_ascii()),
            _ => None,
        })?;
        Some(pointer.trim_end_matches('.').to_owned())
    }
}

/// Each family in the order of its addresses, from the one whose turn it is.
fn in_turn(addresses: Vec<IpAddr>, turn: usize) -> Vec<IpAddr> {
    let (mut four, mut six): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    for family in [&mut four, &mut six] {
        family.sort_unstable();
        let first = turn.checked_rem(family.len()).unwrap_or_default();
        family.rotate_left(first);
    }
    four.into_iter().chain(six).collect()
}

fn tune(options: &mut ResolverOpts) {
    options.timeout = Duration::from_secs(1);
    options.attempts = 2;
    options.cache_size = 0;
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let started = Instant::now();
            let found = names.addresses(&Instead::name_of(name.as_str())).await;
            let _ = LOOKUP.try_with(|spent| spent.set(spent.get() + started.elapsed()));
            let addresses: Addrs = Box::new(found?.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_resolves_to_itself() {
        let names = Resolver::system();
        assert_eq!(
            names.addresses("127.0.0.1").await.unwrap(),
            ["127.0.0.1".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(
            names.addresses("[::1]").await.unwrap(),
            ["::1".parse::<IpAddr>().unwrap()]
        );
    }

    #[test]
    fn each_question_goes_to_the_next_of_those_that_bear_the_name() {
        let turns = Turns::default();
        let asked = |host: &str| {
            // As an engine names them: in any order.
            let found = ["10.0.0.10", "10.0.0.9", "fd00::2"].map(|text| text.parse::<IpAddr>().unwrap());
            in_turn(found.to_vec(), turns.next(host))[0].to_string()
        };
        assert_eq!(
            [asked("web"), asked("web"), asked("web")],
            ["10.0.0.9", "10.0.0.10", "10.0.0.9"]
        );
        assert_eq!(asked("api"), "10.0.0.9");
    }

    #[tokio::test]
    async fn a_host_is_reached_by_the_name_in_its_place_and_no_other_host_is() {
        let instead = Instead::of("http://web:8080/a", Some("2.web.origin.rehearsal.test"));
        let asked = INSTEAD.scope(instead, async { ["WEB", "idp"].map(Instead::name_of) });
        assert_eq!(asked.await, ["2.web.origin.rehearsal.test", "idp"]);
        let without = INSTEAD.scope(Instead::of("http://web:8080/a", None), async {
            Instead::name_of("web")
        });
        assert_eq!(
            (without.await.as_str(), Instead::name_of("web").as_str()),
            ("web", "web")
        );
    }

    #[tokio::test]
    async fn localhost_is_read_from_the_hosts_file() {
        let found = Resolver::system().addresses("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback));
    }
}
