//! Datagrams through a relay, on real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::calls::{CallSeen, CallsCall, RadiusSaid, Said};
use super::fault::{Fault, FaultAnswer, FaultCall, Injected, Reach};
use super::relay::{RelayCall, Transport};
use super::{Fronts, FrontsCall};
use crate::agent::free_port::free_port;
use crate::agent::radius::MESSAGE_AUTHENTICATOR;
use crate::agent::radius::tests::packet;
use crate::agent::resolver::Resolver;

/// Where the relay stands; the service is behind it, at the same port of another address.
const FRONT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SECRET: &[u8] = b"s3cr3t-value";
/// Longer than any answer takes that comes.
const NEVER: Duration = Duration::from_millis(150);

/// A service that accepts whoever says `User-Name` first, rejects others, and says nothing to what is no packet.
async fn service() -> u16 {
    let answers = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = answers.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((_, peer)) = answers.recv_from(&mut buffer).await {
            let code = match buffer.get(20) {
                _ if buffer[0] != 1 => continue,
                Some(1) => 2,
                _ => 3,
            };
            let answer = packet(code, buffer[1], 5, &[(18, SECRET)]);
            let from = peer.port().to_string();
            let _gone = answers.send_to(&[&answer[..], from.as_bytes()].concat(), peer).await;
        }
    });
    port
}

async fn relayed() -> (Fronts, SocketAddr) {
    let port = service().await;
    (through(port).await, (FRONT, port).into())
}

async fn through(port: u16) -> Fronts {
    let fronts = Fronts::default();
    let relay = RelayCall {
        service: "idp".to_owned(),
        reached_at: "127.0.0.1".to_owned(),
        port,
        transport: Transport::Udp,
        ends_tls: None,
    };
    let all = FrontsCall {
        fronts: vec![],
        relays: vec![relay],
        own: vec![FRONT],
        issuer: None,
    };
    fronts.serve(all, &Resolver::system()).await.unwrap();
    fronts
}

async fn client() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

fn request(identifier: u8, seed: u8) -> Vec<u8> {
    packet(1, identifier, seed, &[(1, SECRET), (MESSAGE_AUTHENTICATOR, &[0; 16])])
}

async fn ask(client: &UdpSocket, to: SocketAddr, said: &[u8]) -> Option<Vec<u8>> {
    client.send_to(said, to).await.unwrap();
    heard(client, to, NEVER).await
}

async fn heard(client: &UdpSocket, from: SocketAddr, limit: Duration) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    let (length, peer) = timeout(limit, client.recv_from(&mut buffer)).await.ok()?.unwrap();
    assert_eq!(peer, from);
    Some(buffer[..length].to_vec())
}

/// The first answer, once the relay has its port.
async fn first(client: &UdpSocket, to: SocketAddr, said: &[u8]) -> Vec<u8> {
    loop {
        if let Some(answer) = ask(client, to, said).await {
            return answer;
        }
    }
}

fn calls(fronts: &Fronts) -> Vec<CallSeen> {
    fronts.calls(&CallsCall::Take { after: 0, most: 99 }).calls.items
}

fn radius(call: &CallSeen) -> RadiusSaid {
    match &call.said {
        Said::Radius(radius) => radius.clone(),
        other => panic!("{other:?}"),
    }
}

async fn begins(fronts: &Fronts, fault: Fault, spares: &[Ipv4Addr]) -> FaultAnswer {
    let injected = Injected {
        fault,
        reach: Reach::Everything,
        spares: spares.iter().map(|address| (*address).into()).collect(),
    };
    let services = vec!["idp".to_owned()];
    fronts
        .fault(&FaultCall {
            services,
            fault: Some(injected),
        })
        .await
}

#[tokio::test]
async fn each_client_has_a_socket_of_its_own_behind_the_relay_and_keeps_it() {
    let (_fronts, to) = relayed().await;
    let (one, other) = (client().await, client().await);
    let port = |answer: Vec<u8>| String::from_utf8(answer[answer.len() - 5..].to_vec()).unwrap();
    let first_of_one = port(first(&one, to, &request(1, 1)).await);
    let of_other = port(first(&other, to, &request(1, 1)).await);
    let again_of_one = port(ask(&one, to, &request(2, 2)).await.unwrap());
    assert_eq!(first_of_one, again_of_one);
    assert_ne!(first_of_one, of_other);
}

#[tokio::test]
async fn a_request_is_kept_with_the_names_of_its_attributes_and_no_value() {
    let (fronts, to) = relayed().await;
    let client = client().await;
    first(&client, to, &request(1, 1)).await;
    ask(&client, to, &packet(1, 2, 2, &[(2, SECRET), (2, SECRET)]))
        .await
        .unwrap();
    let calls = calls(&fronts);
    let told = serde_json::to_string(&calls).unwrap();
    assert!(!told.contains("s3cr3t"), "{told}");
    let sealed = radius(&calls[0]);
    assert_eq!(sealed.request, "Access-Request");
    assert_eq!(sealed.attributes, ["User-Name", "Message-Authenticator"]);
    assert_eq!((sealed.sealed, sealed.answer_sealed), (true, Some(false)));
    assert_eq!(sealed.answer.as_deref(), Some("Access-Accept"));
    let open = radius(&calls[1]);
    assert_eq!((open.attributes.len(), open.sealed), (1, false));
    assert_eq!(open.answer.as_deref(), Some("Access-Reject"));
    assert!(calls.iter().all(|call| call.took_ms.is_some() && call.service == "idp"));
}

#[tokio::test]
async fn the_same_request_again_is_one_call_and_another_with_its_identifier_is_a_second() {
    let (fronts, to) = relayed().await;
    let client = client().await;
    first(&client, to, &request(7, 1)).await;
    let before = radius(&calls(&fronts)[0]).retransmissions;
    ask(&client, to, &request(7, 1)).await.unwrap();
    ask(&client, to, &request(7, 1)).await.unwrap();
    ask(&client, to, &request(7, 2)).await.unwrap();
    let calls = calls(&fronts);
    assert_eq!(calls.len(), 2);
    assert_eq!(radius(&calls[0]).retransmissions, before + 2);
    assert_eq!(radius(&calls[1]).retransmissions, 0);
}

#[tokio::test]
async fn a_product_that_is_down_or_in_error_says_nothing_and_speaks_again_when_it_is_back() {
    let (fronts, to) = relayed().await;
    let client = client().await;
    first(&client, to, &request(1, 1)).await;
    let down = begins(&fronts, Fault::Down, &[]).await;
    assert_eq!(
        (down.silent.clone(), down.words()),
        (vec![to.port()], format!("{} silent", to.port()))
    );
    assert_eq!(ask(&client, to, &request(2, 2)).await, None);
    begins(&fronts, Fault::Errors, &[]).await;
    assert_eq!(ask(&client, to, &request(3, 3)).await, None);
    let services = vec!["idp".to_owned()];
    fronts.fault(&FaultCall { services, fault: None }).await;
    assert!(ask(&client, to, &request(4, 4)).await.is_some());
    let met = calls(&fronts).iter().map(|call| call.fault).collect::<Vec<_>>();
    assert_eq!(met, [None, Some(Fault::Down), Some(Fault::Errors), None]);
    let silent = radius(&calls(&fronts)[1]);
    assert_eq!((silent.answer, silent.answer_sealed), (None, None));
}

#[tokio::test]
async fn a_late_answer_is_late_for_all_but_those_who_are_spared() {
    let (fronts, to) = relayed().await;
    let client = client().await;
    first(&client, to, &request(1, 1)).await;
    begins(&fronts, Fault::Slow(400), &[]).await;
    client.send_to(&request(2, 2), to).await.unwrap();
    assert_eq!(heard(&client, to, NEVER).await, None);
    let late = heard(&client, to, Duration::from_secs(60)).await;
    assert_eq!(late.map(|answer| answer[1]), Some(2));
    begins(&fronts, Fault::Slow(3_600_000), &[Ipv4Addr::LOCALHOST]).await;
    assert!(ask(&client, to, &request(3, 3)).await.is_some());
}

#[tokio::test]
async fn a_fault_without_a_meaning_over_udp_is_met_by_nobody() {
    let (fronts, to) = relayed().await;
    let client = client().await;
    first(&client, to, &request(1, 1)).await;
    for (at, fault) in [Fault::Reset, Fault::RateLimit(1), Fault::TlsFailure]
        .into_iter()
        .enumerate()
    {
        begins(&fronts, fault, &[]).await;
        let at = u8::try_from(at).unwrap() + 2;
        assert!(ask(&client, to, &request(at, at)).await.is_some(), "{fault:?}");
    }
    assert!(calls(&fronts).iter().all(|call| call.fault.is_none()));
}

#[tokio::test]
async fn a_service_that_comes_late_is_found_by_the_same_client() {
    let late = free_port();
    let fronts = through(late).await;
    let (client, to) = (client().await, SocketAddr::from((FRONT, late)));
    for number in 1..4 {
        assert_eq!(ask(&client, to, &request(number, number)).await, None);
    }
    let there = UdpSocket::bind(("127.0.0.1", late)).await.unwrap();
    client.send_to(&request(9, 9), to).await.unwrap();
    let mut buffer = [0; 100];
    let (length, _) = timeout(Duration::from_secs(60), there.recv_from(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(buffer[..length], request(9, 9));
    assert!(calls(&fronts).iter().all(|call| radius(call).answer.is_none()));
}

#[tokio::test]
async fn what_is_no_radius_passes_unread_and_is_kept_once_a_client() {
    let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = echo.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        while let Ok((length, peer)) = echo.recv_from(&mut buffer).await {
            echo.send_to(&buffer[..length], peer).await.unwrap();
        }
    });
    let fronts = through(port).await;
    let (client, to) = (client().await, SocketAddr::from((FRONT, port)));
    first(&client, to, b"ask").await;
    let large = vec![7; 4000];
    assert_eq!(ask(&client, to, &large).await, Some(large));
    let calls = calls(&fronts);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].said, Said::Other);
}
