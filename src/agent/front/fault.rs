//! Faults: what the fronts of a service do to its clients in the service's place, while that is asked of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A fault of a service, as its clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nobody is there: connections are refused, and those that stand are cut; datagrams are lost, here and below where nothing
    /// is answered over RADIUS.
    Down,
    /// Connections are taken, and reset when the client has said something.
    Reset,
    /// A client's TLS hello is answered by the alert `handshake_failure`.
    TlsFailure,
    /// Every answer comes so many milliseconds late; of what is no HTTP, the whole connection, or each datagram.
    Slow(u64),
    /// HTTP is answered by 503, LDAP by the result `unavailable`, RADIUS by nothing.
    Errors,
    /// HTTP is answered by 429, with `Retry-After` in seconds, LDAP by the result `busy`.
    RateLimit(u64),
    /// The second half of a body comes so many milliseconds late.
    SlowBody(u64),
    /// The second half of a body never comes: the connection ends.
    CutBody,
}

/// A fault, and whom it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// Which.
    pub fault: Fault,
    /// What is out.
    pub reach: Reach,
    /// Clients that do not meet it, by their addresses.
    pub spares: Vec<IpAddr>,
}

/// How much of a service is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// All of it.
    Everything,
    /// Requests over HTTP for these paths, without their query; all else passes.
    Paths(Vec<String>),
}

/// What is asked of the fronts of some services.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FaultCall {
    /// By production's names.
    pub services: Vec<String>,
    /// From now on; `None` = none any more.
    pub fault: Option<Injected>,
}

/// How it stands, once it does: ports of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultAnswer {
    /// Closed: connections are refused by the kernel.
    pub refused: Vec<u16>,
    /// Open, because others answer there, too: connections are taken and reset.
    pub reset: Vec<u16>,
    /// Datagrams to them are lost.
    pub silent: Vec<u16>,
    /// They were open before the fault, and do not come back: the service itself does not listen there any more.
    pub gone: Vec<u16>,
}

/// The fault of a service, and how many it has had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stand {
    injected: Option<Injected>,
    begun: u64,
}

/// The faults of all services. Cheap to clone: all clones are the same.
#[derive(Clone, Default)]
pub(super) struct Faults(watch::Sender<BTreeMap<String, Stand>>);

impl Faults {
    pub(super) fn begin_or_end(&self, call: &FaultCall) {
        self.0.send_modify(|all| {
            for service in &call.services {
                let stand = all.entry(service.clone()).or_default();
                stand.injected.clone_from(&call.fault);
                stand.begun += u64::from(call.fault.is_some());
            }
        });
    }

    /// How a service stands now.
    pub(super) fn of(&self, service: &str) -> Stand {
        self.0.borrow().get(service).cloned().unwrap_or_default()
    }

    /// Nobody is there for any of its clients.
    pub(super) fn is_down(&self, service: &str) -> bool {
        self.of(service).at_connections(None) == Some(Fault::Down)
    }

    /// Tells of every change from now on.
    pub(super) fn changes(&self) -> Changes {
        Changes(self.0.subscribe())
    }

    /// Returns when a further fault of a service begins: what stands then is cut.
    pub(super) fn begins(&self, service: &str, since: &Stand) -> BoxFuture<'static, ()> {
        let (all, service, begun) = (self.clone(), service.to_owned(), since.begun);
        Box::pin(async move {
            let mut changes = all.changes();
            while all.of(&service).begun == begun {
                changes.next().await;
            }
        })
    }

    /// Returns when a service does not stand as it did.
    pub(super) fn moves_on(&self, service: &str, since: &Stand) -> BoxFuture<'static, ()> {
        let (all, service, since) = (self.clone(), service.to_owned(), since.clone());
        Box::pin(async move {
            let mut changes = all.changes();
            while all.of(&service) == since {
                changes.next().await;
            }
        })
    }
}

/// Changes of faults.
pub(super) struct Changes(watch::Receiver<BTreeMap<String, Stand>>);

impl Changes {
    pub(super) async fn next(&mut self) {
        // Whoever waits holds a sender.
        let _never_closed = self.0.changed().await;
    }
}

impl Stand {
    /// What meets a client before it has asked for anything.
    pub(super) fn at_connections(&self, client: Option<IpAddr>) -> Option<Fault> {
        let injected = self.injected.as_ref().filter(|injected| injected.meets(client))?;
        (injected.reach == Reach::Everything).then_some(injected.fault)
    }

    /// What meets a client's request for a path.
    pub(super) fn at_path(&self, client: IpAddr, path: &str) -> Option<Fault> {
        let injected = self.injected.as_ref().filter(|injected| injected.meets(Some(client)))?;
        let is_out = match &injected.reach {
            Reach::Everything => true,
            Reach::Paths(paths) => paths.iter().any(|known| known == path),
        };
        is_out.then_some(injected.fault)
    }

    /// A client meets something.
    pub(super) fn is_faulty(&self, client: IpAddr) -> bool {
        self.injected
            .as_ref()
            .is_some_and(|injected| injected.meets(Some(client)))
    }
}

impl Injected {
    fn meets(&self, client: Option<IpAddr>) -> bool {
        client.is_none_or(|client| !self.spares.contains(&client))
    }
}

impl FaultAnswer {
    /// For people: `8000 refused`.
    pub fn words(&self) -> String {
        let listed = |ports: &[u16], what: &str| {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            (!ports.is_empty()).then(|| format!("{} {what}", ports.join(", ")))
        };
        let all = [
            listed(&self.refused, "refused"),
            listed(&self.reset, "reset"),
            listed(&self.silent, "silent"),
        ];
        all.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// A number of milliseconds.
pub(super) fn pause(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(reach: Reach, spares: &[&str]) -> Stand {
        let faults = Faults::default();
        faults.begin_or_end(&FaultCall {
            services: vec!["idp".to_owned()],
            fault: Some(Injected {
                fault: Fault::Down,
                reach,
                spares: spares.iter().map(|address| address.parse().unwrap()).collect(),
            }),
        });
        faults.of("idp")
    }

    #[test]
    fn one_endpoint_alone_is_out_for_requests_and_not_for_connections() {
        let client: IpAddr = "10.0.0.2".parse().unwrap();
        let keys = stand(Reach::Paths(vec!["/jwks".to_owned()]), &[]);
        assert_eq!(keys.at_connections(Some(client)), None);
        assert_eq!(keys.at_path(client, "/jwks"), Some(Fault::Down));
        assert_eq!(keys.at_path(client, "/token"), None);
    }

    #[test]
    fn a_client_that_is_spared_meets_nothing() {
        let (ours, theirs) = ("10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap());
        let all = stand(Reach::Everything, &["10.0.0.2"]);
        assert_eq!((all.at_connections(Some(ours)), all.at_path(ours, "/")), (None, None));
        assert_eq!(all.at_connections(Some(theirs)), Some(Fault::Down));
    }
}
