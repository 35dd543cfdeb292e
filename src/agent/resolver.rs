//! Names to addresses, without the C library (a static binary must not go through NSS) and without a memory: a
//! container's address changes when its release is swapped.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

tokio::task_local! {
    /// Time that an exchange spent on names: no part of a service's answer time.
    pub(super) static LOOKUP: Cell<Duration>;
}

/// The resolver of the container's `resolv.conf` and `hosts`.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Result<TokioResolver, String>>);

impl Resolver {
    /// As the system says. Without a readable `resolv.conf` only `hosts` is asked.
    pub(crate) fn system() -> Self {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
            TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
        });
        tune(builder.options_mut());
        Self(Arc::new(builder.build().map_err(|error| error.to_string())))
    }

    /// The addresses of a host name, IPv4 first. No search domain is tried.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let resolver = self.0.as_ref().as_ref().map_err(Clone::clone)?;
        let absolute = format!("{}.", host.trim_end_matches('.'));
        let found = resolver.lookup_ip(absolute).await;
        let found = found.map_err(|error| format!("cannot resolve `{host}`: {error}"))?;
        let addresses: Vec<_> = found.iter().collect();
        if addresses.is_empty() {
            Err(format!("`{host}` has no address"))
        } else {
            Ok(addresses)
        }
    }

    /// The name that an address has, without the final dot; `None` where it has none.
    pub(super) async fn of_address(&self, address: IpAddr) -> Option<String> {
        let resolver = self.0.as_ref().as_ref().ok()?;
        let found = resolver.reverse_lookup(address).await.ok()?;
        let pointer = found.answers().iter().find_map(|record| match &record.data {
            RData::PTR(name) => Some(name.to_ascii()),
            _ => None,
        })?;
        Some(pointer.trim_end_matches('.').to_owned())
    }
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
            let found = names.addresses(name.as_str()).await;
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

    #[tokio::test]
    async fn localhost_is_read_from_the_hosts_file() {
        let found = Resolver::system().addresses("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback));
    }
}
