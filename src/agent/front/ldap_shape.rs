//! What is asked over LDAP (RFC 4511), without its values: the shape of a search, and how passwords are stored that are
//! written.
//!
//! What arrives here is hostile: whatever the bytes are, it ends, and what it gives is bounded.

use super::calls::text;
use super::ldap_groups::Dn;
use super::octets::Octets;

/// Filters within filters that are read.
const DEEPEST: usize = 16;
/// Attributes of one request that are kept, and names that it asks by.
const MOST: usize = 100;
/// Stands for a value.
const VALUE: &str = "?";
/// The matching rule that follows groups within groups.
const IN_CHAIN: &[u8] = b"1.2.840.113556.1.4.1941";
/// Attributes that name members …
const MEMBERS: [&str; 2] = ["member", "uniquemember"];
/// … those that name the groups of an entry …
const HOLDERS: [&str; 2] = ["memberof", "ismemberof"];
/// … and those by which a server tells all groups at once, those within groups among them.
const TOLD: [&str; 4] = [
    "tokengroups",
    "tokengroupsglobalanduniversal",
    "msds-tokengroupnames",
    "msds-memberoftransitive",
];
/// The attribute that holds a password (RFC 4519, 2.41).
const PASSWORD: &[u8] = b"userPassword";
/// A password that is stored as it is.
const CLEAR: &str = "clear";

/// A search.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) scope: &'static str,
    pub(super) filter: String,
    /// The entry from which it goes.
    base: Option<Dn>,
    /// The entries whose groups it looks for.
    members: Vec<Dn>,
    in_chain: bool,
    /// In lower case.
    attributes: Vec<String>,
}

impl Asked {
    /// Reads a search request; `None` where it is none.
    pub(super) fn read(mut content: Octets<'_>) -> Option<Self> {
        let (_, base) = content.element()?;
        let (_, scope) = content.element()?;
        // How aliases are followed, limits of size and time, whether types alone.
        for _ in 0..4 {
            content.element()?;
        }
        let mut asked = Self {
            scope: match scope.0 {
                [0] => "base",
                [1] => "one",
                _ => "sub",
            },
            base: Dn::of(base.0),
            ..Self::default()
        };
        let (tag, filter) = content.element()?;
        asked.filter = text(&asked.shape(tag, filter, 0)?);
        if let Some((_, mut wanted)) = content.element() {
            while let Some((_, name)) = wanted.element().filter(|_| asked.attributes.len() < MOST) {
                asked.attributes.push(String::from_utf8_lossy(name.0).to_lowercase());
            }
        }
        Some(asked)
    }

    /// It follows the matching rule in the chain.
    pub(super) fn is_in_chain(&self) -> bool {
        self.in_chain
    }

    /// The server tells all groups at once.
    pub(super) fn is_told(&self) -> bool {
        self.attributes.iter().any(|name| TOLD.contains(&name.as_str()))
    }

    /// The entries whose groups it asks for, by a filter or by reading one.
    pub(super) fn asks_groups_of(&self) -> impl Iterator<Item = Dn> {
        let reads = self.scope == "base" && self.attributes.iter().any(|name| is_holder(name));
        self.members.iter().copied().chain(self.base.filter(|_| reads))
    }

    /// Whatever it finds holds another entry.
    pub(super) fn finds_groups(&self) -> bool {
        !self.members.is_empty()
    }

    fn shape(&mut self, tag: u8, mut content: Octets<'_>, depth: usize) -> Option<String> {
        if depth > DEEPEST {
            return Some("(…)".to_owned());
        }
        Some(match tag {
            0xa0 => format!("(&{})", self.all(content, depth)?),
            0xa1 => format!("(|{})", self.all(content, depth)?),
            0xa2 => {
                let (tag, of) = content.element()?;
                format!("(!{})", self.shape(tag, of, depth + 1)?)
            }
            0x87 => format!("({}=*)", name(content.0)),
            0xa9 => self.extensible(content)?,
            tag => {
                let (_, attribute) = content.element()?;
                let (_, value) = content.element()?;
                let attribute = name(attribute.0);
                if tag == 0xa3 {
                    self.asks_by(&attribute, value.0);
                }
                let sign = match tag {
                    0xa3 => "=",
                    0xa4 => "=*",
                    0xa5 => ">=",
                    0xa6 => "<=",
                    0xa8 => "~=",
                    _ => return None,
                };
                format!("({attribute}{sign}{VALUE})")
            }
        })
    }

    /// Those that are alike stand once: how many there are is a matter of values.
    fn all(&mut self, mut content: Octets<'_>, depth: usize) -> Option<String> {
        let mut shapes: Vec<String> = Vec::new();
        while let Some((tag, filter)) = content.element() {
            let shape = self.shape(tag, filter, depth + 1)?;
            if !shapes.contains(&shape) && shapes.len() < MOST {
                shapes.push(shape);
            }
        }
        Some(shapes.concat())
    }

    fn extensible(&mut self, mut content: Octets<'_>) -> Option<String> {
        let (mut rule, mut attribute): (&[u8], &[u8]) = (&[], &[]);
        while let Some((tag, part)) = content.element() {
            match tag {
                0x81 => rule = part.0,
                0x82 => attribute = part.0,
                _ => {}
            }
        }
        self.in_chain |= rule == IN_CHAIN;
        Some(match rule {
            [] => format!("({}:={VALUE})", name(attribute)),
            rule => format!("({}:{}:={VALUE})", name(attribute), name(rule)),
        })
    }

    fn asks_by(&mut self, attribute: &str, value: &[u8]) {
        let is_member = MEMBERS.iter().any(|known| attribute.eq_ignore_ascii_case(known));
        if is_member && self.members.len() < MOST {
            self.members.extend(Dn::of(value));
        }
    }
}

fn name(bytes: &[u8]) -> String {
    text(&String::from_utf8_lossy(bytes))
}

fn is_holder(attribute: &str) -> bool {
    HOLDERS.iter().any(|known| attribute.eq_ignore_ascii_case(known))
}

/// An entry that an answer holds: its name, and those of the groups that it says to be in.
pub(super) fn entry(mut content: Octets<'_>) -> Option<(Dn, Vec<Dn>)> {
    let (_, own) = content.element()?;
    let (_, attributes) = content.element()?;
    let of_groups = values(attributes, |attribute| is_holder(&String::from_utf8_lossy(attribute)));
    Some((Dn::of(own.0)?, of_groups.into_iter().filter_map(Dn::of).collect()))
}

/// How the passwords are stored that an `add` or a `modify` writes.
pub(super) fn schemes(operation: u8, mut content: Octets<'_>) -> Option<Vec<String>> {
    content.element()?;
    let (_, mut all) = content.element()?;
    let is_password = |attribute: &[u8]| attribute.eq_ignore_ascii_case(PASSWORD);
    let written = match operation {
        0x68 => values(all, is_password),
        0x66 => {
            let mut written = Vec::new();
            while let Some((_, mut change)) = all.element() {
                change.element()?;
                // As one attribute of several.
                written.extend(values(change, is_password));
            }
            written
        }
        _ => Vec::new(),
    };
    let mut schemes: Vec<String> = written.into_iter().map(scheme).collect();
    schemes.sort();
    schemes.dedup();
    Some(schemes)
}

/// Values of those attributes that are wanted.
fn values<'b>(mut attributes: Octets<'b>, wanted: impl Fn(&[u8]) -> bool) -> Vec<&'b [u8]> {
    let mut found = Vec::new();
    while let Some((_, mut attribute)) = attributes.element() {
        let (Some((_, name)), Some((_, mut values))) = (attribute.element(), attribute.element()) else {
            continue;
        };
        while let Some((_, value)) = values.element().filter(|_| wanted(name.0) && found.len() < MOST) {
            found.push(value.0);
        }
    }
    found
}

/// `{SSHA}` of a password that is stored so (RFC 2307, 5.3): what stands before it in braces.
fn scheme(password: &[u8]) -> String {
    let end = password.iter().take(32).position(|byte| *byte == b'}');
    match (password.first(), end) {
        (Some(b'{'), Some(end)) => name(&password[..=end]).to_uppercase(),
        _ => CLEAR.to_owned(),
    }
}

/// The servers that referrals lead to: `ldap://other:389`.
pub(super) fn servers(mut referrals: Octets<'_>) -> Vec<String> {
    let mut servers = Vec::new();
    while let Some((_, referral)) = referrals.element().filter(|_| servers.len() < MOST) {
        let referral = String::from_utf8_lossy(referral.0);
        let Some((scheme, rest)) = referral.split_once("://") else {
            continue;
        };
        let server = rest.split(['/', '?']).next().unwrap_or_default();
        servers.push(text(&format!("{scheme}://{server}")));
    }
    servers
}
