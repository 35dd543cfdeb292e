//! The names of production's that the mirror itself answers to.

use std::sync::Arc;

use anyhow::Result;

use crate::config::settings::{Host, OwnTls, Settings, Signs};
use crate::lock;
use crate::mirror::names::authority::Authority;
use crate::mirror::names::follow;
use crate::mirror::names::fronts::{Forwarded, Front, Name, StandsFor};
use crate::mirror::names::issuer::Signer;
use crate::world::model::World;

/// A front for each of the names, all certified by the run's one CA: those of `production.hosts`, and the issuer's for
/// the outermost service of the product.
///
/// # Errors
/// The CA could not be made: the machine's doing.
pub fn fronts(settings: &Settings, world: &World, run: &str, lock: Option<&lock::Lock>) -> Result<Vec<Front>> {
    let mut fronts: Vec<Front> = settings.production.hosts.iter().filter_map(of_host).collect();
    let issuer = issuer(settings);
    if let Some(own) = fronts.iter_mut().find(|front| Some(&front.name) == issuer.as_ref()) {
        own.stands_for = StandsFor::Issuer;
    }
    fronts.extend(of_issuer(settings, world));
    if fronts.iter().any(|front| front.name.tls) {
        let authority = authority(run, lock)?;
        for front in fronts.iter_mut().filter(|front| front.name.tls) {
            front.authority = Some(Arc::clone(&authority));
        }
    }
    Ok(fronts)
}

/// The run's CA, speaking TLS as production's issuer does.
fn authority(run: &str, lock: Option<&lock::Lock>) -> Result<Arc<Authority>> {
    let production = lock.and_then(|lock| lock.auth.as_ref()?.tls.as_ref());
    let profile = production.map(follow::profile).unwrap_or_default();
    Ok(Arc::new(Authority::new(run, profile)?))
}

/// Who signs where the product's own TLS is ended by its fronts: whoever signs for the other fronts, too.
///
/// # Errors
/// The CA could not be made: the machine's doing.
pub fn ends_tls(
    settings: &Settings,
    fronts: &[Front],
    run: &str,
    lock: Option<&lock::Lock>,
) -> Result<Option<Arc<Authority>>> {
    if !is_ended(settings) {
        return Ok(None);
    }
    match fronts.iter().find_map(|front| front.authority.clone()) {
        Some(known) => Ok(Some(known)),
        None => authority(run, lock).map(Some),
    }
}

fn is_ended(settings: &Settings) -> bool {
    let auth = settings.auth.as_ref();
    auth.is_some_and(|auth| auth.tls == OwnTls::EndsAtFront)
}

/// What is not tried then, for plans.
pub fn ended_tls(settings: &Settings) -> Option<String> {
    let product = settings.auth_services().first().filter(|_| is_ended(settings))?;
    Some(format!(
        "the front of `{product}` ends its TLS (`auth.tls: terminate`): clients see a certificate of the run's CA, the one of \
         `{product}` is taken as it is and tried by nobody, and no client's certificate reaches it"
    ))
}

/// Whose key stands among the issuer's own, where the configuration asks for it.
///
/// # Errors
/// The key could not be made: the machine's doing.
pub fn signer(settings: &Settings) -> Result<Option<Signer>> {
    let auth = settings.auth.as_ref();
    let asked = auth.filter(|auth| auth.signs == Signs::FrontsToo);
    asked
        .and_then(|auth| auth.issuer.as_deref())
        .map(Signer::new)
        .transpose()
}

/// In what the mirror is not production then, for plans.
pub fn acts_as_issuer(settings: &Settings) -> Option<String> {
    let auth = settings.auth.as_ref().filter(|auth| auth.signs == Signs::FrontsToo)?;
    let issuer = auth.issuer.as_deref()?;
    Some(format!(
        "a key of the run's own stands behind those that `{issuer}` shows (`auth.act_as_issuer`): production has one less"
    ))
}

/// The names alone: those of `production.hosts`, and the issuer's where neither they nor a service bear it.
pub fn names(settings: &Settings, world: &World) -> Vec<Name> {
    let hosts = settings.production.hosts.iter().filter_map(of_host);
    hosts
        .chain(of_issuer(settings, world))
        .map(|front| front.name)
        .collect()
}

/// As production's load balancer answers there.
fn of_host(host: &Host) -> Option<Front> {
    let name = Name::of(&host.url)?;
    Some(Front {
        forwarded: if name.tls { Forwarded::Said } else { Forwarded::AsItCame },
        headers: host.headers.clone(),
        service: host.service.clone(),
        port: host.port,
        authority: None,
        stands_for: StandsFor::Host,
        name,
    })
}

/// The issuer's, where no service bears its name and `production.hosts` does not decide who answers there.
fn of_issuer(settings: &Settings, world: &World) -> Option<Front> {
    let name = issuer(settings).filter(|name| !name.is_borne_in(world))?;
    let mut hosts = settings.production.hosts.iter().filter_map(|host| Name::of(&host.url));
    if hosts.any(|host| (&host.host, host.port) == (&name.host, name.port)) {
        return None;
    }
    Some(Front {
        service: settings.auth_services().last()?.clone(),
        port: None,
        authority: None,
        headers: Vec::new(),
        forwarded: Forwarded::Said,
        stands_for: StandsFor::Issuer,
        name,
    })
}

fn issuer(settings: &Settings) -> Option<Name> {
    Name::of(settings.auth.as_ref()?.issuer.as_deref()?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::prepare::{Asked, Prepared, prepare};

    /// What is read of a small world with this under `production` and beside it.
    fn prepared(hosts: &str, more: &str) -> Prepared {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("compose.yaml", "services: {web: {image: shop:1}, idp: {image: idp:1}}");
        write(
            "rehearsal.yaml",
            &format!(
                "production: {{compose: compose.yaml, hosts: {hosts}}}\ncandidate: {{web: {{image: shop:2}}}}\n{more}"
            ),
        );
        let context = crate::context::Context {
            environment: Default::default(),
            directory: folder.path().to_path_buf(),
            terminal: false,
            width: 100,
            github: false,
            token: None,
            runs: Path::new("/nowhere").to_path_buf(),
        };
        prepare(&Asked::of(Some(&folder.path().join("rehearsal.yaml"))), &context)
            .unwrap_or_else(|errors| panic!("{}", errors.iter().map(ToString::to_string).collect::<String>()))
    }

    /// Name, port, service and whose name it is.
    fn told(prepared: &Prepared) -> Vec<(String, u16, String, StandsFor)> {
        let fronts = fronts(&prepared.settings, &prepared.world, "run", None).unwrap();
        let told = fronts
            .into_iter()
            .map(|front| (front.name.host, front.name.port, front.service, front.stands_for));
        told.collect()
    }

    const AUTH: &str = "auth: {service: idp, issuer: \"https://login.example.com/o\"}";

    #[test]
    fn hosts_and_the_issuer_are_answered_to_with_tls_by_one_authority() {
        let prepared = prepared("{\"https://shop.example.com\": {service: web, port: 8080}}", AUTH);
        let own = |host: &str, service: &str, whose| (host.to_owned(), 443, service.to_owned(), whose);
        assert_eq!(
            told(&prepared),
            [
                own("shop.example.com", "web", StandsFor::Host),
                own("login.example.com", "idp", StandsFor::Issuer)
            ]
        );
        let fronts = fronts(&prepared.settings, &prepared.world, "run", None).unwrap();
        let both = (
            fronts[0].authority.as_ref().unwrap(),
            fronts[1].authority.as_ref().unwrap(),
        );
        assert!(Arc::ptr_eq(both.0, both.1));
        assert_eq!((fronts[0].port, fronts[1].port), (Some(8080), None));
    }

    #[test]
    fn where_a_name_is_also_the_issuers_hosts_decide() {
        let prepared = prepared("{\"https://login.example.com\": {service: web}}", AUTH);
        let wanted = ("login.example.com".to_owned(), 443, "web".to_owned(), StandsFor::Issuer);
        assert_eq!(told(&prepared), [wanted]);
    }

    #[test]
    fn where_a_front_ends_the_products_tls_the_runs_one_authority_signs_and_the_plan_says_it() {
        let ends = |more: &str, auth: &str| {
            let prepared = prepared(more, auth);
            let fronts = fronts(&prepared.settings, &prepared.world, "run", None).unwrap();
            let ends = ends_tls(&prepared.settings, &fronts, "run", None).unwrap();
            let says = |note: &String| note.contains("the front of `idp` ends its TLS");
            (prepared.plan.notes.iter().any(says), ends, fronts)
        };
        let (said, authority, _) = ends("{}", "auth: {service: idp, tls: terminate}");
        assert!(said && authority.is_some());
        let terminate = "auth: {service: idp, issuer: \"https://login.example.com/o\", tls: terminate}";
        let (_, authority, fronts) = ends("{}", terminate);
        assert!(Arc::ptr_eq(fronts[0].authority.as_ref().unwrap(), &authority.unwrap()));
        for passes in [AUTH, "auth: {service: idp, tls: pass-through}"] {
            let (said, authority, _) = ends("{}", passes);
            assert!(!said && authority.is_none());
        }
    }

    #[test]
    fn a_name_without_tls_says_nothing_of_how_it_was_asked_and_needs_no_authority() {
        let prepared = prepared("{\"http://shop.example.com:8080\": {service: web}}", "");
        let fronts = fronts(&prepared.settings, &prepared.world, "run", None).unwrap();
        assert_eq!(fronts[0].forwarded, Forwarded::AsItCame);
        assert!(fronts[0].authority.is_none());
    }
}
