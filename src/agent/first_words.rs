//! What a client says first names the host it means: the name in its TLS hello, or the `Host` of its first request. Nothing is
//! answered here; what was read is handed back to be passed on as it came.
//!
//! What arrives here is hostile: whatever the bytes are, it ends, and it reads a bounded number of them.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_rustls::rustls::server::Acceptor;

/// The longest beginning that is waited for: as long as servers usually let a request's head be.
const LIMIT: usize = 16 * 1024;
/// The most headers of a request.
const HEADERS: usize = 128;
/// The first byte of a TLS handshake, which is no letter of a request.
const HANDSHAKE: u8 = 0x16;

/// What the bytes until now say.
#[derive(Debug, PartialEq, Eq)]
enum Means {
    Host(String),
    Nobody,
    NotYet,
}

/// What a client said until it had named a host, and the host, lower case; without one where it is clear that it names
/// none. `None` where it never comes to the point.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<(Vec<u8>, Option<String>)> {
    let mut said = Vec::new();
    while said.len() < LIMIT {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        said.extend_from_slice(&buffer[..length]);
        match means(&said) {
            Means::Host(host) => return Some((said, Some(host))),
            Means::Nobody => return Some((said, None)),
            Means::NotYet => {}
        }
    }
    None
}

fn means(said: &[u8]) -> Means {
    match said.first() {
        None => Means::NotYet,
        Some(&HANDSHAKE) => by_tls(said),
        Some(_) => by_http(said),
    }
}

fn by_tls(mut said: &[u8]) -> Means {
    let mut acceptor = Acceptor::default();
    while !said.is_empty() {
        if acceptor.read_tls(&mut said).is_err() {
            return Means::Nobody;
        }
        match acceptor.accept() {
            Ok(Some(hello)) => return hello.client_hello().server_name().map_or(Means::Nobody, host),
            Ok(None) => {}
            Err(_) => return Means::Nobody,
        }
    }
    Means::NotYet
}

fn by_http(said: &[u8]) -> Means {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(said) {
        Ok(httparse::Status::Partial) => Means::NotYet,
        Ok(httparse::Status::Complete(_)) => {
            let mut headers = request.headers.iter();
            let named = headers.find(|header| header.name.eq_ignore_ascii_case("host"));
            let name = named.and_then(|header| std::str::from_utf8(header.value).ok());
            name.map_or(Means::Nobody, |name| host(name.split(':').next().unwrap_or(name)))
        }
        Err(_) => Means::Nobody,
    }
}

fn host(name: &str) -> Means {
    Means::Host(name.trim().trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// What a client says first to a host over TLS.
    fn hello(name: &str) -> Vec<u8> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    const REQUEST: &[u8] = b"GET /items HTTP/1.1\r\nAccept: */*\r\nhost: API.example.com.:8080\r\n\r\nbody";

    fn api() -> Means {
        Means::Host("api.example.com".to_owned())
    }

    #[test]
    fn a_hello_and_a_request_name_their_host_once_they_are_whole() {
        let tls = hello("api.example.com");
        assert_eq!((means(&tls), means(REQUEST)), (api(), api()));
        assert!((0..tls.len()).all(|length| means(&tls[..length]) == Means::NotYet));
        let head = REQUEST.len() - "body".len();
        assert!((0..head).all(|length| means(&REQUEST[..length]) == Means::NotYet));
    }

    #[test]
    fn what_names_nobody_is_for_nobody() {
        for said in [
            &b"GET / HTTP/1.0\r\n\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
            b"EHLO example.com\r\n",
            &hello("203.0.113.9"),
        ] {
            assert_eq!(means(said), Means::Nobody, "{}", String::from_utf8_lossy(said));
        }
    }

    #[test]
    fn no_bytes_break_the_reader() {
        for good in [hello("api.example.com"), REQUEST.to_vec()] {
            for at in 0..good.len() {
                for value in [0, 1, 0x0d, 0x16, 0x7f, 0x80, 0xff] {
                    let mut bytes = good.clone();
                    bytes[at] = value;
                    let _meant = means(&bytes);
                }
            }
        }
        let _meant = means(&[0x16; 4096]);
    }

    #[tokio::test]
    async fn a_client_that_never_comes_to_the_point_is_not_read_for_ever() {
        let endless = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 1024 * 1024]].concat();
        assert_eq!(read(&mut &endless[..]).await, None);
        assert_eq!(read(&mut &b""[..]).await, None);
        let (said, host) = read(&mut &REQUEST[..]).await.unwrap();
        assert_eq!((said.as_slice(), host.as_deref()), (REQUEST, Some("api.example.com")));
        let (said, host) = read(&mut &b"EHLO example.com\r\n"[..]).await.unwrap();
        assert_eq!((said.as_slice(), host), (&b"EHLO example.com\r\n"[..], None));
    }
}
