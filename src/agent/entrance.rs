//! The agent as entrance or as door: passes TCP connections on, each listening port to one place. Where a port leads to
//! several, a client's first words tell which it means; one that means none of them is hung up on.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::try_join_all;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::first_words;
use super::listen::listen;
use super::resolver::Resolver;

/// One connection to a service takes at most this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A client is given this long for its first words. Long, as for a handshake: a machine at its limits takes its time.
const WORDS_LIMIT: Duration = Duration::from_secs(60);

/// A port to listen on, and where connections to it lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    inside: u16,
    host: String,
    port: u16,
}

impl std::str::FromStr for Passage {
    type Err = anyhow::Error;

    /// `PORT=HOST:PORT`.
    fn from_str(text: &str) -> Result<Self> {
        let parts = || {
            let (inside, target) = text.split_once('=')?;
            let (host, port) = target.rsplit_once(':')?;
            Some((inside.parse().ok()?, host.to_owned(), port.parse().ok()?))
        };
        let (inside, host, port) = parts().with_context(|| format!("`{text}` is not of the form PORT=HOST:PORT"))?;
        Ok(Self { inside, host, port })
    }
}

/// Passes connections on until the process ends.
///
/// # Errors
/// A port cannot be listened on.
pub async fn pass_on(passages: &[Passage]) -> Result<()> {
    let mut ports: BTreeMap<u16, Vec<Passage>> = BTreeMap::new();
    for passage in passages {
        ports.entry(passage.inside).or_default().push(passage.clone());
    }
    let listening = ports.into_iter().map(|(port, places)| async move {
        let listener = listen(port).await.with_context(|| format!("port {port}"))?;
        Ok::<_, anyhow::Error>((listener, places.into()))
    });
    let resolver = Resolver::system();
    let doors = try_join_all(listening).await?;
    // Whoever made this container waits for a word.
    writeln!(std::io::stdout(), "open")?;
    let open = doors
        .into_iter()
        .map(|(listener, places)| accept(listener, places, resolver.clone()));
    futures_util::future::join_all(open).await;
    Ok(())
}

async fn accept(listener: TcpListener, places: Arc<[Passage]>, resolver: Resolver) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(carry(stream, places.clone(), resolver.clone()))),
            // Too many open files: those that are open end.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn carry(mut client: TcpStream, places: Arc<[Passage]>, resolver: Resolver) {
    // A service that does not answer is seen as what it is: a connection that ends at once.
    let Some((said, to)) = meant(&mut client, &places).await else {
        return;
    };
    let Ok(mut service) = connect(to, &resolver).await else {
        return;
    };
    if service.write_all(&said).await.is_ok() {
        let _carried = copy_bidirectional(&mut client, &mut service).await;
    }
}

/// The place that a client means, and what was read of it to know. One that is alone on its port need not be named, so
/// whatever is spoken there may begin on either side.
async fn meant<'p>(client: &mut TcpStream, places: &'p [Passage]) -> Option<(Vec<u8>, &'p Passage)> {
    if let [only] = places {
        return Some((Vec::new(), only));
    }
    let (said, host) = timeout(WORDS_LIMIT, first_words::read(client)).await.ok()??;
    let host = host?;
    let to = places.iter().find(|place| place.host.eq_ignore_ascii_case(&host))?;
    Some((said, to))
}

/// Looked up anew each time: a service's address changes when it is started again.
async fn connect(to: &Passage, resolver: &Resolver) -> Result<TcpStream> {
    let addresses = resolver.addresses(&to.host).await.map_err(|error| anyhow!(error))?;
    let mut last = anyhow!("`{}` has no address", to.host);
    for address in addresses {
        match timeout(CONNECT_LIMIT, TcpStream::connect((address, to.port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.into(),
            Err(_) => last = anyhow!("no answer in {CONNECT_LIMIT:?}"),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[test]
    fn a_passage_is_a_port_and_a_place() {
        let passage: Passage = "10000=web:8080".parse().unwrap();
        assert_eq!(
            (passage.inside, passage.host.as_str(), passage.port),
            (10000, "web", 8080)
        );
        for wrong in ["", "web:8080", "1=web", "x=web:1", "1=web:x", "1=web:70000"] {
            assert!(wrong.parse::<Passage>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_a_closed_port_ends_the_connection() {
        let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = service.local_addr().unwrap().port();
        let passage = Passage {
            inside: 0,
            host: "127.0.0.1".to_owned(),
            port,
        };
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = door.local_addr().unwrap();
        tokio::spawn(accept(door, [passage].into(), Resolver::system()));
        let mut client = TcpStream::connect(at).await.unwrap();
        client.write_all(b"ping").await.unwrap();
        let (mut served, _) = service.accept().await.unwrap();
        let mut heard = [0; 4];
        served.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
        served.write_all(b"pong").await.unwrap();
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"pong");

        drop((service, served));
        let mut client = TcpStream::connect(at).await.unwrap();
        assert_eq!(client.read(&mut heard).await.unwrap_or(0), 0);
    }

    /// A service that says who it is as soon as somebody is there.
    async fn speaks_first(words: &'static str) -> u16 {
        let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = service.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = service.accept().await {
                stream.write_all(words.as_bytes()).await.unwrap();
            }
        });
        port
    }

    #[tokio::test]
    async fn several_places_on_one_port_are_told_apart_by_name() {
        let place = |host: &str, port| Passage {
            inside: 0,
            host: host.to_owned(),
            port,
        };
        // Two names of one address.
        let places = [
            place("localhost", speaks_first("localhost here").await),
            place("127.0.0.1", speaks_first("the number here").await),
        ];
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = door.local_addr().unwrap();
        tokio::spawn(accept(door, places.into(), Resolver::system()));
        let heard = async |words: &str| {
            let mut client = TcpStream::connect(at).await.unwrap();
            client.write_all(words.as_bytes()).await.unwrap();
            let mut heard = String::new();
            // Bytes that nobody took make the end of a connection a reset.
            let _ended = client.read_to_string(&mut heard).await;
            heard
        };
        assert_eq!(
            heard("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await,
            "localhost here"
        );
        assert_eq!(
            heard("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await,
            "the number here"
        );
        assert_eq!(heard("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").await, "");
        assert_eq!(heard("EHLO localhost\r\n").await, "");
    }
}
