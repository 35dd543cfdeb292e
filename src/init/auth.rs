//! The authentication dependency, by the image's name, and its issuer, by what services are told of it.

use url::Url;

use super::products;
use super::release::Release;
use super::seen::Seen;
use crate::config::read;
use crate::world::model::Service;

/// The variable that holds the test user's password.
pub(super) const PASSWORD: &str = "TEST_PASSWORD";

/// With what people sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The service.
    pub service: String,
    /// What product it is.
    pub product: &'static str,
    /// The issuer, and the variable that says so of which service.
    pub issuer: Option<Issuer>,
    /// How a test user signs in, where somebody has said so.
    pub login: Option<Login>,
}

/// Under what address services know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The address.
    pub url: String,
    /// The variable.
    pub variable: String,
    /// Whose.
    pub service: String,
}

/// How a test user signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The page where it begins.
    pub start: String,
    /// The page that only who has signed in sees.
    pub expect: String,
    /// The test user.
    pub username: String,
}

/// The first service that is such a product, and not itself what is released.
pub(super) fn found(seen: &Seen<'_>, release: &Release) -> Option<Auth> {
    let released = release.services();
    let services = seen.world.services.values();
    let (service, product) = services
        .filter(|service| !released.contains(service.name.as_str()))
        .filter_map(|service| Some((service, products::signs_in(service)?)))
        .next()?;
    Some(Auth {
        service: service.name.clone(),
        product,
        issuer: issuer(seen),
        login: None,
    })
}

/// What a variable with such a name holds, where it is an address by a name that no service bears and that the mirror can.
fn issuer(seen: &Seen<'_>) -> Option<Issuer> {
    let services = seen.world.services.values();
    let said = services.flat_map(|service| service.env.iter().map(move |(name, value)| (service, name, value)));
    said.filter(|(_, name, _)| name.to_uppercase().contains("ISSUER"))
        .find_map(|(service, name, value)| {
            let url = Url::parse(value.as_deref()?).ok()?;
            let is_outside = !seen.world.services.contains_key(url.host_str()?);
            let is_name = read::host_place(&url.origin().ascii_serialization()).is_ok();
            let shown = |service: &Service| service.env.get(name).cloned().flatten().into_iter().collect();
            let secret = seen.secrets.told_by(service, &[url.to_string()], shown);
            let is_open = url.password().is_none() && secret.is_none();
            (is_outside && is_name && is_open).then(|| Issuer {
                url: value.clone().unwrap_or_default(),
                variable: name.clone(),
                service: service.name.clone(),
            })
        })
}
