//! What the probe asks while releases give way to each other: nothing that a test can notice. A suite's own request may
//! count, redirect and write, so none is ever taken; what production's health check asks is asked all the time anyway.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use url::Url;

use super::{Case, Given};
use crate::agent::probe::Question;
use crate::config::settings::Settings;
use crate::engine::image::ImageFacts;
use crate::world::model::Service;

/// What can be asked, best first: the configuration's word alone; else of every changed service that can be reached, what
/// its health check asks over HTTP, its front page, a connection. The first that production answers is taken. `image`:
/// what is known of an image, of which an engine knows more than a file.
pub fn questions(given: &Given<'_>, image: impl Fn(&str) -> ImageFacts) -> Vec<Question> {
    let settings = given.settings;
    if let Some(url) = &settings.stages.upgrade.probe {
        return get(url).into_iter().collect();
    }
    let known = front_pages(settings);
    let names = given.candidate.services.keys();
    let changed = names.filter_map(|name| given.world.services.get(name));
    let asked = changed.map(|service| (service, of_service(service, &image(&service.image), &known)));
    let mut asked: Vec<_> = asked.collect();
    asked.sort_by_key(|(service, asked)| Reverse(worth(service, asked, &known)));
    asked.into_iter().flat_map(|(_, asked)| asked).collect()
}

/// What the suites ask is what people have of a release; a service that speaks HTTP says more than one that takes
/// connections, and one that production publishes more than one behind it.
fn worth(service: &Service, asked: &[Question], known: &[Url]) -> (Named, usize, bool) {
    let is_named = known
        .iter()
        .any(|url| service.names().any(|name| url.host_str() == Some(name.as_str())));
    let named = if is_named { Named::BySuites } else { Named::ByNobody };
    (named, asked.len(), !service.outside.is_empty())
}

/// Who asks a service, as far as the configuration says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    ByNobody,
    BySuites,
}

/// In words, for the plan.
pub fn words(questions: &[Question]) -> String {
    let words: Vec<String> = questions.iter().map(ToString::to_string).collect();
    words.join(", else ")
}

fn of_service(service: &Service, image: &ImageFacts, known: &[Url]) -> Vec<Question> {
    let host = service.shares_network.as_deref().unwrap_or(&service.name);
    if service.no_network {
        return Vec::new();
    }
    let named = known.iter().find(|url| url.host_str() == Some(host));
    let ports = service.ports.iter().chain(&image.ports).copied();
    let port = named.and_then(Url::port_or_known_default).or_else(|| ports.min());
    let health = health_url(&test_of(service, image), host);
    let page = port.map(|port| {
        let scheme = named.map_or("http", |url| url.scheme());
        format!("{scheme}://{host}:{port}/")
    });
    let gets = [health, page].into_iter().flatten();
    let connect = port.map(|port| Question::Connect(host.to_owned(), port));
    gets.filter_map(|url| get(&url)).chain(connect).collect()
}

/// What a release's own health check asks in the place of `asked`, which is what production's asks of the same service.
pub fn moved(case: &Case<'_>, asked: &str, image: impl Fn(&str) -> ImageFacts) -> Option<String> {
    let health = |service: &Service| {
        let host = service.shares_network.as_deref().unwrap_or(&service.name);
        let url = health_url(&test_of(service, &image(&service.image)), host)?;
        get(&url).map(|question| question.to_string())
    };
    let both = case.candidate.services.iter();
    let both = both.filter_map(|(name, new)| Some((case.world.services.get(name)?, new)));
    let (_, new) = both
        .into_iter()
        .find(|(old, _)| health(old).as_deref() == Some(asked))?;
    health(new).filter(|now| now != asked)
}

/// As the agent will write it: it is compared with other addresses.
fn get(url: &str) -> Option<Question> {
    Url::parse(url).ok().map(|url| Question::Get(url.to_string()))
}

/// The health check in force: production's word, else the image's.
fn test_of(service: &Service, image: &ImageFacts) -> Vec<String> {
    let own = service.health.as_ref().map(|health| health.test.clone());
    let own = own.filter(|test| !test.is_empty());
    own.or_else(|| image.health.as_ref()?.test.clone()).unwrap_or_default()
}

/// An address of the container itself within a command line: scheme, port and path are kept.
static INSIDE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern =
        r#"(?:^|[\s'"=])(https?://)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0)(:\d+)?(/[^\s'"|;&)]*)?"#;
    Regex::new(pattern).expect("a pattern of ours")
});

/// What a request of a health check says that is no plain GET.
const NO_GET: [&str; 10] = [
    "--unix-socket",
    "--data",
    "--post",
    " -d ",
    "POST",
    "--header",
    " -H ",
    " -u ",
    "--user ",
    "--user=",
];

/// What a health check asks of its own container by a plain GET, asked from outside.
pub fn health_url(test: &[String], host: &str) -> Option<String> {
    let line = test.get(1..)?.join(" ");
    let speaks = ["curl", "wget", "http://", "https://"]
        .iter()
        .any(|word| line.contains(word));
    if !speaks || line.contains('$') || NO_GET.iter().any(|word| line.contains(word)) {
        return None;
    }
    let found = INSIDE.captures(&line)?;
    let part = |number: usize| found.get(number).map(|part| part.as_str());
    let scheme = part(1).unwrap_or("http://");
    Some(format!(
        "{scheme}{host}{}{}",
        part(2).unwrap_or_default(),
        part(3).unwrap_or("/")
    ))
}

/// The front page of every host and port that the configuration asks, each once: where a service is found, without the
/// request of a suite, which may count.
pub fn front_pages(settings: &Settings) -> Vec<Url> {
    each_once(settings.addresses.iter().map(|address| address.url.as_str()))
}

fn each_once<'a>(written: impl Iterator<Item = &'a str>) -> Vec<Url> {
    let mut seen = BTreeSet::new();
    let pages = written.filter(|url| !url.contains("{{")).filter_map(front_page);
    pages.filter(|page| seen.insert(page.clone())).collect()
}

fn front_page(url: &str) -> Option<Url> {
    let page = Url::parse(url).ok()?.join("/").ok()?;
    (page.has_host() && matches!(page.scheme(), "http" | "https")).then_some(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::model::Health;

    fn asked(test: &[&str], ports: &[u16], known: &[&str]) -> String {
        let service = Service {
            name: "web".to_owned(),
            ports: ports.to_vec(),
            health: Some(Health {
                test: test.iter().map(|word| (*word).to_owned()).collect(),
                ..Health::default()
            }),
            ..Service::default()
        };
        let known: Vec<Url> = known.iter().filter_map(|url| Url::parse(url).ok()).collect();
        words(&of_service(&service, &ImageFacts::default(), &known))
    }

    #[test]
    fn what_the_health_check_asks_is_asked_from_outside() {
        for (test, wanted) in [
            (
                &["CMD", "curl", "-f", "http://localhost:8080/health"][..],
                "http://web:8080/health",
            ),
            (
                &["CMD-SHELL", "wget -qO- http://127.0.0.1/up || exit 1"],
                "http://web/up",
            ),
            (
                &["CMD-SHELL", "curl -fsS 'https://[::1]:8443/a?b=c'"],
                "https://web:8443/a?b=c",
            ),
            (&["CMD", "curl", "localhost:3000"], "http://web:3000/"),
            (
                &["CMD", "python", "-c", "urlopen('http://localhost:9/x')"],
                "http://web:9/x",
            ),
        ] {
            assert_eq!(asked(test, &[], &[]), wanted, "{test:?}");
        }
    }

    #[test]
    fn a_check_that_is_no_plain_get_is_not_repeated() {
        for test in [
            &["CMD-SHELL", "curl -X POST http://localhost/x"][..],
            &["CMD-SHELL", "curl http://localhost:$PORT/"],
            &["CMD", "curl", "--unix-socket", "/run/x", "http://localhost/"],
            &["CMD-SHELL", "pg_isready -h localhost"],
            &["CMD", "curl", "http://other/"],
            &["NONE"],
            &[],
        ] {
            assert_eq!(
                asked(test, &[5432], &[]),
                "http://web:5432/, else tcp://web:5432",
                "{test:?}"
            );
        }
    }

    #[test]
    fn of_what_the_configuration_asks_only_the_front_pages_are_asked() {
        let written = [
            "http://web:8080/follow/1?n=2#x",
            "http://web:8080/login",
            "https://idp/",
            "http://{{host}}/a",
            "http://web:8080/{{id}}",
        ];
        let pages = each_once(written.into_iter()).into_iter().map(String::from);
        assert_eq!(pages.collect::<Vec<_>>(), ["http://web:8080/", "https://idp/"]);
    }

    #[test]
    fn the_front_page_is_where_the_suites_find_the_service() {
        let known = ["http://idp/", "https://web:8443/a/deep?link=1", "http://web:9000/"];
        assert_eq!(asked(&[], &[80], &known), "https://web:8443/, else tcp://web:8443");
        assert_eq!(asked(&[], &[], &["http://idp/"]), "");
    }
}
