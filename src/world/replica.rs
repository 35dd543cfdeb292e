//! Replicas: a service may be several containers. Each has a number, as Compose counts them, and where there are several,
//! a name of its own: `web-1`, `web-2`.

use std::fmt;

use serde::{Serialize, Serializer};

/// How many containers stand for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas {
    /// In production.
    pub wanted: u32,
    /// In the mirror: as many, up to `policy.max_replicas`.
    pub run: u32,
    /// In the mirror of whichever release has more of them: so many addresses are needed.
    pub most: u32,
    /// How they are called.
    pub naming: Naming,
}

impl Default for Replicas {
    fn default() -> Self {
        Self::of(1)
    }
}

impl Replicas {
    /// As many in the mirror as in production.
    pub fn of(wanted: u32) -> Self {
        Self {
            wanted,
            run: wanted,
            most: wanted,
            naming: Naming::of(wanted),
        }
    }

    /// The same with no more than that in the mirror.
    #[must_use]
    pub fn at_most(self, most: u32) -> Self {
        Self {
            run: self.wanted.min(most),
            most: self.wanted.min(most),
            ..self
        }
    }

    /// The same of production's and the release's: both are called by numbers where one of them is several.
    pub fn cap(own: &mut Self, new: Option<&mut Self>, most: u32) {
        let more = new.as_ref().map_or(own.wanted, |new| own.wanted.max(new.wanted));
        for replicas in std::iter::once(own).chain(new) {
            *replicas = Self {
                naming: Naming::of(more),
                most: more.min(most),
                ..replicas.at_most(most)
            };
        }
    }

    /// What the mirror has fewer of than production, in words: `2 of 5`.
    pub fn fewer(self) -> Option<String> {
        (self.run < self.wanted).then(|| format!("{} of {}", self.run, self.wanted))
    }
}

/// How a service's containers are called. The same for both releases of a run, so that a name means one thing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Naming {
    /// There is one only: by the service.
    Alone,
    /// By the service and a number.
    Numbered,
}

impl Naming {
    /// Of so many.
    pub fn of(count: u32) -> Self {
        match count {
            0 | 1 => Self::Alone,
            _ => Self::Numbered,
        }
    }
}

/// One of the containers that stand for a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// The service.
    pub service: String,
    /// Its number, from 1.
    pub number: u32,
    naming: Naming,
}

impl Replica {
    /// The only one of a service.
    pub fn only(service: &str) -> Self {
        Self::new(service, 1, Naming::Alone)
    }

    /// One of several.
    pub fn numbered(service: &str, number: u32) -> Self {
        Self::new(service, number, Naming::Numbered)
    }

    /// All that run of a service.
    pub fn all(service: &str, replicas: Replicas) -> impl Iterator<Item = Self> + '_ {
        (1..=replicas.run).map(move |number| Self::new(service, number, replicas.naming))
    }

    fn new(service: &str, number: u32, naming: Naming) -> Self {
        Self {
            service: service.to_owned(),
            number,
            naming,
        }
    }

    /// The one that is started before it; `None` of the first.
    pub fn before(&self) -> Option<Self> {
        (self.number > 1).then(|| Self::new(&self.service, self.number - 1, self.naming))
    }

    /// Whether it is one of several.
    pub fn is_numbered(&self) -> bool {
        self.naming == Naming::Numbered
    }

    /// A line of its log, so that it can be told from the others' lines.
    pub fn said(&self, line: &str) -> String {
        match self.naming {
            Naming::Alone => line.to_owned(),
            Naming::Numbered => format!("{self}: {line}"),
        }
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.naming {
            Naming::Alone => f.write_str(&self.service),
            Naming::Numbered => write!(f, "{}-{}", self.service, self.number),
        }
    }
}

/// By its name.
impl Serialize for Replica {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(replicas: Replicas) -> Vec<String> {
        Replica::all("web", replicas).map(|one| one.to_string()).collect()
    }

    #[test]
    fn one_alone_bears_the_services_name_and_several_bear_numbers() {
        assert_eq!(names(Replicas::of(1)), ["web"]);
        assert_eq!(names(Replicas::of(2)), ["web-1", "web-2"]);
        assert_eq!(Replica::only("web").said("up"), "up");
        assert_eq!(Replica::numbered("web", 2).said("up"), "web-2: up");
    }

    #[test]
    fn no_more_run_than_are_allowed_and_that_is_told() {
        let five = Replicas::of(5).at_most(2);
        assert_eq!(names(five), ["web-1", "web-2"]);
        assert_eq!(five.fewer().as_deref(), Some("2 of 5"));
        assert_eq!(Replicas::of(2).at_most(2).fewer(), None);
        // Of many, one that runs alone is still one of many.
        assert_eq!(names(Replicas::of(5).at_most(1)), ["web-1"]);
    }

    #[test]
    fn each_but_the_first_comes_after_another() {
        let two = Replica::numbered("web", 2);
        assert_eq!(two.before(), Some(Replica::numbered("web", 1)));
        assert_eq!(Replica::only("web").before(), None);
    }
}
