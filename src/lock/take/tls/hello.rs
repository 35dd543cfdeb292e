//! The first flight of a TLS handshake, by hand: a client that only asks which version a server accepts needs no
//! keys, and no library of today speaks the versions that old servers accept. Nothing is ever encrypted or sent after.

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Versions that can be asked for, oldest first.
pub const VERSIONS: [Version; 4] = [
    Version("TLSv1", 0x0301),
    Version("TLSv1.1", 0x0302),
    Version("TLSv1.2", TLS_1_2),
    Version("TLSv1.3", TLS_1_3),
];

const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

/// Of the record that carries the hello; every server takes it.
const RECORD_VERSION: u16 = 0x0301;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SUPPORTED_VERSIONS: u16 = 43;

/// Longer than any chain.
const MAX_BYTES: usize = 256 << 10;

/// What servers of any age may choose: forward secrecy first, as clients order them, then what is only found on old ones.
const SUITES: [u16; 27] = [
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc023, 0xc027, 0xc024, 0xc028, 0xc009, 0xc013, 0xc00a, 0xc014,
    0x009e, 0x009f, 0x0033, 0x0039, 0x009c, 0x009d, 0x003c, 0x003d, 0x002f, 0x0035, 0xc012, 0x000a, 0x0005,
];
const SUITES_1_3: [u16; 3] = [0x1301, 0x1302, 0x1303];
/// X25519 and the NIST curves.
const GROUPS: [u16; 4] = [29, 23, 24, 25];
const X25519: u16 = 29;
/// ECDSA, RSA-PSS, RSA, Ed25519, with SHA-1 last.
const SIGNATURES: [u16; 12] = [
    0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0807, 0x0203, 0x0201,
];

/// Its name, as OpenSSL writes it, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub &'static str, u16);

/// What a server said to a version that it accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// Its certificates, DER, its own first: they come in the clear up to TLS 1.2, empty after that.
    pub chain: Vec<Vec<u8>>,
}

/// Asks for one version and no other; `None` where the server refuses.
///
/// # Errors
/// What answers does not speak TLS.
pub async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: Option<&str>,
    version: Version,
) -> Result<Option<Hello>> {
    let mut random = [0; 64];
    getrandom::fill(&mut random).context("the system gives no random bytes")?;
    // A server that hangs up while it is written to refuses too.
    let _unread = stream.write_all(&client_hello(host, version, &random)).await;
    let mut messages = Messages {
        stream,
        handshake: Vec::new(),
        read: 0,
    };
    let Some((SERVER_HELLO, hello)) = messages.next().await? else {
        return Ok(None);
    };
    if chosen(&hello) != Some(version.1) {
        return Ok(None);
    }
    if version.1 == TLS_1_3 {
        return Ok(Some(Hello::default()));
    }
    let chain = match messages.next().await {
        Ok(Some((CERTIFICATE, list))) => certificates(&list).unwrap_or_default(),
        _ => Vec::new(),
    };
    Ok(Some(Hello { chain }))
}

fn client_hello(host: Option<&str>, version: Version, random: &[u8; 64]) -> Vec<u8> {
    let (random, key) = random.split_at(32);
    let number = version.1.min(TLS_1_2);
    let suites = if version.1 == TLS_1_3 {
        numbers(&SUITES_1_3)
    } else {
        numbers(&SUITES)
    };
    let body = [
        &number.to_be_bytes()[..],
        random,
        &sized::<1>(&[]),
        &sized::<2>(&suites),
        &sized::<1>(&[0]),
        &sized::<2>(&extensions(host, version, key)),
    ]
    .concat();
    let message = [&[CLIENT_HELLO][..], &sized::<3>(&body)].concat();
    [&[HANDSHAKE][..], &RECORD_VERSION.to_be_bytes(), &sized::<2>(&message)].concat()
}

fn extensions(host: Option<&str>, version: Version, key: &[u8]) -> Vec<u8> {
    let name = host.map(|host| sized::<2>(&[&[0][..], &sized::<2>(host.as_bytes())].concat()));
    let share = [&X25519.to_be_bytes()[..], &sized::<2>(key)].concat();
    let is = |wanted: u16| version.1 >= wanted;
    let all = [
        (0, name),
        (10, Some(sized::<2>(&numbers(&GROUPS)))),
        (11, (!is(TLS_1_3)).then(|| sized::<1>(&[0]))),
        (13, is(TLS_1_2).then(|| sized::<2>(&numbers(&SIGNATURES)))),
        (
            SUPPORTED_VERSIONS,
            is(TLS_1_3).then(|| sized::<1>(&numbers(&[TLS_1_3]))),
        ),
        // Any 32 bytes are a public key of this group. Nobody has the private one: nothing is read after the hello.
        (51, is(TLS_1_3).then(|| sized::<2>(&share))),
    ];
    let given = all.into_iter().filter_map(|(number, value)| Some((number, value?)));
    given
        .flat_map(|(number, value): (u16, Vec<u8>)| [&number.to_be_bytes()[..], &sized::<2>(&value)].concat())
        .collect()
}

fn numbers(all: &[u16]) -> Vec<u8> {
    all.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// The bytes after their length, which takes `N` bytes.
fn sized<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_be_bytes();
    [&length[length.len() - N..], bytes].concat()
}

/// The handshake messages of a server, whatever records they come in.
struct Messages<S> {
    stream: S,
    handshake: Vec<u8>,
    read: usize,
}

impl<S: AsyncRead + Unpin> Messages<S> {
    /// Type and body of the next one; `None` where the server says no, or goes away.
    async fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        loop {
            let mut rest = Bytes(&self.handshake);
            if let (Some(kind), Some(body)) = (rest.number(1), rest.sized(3)) {
                let message = (u8::try_from(kind)?, body.to_vec());
                self.handshake = rest.0.to_vec();
                return Ok(Some(message));
            }
            let Some(more) = self.record().await? else {
                return Ok(None);
            };
            self.handshake.extend(more);
        }
    }

    async fn record(&mut self) -> Result<Option<Vec<u8>>> {
        let mut head = [0; 5];
        if self.stream.read_exact(&mut head).await.is_err() {
            return Ok(None);
        }
        // 20 to 23 are the record types there have ever been, and 3 is the version of all of them.
        if !(20..=23).contains(&head[0]) || head[1] != 3 {
            bail!("it answers, and not with TLS");
        }
        if head[0] != HANDSHAKE {
            return Ok(None);
        }
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        self.read += body.len() + head.len();
        if self.read > MAX_BYTES || self.stream.read_exact(&mut body).await.is_err() {
            return Ok(None);
        }
        Ok(Some(body))
    }
}

/// The version that a server's hello settles on.
fn chosen(hello: &[u8]) -> Option<u16> {
    let mut rest = Bytes(hello);
    let version = rest.number(2)?;
    rest.take(32)?;
    rest.sized(1)?;
    rest.take(3)?;
    let mut extensions = Bytes(rest.sized(2).unwrap_or_default());
    while let (Some(number), Some(value)) = (extensions.number(2), extensions.sized(2)) {
        if number == u64::from(SUPPORTED_VERSIONS) {
            return u16::try_from(Bytes(value).number(2)?).ok();
        }
    }
    u16::try_from(version).ok()
}

fn certificates(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut list = Bytes(Bytes(message).sized(3)?);
    let mut all = Vec::new();
    while let Some(one) = list.sized(3) {
        all.push(one.to_vec());
    }
    Some(all)
}

/// What is left to read of some bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, length: usize) -> Option<u64> {
        let taken = self.take(length)?;
        Some(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Bytes after their length, which takes `length` bytes. What is not there whole is not taken.
    fn sized(&mut self, length: usize) -> Option<&'a [u8]> {
        let mut rest = Bytes(self.0);
        let wanted = usize::try_from(rest.number(length)?).ok()?;
        let taken = rest.take(wanted)?;
        self.0 = rest.0;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(answer: &[u8], version: Version) -> Result<Option<Hello>> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        theirs.write_all(answer).await.expect("room");
        theirs.shutdown().await.expect("open");
        ask(ours, Some("login.example.com"), version).await
    }

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 3, 1][..], &sized::<2>(body)].concat()
    }

    fn server_hello(version: u16, extensions: &[u8]) -> Vec<u8> {
        let body = [
            &version.to_be_bytes()[..],
            &[7; 32],
            &[0],
            &[0, 0x2f, 0],
            &sized::<2>(extensions),
        ]
        .concat();
        [&[SERVER_HELLO][..], &sized::<3>(&body)].concat()
    }

    #[tokio::test]
    async fn a_chain_is_read_whatever_records_it_comes_in() {
        let list = [sized::<3>(b"leaf"), sized::<3>(b"ca")].concat();
        let certificate = [&[CERTIFICATE][..], &sized::<3>(&sized::<3>(&list))].concat();
        let all = [server_hello(0x0301, &[]), certificate].concat();
        let answer = [record(HANDSHAKE, &all[..50]), record(HANDSHAKE, &all[50..])].concat();
        let hello = answered(&answer, VERSIONS[0]).await.expect("TLS").expect("accepted");
        assert_eq!(hello.chain, [b"leaf".to_vec(), b"ca".to_vec()]);
    }

    #[tokio::test]
    async fn another_version_than_the_one_asked_for_is_a_refusal() {
        let older = record(HANDSHAKE, &server_hello(0x0302, &[]));
        assert_eq!(answered(&older, VERSIONS[2]).await.expect("TLS"), None);
        let extension = [0, 43, 0, 2, 3, 4];
        let newest = record(HANDSHAKE, &server_hello(TLS_1_2, &extension));
        assert!(answered(&newest, VERSIONS[3]).await.expect("TLS").is_some());
        assert_eq!(answered(&newest, VERSIONS[2]).await.expect("TLS"), None);
    }

    #[tokio::test]
    async fn an_alert_and_a_closed_line_are_refusals() {
        for answer in [
            record(21, &[2, 70]),
            Vec::new(),
            record(HANDSHAKE, &[2, 0xff, 0xff, 0xff]),
            vec![22, 3],
        ] {
            assert_eq!(answered(&answer, VERSIONS[1]).await.expect("TLS"), None);
        }
    }

    #[tokio::test]
    async fn what_is_not_tls_is_an_error() {
        assert!(answered(b"HTTP/1.1 400 Bad Request\r\n", VERSIONS[2]).await.is_err());
    }
}
