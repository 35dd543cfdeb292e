//! A key of ours among a product's, as its clients see it.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::issuer::{IssuerCall, KeysCall};
use super::relay::{RelayCall, Transport};
use super::{Forwarded, FrontCall, Fronts, FrontsCall};
use crate::agent::free_port::free_port;
use crate::agent::resolver::Resolver;

/// Where relays stand in these tests; the product is behind them, at the same port of another address.
const FRONT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What a product answers, by path.
type Answers = fn(&str) -> (u16, String);

/// One that says where its keys are, and shows one.
fn product(path: &str) -> (u16, String) {
    let body = match path {
        "/o/.well-known/openid-configuration" => json!({"jwks_uri": "https://login.example.com/o/keys"}),
        "/o/keys" | "/other/keys" => json!({"keys": [{"kty": "RSA", "kid": "its own"}]}),
        "/o/.well-known/nothing" => return (404, String::new()),
        _ => json!({"path": path}),
    };
    (200, body.to_string())
}

/// One whose keys are no set of keys.
fn broken(path: &str) -> (u16, String) {
    match path {
        "/o/keys" => (200, "{\"keys\": 7}".to_owned()),
        _ => product(path),
    }
}

/// One that knows no discovery.
fn silent(path: &str) -> (u16, String) {
    match path.contains(".well-known") {
        true => (404, String::new()),
        false => product(path),
    }
}

async fn begin(answers: Answers) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = service_fn(move |request: Request<Incoming>| async move {
                let (status, body) = match request.headers().contains_key("if-none-match") {
                    true => (304, String::new()),
                    false => answers(request.uri().path()),
                };
                let response = Response::builder()
                    .status(status)
                    .header("x-own", "kept")
                    .header("etag", "\"1\"");
                Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).unwrap())
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    port
}

fn key() -> IssuerCall {
    IssuerCall {
        issuer: "https://login.example.com/o".to_owned(),
        keys: vec![json!({"kty": "RSA", "kid": "ours"})],
    }
}

/// Fronts of a product at this port, under its own name by a relay.
async fn relayed(port: u16, issuer: Option<IssuerCall>) -> Fronts {
    let fronts = Fronts::default();
    let relay = RelayCall {
        service: "idp".to_owned(),
        reached_at: "127.0.0.1".to_owned(),
        port,
        transport: Transport::Tcp,
        ends_tls: None,
    };
    let call = FrontsCall {
        fronts: vec![],
        relays: vec![relay],
        own: vec![FRONT],
        issuer,
    };
    fronts.serve(call, &Resolver::system()).await.unwrap();
    while TcpStream::connect((FRONT, port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fronts
}

async fn get(address: Ipv4Addr, port: u16, path: &str) -> String {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let answer = client.get(format!("http://{address}:{port}{path}")).send().await;
    answer.unwrap().text().await.unwrap()
}

fn kids(set: &str) -> Vec<String> {
    let set: Value = serde_json::from_str(set).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_key_of_ours_stands_behind_the_products_own_from_the_first_request_on() {
    let port = begin(product).await;
    let _fronts = relayed(port, Some(key())).await;
    assert_eq!(kids(&get(FRONT, port, "/o/keys?x=1").await), ["its own", "ours"]);
    // Nothing else is another.
    assert_eq!(kids(&get(FRONT, port, "/other/keys").await), ["its own"]);
    assert_eq!(get(FRONT, port, "/o/token").await, product("/o/token").1);
}

#[tokio::test]
async fn other_keys_of_ours_stand_there_from_the_next_request_on() {
    let port = begin(product).await;
    let fronts = relayed(port, Some(key())).await;
    let named = |names: &[&str]| KeysCall {
        keys: names.iter().map(|name| json!({"kty": "RSA", "kid": name})).collect(),
    };
    for (ours, wanted) in [
        (&["ours", "new"][..], &["its own", "ours", "new"][..]),
        (&["newer"], &["its own", "newer"]),
        (&[], &["its own"]),
        (&["ours"], &["its own", "ours"]),
    ] {
        fronts.show(named(ours)).unwrap();
        assert_eq!(kids(&get(FRONT, port, "/o/keys").await), wanted);
    }
    assert!(Fronts::default().show(named(&["ours"])).is_err());
}

#[tokio::test]
async fn a_client_that_has_the_products_set_gets_ours_all_the_same() {
    let port = begin(product).await;
    let _fronts = relayed(port, Some(key())).await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let asked = client
        .get(format!("http://{FRONT}:{port}/o/keys"))
        .header("If-None-Match", "\"1\"");
    let answer = asked.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("etag")), (200, None));
    assert_eq!(kids(&answer.text().await.unwrap()), ["its own", "ours"]);
}

#[tokio::test]
async fn where_nobody_asks_for_it_the_product_shows_its_own_keys_alone() {
    let port = begin(product).await;
    let _fronts = relayed(port, None).await;
    assert_eq!(get(FRONT, port, "/o/keys").await, product("/o/keys").1);
}

#[tokio::test]
async fn what_is_no_set_of_keys_and_what_no_discovery_names_passes_as_it_came() {
    for answers in [broken as Answers, silent] {
        let port = begin(answers).await;
        let _fronts = relayed(port, Some(key())).await;
        assert_eq!(get(FRONT, port, "/o/keys").await, answers("/o/keys").1);
        assert_eq!(get(FRONT, port, "/o/.well-known/nothing").await, "");
    }
}

#[tokio::test]
async fn under_the_issuers_name_it_is_the_same() {
    let (port, behind) = (free_port(), begin(product).await);
    let front = |heard: Option<&str>, port| FrontCall {
        host: "login.example.com".to_owned(),
        port,
        tls: None,
        service: "127.0.0.1".to_owned(),
        ports: vec![behind],
        headers: vec![],
        forwarded: Forwarded::Said,
        heard: heard.map(str::to_owned),
    };
    let others = free_port();
    let call = FrontsCall {
        fronts: vec![front(Some("idp"), port), front(None, others)],
        relays: vec![],
        own: vec![FRONT],
        issuer: Some(key()),
    };
    let fronts = Fronts::default();
    fronts.serve(call, &Resolver::system()).await.unwrap();
    assert_eq!(kids(&get(FRONT, port, "/o/keys").await), ["its own", "ours"]);
    // Whatever it answers, another service is no issuer.
    assert_eq!(kids(&get(FRONT, others, "/o/keys").await), ["its own"]);
}

#[tokio::test]
async fn what_is_no_plain_request_passes_byte_by_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ended = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    let _fronts = relayed(port, Some(key())).await;
    let upgrade = "GET /socket HTTP/1.1\r\nHost: idp\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for said in [b"\x30\x0c\x02\x01\x01".as_slice(), upgrade.as_bytes()] {
        let mut stream = TcpStream::connect((FRONT, port)).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, said);
    }
}
