//! Faults of the authentication dependency, done by its fronts in its place, and keys that they show among its own; and whether
//! anything may reach it past them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;

use super::issuer::Signer;
use super::relays::Relays;
use crate::agent::front::fault::{Fault, FaultAnswer, FaultCall, Injected, Reach};
use crate::agent::front::issuer::KeysCall;
use crate::agent::{Answer, Call};
use crate::mirror::Mirror;
use crate::world::model::{Mount, Service, Source};

impl Mirror {
    /// A fault begins at every front of the authentication dependency; `None` = it ends. What is asked there from the first
    /// on is set aside: no release is known to ask it.
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn fault(&self, fault: Option<(Fault, Reach)>) -> Result<FaultAnswer> {
        self.set_calls_aside().await;
        let spares = |fault| match fault {
            // The gate's own browser has patience, and it is not in question.
            Fault::Slow(_) => self
                .inner
                .subnets
                .values()
                .map(|subnet| IpAddr::from(subnet.agent().v4))
                .collect(),
            _ => Vec::new(),
        };
        let call = FaultCall {
            services: self.inner.setup.relays.services.clone(),
            fault: fault.map(|(fault, reach)| Injected {
                fault,
                reach,
                spares: spares(fault),
            }),
        };
        match self.agent().call(Call::Fault(call)).await? {
            Answer::Fault(answer) => Ok(answer),
            other => anyhow::bail!("the agent answered a fault with {other:?}"),
        }
    }

    /// These keys stand among the issuer's from now on, and no others of ours. What is asked at the fronts from the first
    /// such change on is set aside: no release is known to ask it.
    ///
    /// # Errors
    /// The agent is gone, or no key of ours stands there.
    pub async fn show_keys(&self, keys: &[Arc<Signer>]) -> Result<()> {
        self.set_calls_aside().await;
        let keys = keys.iter().map(|signer| signer.public()).collect();
        match self.agent().call(Call::Keys(KeysCall { keys })).await? {
            Answer::Failed(failed) => anyhow::bail!(failed.message),
            _ => Ok(()),
        }
    }

    /// How something may reach the authentication dependency past its fronts, if it may.
    pub fn past_the_fronts(&self) -> Option<String> {
        past(&self.inner.setup.relays, &self.services())
    }
}

fn past(relays: &Relays, services: &BTreeMap<String, Service>) -> Option<String> {
    if !relays.see_all() {
        let words = relays.unseen().into_iter().next();
        return Some(words.unwrap_or_else(|| "no front stands before the authentication dependency".to_owned()));
    }
    let (own, others): (Vec<&Service>, Vec<&Service>) = services
        .values()
        .partition(|service| relays.relayed.contains_key(&service.name));
    own.iter().find_map(|own| {
        let fixed = own
            .networks
            .values()
            .any(|attachment| attachment.place.or(attachment.place6.map(|_| 0)).is_some());
        if fixed {
            return Some(format!("`{}` can be asked by its fixed address", own.name));
        }
        let way =
            |other: &&&Service| is_linked(other, own) || shares_a_place(other, own) || shares_a_namespace(other, own);
        let other = others.iter().find(way)?;
        Some(format!("`{}` has a way of its own to `{}`", other.name, own.name))
    })
}

/// A name that only it knows the other by.
fn is_linked(other: &Service, own: &Service) -> bool {
    let links = other.networks.values().flat_map(|attachment| &attachment.links);
    links
        .into_iter()
        .any(|link| link.split(':').next() == Some(own.name.as_str()))
}

/// A folder in which the one can make a socket that the other finds.
fn shares_a_place(other: &Service, own: &Service) -> bool {
    let lends = |lender: &Service, to: &Service| to.volumes_from.iter().any(|from| from.service == lender.name);
    let made = own.mounts.iter().filter(|mount| !mount.read_only);
    let found = |mount: &Mount| {
        other
            .mounts
            .iter()
            .any(|there| is_one_place(&mount.source, &there.source))
    };
    lends(own, other) || lends(other, own) || made.into_iter().any(found)
}

fn is_one_place(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (Source::Volume(one), Source::Volume(other)) => one == other,
        (Source::Host(one), Source::Host(other)) => {
            one.root == other.root && (one.below.starts_with(&other.below) || other.below.starts_with(&one.below))
        }
        // Whose volume it is stands with whoever borrows it.
        (_, Source::AnonymousOf(_)) | (Source::AnonymousOf(_), _) => true,
        _ => false,
    }
}

fn shares_a_namespace(other: &Service, own: &Service) -> bool {
    let names = |service: &Service, of: &Service| {
        let modes = [&service.limits.ipc, &service.limits.pid].into_iter().flatten();
        modes
            .filter_map(|mode| mode.strip_prefix("service:"))
            .any(|name| name == of.name)
    };
    names(other, own) || names(own, other)
}

#[cfg(test)]
mod tests {
    use super::super::relays::Exposed;
    use super::*;
    use crate::world::model::{Attachment, VolumeOptions};

    fn service(name: &str) -> Service {
        Service {
            name: name.to_owned(),
            networks: [("front".to_owned(), Attachment::named([name]))].into(),
            ..Service::default()
        }
    }

    fn way(idp: Service, web: Service) -> Option<String> {
        let relays = Relays {
            services: vec!["idp".to_owned()],
            relayed: [("idp".to_owned(), Exposed::default())].into(),
            ..Relays::default()
        };
        past(
            &relays,
            &[idp, web].map(|service| (service.name.clone(), service)).into(),
        )
    }

    fn mounted(mut service: Service, volume: &str, read_only: bool) -> Service {
        service.mounts.push(Mount {
            target: "/run/idp".to_owned(),
            source: Source::Volume(volume.to_owned()),
            read_only,
            volume: VolumeOptions::default(),
        });
        service
    }

    #[test]
    fn a_product_that_is_reached_by_its_names_alone_is_reached_through_its_fronts() {
        assert_eq!(way(service("idp"), service("web")), None);
        let (idp, web) = (service("idp"), service("web"));
        assert_eq!(
            way(mounted(idp, "accounts", false), mounted(web, "orders", false)),
            None
        );
        // Nobody makes a socket where nobody can write.
        let (idp, web) = (service("idp"), service("web"));
        assert_eq!(way(mounted(idp, "ca", true), mounted(web, "ca", true)), None);
    }

    #[test]
    fn a_socket_in_a_shared_folder_a_fixed_address_a_link_or_a_shared_namespace_leads_past_them() {
        let shared = way(
            mounted(service("idp"), "run", false),
            mounted(service("web"), "run", true),
        );
        assert_eq!(shared.as_deref(), Some("`web` has a way of its own to `idp`"));
        let mut fixed = service("idp");
        fixed.networks.get_mut("front").unwrap().place = Some(7);
        assert!(way(fixed, service("web")).unwrap().contains("fixed address"));
        let mut linked = service("web");
        linked.networks.get_mut("front").unwrap().links = vec!["idp:sso".to_owned()];
        assert!(way(service("idp"), linked).is_some());
        let mut close = service("web");
        close.limits.pid = Some("service:idp".to_owned());
        assert!(way(service("idp"), close).is_some());
    }

    #[test]
    fn without_a_front_before_each_of_its_services_the_reason_is_told() {
        let relays = Relays {
            services: vec!["idp".to_owned()],
            direct: [("idp".to_owned(), "the release changes it".to_owned())].into(),
            ..Relays::default()
        };
        assert!(
            past(&relays, &BTreeMap::new())
                .unwrap()
                .ends_with("not seen: the release changes it")
        );
    }
}
