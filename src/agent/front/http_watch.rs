//! HTTP/1 read along: what passes between a client and a service is parsed, and never changed. Where it is not
//! understood any more, and where a connection becomes another (an upgrade, a tunnel), nothing more is read of it.
//!
//! What arrives here is hostile: whatever the bytes are, the reader goes on, and it keeps a bounded number of them.

use std::collections::VecDeque;

use httparse::{EMPTY_HEADER, Header, Status};
use url::form_urlencoded;

use super::calls::{Client, HttpSaid, Param, Said, Ticket, path, text};

/// The longest head that is read.
const HEAD_LIMIT: usize = 64 * 1024;
/// The most headers of a message.
const HEADERS: usize = 128;
/// Of a body no more is kept.
const BODY_LIMIT: usize = 16 * 1024;

/// Nothing more is understood of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// Both directions of a connection.
pub(super) struct HttpWatch {
    client: Client,
    requests: Direction,
    answers: Direction,
    /// Requests that have no answer yet.
    waiting: VecDeque<Waiting>,
    /// The request whose body passes now.
    sending: Option<Ticket>,
    /// The call whose answer passes now.
    answering: Option<Ticket>,
}

/// A request that has no answer yet.
struct Waiting {
    ticket: Option<Ticket>,
    asks_for_head: bool,
    opens_tunnel: bool,
}

/// One direction: heads and bodies in turn.
#[derive(Default)]
struct Direction {
    head: Vec<u8>,
    body: Option<Body>,
}

/// A body that passes.
struct Body {
    framing: Framing,
    kept: Vec<u8>,
    holds: Holds,
}

/// What of a body is of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Form,
    Json,
}

/// Where a body ends (RFC 9112, 6.3).
enum Framing {
    Length(u64),
    Chunks(Chunks),
    UntilTheEnd,
}

/// Where in a chunked body one is.
enum Chunks {
    Size(Vec<u8>),
    Data(u64),
    /// The line end behind the data, so many bytes of it.
    After(u8),
    /// Trailers; whether the present line is empty so far.
    Trailer(bool),
}

impl HttpWatch {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            requests: Direction::default(),
            answers: Direction::default(),
            waiting: VecDeque::new(),
            sending: None,
            answering: None,
        }
    }

    /// The client has said this.
    pub(super) fn asks(&mut self, mut bytes: &[u8]) -> Result<(), Lost> {
        while !bytes.is_empty() {
            if let Some(body) = &mut self.requests.body {
                if !body.feed(&mut bytes)? {
                    return Ok(());
                }
                self.request_ends();
            } else if let Some(head) = self.requests.next_head(&mut bytes)? {
                self.request_begins(&head)?;
            }
        }
        Ok(())
    }

    /// The service has said this.
    pub(super) fn answers(&mut self, mut bytes: &[u8]) -> Result<(), Lost> {
        while !bytes.is_empty() {
            if let Some(body) = &mut self.answers.body {
                if !body.feed(&mut bytes)? {
                    return Ok(());
                }
                self.answer_ends();
            } else if let Some(head) = self.answers.next_head(&mut bytes)? {
                self.answer_begins(&head)?;
            }
        }
        Ok(())
    }

    /// The connection is over.
    pub(super) fn ends(&mut self) {
        self.request_ends();
        self.answer_ends();
        for waiting in self.waiting.drain(..) {
            self.client.settles(waiting.ticket);
        }
    }

    fn request_begins(&mut self, head: &[u8]) -> Result<(), Lost> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(head).map_err(|_| Lost)?;
        let (method, target) = (request.method.ok_or(Lost)?, request.path.ok_or(Lost)?);
        let said = said(method, target, request.headers);
        let ticket = self.client.begins(Said::Http(said));
        self.waiting.push_back(Waiting {
            ticket,
            asks_for_head: method == "HEAD",
            opens_tunnel: method == "CONNECT",
        });
        self.sending = ticket;
        let framing = framing(request.headers)?.unwrap_or(Framing::Length(0));
        self.requests.body = Body::of(framing, request.headers);
        if self.requests.body.is_none() {
            self.request_ends();
        }
        Ok(())
    }

    fn request_ends(&mut self) {
        let ticket = self.sending.take();
        let params = self.requests.body.take().map(|body| body.params()).unwrap_or_default();
        self.client.learns(ticket, |said| {
            if let Said::Http(http) = said {
                http.add_params(params.into_iter());
            }
        });
    }

    fn answer_begins(&mut self, head: &[u8]) -> Result<(), Lost> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        answer.parse(head).map_err(|_| Lost)?;
        let status = answer.code.ok_or(Lost)?;
        if (100..200).contains(&status) && status != 101 {
            return Ok(());
        }
        let Some(waiting) = self.waiting.pop_front() else {
            return Err(Lost);
        };
        self.answering = waiting.ticket;
        self.client
            .learns(waiting.ticket, |said| answered(said, status, answer.headers));
        self.client.settles(waiting.ticket);
        if status == 101 || (waiting.opens_tunnel && status < 300) {
            return Err(Lost);
        }
        let is_empty = waiting.asks_for_head || status == 204 || status == 304;
        let framing = match is_empty {
            true => Framing::Length(0),
            false => framing(answer.headers)?.unwrap_or(Framing::UntilTheEnd),
        };
        self.answers.body = Body::of(framing, answer.headers);
        if let (Some(body), true) = (&mut self.answers.body, status < 400) {
            body.holds = Holds::Nothing;
        }
        Ok(())
    }

    fn answer_ends(&mut self) {
        let ticket = self.answering.take();
        let Some(body) = self.answers.body.take().filter(|body| body.holds == Holds::Json) else {
            return;
        };
        let told: serde_json::Value = serde_json::from_slice(&body.kept).unwrap_or_default();
        let word = |name: &str| told[name].as_str().map(text);
        self.client.learns(ticket, |said| {
            if let Said::Http(http) = said {
                http.error = word("error").or_else(|| http.error.take());
                http.error_words = word("error_description").or_else(|| http.error_words.take());
            }
        });
    }
}

impl Direction {
    /// The next head, once it is whole; its bytes, and no others, are taken.
    fn next_head(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Lost> {
        for (at, byte) in bytes.iter().enumerate() {
            // Empty lines before a message are to be passed over (RFC 9112, 2.2).
            if self.head.is_empty() && (*byte == b'\r' || *byte == b'\n') {
                continue;
            }
            self.head.push(*byte);
            if self.head.ends_with(b"\r\n\r\n") || self.head.ends_with(b"\n\n") {
                *bytes = &bytes[at + 1..];
                return Ok(Some(std::mem::take(&mut self.head)));
            }
            if self.head.len() > HEAD_LIMIT {
                return Err(Lost);
            }
        }
        *bytes = &[];
        Ok(None)
    }
}

impl Body {
    /// `None` where there is none.
    fn of(framing: Framing, headers: &[Header<'_>]) -> Option<Self> {
        let kind = header(headers, "content-type").unwrap_or_default().to_ascii_lowercase();
        let is_plain = header(headers, "content-encoding").is_none();
        let holds = match kind.split(';').next().map(str::trim) {
            Some("application/x-www-form-urlencoded") if is_plain => Holds::Form,
            Some(kind) if is_plain && (kind == "application/json" || kind.ends_with("+json")) => Holds::Json,
            _ => Holds::Nothing,
        };
        let body = Self {
            framing,
            kept: Vec::new(),
            holds,
        };
        (!matches!(body.framing, Framing::Length(0))).then_some(body)
    }

    /// Takes what is the body's; whether it is over.
    fn feed(&mut self, bytes: &mut &[u8]) -> Result<bool, Lost> {
        loop {
            match &mut self.framing {
                Framing::UntilTheEnd => {
                    self.keep(bytes);
                    *bytes = &[];
                    return Ok(false);
                }
                Framing::Length(left) => {
                    let taken = taken(left, bytes);
                    let is_over = *left == 0;
                    self.keep(taken);
                    return Ok(is_over);
                }
                Framing::Chunks(chunks) => match chunks.next(bytes)? {
                    Chunk::Data(data) => self.keep(data),
                    Chunk::More => return Ok(false),
                    Chunk::Over => return Ok(true),
                },
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.holds != Holds::Nothing {
            let room = BODY_LIMIT.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn params(self) -> Vec<Param> {
        match self.holds {
            Holds::Nothing => Vec::new(),
            Holds::Form => form_urlencoded::parse(&self.kept)
                .map(|(name, value)| Param::open(&name, &value))
                .collect(),
            Holds::Json => {
                let told: serde_json::Value = serde_json::from_slice(&self.kept).unwrap_or_default();
                let fields = told.as_object().into_iter().flatten();
                fields
                    .map(|(name, value)| Param::open(name, value.as_str().unwrap_or_default()))
                    .collect()
            }
        }
    }
}

/// So many bytes off the front.
fn taken<'b>(left: &mut u64, bytes: &mut &'b [u8]) -> &'b [u8] {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    let (taken, rest) = bytes.split_at(length);
    *left -= length as u64;
    *bytes = rest;
    taken
}

/// What the next bytes of a chunked body are.
enum Chunk<'b> {
    Data(&'b [u8]),
    /// The bytes have come to their end.
    More,
    /// The body has.
    Over,
}

impl Chunks {
    fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<Chunk<'b>, Lost> {
        while let Some((first, rest)) = bytes.split_first() {
            match self {
                Self::Data(left) => {
                    let data = taken(left, bytes);
                    if *left == 0 {
                        *self = Self::After(2);
                    }
                    return Ok(Chunk::Data(data));
                }
                Self::Size(line) if *first == b'\n' => {
                    *self = match size(line)? {
                        0 => Self::Trailer(true),
                        size => Self::Data(size),
                    };
                }
                Self::Size(line) if line.len() < HEADERS => line.push(*first),
                Self::Size(_) => return Err(Lost),
                Self::After(_) if *first == b'\n' => *self = Self::Size(Vec::new()),
                Self::After(2) if *first == b'\r' => *self = Self::After(1),
                Self::After(_) => return Err(Lost),
                Self::Trailer(true) if *first == b'\n' => {
                    *bytes = rest;
                    return Ok(Chunk::Over);
                }
                Self::Trailer(is_empty) => *is_empty = (*is_empty && *first == b'\r') || *first == b'\n',
            }
            *bytes = rest;
        }
        Ok(Chunk::More)
    }
}

/// A chunk's size, without its extensions.
fn size(line: &[u8]) -> Result<u64, Lost> {
    let line = std::str::from_utf8(line).map_err(|_| Lost)?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| Lost)
}

/// Where the body behind a head ends; `None` where the head does not say.
fn framing(headers: &[Header<'_>]) -> Result<Option<Framing>, Lost> {
    if let Some(coding) = header(headers, "transfer-encoding") {
        let is_chunked = coding.trim().to_ascii_lowercase().ends_with("chunked");
        return if is_chunked {
            Ok(Some(Framing::Chunks(Chunks::Size(Vec::new()))))
        } else {
            Ok(Some(Framing::UntilTheEnd))
        };
    }
    let length = header(headers, "content-length");
    let length = length.map(|length| length.trim().parse().map(Framing::Length));
    length.transpose().map_err(|_| Lost)
}

fn header<'h>(headers: &[Header<'h>], name: &str) -> Option<&'h str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}

fn said(method: &str, target: &str, headers: &[Header<'_>]) -> HttpSaid {
    let (route, query) = target.split_once('?').unwrap_or((target, ""));
    let scheme = header(headers, "authorization").and_then(|value| value.split(' ').next());
    let mut said = HttpSaid {
        host: text(header(headers, "host").unwrap_or_default()),
        method: text(method),
        path: path(route),
        authorization: scheme.map(text),
        proof: header(headers, "dpop").is_some(),
        ..HttpSaid::default()
    };
    let params = form_urlencoded::parse(query.as_bytes());
    said.add_params(params.map(|(name, value)| Param::open(&name, &value)));
    said
}

/// An answer's status, and the error that a redirect takes along.
fn answered(said: &mut Said, status: u16, headers: &[Header<'_>]) {
    let Said::Http(http) = said else { return };
    http.status = Some(status);
    let query = header(headers, "location").and_then(|location| location.split_once('?'));
    let Some((_, query)) = query.filter(|_| (300..400).contains(&status)) else {
        return;
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "error" => http.error = Some(text(&value)),
            "error_description" => http.error_words = Some(text(&value)),
            _ => {}
        }
    }
}

/// Whether these first bytes of a client are those of HTTP/1: `None` = they are too few to tell.
pub(super) fn is_http(bytes: &[u8]) -> Option<bool> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(Status::Complete(_)) => Some(true),
        Ok(Status::Partial) if request.version.is_some() => Some(true),
        Ok(Status::Partial) if bytes.len() < HEAD_LIMIT => None,
        Ok(Status::Partial) | Err(_) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::front::calls::{Calls, CallsCall};
    use crate::agent::resolver::Resolver;

    const ASKED: &[u8] = b"POST /o/token/?a=1 HTTP/1.1\r\nHost: login.example.com\r\nAuthorization: Basic c2hvcDpz\r\n\
        Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n\
        10\r\ngrant_type=autho\r\n1c;x=y\r\nrization_code&code=s3cr3tc0d\r\n0\r\nX-Trailer: 1\r\n\r\n\
        GET /o/.well-known/openid-configuration HTTP/1.1\r\nHost: login.example.com\r\n\r\n";
    const ANSWERED: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
        Content-Length: 81\r\n\r\n{\"error\": \"invalid_request\", \"error_description\": \"Code challenge required.\"}    \
        HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found";

    /// What is kept of a conversation that comes in pieces of this length.
    async fn kept(piece: usize) -> Vec<HttpSaid> {
        let calls = Calls::default();
        let client = calls.client([127, 0, 0, 1].into(), "idp", 443, &Resolver::system());
        let mut watch = HttpWatch::new(client);
        ASKED.chunks(piece).for_each(|bytes| watch.asks(bytes).unwrap());
        ANSWERED.chunks(piece).for_each(|bytes| watch.answers(bytes).unwrap());
        watch.ends();
        let page = calls.serve(&CallsCall::Take { after: 0, most: 10 });
        let ended = page.calls.items.iter().all(|call| call.took_ms.is_some());
        assert!(ended, "{:?}", page.calls.items);
        let said = page.calls.items.into_iter().map(|call| match call.said {
            Said::Http(http) => http,
            other => panic!("{other:?}"),
        });
        said.collect()
    }

    #[tokio::test]
    async fn requests_and_answers_are_told_however_they_are_cut() {
        for piece in [1, 2, 7, 100, 10_000] {
            let [token, discovery] = &kept(piece).await[..] else {
                panic!("two calls")
            };
            assert_eq!((token.path.as_str(), token.status), ("/o/token/", Some(400)), "{piece}");
            let names: Vec<&str> = token.params.iter().map(|param| param.name.as_str()).collect();
            assert_eq!(names, ["a", "grant_type", "code"], "{piece}");
            assert_eq!(token.params[1].value.as_deref(), Some("authorization_code"));
            assert_eq!(token.authorization.as_deref(), Some("Basic"));
            assert_eq!(token.error.as_deref(), Some("invalid_request"));
            assert_eq!(token.error_words.as_deref(), Some("Code challenge required."));
            assert_eq!(discovery.status, Some(404));
            let written = serde_json::to_string(token).unwrap();
            assert!(
                !written.contains("s3cr3t") && !written.contains("c2hvcDpz"),
                "{written}"
            );
        }
    }

    #[tokio::test]
    async fn the_error_of_a_redirect_is_told_and_its_code_is_not() {
        let mut said = Said::Http(HttpSaid::default());
        let location = b"https://shop.example.com/callback?code=s3cr3t&error=invalid_scope";
        let headers = [Header {
            name: "Location",
            value: location,
        }];
        answered(&mut said, 302, &headers);
        let written = serde_json::to_string(&said).unwrap();
        assert!(
            written.contains("invalid_scope") && !written.contains("s3cr3t"),
            "{written}"
        );
    }

    #[tokio::test]
    async fn what_becomes_another_protocol_is_read_no_further() {
        let client = Calls::default().client([127, 0, 0, 1].into(), "idp", 443, &Resolver::system());
        let mut watch = HttpWatch::new(client);
        watch.asks(b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").unwrap();
        assert_eq!(
            watch.answers(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x00"),
            Err(Lost)
        );
    }

    #[tokio::test]
    async fn no_bytes_break_the_reader() {
        for (good, of_client) in [(ASKED, true), (ANSWERED, false)] {
            for at in 0..good.len() {
                for value in [0, b'\r', b'\n', b' ', b':', b'f', 0x7f, 0xff] {
                    let client = Calls::default().client([127, 0, 0, 1].into(), "idp", 443, &Resolver::system());
                    let mut watch = HttpWatch::new(client);
                    let mut bytes = good.to_vec();
                    bytes[at] = value;
                    let _read = if of_client {
                        watch.asks(&bytes)
                    } else {
                        watch.answers(&bytes)
                    };
                    watch.ends();
                }
            }
        }
    }

    #[test]
    fn http_is_known_by_its_first_line() {
        assert_eq!(is_http(b"GE"), None);
        assert_eq!(is_http(b"GET / HTTP/1.1\r\nHost: x"), Some(true));
        assert_eq!(is_http(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Some(false));
        assert_eq!(is_http(b"\x16\x03\x01"), Some(false));
    }
}
