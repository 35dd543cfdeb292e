//! Fronts: production's own names that the agent answers to inside the mirror. A name that a service bears is left to
//! that service; one that none bears gets a front, which passes on what it is asked to the service behind it.

use std::sync::Arc;

use url::Url;

use super::authority::Authority;
pub use crate::agent::front::Forwarded;
use crate::engine::image::ImageFacts;
use crate::world::model::{Service, World};

/// Ports on which servers speak plain HTTP, tried where nothing says which.
const USUAL_PORTS: [u16; 6] = [80, 8080, 8000, 3000, 5000, 9000];
/// Ports on which servers speak TLS, left out where there are others.
const TLS_PORTS: [u16; 3] = [443, 8443, 9443];

/// A name of production's that the agent answers to.
#[derive(Debug, Clone)]
pub struct Front {
    /// The name, and where clients expect it.
    pub name: Name,
    /// The service that answers behind it.
    pub service: String,
    /// Its port for plain HTTP, where the configuration says it.
    pub port: Option<u16>,
    /// Who signs for it; `None` where production has it without TLS.
    pub authority: Option<Arc<Authority>>,
    /// What production's balancer sets; `None` = what it does not let through.
    pub headers: Vec<(String, Option<String>)>,
    /// What a service hears of the request as it came, beside these.
    pub forwarded: Forwarded,
    /// Whose name it is.
    pub stands_for: StandsFor,
}

/// Whose name a front answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandsFor {
    /// The issuer of the authentication dependency.
    Issuer,
    /// Another under which people reach production.
    Host,
}

/// What of a URL of production's matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Host name.
    pub host: String,
    /// Port, named or usual.
    pub port: u16,
    /// `https`.
    pub tls: bool,
}

impl Name {
    /// The name in a URL; `None` for what is no name, e.g. an address.
    pub fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let host = url.domain()?.to_owned();
        Some(Self {
            host,
            port: url.port_or_known_default()?,
            tls: url.scheme() == "https",
        })
    }

    /// Whether a service of the mirror answers to it.
    pub fn is_borne_in(&self, world: &World) -> bool {
        is_borne(&self.host, world)
    }
}

/// Whether a service of the mirror answers to a name.
pub fn is_borne(host: &str, world: &World) -> bool {
    let mut names = world.services.values().flat_map(Service::names);
    names.any(|name| name.eq_ignore_ascii_case(host))
}

/// Ports to try for plain HTTP, in order: what production's files say, then what the image says, then the usual ones.
pub fn http_ports(service: &Service, image: &ImageFacts) -> Vec<u16> {
    let mut said: Vec<u16> = Vec::new();
    for port in service.ports.iter().chain(&image.ports) {
        if !said.contains(port) {
            said.push(*port);
        }
    }
    let plain: Vec<u16> = said.iter().copied().filter(|port| !TLS_PORTS.contains(port)).collect();
    if plain.is_empty() { USUAL_PORTS.to_vec() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::Attachment;

    fn world(alias: &str) -> World {
        let networks = [("front".to_owned(), Attachment::named([alias]))].into();
        let service = Service {
            name: "idp".to_owned(),
            networks,
            ..Service::default()
        };
        World {
            services: [("idp".to_owned(), service)].into(),
            ..World::default()
        }
    }

    #[test]
    fn a_service_bears_its_own_name_and_its_aliases() {
        let world = world("login.example.com");
        assert!(Name::of("https://login.example.com/o").unwrap().is_borne_in(&world));
        assert!(Name::of("http://idp:8000/o").unwrap().is_borne_in(&world));
        assert!(!Name::of("https://example.com/o").unwrap().is_borne_in(&world));
    }

    #[test]
    fn a_name_has_the_usual_port_of_its_scheme() {
        let name = Name::of("https://login.example.com/o").unwrap();
        assert_eq!((name.port, name.tls), (443, true));
        assert_eq!(Name::of("http://login.example.com:8080/").unwrap().port, 8080);
        assert_eq!(Name::of("https://192.0.2.1/o"), None);
    }

    #[test]
    fn ports_come_from_production_then_the_image_then_custom() {
        let service = |ports: &[u16]| Service {
            ports: ports.to_vec(),
            ..Service::default()
        };
        let image = |ports: &[u16]| ImageFacts {
            ports: ports.to_vec(),
            ..ImageFacts::default()
        };
        assert_eq!(http_ports(&service(&[8080]), &image(&[8443, 9000, 8080])), [8080, 9000]);
        assert_eq!(http_ports(&service(&[]), &image(&[8443])), USUAL_PORTS);
    }
}
