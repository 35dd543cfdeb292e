//! One question to a directory over LDAP (RFC 4511), as a careful client asks it: over TLS where it is told so, bound by
//! name and password where it has them, and one search. Nothing is followed that an answer refers to.

mod ber;
mod filter;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::failure::{CallFailure, CallFailureKind, Failure};
use super::front::octets::Octets;
use super::load::trust::{Trust, connector};
use super::resolver::Resolver;

/// The longest message that is read.
const MESSAGE_LIMIT: usize = 1024 * 1024;
/// Entries of one answer that are kept.
const MOST_ENTRIES: usize = 1000;
/// Tags.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const TEXT: u8 = 0x04;
const NUMBER: u8 = 0x0a;
const BOOLEAN: u8 = 0x01;
const ENTRY: u8 = 0x64;
const REFERRAL: u8 = 0xa3;
/// The extension that turns a connection to TLS (RFC 4511, 4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// A question.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DirectoryCall {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// When the connection turns to TLS.
    pub tls: DirectoryTls,
    /// Who asks: a name and a password; `None` = nobody says.
    pub bind: Option<(String, String)>,
    /// What is looked for.
    pub search: DirectorySearch,
    /// The limit of all of it, milliseconds.
    pub timeout_ms: u64,
    /// Certificates are not verified.
    pub insecure: bool,
    /// CAs that are trusted, PEM.
    pub ca: Vec<String>,
}

/// When a connection turns to TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryTls {
    /// Never.
    #[default]
    Never,
    /// By StartTLS, before anything else is said.
    Started,
    /// At once: `ldaps`.
    AtOnce,
}

/// A search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectorySearch {
    /// From which entry.
    pub base: String,
    /// How far from there.
    pub scope: Scope,
    /// As RFC 4515 writes it.
    pub filter: String,
    /// What is to be told of each entry; none = all.
    pub attributes: Vec<String>,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The entry alone.
    #[default]
    Base,
    /// Those right below it.
    One,
    /// It and all below it.
    Sub,
}

/// What a directory answered: each step until one did not succeed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryAnswer {
    /// In order.
    pub steps: Vec<DirectoryStep>,
    /// Of each entry that was found, the attributes of which it has a value, in lower case.
    pub entries: Vec<Vec<String>>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryStep {
    /// What was done.
    pub did: Did,
    /// Its result (RFC 4511, 4.1.9).
    pub result: u32,
    /// The directory's own words for it.
    pub words: String,
    /// Where it refers to.
    pub referrals: Vec<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// The connection was turned to TLS.
    StartTls,
    /// Name and password were given.
    Bind,
    /// It was searched.
    Search,
}

impl DirectoryCall {
    /// How long it may take.
    pub(super) fn limit(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// Asks, within the limit.
pub(super) async fn ask(resolver: &Resolver, call: &DirectoryCall) -> Result<DirectoryAnswer, CallFailure> {
    let limit = call.limit().max(Duration::from_millis(1));
    let begun = Instant::now();
    let answered = match tokio::time::timeout(limit, asked(resolver, call)).await {
        Ok(answered) => answered,
        Err(_) => Err(Failure::timeout(limit)),
    };
    answered.map_err(|failure| failure.after(begun.elapsed()))
}

async fn asked(resolver: &Resolver, call: &DirectoryCall) -> Result<DirectoryAnswer, Failure> {
    let filter = filter::encoded(&call.search.filter).map_err(Failure::request)?;
    let stream = connect(resolver, call).await?;
    let mut answer = DirectoryAnswer::default();
    match call.tls {
        DirectoryTls::Never => Conversation::over(stream).goes_on(call, &filter, &mut answer).await?,
        DirectoryTls::AtOnce => {
            let stream = secured(call, stream).await?;
            Conversation::over(stream).goes_on(call, &filter, &mut answer).await?;
        }
        DirectoryTls::Started => {
            let mut conversation = Conversation::over(stream);
            let step = conversation.start_tls().await?;
            let starts = step.result == 0;
            answer.steps.push(step);
            if starts {
                let stream = secured(call, conversation.stream).await?;
                Conversation::over(stream).goes_on(call, &filter, &mut answer).await?;
            }
        }
    }
    Ok(answer)
}

fn failed(kind: CallFailureKind, message: impl ToString) -> Failure {
    let message = message.to_string();
    Failure { kind, message }
}

async fn connect(resolver: &Resolver, call: &DirectoryCall) -> Result<TcpStream, Failure> {
    let addresses = resolver.addresses(&call.host).await;
    let addresses = addresses.map_err(|error| failed(CallFailureKind::Dns, error))?;
    let mut last = failed(CallFailureKind::Dns, format!("`{}` has no address", call.host));
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(address, call.port)).await {
            Ok(stream) => {
                let _delays = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = failed(CallFailureKind::Connect, error),
        }
    }
    Err(last)
}

async fn secured(call: &DirectoryCall, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
    let trust = Trust {
        insecure: call.insecure,
        ca: &call.ca,
    };
    let tls = connector(&trust).map_err(Failure::request)?;
    let name = ServerName::try_from(call.host.clone()).map_err(|error| Failure::request(error.to_string()))?;
    let stream = tls.connect(name, stream).await;
    stream.map_err(|error| failed(CallFailureKind::Tls, error))
}

/// One connection, on which nothing is said before what came before it is answered.
struct Conversation<S> {
    stream: S,
    said: u8,
    heard: Vec<u8>,
}

/// A message: the tag of its operation, and that.
type Message = (u8, Vec<u8>);

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    fn over(stream: S) -> Self {
        Self {
            stream,
            said: 0,
            heard: Vec::new(),
        }
    }

    async fn start_tls(&mut self) -> Result<DirectoryStep, Failure> {
        self.say(0x77, &ber::element(0x80, START_TLS)).await?;
        let (_, result) = self.hear().await?;
        step(Did::StartTls, &result)
    }

    /// Binds, searches and takes its leave.
    async fn goes_on(
        &mut self,
        call: &DirectoryCall,
        filter: &[u8],
        answer: &mut DirectoryAnswer,
    ) -> Result<(), Failure> {
        if let Some((name, password)) = &call.bind {
            let bind = [
                ber::element(INTEGER, &[3]),
                ber::element(TEXT, name.as_bytes()),
                ber::element(0x80, password.as_bytes()),
            ];
            self.say(0x60, &bind.concat()).await?;
            let (_, result) = self.hear().await?;
            let step = step(Did::Bind, &result)?;
            let is_bound = step.result == 0;
            answer.steps.push(step);
            if !is_bound {
                return Ok(());
            }
        }
        self.search(&call.search, filter, answer).await?;
        // Whether it is heard makes no difference.
        let _said = self.say(0x42, &[]).await;
        Ok(())
    }

    async fn search(
        &mut self,
        search: &DirectorySearch,
        filter: &[u8],
        answer: &mut DirectoryAnswer,
    ) -> Result<(), Failure> {
        let names: Vec<u8> = search
            .attributes
            .iter()
            .flat_map(|name| ber::element(TEXT, name.as_bytes()))
            .collect();
        let request = [
            ber::element(TEXT, search.base.as_bytes()),
            ber::element(NUMBER, &[search.scope as u8]),
            // Aliases are not followed; no limits; values, too.
            ber::element(NUMBER, &[0]),
            ber::element(INTEGER, &[0]),
            ber::element(INTEGER, &[0]),
            ber::element(BOOLEAN, &[0]),
            filter.to_vec(),
            ber::element(SEQUENCE, &names),
        ];
        self.say(0x63, &request.concat()).await?;
        loop {
            let (tag, content) = self.hear().await?;
            match tag {
                ENTRY if answer.entries.len() < MOST_ENTRIES => answer.entries.extend(attributes(&content)),
                0x65 => {
                    answer.steps.push(step(Did::Search, &content)?);
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    async fn say(&mut self, tag: u8, content: &[u8]) -> Result<(), Failure> {
        self.said += 1;
        let operation = match tag {
            // An unbind is a null.
            0x42 => vec![0x42, 0],
            tag => ber::element(tag, content),
        };
        let message = ber::element(SEQUENCE, &[ber::element(INTEGER, &[self.said]), operation].concat());
        let written = self.stream.write_all(&message).await;
        written.map_err(|error| failed(CallFailureKind::Reset, error))?;
        let flushed = self.stream.flush().await;
        flushed.map_err(|error| failed(CallFailureKind::Reset, error))
    }

    /// The next answer to what was said last.
    async fn hear(&mut self) -> Result<Message, Failure> {
        loop {
            while let Some(length) = whole(&self.heard)? {
                let message: Vec<u8> = self.heard.drain(..length).collect();
                let (number, tag, content) =
                    read(&message).ok_or_else(|| failed(CallFailureKind::Protocol, "the answer is no LDAP"))?;
                if number == 0 {
                    let words = "the directory ends the conversation (notice of disconnection)";
                    return Err(failed(CallFailureKind::Reset, words));
                }
                if number == usize::from(self.said) {
                    return Ok((tag, content));
                }
            }
            let mut buffer = [0; 16 * 1024];
            let read = self.stream.read(&mut buffer).await;
            let length = read.map_err(|error| failed(CallFailureKind::Reset, error))?;
            if length == 0 {
                return Err(failed(
                    CallFailureKind::Reset,
                    "the connection was closed before an answer",
                ));
            }
            self.heard.extend_from_slice(&buffer[..length]);
        }
    }
}

/// The length of the first message, once it is there.
fn whole(heard: &[u8]) -> Result<Option<usize>, Failure> {
    let is_other = heard.first().is_some_and(|first| *first != SEQUENCE);
    if is_other || heard.len() > MESSAGE_LIMIT {
        return Err(failed(CallFailureKind::Protocol, "the answer is no LDAP"));
    }
    let mut octets = Octets(heard);
    Ok(octets.element().map(|_| heard.len() - octets.0.len()))
}

fn read(message: &[u8]) -> Option<(usize, u8, Vec<u8>)> {
    let (_, mut message) = Octets(message).element()?;
    let (_, mut number) = message.element()?;
    let number = number.number(number.0.len())?;
    let (tag, content) = message.element()?;
    Some((number, tag, content.0.to_vec()))
}

fn step(did: Did, result: &[u8]) -> Result<DirectoryStep, Failure> {
    let mut result = Octets(result);
    let mut fields = || {
        let (_, mut code) = result.element()?;
        let code = u32::try_from(code.number(code.0.len())?).ok()?;
        result.element()?;
        let (_, words) = result.element()?;
        let mut referrals = Vec::new();
        if let Some((REFERRAL, mut all)) = result.element() {
            while let Some((_, referral)) = all.element() {
                referrals.push(String::from_utf8_lossy(referral.0).into_owned());
            }
        }
        Some(DirectoryStep {
            did,
            result: code,
            words: String::from_utf8_lossy(words.0).into_owned(),
            referrals,
        })
    };
    fields().ok_or_else(|| failed(CallFailureKind::Protocol, "the answer has no result"))
}

/// The attributes of which an entry has a value.
fn attributes(entry: &[u8]) -> Option<Vec<String>> {
    let mut entry = Octets(entry);
    entry.element()?;
    let (_, mut attributes) = entry.element()?;
    let mut names = Vec::new();
    while let Some((_, mut attribute)) = attributes.element() {
        let (_, name) = attribute.element()?;
        let (_, mut values) = attribute.element()?;
        if values.element().is_some() {
            names.push(String::from_utf8_lossy(name.0).to_lowercase());
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that answers each message by the next of these.
    async fn directory(answers: Vec<Vec<u8>>) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut said = Vec::new();
            let mut buffer = [0; 4096];
            for answer in answers {
                let length = stream.read(&mut buffer).await.unwrap();
                said.extend_from_slice(&buffer[..length]);
                stream.write_all(&answer).await.unwrap();
            }
            said
        });
        (port, serving)
    }

    fn result(number: u8, tag: u8, code: u8, words: &str) -> Vec<u8> {
        let fields = [
            ber::element(NUMBER, &[code]),
            ber::element(TEXT, b""),
            ber::element(TEXT, words.as_bytes()),
        ];
        let operation = ber::element(tag, &fields.concat());
        ber::element(SEQUENCE, &[ber::element(INTEGER, &[number]), operation].concat())
    }

    fn call(port: u16) -> DirectoryCall {
        DirectoryCall {
            host: "127.0.0.1".to_owned(),
            port,
            bind: Some(("uid=alice".to_owned(), "s3cr3t".to_owned())),
            search: DirectorySearch {
                base: "uid=alice".to_owned(),
                filter: "(objectClass=*)".to_owned(),
                ..DirectorySearch::default()
            },
            timeout_ms: 5_000,
            ..DirectoryCall::default()
        }
    }

    async fn asked(call: DirectoryCall) -> Result<DirectoryAnswer, CallFailureKind> {
        ask(&Resolver::system(), &call).await.map_err(|failure| failure.kind)
    }

    #[tokio::test]
    async fn whoever_is_bound_is_shown_the_entry() {
        let values = ber::element(0x31, &ber::element(TEXT, b"a@example.com"));
        let mail = ber::element(SEQUENCE, &[ber::element(TEXT, b"Mail"), values].concat());
        let none = ber::element(SEQUENCE, &[ber::element(TEXT, b"cn"), ber::element(0x31, b"")].concat());
        let entry = [
            ber::element(TEXT, b"uid=alice"),
            ber::element(SEQUENCE, &[mail, none].concat()),
        ];
        let entry = ber::element(ENTRY, &entry.concat());
        let entry = ber::element(SEQUENCE, &[ber::element(INTEGER, &[2]), entry].concat());
        let (port, serving) = directory(vec![result(1, 0x61, 0, ""), [entry, result(2, 0x65, 0, "")].concat()]).await;
        let answer = asked(call(port)).await.unwrap();
        assert_eq!(answer.entries, [["mail"]]);
        let did: Vec<_> = answer.steps.iter().map(|step| (step.did, step.result)).collect();
        assert_eq!(did, [(Did::Bind, 0), (Did::Search, 0)]);
        let said = serving.await.unwrap();
        assert!(said.windows(6).any(|part| part == b"s3cr3t"));
    }

    #[tokio::test]
    async fn a_refused_bind_is_told_with_its_result_and_ends_the_question() {
        let (port, _serving) = directory(vec![result(1, 0x61, 13, "TLS confidentiality required")]).await;
        let answer = asked(call(port)).await.unwrap();
        assert_eq!(answer.steps.len(), 1);
        let step = &answer.steps[0];
        assert_eq!(
            (step.did, step.result, step.words.as_str()),
            (Did::Bind, 13, "TLS confidentiality required")
        );
    }

    #[tokio::test]
    async fn a_directory_that_does_not_turn_to_tls_is_told_no_password() {
        let (port, serving) = directory(vec![result(1, 0x78, 2, "unsupported extended operation")]).await;
        let started = DirectoryCall {
            tls: DirectoryTls::Started,
            ..call(port)
        };
        let answer = asked(started).await.unwrap();
        assert_eq!((answer.steps[0].did, answer.steps[0].result), (Did::StartTls, 2));
        let said = serving.await.unwrap();
        assert!(!said.windows(6).any(|part| part == b"s3cr3t"));
    }

    #[tokio::test]
    async fn what_is_no_directory_is_no_answer() {
        let (port, _serving) = directory(vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()]).await;
        assert_eq!(asked(call(port)).await, Err(CallFailureKind::Protocol));
        let (port, _serving) = directory(vec![Vec::new()]).await;
        assert_eq!(asked(call(port)).await, Err(CallFailureKind::Reset));
        let closed = super::super::free_port::free_port();
        assert_eq!(asked(call(closed)).await, Err(CallFailureKind::Connect));
    }
}
