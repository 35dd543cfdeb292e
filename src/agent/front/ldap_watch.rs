//! LDAP read along (RFC 4511): who binds how, what is searched, and with which result. Of names and passwords nothing is kept.
//!
//! What arrives here is hostile: whatever the bytes are, the reader goes on, and it keeps a bounded number of them.

use std::collections::HashMap;

use super::calls::{Carried, Client, LdapSaid, LdapSearch, Nested, Said, Ticket, text};
use super::ldap_shape::{self, Asked};
use super::octets::Octets;

/// The longest message that is read.
const LIMIT: usize = 1024 * 1024;
/// Requests that wait for a result; of more no result is told.
const MOST_WAITING: usize = 1024;
/// Of one request so many controls are kept, and of one answer so many servers that it refers to.
const MOST_KEPT: usize = 16;
/// Tags.
const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;
const BIND: u8 = 0x60;
const UNBIND: u8 = 0x42;
const SEARCH: u8 = 0x63;
const EXTENDED: u8 = 0x77;
const ENTRY: u8 = 0x64;
const REFERENCE: u8 = 0x73;
const CONTROLS: u8 = 0xa0;
const REFERRAL: u8 = 0xa3;
const SIMPLE: u8 = 0x80;
const SASL: u8 = 0xa3;
/// The extension that turns a connection to TLS (RFC 4511, 4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
const START_TLS_NAME: &str = "StartTLS";

/// How a connection goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// As before.
    On,
    /// Over TLS.
    Tls,
    /// It is not understood any more.
    Lost,
}

/// Both directions of a connection.
pub(super) struct LdapWatch {
    client: Client,
    carried: Carried,
    asked: Vec<u8>,
    answered: Vec<u8>,
    /// By their numbers.
    waiting: HashMap<usize, Waiting>,
}

/// A request whose result has not come.
struct Waiting {
    ticket: Option<Ticket>,
    operation: String,
    /// Whatever it finds is a group.
    finds_groups: bool,
    entries: u32,
    referrals: Vec<String>,
}

impl LdapWatch {
    pub(super) fn new(client: Client, carried: Carried) -> Self {
        Self {
            client,
            carried,
            asked: Vec::new(),
            answered: Vec::new(),
            waiting: HashMap::new(),
        }
    }

    /// The client has said this.
    pub(super) fn asks(&mut self, bytes: &[u8]) -> Turn {
        self.asked.extend_from_slice(bytes);
        let mut buffer = std::mem::take(&mut self.asked);
        let turn = each(&mut buffer, |message| self.request(message));
        self.asked = buffer;
        turn
    }

    /// The service has said this.
    pub(super) fn answers(&mut self, bytes: &[u8]) -> Turn {
        self.answered.extend_from_slice(bytes);
        let mut buffer = std::mem::take(&mut self.answered);
        let turn = each(&mut buffer, |message| self.result(message));
        self.answered = buffer;
        turn
    }

    /// The connection is over.
    pub(super) fn ends(&mut self) {
        for waiting in self.waiting.values() {
            self.client.settles(waiting.ticket);
        }
    }

    fn request(&mut self, mut message: Octets<'_>) -> Option<Turn> {
        let (number, (tag, content)) = (number(&mut message)?, message.element()?);
        let operation = operation(tag, content);
        let asked = (tag == SEARCH).then(|| Asked::read(content)).flatten();
        let said = LdapSaid {
            operation: operation.clone(),
            carried: self.carried,
            search: asked.as_ref().map(|asked| self.search(asked)),
            controls: controls(message),
            schemes: ldap_shape::schemes(tag, content).unwrap_or_default(),
            ..LdapSaid::default()
        };
        let ticket = self.client.begins(Said::Ldap(said));
        // Neither an unbind nor an abandon has a result.
        if tag == UNBIND || tag == 0x50 || self.waiting.len() >= MOST_WAITING {
            self.client.settles(ticket);
            return Some(Turn::On);
        }
        let waiting = Waiting {
            ticket,
            operation,
            finds_groups: asked.is_some_and(|asked| asked.finds_groups()),
            entries: 0,
            referrals: Vec::new(),
        };
        self.waiting.insert(number, waiting);
        Some(Turn::On)
    }

    fn search(&self, asked: &Asked) -> LdapSearch {
        let groups = self.client.groups();
        let nested = if asked.is_in_chain() {
            Some(Nested::Rule)
        } else if asked.is_told() {
            Some(Nested::Attribute)
        } else {
            let is_nested = asked.asks_groups_of().any(|entry| groups.has(entry));
            is_nested.then_some(Nested::Lookup)
        };
        LdapSearch {
            scope: asked.scope.to_owned(),
            filter: asked.filter.clone(),
            entries: 0,
            nested,
        }
    }

    fn result(&mut self, mut message: Octets<'_>) -> Option<Turn> {
        let (number, (tag, mut content)) = (number(&mut message)?, message.element()?);
        // Entries and references come before the result of a search, intermediate answers before others.
        if matches!(tag, ENTRY | REFERENCE | 0x79) {
            self.on_the_way(number, tag, content);
            return Some(Turn::On);
        }
        let Some(mut waiting) = self.waiting.remove(&number) else {
            return Some(Turn::On);
        };
        let (_, mut code) = content.element()?;
        let code = code.number(code.0.len())?;
        // Behind a name and words.
        let referral = content
            .element()
            .and_then(|_| content.element())
            .and_then(|_| content.element());
        if let Some((REFERRAL, servers)) = referral {
            waiting.refers_to(servers);
        }
        let (entries, referrals) = (waiting.entries, waiting.referrals);
        self.client.learns(waiting.ticket, |said| {
            if let Said::Ldap(ldap) = said {
                ldap.result = u32::try_from(code).ok();
                ldap.referrals = referrals;
                ldap.search.iter_mut().for_each(|search| search.entries = entries);
            }
        });
        self.client.settles(waiting.ticket);
        let turns = waiting.operation == START_TLS_NAME && code == 0;
        Some(if turns { Turn::Tls } else { Turn::On })
    }

    /// What comes before a result.
    fn on_the_way(&mut self, number: usize, tag: u8, content: Octets<'_>) {
        let Some(waiting) = self.waiting.get_mut(&number) else {
            return;
        };
        match tag {
            REFERENCE => waiting.refers_to(content),
            ENTRY => {
                waiting.entries = waiting.entries.saturating_add(1);
                if let Some((own, groups)) = ldap_shape::entry(content) {
                    let own = waiting.finds_groups.then_some(own);
                    let known = self.client.groups();
                    own.into_iter().chain(groups).for_each(|group| known.learn(group));
                }
            }
            _ => {}
        }
    }
}

impl Waiting {
    fn refers_to(&mut self, referrals: Octets<'_>) {
        for server in ldap_shape::servers(referrals) {
            if self.referrals.len() < MOST_KEPT && !self.referrals.contains(&server) {
                self.referrals.push(server);
            }
        }
    }
}

/// The OIDs of the controls behind an operation.
fn controls(mut message: Octets<'_>) -> Vec<String> {
    let Some((CONTROLS, mut all)) = message.element() else {
        return Vec::new();
    };
    let mut oids = Vec::new();
    while let Some((_, mut control)) = all.element().filter(|_| oids.len() < MOST_KEPT) {
        let oid = control
            .element()
            .map(|(_, oid)| String::from_utf8_lossy(oid.0).into_owned());
        oids.extend(oid.map(|oid| text(&oid)));
    }
    oids
}

/// Every whole message of a buffer, taken out of it.
fn each(buffer: &mut Vec<u8>, mut read: impl FnMut(Octets<'_>) -> Option<Turn>) -> Turn {
    loop {
        if buffer.first().is_some_and(|first| *first != SEQUENCE) || buffer.len() > LIMIT {
            return Turn::Lost;
        }
        let mut octets = Octets(buffer);
        let Some((_, message)) = octets.element() else {
            return Turn::On;
        };
        let left = octets.0.len();
        let turn = read(message).unwrap_or(Turn::Lost);
        buffer.drain(..buffer.len() - left);
        if turn != Turn::On {
            return turn;
        }
    }
}

/// A message's number.
fn number(message: &mut Octets<'_>) -> Option<usize> {
    let (_, mut number) = message.element().filter(|(tag, _)| *tag == 0x02)?;
    number.number(number.0.len())
}

fn operation(tag: u8, content: Octets<'_>) -> String {
    let known = match tag {
        BIND => return bind(content).unwrap_or_else(|| "bind".to_owned()),
        EXTENDED => return extended(content).unwrap_or_else(|| "extended".to_owned()),
        SEARCH => "search",
        UNBIND => "unbind",
        0x50 => "abandon",
        0x66 => "modify",
        0x68 => "add",
        0x4a => "delete",
        0x6c => "modify DN",
        0x6e => "compare",
        other => return format!("operation {other:#04x}"),
    };
    known.to_owned()
}

/// By what means; the password itself is not touched.
fn bind(mut content: Octets<'_>) -> Option<String> {
    content.element()?;
    let (_, name) = content.element()?;
    let (means, mut credentials) = content.element()?;
    Some(match means {
        SIMPLE if name.0.is_empty() => "bind anonymous".to_owned(),
        SIMPLE => "bind simple".to_owned(),
        SASL => {
            let (_, mechanism) = credentials.element().filter(|(tag, _)| *tag == OCTETS)?;
            format!("bind {}", text(std::str::from_utf8(mechanism.0).ok()?))
        }
        other => format!("bind {other:#04x}"),
    })
}

fn extended(mut content: Octets<'_>) -> Option<String> {
    let (_, name) = content.element()?;
    Some(match name.0 {
        START_TLS => START_TLS_NAME.to_owned(),
        other => format!("extended {}", text(std::str::from_utf8(other).ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::front::calls::{Calls, CallsCall};
    use crate::agent::resolver::Resolver;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn message(number: u8, tag: u8, content: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[element(0x02, &[number]), element(tag, content)].concat())
    }

    fn asked() -> Vec<u8> {
        let bind = [
            element(0x02, &[3]),
            element(OCTETS, b"cn=shop"),
            element(SIMPLE, b"s3cr3t"),
        ]
        .concat();
        [
            message(1, BIND, &bind),
            message(2, SEARCH, &element(OCTETS, b"dc=example")),
            message(3, EXTENDED, &element(0x80, START_TLS)),
        ]
        .concat()
    }

    fn answered() -> Vec<u8> {
        let result = |code| [element(0x0a, &[code]), element(OCTETS, b""), element(OCTETS, b"")].concat();
        [
            message(1, 0x61, &result(49)),
            message(2, 0x64, &element(OCTETS, b"uid=alice")),
            message(2, 0x65, &result(0)),
            message(3, 0x78, &result(0)),
        ]
        .concat()
    }

    fn watch() -> (Calls, LdapWatch) {
        let calls = Calls::default();
        let client = calls.client([127, 0, 0, 1].into(), "ldap", 389, &Resolver::system());
        (calls, LdapWatch::new(client, Carried::Clear))
    }

    #[tokio::test]
    async fn binds_and_searches_are_told_with_their_results_and_start_tls_is_a_turn() {
        for piece in [1, 3, 1000] {
            let (calls, mut watch) = watch();
            assert!(asked().chunks(piece).all(|bytes| watch.asks(bytes) == Turn::On));
            let turns: Vec<Turn> = answered().chunks(piece).map(|bytes| watch.answers(bytes)).collect();
            assert_eq!(turns.last(), Some(&Turn::Tls));
            let page = calls.serve(&CallsCall::Take { after: 0, most: 9 });
            let told = serde_json::to_string(&page.calls.items).unwrap();
            let of = |call: &super::super::calls::CallSeen| match &call.said {
                Said::Ldap(ldap) => (ldap.operation.clone(), ldap.result),
                other => panic!("{other:?}"),
            };
            let all: Vec<_> = page.calls.items.iter().map(of).collect();
            let wanted = [("bind simple", 49), ("search", 0), (START_TLS_NAME, 0)];
            assert_eq!(all, wanted.map(|(name, code)| (name.to_owned(), Some(code))));
            assert!(!told.contains("s3cr3t") && !told.contains("alice"), "{told}");
        }
    }

    fn search(base: &[u8], filter: &[u8], attributes: &[&[u8]]) -> Vec<u8> {
        let wanted: Vec<u8> = attributes.iter().flat_map(|name| element(OCTETS, name)).collect();
        [
            element(OCTETS, base),
            element(0x0a, &[0]),
            element(0x0a, &[0]),
            element(0x02, &[0]),
            element(0x02, &[0]),
            element(0x01, &[0]),
            filter.to_vec(),
            element(SEQUENCE, &wanted),
        ]
        .concat()
    }

    fn equals(attribute: &[u8], value: &[u8]) -> Vec<u8> {
        element(0xa3, &[element(OCTETS, attribute), element(OCTETS, value)].concat())
    }

    fn found(number: u8, name: &[u8], attributes: &[u8]) -> Vec<u8> {
        let entry = [element(OCTETS, name), element(SEQUENCE, attributes)].concat();
        message(number, ENTRY, &entry)
    }

    fn done(number: u8, tag: u8, code: u8, referral: &[u8]) -> Vec<u8> {
        let fields = [element(0x0a, &[code]), element(OCTETS, b""), element(OCTETS, b"")];
        message(number, tag, &[fields.concat(), referral.to_vec()].concat())
    }

    fn told(calls: &Calls) -> Vec<LdapSaid> {
        let page = calls.serve(&CallsCall::Take { after: 0, most: 99 });
        let of = |call: super::super::calls::CallSeen| match call.said {
            Said::Ldap(ldap) => ldap,
            other => panic!("{other:?}"),
        };
        page.calls.items.into_iter().map(of).collect()
    }

    #[tokio::test]
    async fn a_search_is_told_by_its_shape_and_never_by_its_values() {
        let (calls, mut watch) = watch();
        let person = element(
            0xa0,
            &[
                equals(b"objectClass", b"person"),
                element(0xa1, &[equals(b"uid", b"alice"), equals(b"uid", b"bob")].concat()),
                element(0xa2, &element(0x87, b"pwdLocked")),
            ]
            .concat(),
        );
        let chain = [
            element(0x81, b"1.2.840.113556.1.4.1941"),
            element(0x82, b"memberOf"),
            element(0x83, b"cn=admins"),
        ];
        watch.asks(&message(1, SEARCH, &search(b"dc=example", &person, &[b"mail"])));
        watch.asks(&message(2, SEARCH, &search(b"", &element(0xa9, &chain.concat()), &[])));
        watch.answers(&[found(1, b"uid=alice", b""), done(1, 0x65, 0, b"")].concat());
        let seen = told(&calls);
        let shapes: Vec<_> = seen.iter().filter_map(|ldap| ldap.search.clone()).collect();
        assert_eq!(shapes[0].filter, "(&(objectClass=?)(|(uid=?))(!(pwdLocked=*)))");
        assert_eq!((shapes[0].scope.as_str(), shapes[0].entries), ("base", 1));
        assert_eq!(shapes[1].filter, "(memberOf:1.2.840.113556.1.4.1941:=?)");
        assert_eq!(shapes[1].nested, Some(Nested::Rule));
        let told = serde_json::to_string(&seen).unwrap();
        for secret in ["alice", "bob", "admins", "example"] {
            assert!(!told.contains(secret), "{told}");
        }
    }

    /// Looks for the groups that hold an entry, and is given them; by which way, as it is told.
    fn asks_groups(watch: &mut LdapWatch, number: u8, of: &[u8], given: &[&[u8]]) {
        watch.asks(&message(
            number,
            SEARCH,
            &search(b"ou=groups", &equals(b"member", of), &[b"cn"]),
        ));
        let entries: Vec<u8> = given.iter().flat_map(|name| found(number, name, b"")).collect();
        watch.answers(&[entries, done(number, 0x65, 0, b"")].concat());
    }

    #[tokio::test]
    async fn who_asks_for_the_groups_of_a_group_follows_them_on_whichever_connection() {
        let (calls, mut watch) = watch();
        asks_groups(&mut watch, 1, b"uid=alice,dc=example", &[b"cn=sales,dc=example"]);
        let client = calls.client([127, 0, 0, 1].into(), "ldap", 389, &Resolver::system());
        let mut other = LdapWatch::new(client, Carried::Clear);
        asks_groups(&mut other, 1, b"CN=Sales, DC=example", &[]);
        asks_groups(&mut other, 2, b"uid=bob,dc=example", &[]);
        let of: Vec<_> = told(&calls)
            .into_iter()
            .filter_map(|ldap| ldap.search?.nested)
            .collect();
        assert_eq!(of, [Nested::Lookup]);
    }

    #[tokio::test]
    async fn who_reads_the_groups_of_a_group_follows_them_and_who_reads_its_name_does_not() {
        let (calls, mut watch) = watch();
        let member_of = element(
            SEQUENCE,
            &[
                element(OCTETS, b"memberOf"),
                element(0x31, &element(OCTETS, b"cn=sales,dc=example")),
            ]
            .concat(),
        );
        let any = element(0x87, b"objectClass");
        watch.asks(&message(1, SEARCH, &search(b"uid=alice", &any, &[b"memberOf"])));
        watch.answers(&[found(1, b"uid=alice", &member_of), done(1, 0x65, 0, b"")].concat());
        watch.asks(&message(2, SEARCH, &search(b"cn=sales,dc=example", &any, &[b"cn"])));
        watch.asks(&message(
            3,
            SEARCH,
            &search(b"cn=sales,dc=example", &any, &[b"memberof"]),
        ));
        let of: Vec<_> = told(&calls)
            .into_iter()
            .map(|ldap| ldap.search.unwrap().nested)
            .collect();
        assert_eq!(of, [None, None, Some(Nested::Lookup)]);
    }

    #[tokio::test]
    async fn servers_that_are_referred_to_are_told_and_not_what_is_asked_of_them() {
        let (calls, mut watch) = watch();
        watch.asks(&message(1, SEARCH, &search(b"dc=example", &element(0x87, b"cn"), &[])));
        watch.asks(&message(2, SEARCH, &search(b"dc=other", &element(0x87, b"cn"), &[])));
        let to = |server: &[u8]| element(OCTETS, &[b"ldap://", server, b"/uid=alice??sub"].concat());
        let reference = message(1, REFERENCE, &to(b"east:1389"));
        watch.answers(
            &[
                reference,
                done(1, 0x65, 0, b""),
                done(2, 0x65, 10, &element(REFERRAL, &to(b"west"))),
            ]
            .concat(),
        );
        let seen = told(&calls);
        let referred: Vec<_> = seen.iter().map(|ldap| (ldap.result, ldap.referrals.clone())).collect();
        assert_eq!(
            referred,
            [
                (Some(0), vec!["ldap://east:1389".to_owned()]),
                (Some(10), vec!["ldap://west".to_owned()])
            ]
        );
    }

    #[tokio::test]
    async fn controls_are_told_and_so_is_how_a_written_password_is_stored() {
        let (calls, mut watch) = watch();
        let attribute = |value: &[u8]| {
            let values = element(0x31, &element(OCTETS, value));
            element(SEQUENCE, &[element(OCTETS, b"userPassword"), values].concat())
        };
        let change = |value: &[u8]| element(SEQUENCE, &[element(0x0a, &[2]), attribute(value)].concat());
        let modify = |value: &[u8]| [element(OCTETS, b"uid=alice"), element(SEQUENCE, &change(value))].concat();
        let add = [
            element(OCTETS, b"uid=bob"),
            element(SEQUENCE, &attribute(b"{ssha}c2VjcmV0")),
        ]
        .concat();
        let control = element(SEQUENCE, &element(OCTETS, b"2.16.840.1.113730.3.4.2"));
        let body = [
            element(0x02, &[3]),
            element(0x66, &modify(b"s3cr3t")),
            element(CONTROLS, &control),
        ];
        watch.asks(
            &[
                message(1, 0x66, &modify(b"{ARGON2}$x")),
                message(2, 0x68, &add),
                element(SEQUENCE, &body.concat()),
            ]
            .concat(),
        );
        let seen = told(&calls);
        let schemes: Vec<_> = seen.iter().map(|ldap| ldap.schemes.concat()).collect();
        assert_eq!(schemes, ["{ARGON2}", "{SSHA}", "clear"]);
        assert_eq!(seen[2].controls, ["2.16.840.1.113730.3.4.2"]);
        assert!(!serde_json::to_string(&seen).unwrap().contains("s3cr3t"));
    }

    #[tokio::test]
    async fn no_bytes_break_the_reader() {
        let filter = element(
            0xa0,
            &[equals(b"member", b"cn=x"), element(0xa9, &element(0x81, b"1"))].concat(),
        );
        let asked = || [asked(), message(4, SEARCH, &search(b"dc=x", &filter, &[b"memberOf"]))].concat();
        let answered = || {
            [
                message(4, REFERENCE, &element(OCTETS, b"ldap://x")),
                found(4, b"cn=x", b""),
                answered(),
            ]
            .concat()
        };
        for at in 0..asked().len().max(answered().len()) {
            for value in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let (_, mut watch) = watch();
                let (mut one, mut other) = (asked(), answered());
                one.get_mut(at).into_iter().for_each(|byte| *byte = value);
                other.get_mut(at).into_iter().for_each(|byte| *byte = value);
                let _turns = (watch.asks(&one), watch.answers(&other));
                watch.ends();
            }
        }
    }
}
