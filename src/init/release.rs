//! Which services are the release: those that are built here, those whose image is the repository's own; else the one that
//! is no known product.

use std::collections::{BTreeMap, BTreeSet};

use super::products;
use crate::engine::pull::reference::Reference;
use crate::world::model::{Service, World};

/// What a repository releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// These services are built from the working tree: what a change alters is the release.
    Built(Vec<String>),
    /// These repositories of images are the project's own: each with the services that run it.
    Own(BTreeMap<String, Vec<String>>),
    /// Nobody knows; these could be it, the likeliest first.
    Perhaps(Vec<Choice>),
}

/// What could be the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The repository of its image.
    pub repository: String,
    /// The services that run it.
    pub services: Vec<String>,
    /// Whether production publishes a port of one of them.
    pub published: Published,
}

/// Whether people reach it directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Published {
    /// Only by way of others, if at all.
    No,
    /// By a port of production's machine.
    Yes,
}

impl Choice {
    /// The likelier, the more.
    fn weight(&self) -> (Published, usize) {
        (self.published, self.services.len())
    }
}

/// Where a repository is kept for others: `acme/shop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    owner: String,
    name: String,
}

impl Repository {
    /// Of the address that git has for it, whatever its scheme.
    pub fn of_remote(url: &str) -> Option<Self> {
        let path = url.trim().trim_end_matches('/').trim_end_matches(".git");
        let mut parts = path.rsplit(['/', ':']);
        let (name, owner) = (parts.next()?, parts.next()?);
        let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
        (is_word(name) && is_word(owner)).then(|| Self {
            owner: owner.to_lowercase(),
            name: name.to_lowercase(),
        })
    }

    /// Whether an image is published by it: under its own name, or below it.
    fn owns(&self, image: &Reference) -> bool {
        let path = image.path.to_lowercase();
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [.., owner, name] => {
                *owner == self.owner && name.starts_with(&self.name)
                    || parts.contains(&&*self.name) && parts.contains(&&*self.owner)
            }
            _ => false,
        }
    }
}

impl Release {
    /// As far as files tell.
    pub fn of(world: &World, repository: Option<&Repository>) -> Self {
        let built = world.services.values().filter(|service| service.build.is_some());
        let built: Vec<String> = built.map(|service| service.name.clone()).collect();
        if !built.is_empty() {
            return Self::Built(built);
        }
        let all = by_repository(world);
        let is_own = |choice: &&Choice| repository.is_some_and(|own| own.owns(&Reference::of(&choice.repository)));
        let own: BTreeMap<_, _> = all
            .iter()
            .filter(is_own)
            .map(|choice| (choice.repository.clone(), choice.services.clone()))
            .collect();
        if own.is_empty() {
            Self::Perhaps(all)
        } else {
            Self::Own(own)
        }
    }

    /// What it most likely is: several where nothing tells them apart.
    pub fn likeliest(&self) -> &[Choice] {
        let Self::Perhaps(choices) = self else { return &[] };
        let first = choices.first().map(Choice::weight);
        let alike = choices.iter().take_while(|choice| Some(choice.weight()) == first);
        &choices[..alike.count()]
    }

    /// The one that was chosen.
    pub fn chosen(choice: &Choice) -> Self {
        Self::Own(BTreeMap::from([(choice.repository.clone(), choice.services.clone())]))
    }

    /// What a run that shall be planned now is given for what only a pull request or the command line can say: by service
    /// or repository.
    pub fn stand_ins(&self) -> Vec<(String, String)> {
        let named = match self {
            Self::Built(services) => services.first(),
            Self::Own(_) => None,
            Self::Perhaps(choices) => choices.first().map(|choice| &choice.repository),
        };
        named
            .map(|name| (name.clone(), "to-be-named".to_owned()))
            .into_iter()
            .collect()
    }

    /// Which variable says what replaces a repository's image.
    pub fn variable(&self, repository: &str) -> String {
        match self {
            Self::Own(all) if all.len() > 1 => {
                let last = |repository: &str| repository.rsplit('/').next().unwrap_or_default().to_owned();
                let alike = all.keys().filter(|other| last(other) == last(repository));
                let name = match alike.count() {
                    1 => last(repository),
                    _ => repository.to_owned(),
                };
                let name = name
                    .to_uppercase()
                    .replace(|symbol: char| !symbol.is_ascii_alphanumeric(), "_");
                format!("CANDIDATE_{name}")
            }
            _ => "CANDIDATE_IMAGE".to_owned(),
        }
    }

    /// Every such variable.
    pub fn variables(&self) -> Vec<String> {
        match self {
            Self::Own(all) => all.keys().map(|repository| self.variable(repository)).collect(),
            Self::Built(_) | Self::Perhaps(_) => Vec::new(),
        }
    }

    /// The services that it replaces.
    pub fn services(&self) -> BTreeSet<&str> {
        let names: Vec<&String> = match self {
            Self::Built(names) => names.iter().collect(),
            Self::Own(all) => all.values().flatten().collect(),
            Self::Perhaps(_) => self.likeliest().iter().flat_map(|choice| &choice.services).collect(),
        };
        names.into_iter().map(String::as_str).collect()
    }
}

/// What is no known product, by repository of images: what most services run and what is published first. Where people
/// sign in with all that is left, that is what is released.
fn by_repository(world: &World) -> Vec<Choice> {
    let services = world.services.values();
    let (signs_in, own): (Vec<&Service>, Vec<&Service>) = services
        .filter(|service| products::beside(service).is_none())
        .partition(|service| products::signs_in(service).is_some());
    let mut all: BTreeMap<String, Vec<&Service>> = BTreeMap::new();
    for service in if own.is_empty() { signs_in } else { own } {
        all.entry(Reference::of(&service.image).repository())
            .or_default()
            .push(service);
    }
    let choice = |(repository, services): (String, Vec<&Service>)| Choice {
        repository,
        published: match services.iter().all(|service| service.published.is_empty()) {
            true => Published::No,
            false => Published::Yes,
        },
        services: services.into_iter().map(|service| service.name.clone()).collect(),
    };
    let mut all: Vec<Choice> = all.into_iter().map(choice).collect();
    all.sort_by_key(|choice| std::cmp::Reverse(choice.weight()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(services: &[(&str, &str, &[u16])]) -> World {
        let service = |(name, image, published): &(&str, &str, &[u16])| Service {
            name: (*name).to_owned(),
            image: (*image).to_owned(),
            published: published.to_vec(),
            ..Service::default()
        };
        World {
            services: services.iter().map(|one| (one.0.to_owned(), service(one))).collect(),
            ..World::default()
        }
    }

    #[test]
    fn a_repository_is_read_off_whatever_address_git_has() {
        let acme = Repository {
            owner: "acme".to_owned(),
            name: "shop".to_owned(),
        };
        for url in [
            "https://example.com/acme/shop.git",
            "git@example.com:acme/shop.git\n",
            "ssh://git@example.com:22/Acme/Shop/",
        ] {
            assert_eq!(Repository::of_remote(url), Some(acme.clone()), "{url}");
        }
        assert_eq!(Repository::of_remote("shop"), None);
        assert_eq!(Repository::of_remote(""), None);
    }

    #[test]
    fn an_image_of_the_repositorys_own_is_the_release_with_all_who_run_it() {
        let production = world(&[
            ("db", "postgres:15", &[]),
            ("web", "registry.example.com/acme/shop:1.0", &[8080]),
            ("worker", "registry.example.com/acme/shop:1.0", &[]),
            ("mail", "registry.example.com/other/shop-mail:1", &[]),
        ]);
        let acme = Repository::of_remote("https://example.com/acme/shop");
        let release = Release::of(&production, acme.as_ref());
        assert_eq!(release.services(), BTreeSet::from(["web", "worker"]));
        assert!(matches!(release, Release::Own(_)), "{release:?}");
    }

    #[test]
    fn without_such_what_is_published_comes_before_what_is_not_and_no_known_product_is_it() {
        let production = world(&[
            ("a-helper", "example.com/helper:1", &[]),
            ("db", "postgres:15", &[5432]),
            ("idp", "quay.io/keycloak/keycloak:26", &[8443]),
            ("web", "example.com/shop:1", &[80]),
        ]);
        let Release::Perhaps(choices) = Release::of(&production, None) else {
            panic!("nobody knows")
        };
        let names: Vec<&str> = choices.iter().map(|choice| choice.repository.as_str()).collect();
        assert_eq!(names, ["example.com/shop", "example.com/helper"]);
    }
}
