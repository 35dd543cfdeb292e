//! Requests whose last byte waits: each is under way from the server's side until it is let go, so that a server which
//! is being stopped shows what it does with work that it has begun.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::failure::CallFailure;
use super::resolver::Resolver;
use super::session::lock;

/// Requests at a time: a server that takes one after the other has one under way, and the others are not begun.
const COUNT: usize = 3;
/// One connection's limit.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// An answer's limit, once the last byte has gone.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const MOST: u64 = 1024 * 1024;

/// What can be done with requests that wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldCall {
    /// Sends some GETs of an `http` URL but for their last byte. Earlier ones of the same name are forgotten.
    Begin {
        /// Their name.
        held: String,
        /// What they ask.
        url: String,
        /// The host that takes the connections, whoever else bears the URL's name.
        at: String,
    },
    /// Sends the last byte of each, and waits for the answers.
    Finish {
        /// Their name.
        held: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldAnswer {
    /// So many are under way.
    Begun(usize),
    /// So many of them had a whole answer.
    Ended {
        /// Under way.
        begun: usize,
        /// Answered to the end.
        completed: usize,
    },
}

impl HeldCall {
    /// How long it may take.
    pub(super) fn limit(&self) -> Duration {
        match self {
            Self::Begin { .. } => CONNECT_LIMIT,
            Self::Finish { .. } => ANSWER_LIMIT,
        }
    }
}

/// Requests that wait, by their name.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<String, Vec<TcpStream>>>);

impl Held {
    /// Does what is asked.
    pub async fn serve(&self, resolver: &Resolver, call: HeldCall) -> Result<HeldAnswer, CallFailure> {
        match call {
            HeldCall::Begin { held, url, at } => {
                let begun = join_all((0..COUNT).map(|_| begin(resolver, &url, &at))).await;
                let begun = begun.into_iter().collect::<Result<Vec<_>, _>>()?;
                let count = begun.len();
                lock(&self.0).insert(held, begun);
                Ok(HeldAnswer::Begun(count))
            }
            HeldCall::Finish { held } => {
                let waiting = lock(&self.0).remove(&held);
                let waiting = waiting.ok_or_else(|| CallFailure::request(format!("nothing named `{held}` waits")))?;
                let begun = waiting.len();
                let ended = join_all(waiting.into_iter().map(finish)).await;
                Ok(HeldAnswer::Ended {
                    begun,
                    completed: ended.into_iter().flatten().count(),
                })
            }
        }
    }
}

async fn begin(resolver: &Resolver, url: &str, at: &str) -> Result<TcpStream, CallFailure> {
    let refused = |why: String| CallFailure::request(format!("`{url}` cannot be asked: {why}"));
    let parsed = Url::parse(url).map_err(|error| refused(error.to_string()))?;
    let (Some(port), "http") = (parsed.port_or_known_default(), parsed.scheme()) else {
        return Err(refused("only http is held".to_owned()));
    };
    let addresses = resolver.addresses(at).await.map_err(refused)?;
    let address = addresses.first().ok_or_else(|| refused("no address".to_owned()))?;
    let connected = timeout(CONNECT_LIMIT, TcpStream::connect((*address, port))).await;
    let mut stream = connected
        .map_err(|_| refused("nobody takes the connection".to_owned()))?
        .map_err(|error| refused(error.to_string()))?;
    let path = &parsed[url::Position::BeforePath..url::Position::AfterQuery];
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\r",
        &parsed[url::Position::BeforeHost..url::Position::AfterPort]
    );
    stream
        .write_all(head.as_bytes())
        .await
        .map_err(|error| refused(error.to_string()))?;
    Ok(stream)
}

/// The whole answer; `None` = it was cut.
async fn finish(mut stream: TcpStream) -> Option<()> {
    let answered = async {
        stream.write_all(b"\n").await.ok()?;
        let mut answer = Vec::new();
        (&mut stream).take(MOST).read_to_end(&mut answer).await.ok()?;
        is_whole(&answer).then_some(())
    };
    timeout(ANSWER_LIMIT, answered).await.ok().flatten()
}

/// A head, and as long a body as it says.
fn is_whole(answer: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(answer) else {
        return false;
    };
    let of = |name: &str| {
        let mut named = response
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named
            .next()
            .map(|header| String::from_utf8_lossy(header.value).to_lowercase())
    };
    let body = &answer[head..];
    let length = of("content-length").and_then(|length| length.trim().parse::<usize>().ok());
    let chunked = of("transfer-encoding").is_some_and(|encoding| encoding.contains("chunked"));
    let ends = !chunked || body.windows(5).any(|end| end == b"0\r\n\r\n");
    ends && length.is_none_or(|length| body.len() >= length || answer.len() as u64 >= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_it_is_as_long_as_it_says() {
        for (answer, whole) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false),
            ("HTTP/1.1 200 OK\r\n\r\nwhatever comes until the end", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
                false,
            ),
            ("HTTP/1.1 200 OK\r\nContent-", false),
            ("", false),
        ] {
            assert_eq!(is_whole(answer.as_bytes()), whole, "{answer:?}");
        }
    }
}
