//! A directory with which somebody signs in, and the entry that only who has signed in is shown, as one LDAP URL says them
//! (RFC 4516): `ldap://ldap:389/uid=alice,ou=people,dc=example,dc=com?mail?base?(objectClass=person)`.

use url::Url;

/// What stands for the user's name in `bind_dn`.
pub const USERNAME: &str = "{{username}}";
/// The filter of a URL that names none.
const ANY: &str = "(objectClass=*)";

/// A sign-in by a simple bind, and a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// As written.
    pub url: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// When the connection turns to TLS.
    pub tls: Secured,
    /// The name that binds, whole.
    pub bind_dn: String,
    /// The entry from which is searched.
    pub base: String,
    /// How far from there.
    pub reach: Reach,
    /// What an entry must be, as RFC 4515 writes it.
    pub filter: String,
    /// What it must have a value of.
    pub attributes: Vec<String>,
}

/// When a connection turns to TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Secured {
    /// Never.
    #[default]
    Never,
    /// By StartTLS, before anything else is said.
    Started,
    /// At once: `ldaps`.
    AtOnce,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// The entry alone.
    #[default]
    Base,
    /// Those right below it.
    One,
    /// It and all below it.
    Sub,
}

impl Directory {
    /// What an LDAP URL says; who binds stands elsewhere.
    ///
    /// # Errors
    /// It is none: why.
    pub fn read(written: &str) -> Result<Self, String> {
        let url = Url::parse(written).map_err(|error| format!("is not a URL: {error}"))?;
        let (tls, usual) = match url.scheme() {
            "ldap" => (Secured::Never, 389),
            "ldaps" => (Secured::AtOnce, 636),
            scheme => return Err(format!("is not an LDAP URL: `{scheme}` is neither `ldap` nor `ldaps`")),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let mut parts = url.query().unwrap_or_default().splitn(4, '?');
        let mut part = || decoded(parts.next().unwrap_or_default());
        let (attributes, reach, filter) = (part(), part(), part());
        Ok(Self {
            url: written.to_owned(),
            host: host.ok_or("names no host")?.to_owned(),
            port: url.port().unwrap_or(usual),
            tls,
            bind_dn: String::new(),
            base: decoded(url.path().trim_start_matches('/')),
            reach: match reach.as_str() {
                "" | "base" => Reach::Base,
                "one" => Reach::One,
                "sub" => Reach::Sub,
                other => return Err(format!("has the scope `{other}`: it is `base`, `one` or `sub`")),
            },
            filter: match filter.as_str() {
                "" => ANY.to_owned(),
                filter if filter.starts_with('(') && filter.ends_with(')') => filter.to_owned(),
                other => return Err(format!("has the filter `{other}`, which stands in no parentheses")),
            },
            attributes: attributes
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Bound by this name, in which the user's has its place.
    #[must_use]
    pub fn bound_by(self, name: Option<&str>, username: &str) -> Self {
        let bind_dn = match name {
            Some(name) => name.replace(USERNAME, &escaped(username)),
            None => username.to_owned(),
        };
        Self { bind_dn, ..self }
    }
}

/// A text without its `%2C`; what is none stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let hex = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(hex.unwrap_or(*byte));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A value as it stands in a name (RFC 4514, section 2.4).
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::new();
    for (at, letter) in value.chars().enumerate() {
        let needs = match letter {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => true,
            '#' => at == 0,
            ' ' => at == 0 || at == last,
            _ => false,
        };
        if needs {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_the_entry_is_and_what_it_must_have() {
        let read =
            Directory::read("ldap://ldap:1389/ou=people,dc=example,dc=com?mail,memberOf?sub?(uid=alice)").unwrap();
        assert_eq!(
            (read.host.as_str(), read.port, read.tls),
            ("ldap", 1389, Secured::Never)
        );
        assert_eq!(
            (read.base.as_str(), read.reach),
            ("ou=people,dc=example,dc=com", Reach::Sub)
        );
        assert_eq!((read.filter.as_str(), read.attributes.len()), ("(uid=alice)", 2));
        let plain = Directory::read("ldaps://ldap/cn=Doe%5C%2C%20John,dc=x").unwrap();
        assert_eq!(
            (plain.port, plain.tls, plain.reach),
            (636, Secured::AtOnce, Reach::Base)
        );
        assert_eq!(
            (plain.base.as_str(), plain.filter.as_str()),
            ("cn=Doe\\, John,dc=x", ANY)
        );
    }

    #[test]
    fn what_is_no_such_url_is_refused_in_words() {
        for (wrong, says) in [
            ("http://web/", "neither `ldap` nor `ldaps`"),
            ("ldap:///dc=x", "names no host"),
            ("ldap://ldap/dc=x??far", "the scope `far`"),
            ("ldap://ldap/dc=x???uid=alice", "no parentheses"),
            ("ldap", "is not a URL"),
        ] {
            let why = Directory::read(wrong).unwrap_err();
            assert!(why.contains(says), "{wrong}: {why}");
        }
    }

    #[test]
    fn a_users_name_means_nothing_but_itself_in_the_name_that_binds() {
        let bound = |name, username: &str| Directory::default().bound_by(name, username).bind_dn;
        let template = Some("uid={{username}},dc=x");
        assert_eq!(bound(template, "alice"), "uid=alice,dc=x");
        assert_eq!(bound(template, "a,dc=evil"), "uid=a\\,dc\\=evil,dc=x");
        assert_eq!(bound(template, " #a "), "uid=\\ #a\\ ,dc=x");
        assert_eq!(bound(None, "alice@example.com"), "alice@example.com");
    }
}
