//! TLS that is ended by a relay, with real handshakes on both sides.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::calls::{CallSeen, CallsCall, Said};
use super::fault::{Fault, FaultCall, Injected, Reach};
use super::relay::{RelayCall, Transport};
use super::tls::server_config;
use super::{FrontTls, Fronts, FrontsCall, Protocol};
use crate::agent::resolver::Resolver;

/// Where the relay stands; the service is behind it, at the same port of another address.
const FRONT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn identity(name: &str) -> FrontTls {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    FrontTls {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        protocols: vec![Protocol::Tls12, Protocol::Tls13],
    }
}

/// A service that ends its own TLS, with a certificate that nobody here trusts: over HTTP it answers by the path and by the
/// name that it was asked for, to LDAP by one result.
async fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(&identity("the-product")).unwrap()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    let body = format!("{} of {name}", said.split(' ').nth(1).unwrap_or_default());
                    let http = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    let answer = match buffer[0] {
                        0x30 => vec![0x30, 12, 2, 1, 1, 0x61, 7, 0x0a, 1, 49, 4, 0, 4, 0],
                        _ => http.into_bytes(),
                    };
                    let _gone = (stream.write_all(&answer).await, stream.flush().await);
                }
            });
        }
    });
    port
}

/// A relay before it that ends its TLS, and whom its clients trust.
async fn relayed(port: u16) -> (Fronts, TlsConnector) {
    let own = identity("idp");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(own.chain.as_bytes()).unwrap())
        .unwrap();
    let fronts = Fronts::default();
    let relay = RelayCall {
        service: "idp".to_owned(),
        reached_at: "127.0.0.1".to_owned(),
        port,
        transport: Transport::Tcp,
        ends_tls: Some(own),
    };
    let all = FrontsCall {
        fronts: vec![],
        relays: vec![relay],
        own: vec![FRONT],
        issuer: None,
    };
    fronts.serve(all, &Resolver::system()).await.unwrap();
    while TcpStream::connect((FRONT, port)).await.is_err() {
        tokio::task::yield_now().await;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (fronts, TlsConnector::from(Arc::new(config)))
}

async fn connect(connector: &TlsConnector, port: u16) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(SocketAddr::from((FRONT, port))).await?;
    connector.connect(ServerName::try_from("idp").unwrap(), stream).await
}

async fn answer(connector: &TlsConnector, port: u16, said: &[u8]) -> Vec<u8> {
    let mut stream = connect(connector, port).await.unwrap();
    stream.write_all(said).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    buffer.truncate(length);
    buffer
}

async fn page(connector: &TlsConnector, port: u16) -> String {
    let said = b"GET /token?code=s3cr3t HTTP/1.1\r\nHost: idp\r\n\r\n";
    String::from_utf8(answer(connector, port, said).await).unwrap()
}

/// A simple bind as nobody.
const BIND: [u8; 14] = [0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];

fn calls(fronts: &Fronts) -> Vec<CallSeen> {
    fronts.calls(&CallsCall::Take { after: 0, most: 99 }).calls.items
}

async fn begins(fronts: &Fronts, fault: Fault) {
    let injected = Injected {
        fault,
        reach: Reach::Everything,
        spares: vec![],
    };
    let services = vec!["idp".to_owned()];
    let call = FaultCall {
        services,
        fault: Some(injected),
    };
    fronts.fault(&call).await;
}

#[tokio::test]
async fn what_is_said_over_tls_is_seen_and_the_product_hears_the_name_that_was_meant() {
    let port = service().await;
    let (fronts, trusts) = relayed(port).await;
    let page = page(&trusts, port).await;
    assert!(page.ends_with("/token?code=s3cr3t of idp"), "{page}");
    assert_eq!(answer(&trusts, port, &BIND).await[9], 49);
    let calls = calls(&fronts);
    let told = serde_json::to_string(&calls).unwrap();
    assert!(!told.contains("s3cr3t"), "{told}");
    let http = calls.iter().find_map(|call| match &call.said {
        Said::Http(http) => Some((http.path.clone(), http.status)),
        _ => None,
    });
    assert_eq!(http, Some(("/token".to_owned(), Some(200))));
    let ldap = calls.iter().find_map(|call| match &call.said {
        Said::Ldap(ldap) => Some((ldap.operation.clone(), ldap.result)),
        _ => None,
    });
    assert_eq!(ldap, Some(("bind anonymous".to_owned(), Some(49))));
}

#[tokio::test]
async fn faults_are_answered_over_tls_and_pass_again_afterwards() {
    let port = service().await;
    let (fronts, trusts) = relayed(port).await;
    begins(&fronts, Fault::Errors).await;
    assert!(page(&trusts, port).await.starts_with("HTTP/1.1 503 "));
    assert_eq!(answer(&trusts, port, &BIND).await[9], 52);
    begins(&fronts, Fault::TlsFailure).await;
    assert!(connect(&trusts, port).await.is_err());
    begins(&fronts, Fault::Slow(1)).await;
    assert!(page(&trusts, port).await.ends_with(" of idp"));
    assert_eq!(answer(&trusts, port, &BIND).await[9], 49);
    let services = vec!["idp".to_owned()];
    fronts.fault(&FaultCall { services, fault: None }).await;
    assert!(page(&trusts, port).await.ends_with(" of idp"));
}

#[tokio::test]
async fn a_product_that_speaks_no_tls_there_or_speaks_first_passes_as_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _gone = stream.write_all(b"hello\n").await;
            let mut rest = Vec::new();
            let _ended = stream.read_to_end(&mut rest).await;
        }
    });
    let (_fronts, trusts) = relayed(port).await;
    let mut stream = TcpStream::connect((FRONT, port)).await.unwrap();
    let mut said = [0; 6];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello\n");
    // Whoever expects TLS there finds none, as without us.
    assert!(connect(&trusts, port).await.is_err());
}
