//! LDAP read along (RFC 4511): who binds how, what is searched, and with which result. Names and passwords are not read.
//!
//! What arrives here is hostile: whatever the bytes are, the reader goes on, and it keeps a bounded number of them.

use std::collections::HashMap;

use super::calls::{Client, LdapSaid, Said, Ticket, text};
use super::octets::Octets;

/// The longest message that is read.
const LIMIT: usize = 1024 * 1024;
/// Requests that wait for a result; of more no result is told.
const MOST_WAITING: usize = 1024;
/// Tags.
const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;
const BIND: u8 = 0x60;
const UNBIND: u8 = 0x42;
const SEARCH: u8 = 0x63;
const EXTENDED: u8 = 0x77;
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
    asked: Vec<u8>,
    answered: Vec<u8>,
    /// By their numbers.
    waiting: HashMap<usize, (Option<Ticket>, String)>,
}

impl LdapWatch {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
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
        for (ticket, _) in self.waiting.values() {
            self.client.settles(*ticket);
        }
    }

    fn request(&mut self, mut message: Octets<'_>) -> Option<Turn> {
        let (number, (tag, content)) = (number(&mut message)?, message.element()?);
        let operation = operation(tag, content);
        let said = LdapSaid {
            operation: operation.clone(),
            result: None,
        };
        let ticket = self.client.begins(Said::Ldap(said));
        // Neither an unbind nor an abandon has a result.
        if tag == UNBIND || tag == 0x50 || self.waiting.len() >= MOST_WAITING {
            self.client.settles(ticket);
        } else {
            self.waiting.insert(number, (ticket, operation));
        }
        Some(Turn::On)
    }

    fn result(&mut self, mut message: Octets<'_>) -> Option<Turn> {
        let (number, (tag, mut content)) = (number(&mut message)?, message.element()?);
        // Entries and references come before the result of a search, intermediate answers before others.
        if matches!(tag, 0x64 | 0x73 | 0x79) {
            return Some(Turn::On);
        }
        let Some((ticket, operation)) = self.waiting.remove(&number) else {
            return Some(Turn::On);
        };
        let (_, mut code) = content.element()?;
        let code = code.number(code.0.len())?;
        self.client.learns(ticket, |said| {
            if let Said::Ldap(ldap) = said {
                ldap.result = u32::try_from(code).ok();
            }
        });
        self.client.settles(ticket);
        let turns = operation == START_TLS_NAME && code == 0;
        Some(if turns { Turn::Tls } else { Turn::On })
    }
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
        (calls, LdapWatch::new(client))
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

    #[tokio::test]
    async fn no_bytes_break_the_reader() {
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
