//! The agent as entrance: passes TCP connections on, each listening port to one place inside the mirror.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::try_join_all;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::bear::listen;
use super::names::Names;

/// One connection to a service takes at most this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

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
    let listening = passages.iter().map(|passage| async move {
        let listener = listen(passage.inside).await;
        Ok::<_, anyhow::Error>((
            listener.with_context(|| format!("port {}", passage.inside))?,
            passage.clone(),
        ))
    });
    let names = Names::system();
    let doors = try_join_all(listening).await?;
    // Whoever made this container waits for a word.
    println!("open");
    let open = doors
        .into_iter()
        .map(|(listener, to)| accept(listener, to, names.clone()));
    futures_util::future::join_all(open).await;
    Ok(())
}

async fn accept(listener: TcpListener, to: Passage, names: Names) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(carry(stream, to.clone(), names.clone()))),
            // Too many open files: those that are open end.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Looked up anew each time: a service's address changes when it is started again.
async fn carry(mut outside: TcpStream, to: Passage, names: Names) {
    // A service that does not answer is seen as what it is: a connection that ends at once.
    if let Ok(mut inside) = connect(&to, &names).await {
        let _carried = copy_bidirectional(&mut outside, &mut inside).await;
    }
}

async fn connect(to: &Passage, names: &Names) -> Result<TcpStream> {
    let addresses = names.addresses(&to.host).await.map_err(|error| anyhow!(error))?;
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
        tokio::spawn(accept(door, passage, Names::system()));
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
}
