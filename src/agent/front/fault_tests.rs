//! Each fault, as a client meets it.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::calls::CallsCall;
use super::fault::{Fault, FaultAnswer, FaultCall, Injected, Reach};
use super::relay::{RelayCall, Transport};
use super::{Forwarded, FrontCall, Fronts, FrontsCall};
use crate::agent::free_port::free_port;
use crate::agent::resolver::Resolver;

/// Where relays stand in these tests; services are behind them, at the same port of another address.
const FRONT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A service that answers every request by its path, and the relay before it.
async fn relayed() -> (Fronts, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener));
    let fronts = Fronts::default();
    let relay = RelayCall {
        service: "idp".to_owned(),
        reached_at: "127.0.0.1".to_owned(),
        port,
        transport: Transport::Tcp,
        ends_tls: None,
    };
    fronts.stand(&[FRONT], relay, &Resolver::system()).unwrap();
    while TcpStream::connect((FRONT, port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (fronts, port)
}

async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut said = String::new();
            let mut buffer = [0; 1024];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                said.push_str(&String::from_utf8_lossy(&buffer[..length]));
                while let Some(end) = said.find("\r\n\r\n") {
                    let path = said.split(' ').nth(1).unwrap_or_default().to_owned();
                    said.drain(..end + 4);
                    let length = path.len();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}");
                    let _gone = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
    }
}

/// A service that speaks first, as those of mail do, and the relay before it.
async fn greeting() -> (Fronts, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _gone = stream.write_all(b"220 idp\r\n").await;
            tokio::spawn(async move { while let Ok(1..) = stream.read(&mut [0; 64]).await {} });
        }
    });
    let fronts = Fronts::default();
    let relay = RelayCall {
        service: "idp".to_owned(),
        reached_at: "127.0.0.1".to_owned(),
        port,
        transport: Transport::Tcp,
        ends_tls: None,
    };
    fronts.stand(&[FRONT], relay, &Resolver::system()).unwrap();
    while TcpStream::connect((FRONT, port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (fronts, port)
}

#[tokio::test]
async fn a_service_that_speaks_first_is_heard_under_a_fault_and_cut_where_the_fault_says_so() {
    let (fronts, port) = greeting().await;
    let greeted = || async {
        let mut stream = TcpStream::connect((FRONT, port)).await.unwrap();
        let mut said = [0; 9];
        let within = Duration::from_secs(10);
        let read = tokio::time::timeout(within, stream.read_exact(&mut said)).await;
        read.expect("nobody waits for ever").map(|_| said)
    };
    begins(&fronts, Fault::Errors).await;
    assert_eq!(&greeted().await.unwrap(), b"220 idp\r\n");
    begins(&fronts, Fault::Reset).await;
    assert!(greeted().await.is_err());
    ends(&fronts).await;
    assert_eq!(&greeted().await.unwrap(), b"220 idp\r\n");
}

fn call(fault: Fault, reach: Reach, spares: &[Ipv4Addr]) -> FaultCall {
    FaultCall {
        services: vec!["idp".to_owned()],
        fault: Some(Injected {
            fault,
            reach,
            spares: spares.iter().map(|address| (*address).into()).collect(),
        }),
    }
}

async fn begins(fronts: &Fronts, fault: Fault) -> FaultAnswer {
    fronts.fault(&call(fault, Reach::Everything, &[])).await
}

async fn ends(fronts: &Fronts) -> FaultAnswer {
    let services = vec!["idp".to_owned()];
    fronts.fault(&FaultCall { services, fault: None }).await
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: idp\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// What comes, up to the body; nothing where the connection ends.
async fn heard(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
        let named = head.to_lowercase();
        let wanted = named
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.parse().ok());
        if wanted == Some(body.len()) {
            break;
        }
    }
    said
}

async fn answer(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect((FRONT, port)).await.unwrap();
    ask(&mut stream, path).await;
    heard(&mut stream).await
}

#[tokio::test]
async fn a_service_that_is_down_refuses_connections_cuts_those_that_stand_and_is_there_again_at_once() {
    let (fronts, port) = relayed().await;
    let mut standing = TcpStream::connect((FRONT, port)).await.unwrap();
    ask(&mut standing, "/before").await;
    assert!(heard(&mut standing).await.ends_with("/before"));
    let stands = begins(&fronts, Fault::Down).await;
    assert_eq!((stands.refused, stands.reset), (vec![port], vec![]));
    let refused = TcpStream::connect((FRONT, port)).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(heard(&mut standing).await, "");
    assert_eq!(ends(&fronts).await, FaultAnswer::default());
    assert!(answer(port, "/after").await.ends_with("/after"));
}

#[tokio::test]
async fn a_port_that_others_share_stays_open_for_them_and_resets_whoever_means_the_service_that_is_down() {
    let (port, listener) = (free_port(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let behind = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener));
    let front = |host: &str, heard: Option<&str>| FrontCall {
        host: host.to_owned(),
        port,
        tls: None,
        service: "127.0.0.1".to_owned(),
        ports: vec![behind],
        headers: vec![],
        forwarded: Forwarded::AsItCame,
        heard: heard.map(str::to_owned),
    };
    let fronts = Fronts::default();
    let all = FrontsCall {
        fronts: vec![front("shop", None), front("idp", Some("idp"))],
        relays: vec![],
        own: vec![FRONT],
        issuer: None,
    };
    fronts.serve(all, &Resolver::system()).await.unwrap();
    let stands = begins(&fronts, Fault::Down).await;
    assert_eq!((stands.refused, stands.reset), (vec![], vec![port]));
    let mut shop = TcpStream::connect((FRONT, port)).await.unwrap();
    shop.write_all(b"GET /items HTTP/1.1\r\nHost: shop\r\n\r\n")
        .await
        .unwrap();
    assert!(heard(&mut shop).await.ends_with("/items"));
    assert_eq!(answer(port, "/o").await, "");
    ends(&fronts).await;
    assert!(answer(port, "/o").await.ends_with("/o"));
}

#[tokio::test]
async fn errors_and_limits_are_answered_in_the_services_place_and_kept_as_such() {
    let (fronts, port) = relayed().await;
    begins(&fronts, Fault::Errors).await;
    assert!(answer(port, "/token").await.starts_with("HTTP/1.1 503 "));
    begins(&fronts, Fault::RateLimit(7)).await;
    let limited = answer(port, "/token").await.to_lowercase();
    assert!(
        limited.starts_with("http/1.1 429 ") && limited.contains("retry-after: 7\r\n"),
        "{limited}"
    );
    ends(&fronts).await;
    assert!(answer(port, "/token").await.ends_with("/token"));
    let page = fronts.calls(&CallsCall::Take { after: 0, most: 9 });
    let met: Vec<Option<Fault>> = page.calls.items.iter().map(|call| call.fault).collect();
    assert_eq!(met, [Some(Fault::Errors), Some(Fault::RateLimit(7)), None]);
}

#[tokio::test]
async fn one_endpoint_alone_is_out_and_all_others_answer_on_the_same_connection() {
    let (fronts, port) = relayed().await;
    let keys = Reach::Paths(vec!["/jwks".to_owned()]);
    fronts.fault(&call(Fault::Errors, keys, &[])).await;
    let mut stream = TcpStream::connect((FRONT, port)).await.unwrap();
    for (path, wanted) in [("/token", "200"), ("/jwks?x=1", "503"), ("/userinfo", "200")] {
        ask(&mut stream, path).await;
        let answer = heard(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {wanted}")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_is_reset_once_its_client_has_said_something() {
    let (fronts, port) = relayed().await;
    begins(&fronts, Fault::Reset).await;
    let mut stream = TcpStream::connect((FRONT, port)).await.unwrap();
    ask(&mut stream, "/token").await;
    let reset = stream.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_late_answer_is_late_for_all_but_those_who_are_spared() {
    let (fronts, port) = relayed().await;
    let hour = Fault::Slow(3_600_000);
    fronts.fault(&call(hour, Reach::Everything, &[])).await;
    let late = tokio::time::timeout(Duration::from_millis(100), answer(port, "/token")).await;
    assert!(late.is_err(), "{late:?}");
    // What we ask from is the address that we ask.
    fronts
        .fault(&call(hour, Reach::Everything, &[FRONT, Ipv4Addr::LOCALHOST]))
        .await;
    assert!(answer(port, "/token").await.ends_with("/token"));
}

#[tokio::test]
async fn a_body_comes_in_halves_or_is_cut_in_the_middle() {
    let (fronts, port) = relayed().await;
    begins(&fronts, Fault::SlowBody(1)).await;
    assert!(answer(port, "/abcdefg").await.ends_with("\r\n\r\n/abcdefg"));
    begins(&fronts, Fault::CutBody).await;
    let cut = answer(port, "/abcdefg").await;
    assert!(
        cut.to_lowercase().contains("content-length: 8\r\n") && cut.ends_with("\r\n\r\n/abc"),
        "{cut}"
    );
}

#[tokio::test]
async fn a_tls_hello_is_answered_by_an_alert() {
    let (fronts, port) = relayed().await;
    begins(&fronts, Fault::TlsFailure).await;
    let mut stream = TcpStream::connect((FRONT, port)).await.unwrap();
    // A hello that names nobody.
    stream.write_all(&[0x16, 9, 9, 0, 1, 0]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut alert = Vec::new();
    stream.read_to_end(&mut alert).await.unwrap();
    assert_eq!(alert, [0x15, 3, 3, 0, 2, 2, 40]);
}
