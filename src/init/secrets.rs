//! Values that must not be written into a file that is committed: those that Compose has put where a `${…}` stood. Where that
//! was is seen by reading production once more, with something else in the place of each: a value tells nothing of its own,
//! for `postgres` is a password, a user and a product.

use std::collections::BTreeMap;

use crate::world::model::{Service, World};

/// What names of variables say that they hold something that nobody may read.
const MARKS: [&str; 8] = ["PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH", "DSN"];
/// A last word of such a name that says that they do not.
const OPEN: [&str; 10] = [
    "HOST", "HOSTNAME", "DOMAIN", "PORT", "USER", "USERNAME", "REALM", "IMAGE", "VERSION", "TAG",
];
/// Where a shell is, and was.
const FOLDERS: [&str; 2] = ["PWD", "OLDPWD"];
/// Characters of a value that is looked for within other text: a shorter one is part of too many words.
const SHORT: usize = 6;

/// Which of the suspect variables are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// All of them.
    All,
    /// Those that hold no number: some places take nothing else.
    ButNumbers,
}

/// The variables that may hold a secret, and where their values stand in production.
#[derive(Debug, Default)]
pub struct Secrets {
    /// What stands in for a value → its variable.
    stand_ins: BTreeMap<String, String>,
    /// Production with the stand-ins.
    replaced: World,
    /// Of the others: variable → value.
    values: BTreeMap<String, String>,
}

impl Secrets {
    /// Variables that may hold one, and are not blank.
    pub fn suspects<'a>(all: impl IntoIterator<Item = (&'a String, &'a String)>) -> BTreeMap<String, String> {
        let suspects = all
            .into_iter()
            .filter(|(name, value)| is_secret(name) && !value.is_empty());
        suspects.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// What stands in for the values of suspects, by variable.
    pub fn stand_ins(suspects: &BTreeMap<String, String>, replaced: Replaced) -> BTreeMap<String, String> {
        let all = suspects
            .iter()
            .enumerate()
            .filter(|(_, (_, value))| replaced == Replaced::All || !is_number(value));
        all.map(|(at, (name, _))| (name.clone(), format!("xsecret{at}x")))
            .collect()
    }

    /// The suspects, of which these were replaced in production.
    pub fn seen_in(replaced: World, stand_ins: BTreeMap<String, String>, suspects: BTreeMap<String, String>) -> Self {
        let values = suspects.into_iter().filter(|(name, _)| !stand_ins.contains_key(name));
        Self {
            values: values.collect(),
            stand_ins: stand_ins.into_iter().map(|(name, stand_in)| (stand_in, name)).collect(),
            replaced,
        }
    }

    /// The variable whose value stands in texts of a service. `shown` finds the same texts in the service with stand-ins.
    pub(super) fn told_by(
        &self,
        service: &Service,
        texts: &[String],
        shown: impl Fn(&Service) -> Vec<String>,
    ) -> Option<&str> {
        let shown = self.replaced.services.get(&service.name).map(shown).unwrap_or_default();
        let replaced = self
            .stand_ins
            .iter()
            .filter(|(stand_in, _)| shown.iter().any(|text| text.contains(*stand_in)));
        let others = self
            .values
            .iter()
            .filter(|(_, value)| texts.iter().any(|text| holds(text, value)));
        let mut names = replaced.map(|(_, name)| name).chain(others.map(|(name, _)| name));
        names.next().map(String::as_str)
    }
}

fn is_secret(name: &str) -> bool {
    let upper = name.to_uppercase();
    let last = upper.rsplit('_').next().unwrap_or_default();
    MARKS.iter().any(|mark| upper.contains(mark)) && !OPEN.contains(&last) && !FOLDERS.contains(&upper.as_str())
}

fn is_number(value: &str) -> bool {
    value.parse::<f64>().is_ok()
}

/// A number or a short value only where it stands as a whole word.
fn holds(text: &str, value: &str) -> bool {
    if value.len() >= SHORT && !is_number(value) {
        return text.contains(value);
    }
    let mut words = text.split(|symbol: char| symbol.is_whitespace() || "'\"=,@".contains(symbol));
    words.any(|word| word == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whether_its_value_may_be_shown() {
        for name in [
            "POSTGRES_PASSWORD",
            "API_KEY",
            "MYSQL_PWD",
            "ACCESS_TOKEN_EXPIRE_MINUTES",
            "auth",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PWD", "OLDPWD", "KEYCLOAK_HOST", "AUTH_DOMAIN", "AUTH_PORT", "HOME"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_short_value_hides_only_what_it_is_the_whole_of() {
        assert!(holds("redis-cli -a 1234 ping", "1234"));
        assert!(!holds("http://web:1234/", "1234"));
        assert!(!holds("http://web/", "w"));
        assert!(holds("http://web/?key=xyzzy-1", "xyzzy-1"));
    }
}
