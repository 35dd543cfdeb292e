//! TLS read along: what both say before they are alone. Which versions were offered and chosen, and which alert ended it.
//!
//! What arrives here is hostile: whatever the bytes are, the reader goes on, and it keeps a bounded number of them.

use super::calls::{Client, Said, Ticket, TlsSaid, text};
use super::octets::Octets;

/// The longest beginning that is read of each side.
const LIMIT: usize = 64 * 1024;
/// What a record is.
const ALERT: usize = 21;
const HANDSHAKE: usize = 22;
/// What a message of the handshake is.
const CLIENT_HELLO: usize = 1;
const SERVER_HELLO: usize = 2;
/// What an extension is.
const SERVER_NAME: usize = 0;
const SUPPORTED_VERSIONS: usize = 43;

/// Both sides of a handshake.
pub(super) struct TlsWatch {
    client: Client,
    ticket: Option<Ticket>,
    asked: Side,
    answered: Side,
}

/// What one side has said in the clear.
#[derive(Default)]
struct Side {
    /// Records that are not whole yet.
    records: Vec<u8>,
    /// Messages of the handshake, without their records.
    messages: Vec<u8>,
    is_over: bool,
}

/// Something that one side has said.
enum Word {
    Hello(TlsSaid),
    Alert(usize),
}

impl TlsWatch {
    /// A client begins.
    pub(super) fn new(client: Client) -> Self {
        let ticket = client.begins(Said::Tls(TlsSaid::default()));
        Self {
            client,
            ticket,
            asked: Side::default(),
            answered: Side::default(),
        }
    }

    /// The client has said this.
    pub(super) fn asks(&mut self, bytes: &[u8]) {
        for word in self.asked.words(bytes) {
            self.learn(word, "client");
        }
    }

    /// The service has said this.
    pub(super) fn answers(&mut self, bytes: &[u8]) {
        for word in self.answered.words(bytes) {
            self.learn(word, "service");
            self.client.settles(self.ticket);
        }
    }

    /// The connection is over.
    pub(super) fn ends(&mut self) {
        self.client.settles(self.ticket);
    }

    fn learn(&self, word: Word, who: &str) {
        self.client.learns(self.ticket, |said| {
            let Said::Tls(tls) = said else { return };
            match word {
                Word::Hello(hello) => {
                    tls.name = hello.name.or_else(|| tls.name.take());
                    tls.offered = hello.offered.or_else(|| tls.offered.take());
                    tls.chosen = hello.chosen.or_else(|| tls.chosen.take());
                    tls.cipher = hello.cipher.or_else(|| tls.cipher.take());
                }
                Word::Alert(number) => drop(tls.alert.get_or_insert(format!("{who}: {number}"))),
            }
        });
    }
}

impl Side {
    /// What it says with these bytes.
    fn words(&mut self, bytes: &[u8]) -> Vec<Word> {
        if self.is_over {
            return Vec::new();
        }
        self.records.extend_from_slice(bytes);
        let mut words = Vec::new();
        while let Some((kind, length)) = self.record() {
            let record: Vec<u8> = self.records.drain(..5 + length).skip(5).collect();
            match (kind, record.as_slice()) {
                (HANDSHAKE, messages) => {
                    self.messages.extend_from_slice(messages);
                    words.extend(self.hello().map(Word::Hello));
                }
                (ALERT, [_, number]) => words.push(Word::Alert(usize::from(*number))),
                // From here on both are alone.
                _ => self.is_over = true,
            }
        }
        self.is_over |= self.records.len().max(self.messages.len()) > LIMIT;
        words
    }

    /// What the next record is, and how long; `None` where it is not whole.
    fn record(&self) -> Option<(usize, usize)> {
        let mut octets = Octets(&self.records);
        let kind = octets.number(1).filter(|_| !self.is_over)?;
        octets.take(2)?;
        let length = octets.number(2)?;
        octets.take(length)?;
        Some((kind, length))
    }

    /// The hello, once it is whole; nothing behind it is read.
    fn hello(&mut self) -> Option<TlsSaid> {
        let mut octets = Octets(&self.messages);
        let kind = octets.number(1)?;
        let body = octets.counted(3)?;
        let hello = match kind {
            CLIENT_HELLO => client_hello(body),
            SERVER_HELLO => server_hello(body),
            _ => None,
        };
        self.messages.clear();
        hello
    }
}

fn client_hello(mut body: Octets<'_>) -> Option<TlsSaid> {
    let version = body.number(2)?;
    body.take(32)?;
    body.counted(1)?;
    body.counted(2)?;
    body.counted(1)?;
    let mut said = TlsSaid {
        offered: Some(version_name(version)),
        ..TlsSaid::default()
    };
    for (kind, mut content) in extensions(body) {
        match kind {
            SERVER_NAME => said.name = name(content),
            SUPPORTED_VERSIONS => {
                let versions = content
                    .counted(1)
                    .map(|list| list.0.chunks_exact(2))
                    .into_iter()
                    .flatten();
                let numbers = versions.filter_map(|pair| Octets(pair).number(2));
                // Others are GREASE (RFC 8701).
                let known = numbers.filter(|number| (0x0300..=0x0304).contains(number));
                said.offered = known.max().map(version_name).or(said.offered);
            }
            _ => {}
        }
    }
    Some(said)
}

fn server_hello(mut body: Octets<'_>) -> Option<TlsSaid> {
    let version = body.number(2)?;
    body.take(32)?;
    body.counted(1)?;
    let cipher = body.number(2)?;
    body.take(1)?;
    let chosen = extensions(body)
        .into_iter()
        .find(|(kind, _)| *kind == SUPPORTED_VERSIONS);
    let chosen = chosen.and_then(|(_, mut content)| content.number(2)).unwrap_or(version);
    Some(TlsSaid {
        chosen: Some(version_name(chosen)),
        cipher: Some(format!("{cipher:#06x}")),
        ..TlsSaid::default()
    })
}

fn extensions(mut body: Octets<'_>) -> Vec<(usize, Octets<'_>)> {
    let mut list = body.counted(2).unwrap_or(Octets(&[]));
    let mut all = Vec::new();
    while let Some((kind, content)) = list.number(2).and_then(|kind| Some((kind, list.counted(2)?))) {
        all.push((kind, content));
    }
    all
}

fn name(mut content: Octets<'_>) -> Option<String> {
    let mut list = content.counted(2)?;
    list.take(1)?;
    let name = list.counted(2)?;
    std::str::from_utf8(name.0).ok().map(text)
}

/// As a lock has it: `TLSv1.2`.
fn version_name(number: usize) -> String {
    match number {
        0x0304 => "TLSv1.3".to_owned(),
        0x0303 => "TLSv1.2".to_owned(),
        0x0302 => "TLSv1.1".to_owned(),
        0x0301 => "TLSv1".to_owned(),
        0x0300 => "SSLv3".to_owned(),
        other => format!("{other:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
    use tokio_rustls::rustls::version::{TLS12, TLS13};
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

    use super::*;
    use crate::agent::front::calls::{Calls, CallsCall};
    use crate::agent::resolver::Resolver;

    /// What a client says first and a server answers, with these versions.
    fn hellos(client: &[&'static tokio_rustls::rustls::SupportedProtocolVersion]) -> (Vec<u8>, Vec<u8>) {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(client)
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let mut asks = ClientConnection::new(Arc::new(config), "idp.example.com".try_into().unwrap()).unwrap();
        let mut asked = Vec::new();
        asks.write_tls(&mut asked).unwrap();
        let made = rcgen::generate_simple_self_signed(["idp.example.com".to_owned()]).unwrap();
        let key = tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let mut answers = ServerConnection::new(Arc::new(config)).unwrap();
        answers.read_tls(&mut &asked[..]).unwrap();
        let _refused = answers.process_new_packets();
        let mut answered = Vec::new();
        while answers.wants_write() {
            answers.write_tls(&mut answered).unwrap();
        }
        (asked, answered)
    }

    async fn told(asked: &[u8], answered: &[u8], piece: usize) -> TlsSaid {
        let calls = Calls::default();
        let client = calls.client([127, 0, 0, 1].into(), "idp", 443, &Resolver::system());
        let mut watch = TlsWatch::new(client);
        asked.chunks(piece).for_each(|bytes| watch.asks(bytes));
        answered.chunks(piece).for_each(|bytes| watch.answers(bytes));
        match &calls.serve(&CallsCall::Take { after: 0, most: 1 }).calls.items[0].said {
            Said::Tls(tls) => tls.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_offered_and_chosen_is_told_however_it_is_cut() {
        let (asked, answered) = hellos(&[&TLS12, &TLS13]);
        for piece in [1, 5, 10_000] {
            let told = told(&asked, &answered, piece).await;
            assert_eq!(told.name.as_deref(), Some("idp.example.com"));
            assert_eq!(
                (told.offered.as_deref(), told.chosen.as_deref()),
                (Some("TLSv1.3"), Some("TLSv1.3"))
            );
            assert!(told.cipher.is_some() && told.alert.is_none());
        }
    }

    #[tokio::test]
    async fn a_version_that_is_refused_ends_in_an_alert_of_the_service() {
        let (asked, answered) = hellos(&[&TLS12]);
        let told = told(&asked, &answered, 10_000).await;
        assert_eq!(told.offered.as_deref(), Some("TLSv1.2"));
        assert_eq!(told.alert.as_deref(), Some("service: 70"));
    }

    #[tokio::test]
    async fn no_bytes_break_the_reader() {
        let (asked, answered) = hellos(&[&TLS13]);
        for at in 0..asked.len().min(answered.len()) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let (mut one, mut other) = (asked.clone(), answered.clone());
                (one[at], other[at]) = (value, value);
                told(&one, &other, 10_000).await;
            }
        }
    }
}
