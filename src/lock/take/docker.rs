//! Production on a Docker engine: its containers by Compose's labels or by name; images by digest, facts by probes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;

use super::options::{FactSource, TakeOptions};
use crate::context::Context;
use crate::engine::Engine;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::engine::observe::Observed;
use crate::lock::facts::{Facts, OwnProbe, ServiceFacts};
use crate::lock::probe;

/// For all probes of one container.
const LIMIT: Duration = Duration::from_secs(90);

/// Reads what runs on the engine.
///
/// # Errors
/// It does not answer, or what runs there is not one production.
pub(super) async fn read(
    name: Option<&str>,
    from: &FactSource,
    options: &TakeOptions,
    context: &Context,
) -> Result<BTreeMap<String, ServiceFacts>> {
    let engine = connect(name, context).await?;
    let found = choose(engine.observe().await?, from, options)?;
    let all = found.into_iter().map(|(service, containers)| {
        let engine = engine.clone();
        async move {
            let facts = service_facts(&engine, &service, &containers, &options.probes).await?;
            Ok::<_, anyhow::Error>((service, facts))
        }
    });
    Ok(try_join_all(all).await?.into_iter().collect())
}

async fn connect(name: Option<&str>, context: &Context) -> Result<Engine> {
    let address = match name {
        Some(name) => Address::of_context(context, name)?,
        None => Address::find(context)?,
    };
    Engine::connect(&address, &RunLabels::of_none()).await
}

/// The containers of each service of production.
fn choose(running: Vec<Observed>, from: &FactSource, options: &TakeOptions) -> Result<BTreeMap<String, Vec<Observed>>> {
    let asked = |service: &String| match (from.services.is_empty(), options.services.is_empty()) {
        (false, _) => from.services.contains(service),
        (true, false) => options.services.contains_key(service),
        (true, true) => true,
    };
    let mut found: BTreeMap<String, Vec<Observed>> = BTreeMap::new();
    for container in running {
        let in_project = options.project.is_none() || container.project == options.project;
        let names = options.services.keys().chain(&from.services);
        let named = names
            .into_iter()
            .find(|service| bears_name(&container, service))
            .cloned();
        let service = container.service.clone().or(named);
        if let Some(service) = service.filter(|service| in_project && asked(service)) {
            found.entry(service).or_default().push(container);
        }
    }
    if found.is_empty() {
        bail!(
            "no container of production runs there: name the services (`--from SERVICE=docker`), or look with `docker ps`"
        );
    }
    one_project(&found)?;
    Ok(found)
}

/// `web`, or Compose's own way of naming where the labels are gone: `shop-web-1`, `shop_web_1`.
fn bears_name(container: &Observed, service: &str) -> bool {
    let composed = |sign: char| {
        let mut parts = container.name.rsplitn(2, sign);
        let number = parts
            .next()
            .is_some_and(|last| !last.is_empty() && last.chars().all(|c| c.is_ascii_digit()));
        number
            && parts
                .next()
                .is_some_and(|rest| rest.ends_with(&format!("{sign}{service}")))
    };
    container.name == service || composed('-') || composed('_')
}

fn one_project(found: &BTreeMap<String, Vec<Observed>>) -> Result<()> {
    let projects: BTreeSet<&String> = found
        .values()
        .flatten()
        .filter_map(|container| container.project.as_ref())
        .collect();
    if projects.len() > 1 {
        let names: Vec<&str> = projects.into_iter().map(String::as_str).collect();
        bail!(
            "several Compose projects run there ({}): say which is production with `--project NAME`",
            names.join(", ")
        );
    }
    Ok(())
}

async fn service_facts(
    engine: &Engine,
    service: &str,
    containers: &[Observed],
    own: &BTreeMap<String, OwnProbe>,
) -> Result<ServiceFacts> {
    let first = containers.first().context("a service without a container")?;
    if let Some(other) = containers.iter().find(|container| container.image_id != first.image_id) {
        bail!(
            "`{service}` runs two releases at once: {} in {}, {} in {}; take the lock when the deploy is over",
            first.image,
            first.name,
            other.image,
            other.name
        );
    }
    let image = engine.image(&first.image_id).await?;
    let facts = ask(engine, first, own).await;
    Ok(ServiceFacts {
        image: Some(first.image.clone()),
        digest: image.map(|image| image.digest),
        facts,
    })
}

/// A container without a shell says nothing: its digest must do.
async fn ask(engine: &Engine, container: &Observed, own: &BTreeMap<String, OwnProbe>) -> Facts {
    let command = ["sh".to_owned(), "-c".to_owned(), probe::script(own)];
    let done = tokio::time::timeout(LIMIT, engine.exec(&container.id, &command, None)).await;
    match done {
        Ok(Ok(output)) if output.exit == 0 => probe::answers(&output.stdout, own),
        _ => Facts::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::take::options::SourceKind;

    fn container(name: &str, service: Option<&str>, project: Option<&str>) -> Observed {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Observed {
            name: name.to_owned(),
            service: text(service),
            project: text(project),
            ..Observed::default()
        }
    }

    fn chosen(running: &[Observed], services: &[&str], project: Option<&str>) -> Result<Vec<String>> {
        let from = FactSource {
            services: Vec::new(),
            kind: SourceKind::Docker(None),
        };
        let services = services
            .iter()
            .map(|name| ((*name).to_owned(), String::new()))
            .collect();
        let options = TakeOptions {
            services,
            project: project.map(str::to_owned),
            ..TakeOptions::default()
        };
        let found = choose(running.to_vec(), &from, &options)?;
        Ok(found
            .into_iter()
            .map(|(name, all)| format!("{name} {}", all.len()))
            .collect())
    }

    #[test]
    fn containers_are_found_by_label_or_name() {
        let running = [
            container("shop-web-1", Some("web"), Some("shop")),
            container("shop-web-2", Some("web"), Some("shop")),
            container("shop_db_1", None, None),
            container("idp", None, None),
            container("something-else", None, None),
        ];
        assert_eq!(
            chosen(&running, &["web", "db", "idp"], None).expect("found"),
            ["db 1", "idp 1", "web 2"]
        );
        assert_eq!(chosen(&running, &[], None).expect("found"), ["web 2"]);
    }

    #[test]
    fn two_projects_are_not_one_production() {
        let running = [
            container("a", Some("web"), Some("blue")),
            container("b", Some("web"), Some("green")),
        ];
        assert!(
            chosen(&running, &["web"], None)
                .expect_err("two")
                .to_string()
                .contains("blue, green")
        );
        assert_eq!(chosen(&running, &["web"], Some("blue")).expect("one"), ["web 1"]);
        assert!(chosen(&running, &["web"], Some("red")).is_err());
    }
}
