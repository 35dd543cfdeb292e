//! A question to a RADIUS server (RFC 2865): does it take this user? The password goes as PAP has it, and the request is
//! sealed as a whole (RFC 3579, 3.2), its seal first, as servers ask for since CVE-2024-3596.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac as _};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::failure::{CallFailure, CallFailureKind, Failure};
use super::radius::{HEAD, MESSAGE_AUTHENTICATOR, Packet};
use super::resolver::Resolver;

/// Attributes.
const USER_NAME: u8 = 1;
const USER_PASSWORD: u8 = 2;
const REPLY_MESSAGE: u8 = 18;
const NAS_IDENTIFIER: u8 = 32;
/// Who asks, as the server hears it.
const OWN_NAME: &[u8] = b"rehearsal";
/// The longest password that PAP takes.
const LONGEST_PASSWORD: usize = 128;
/// The longest value of an attribute.
const LONGEST_VALUE: usize = 253;
/// Where the seal's value stands: it is the first attribute.
const SEAL: std::ops::Range<usize> = HEAD + 2..HEAD + 18;
const ACCESS_REQUEST: u8 = 1;
/// The longest answer.
const LONGEST: usize = 4096;

/// What is asked, and of whom.
#[derive(Clone, Serialize, Deserialize)]
pub struct RadiusCall {
    /// The server's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it shares with its clients.
    pub secret: String,
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// So often it is asked before nobody is said to answer.
    pub tries: u32,
    /// Milliseconds that each of them waits.
    pub try_ms: u64,
}

impl fmt::Debug for RadiusCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RadiusCall")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl RadiusCall {
    /// How long it may take.
    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.try_ms) * self.tries
    }
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadiusAnswer {
    /// Whether it takes the user.
    pub verdict: RadiusVerdict,
    /// What it says to people.
    pub words: Option<String>,
}

/// Whether a server takes a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RadiusVerdict {
    /// Access-Accept.
    Accepted,
    /// Access-Reject.
    Rejected,
    /// Access-Challenge: it wants more than a password.
    Challenged,
}

/// Asks, again and again until an answer comes.
///
/// # Errors
/// None came, or none that is sealed with the shared secret.
pub(super) async fn serve(resolver: &Resolver, call: &RadiusCall) -> Result<RadiusAnswer, CallFailure> {
    let begun = Instant::now();
    let asked = ask(resolver, call).await;
    asked.map_err(|failure| failure.after(begun.elapsed()))
}

async fn ask(resolver: &Resolver, call: &RadiusCall) -> Result<RadiusAnswer, Failure> {
    let failed = |kind| move |message| Failure { kind, message };
    let addresses = resolver.addresses(&call.host).await;
    let addresses = addresses.map_err(failed(CallFailureKind::Dns))?;
    let socket = connect(&addresses, call.port).await;
    let socket = socket.map_err(|error| failed(CallFailureKind::Connect)(error.to_string()))?;
    let request = Request::new(call)?;
    let mut foreign = 0;
    for _ in 0..call.tries {
        // One that finds nobody may find somebody the next time.
        let _sent = socket.send(&request.bytes).await;
        let waited = timeout(
            Duration::from_millis(call.try_ms),
            request.answer(&socket, &mut foreign),
        )
        .await;
        if let Ok(answer) = waited {
            return Ok(answer);
        }
    }
    Err(match foreign {
        0 => Failure::timeout(call.limit()),
        _ => Failure {
            kind: CallFailureKind::Protocol,
            message: "what came is not sealed with the shared secret".to_owned(),
        },
    })
}

async fn connect(addresses: &[IpAddr], port: u16) -> std::io::Result<UdpSocket> {
    let address = addresses.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect((address, port)).await?;
    Ok(socket)
}

/// A request that is sent, and may be sent again.
struct Request<'c> {
    bytes: Vec<u8>,
    secret: &'c [u8],
}

impl<'c> Request<'c> {
    fn new(call: &'c RadiusCall) -> Result<Self, Failure> {
        let mut random = [0; 17];
        getrandom::fill(&mut random).map_err(|error| Failure::request(error.to_string()))?;
        let [identifier, authenticator @ ..] = random;
        let bytes = access_request(call, identifier, &authenticator)?;
        let secret = call.secret.as_bytes();
        Ok(Self { bytes, secret })
    }

    /// The first answer to it that its server has sealed; others are counted.
    async fn answer(&self, socket: &UdpSocket, foreign: &mut usize) -> RadiusAnswer {
        let mut buffer = [0; LONGEST];
        loop {
            let length = match socket.recv(&mut buffer).await {
                Ok(length) => length,
                // Nobody listens there now.
                Err(_) => std::future::pending().await,
            };
            let Some(packet) = Packet::read(&buffer[..length]) else {
                continue;
            };
            if packet.identifier != self.bytes[1] {
                continue;
            }
            match verdict(packet.code).filter(|_| self.is_sealed(&buffer[..length])) {
                Some(verdict) => {
                    return RadiusAnswer {
                        verdict,
                        words: words(&packet),
                    };
                }
                None => *foreign += 1,
            }
        }
    }

    /// Whether whoever sent an answer to this knows the secret (RFC 2865, 3).
    fn is_sealed(&self, answer: &[u8]) -> bool {
        let Some(length) = answer
            .get(2..4)
            .map(|at| usize::from(u16::from_be_bytes([at[0], at[1]])))
        else {
            return false;
        };
        let Some(answer) = answer.get(..length).filter(|answer| answer.len() >= HEAD) else {
            return false;
        };
        let mut digest = Md5::new();
        for part in [&answer[..4], &self.bytes[4..HEAD], &answer[HEAD..], self.secret] {
            digest.update(part);
        }
        digest.finalize()[..] == answer[4..HEAD]
    }
}

fn verdict(code: u8) -> Option<RadiusVerdict> {
    match code {
        2 => Some(RadiusVerdict::Accepted),
        3 => Some(RadiusVerdict::Rejected),
        11 => Some(RadiusVerdict::Challenged),
        _ => None,
    }
}

/// What is to be shown to the user, of all its attributes.
fn words(packet: &Packet<'_>) -> Option<String> {
    let said = packet.attributes.iter().filter(|(kind, _)| *kind == REPLY_MESSAGE);
    let said: Vec<String> = said
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect();
    (!said.is_empty()).then(|| said.concat())
}

fn access_request(call: &RadiusCall, identifier: u8, authenticator: &[u8; 16]) -> Result<Vec<u8>, Failure> {
    let secret = call.secret.as_bytes();
    let hidden = hidden(call.password.as_bytes(), secret, authenticator)?;
    let mut attributes = Vec::new();
    for (kind, value) in [
        (MESSAGE_AUTHENTICATOR, &[0; 16][..]),
        (USER_NAME, call.username.as_bytes()),
        (USER_PASSWORD, &hidden),
        (NAS_IDENTIFIER, OWN_NAME),
    ] {
        let length = u8::try_from(value.len() + 2)
            .ok()
            .filter(|_| value.len() <= LONGEST_VALUE);
        let length = length.ok_or_else(|| Failure::request("RADIUS takes names of 253 bytes at most"))?;
        attributes.extend([kind, length]);
        attributes.extend(value);
    }
    let length = u16::try_from(HEAD + attributes.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![ACCESS_REQUEST, identifier];
    bytes.extend(length.to_be_bytes());
    bytes.extend(authenticator);
    bytes.extend(attributes);
    let seal = seal(secret, &bytes)?;
    bytes[SEAL].copy_from_slice(&seal);
    Ok(bytes)
}

/// Over the whole packet, in which the seal itself is nothing.
fn seal(secret: &[u8], packet: &[u8]) -> Result<[u8; 16], Failure> {
    let mut mac = Hmac::<Md5>::new_from_slice(secret).map_err(|error| Failure::request(error.to_string()))?;
    mac.update(packet);
    Ok(mac.finalize().into_bytes().into())
}

/// A password as RFC 2865 (5.2) hides it.
fn hidden(password: &[u8], secret: &[u8], authenticator: &[u8; 16]) -> Result<Vec<u8>, Failure> {
    if password.len() > LONGEST_PASSWORD {
        return Err(Failure::request("RADIUS takes passwords of 128 bytes at most"));
    }
    let mut padded = password.to_vec();
    padded.resize(password.len().div_ceil(16).max(1) * 16, 0);
    let mut before = authenticator.to_vec();
    let mut hidden = Vec::new();
    for block in padded.chunks(16) {
        let mask = Md5::new().chain_update(secret).chain_update(&before).finalize();
        before = block.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        hidden.extend(&before);
    }
    Ok(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"xyzzy5461";
    const ASKED_BY: [u8; 16] = [
        0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57, 0xbd, 0x83, 0xd5, 0xcb, 0x98, 0xf4, 0x22, 0x7a,
    ];

    #[test]
    fn a_password_is_hidden_and_an_answer_sealed_as_in_the_standards_example() {
        let wanted = [
            0x0d, 0xbe, 0x70, 0x8d, 0x93, 0xd4, 0x13, 0xce, 0x31, 0x96, 0xe4, 0x3f, 0x78, 0x2a, 0x0a, 0xee,
        ];
        assert_eq!(hidden(b"arctangent", SECRET, &ASKED_BY).unwrap(), wanted);
        let answer = [
            0x02, 0x00, 0x00, 0x26, 0x86, 0xfe, 0x22, 0x0e, 0x76, 0x24, 0xba, 0x2a, 0x10, 0x05, 0xf6, 0xbf, 0x9b, 0x55,
            0xe0, 0xb2, 0x06, 0x06, 0x00, 0x00, 0x00, 0x01, 0x0f, 0x06, 0x00, 0x00, 0x00, 0x00, 0x0e, 0x06, 0xc0, 0xa8,
            0x01, 0x03,
        ];
        let request = |secret| Request {
            bytes: [&[1, 0, 0, 20][..], &ASKED_BY].concat(),
            secret,
        };
        assert!(request(SECRET).is_sealed(&answer));
        assert!(!request(b"another").is_sealed(&answer));
        let mut forged = answer;
        forged[37] += 1;
        assert!(!request(SECRET).is_sealed(&forged));
        for end in 0..answer.len() {
            assert!(!request(SECRET).is_sealed(&answer[..end]));
        }
    }

    fn call(port: u16, password: &str, secret: &str) -> RadiusCall {
        RadiusCall {
            host: "127.0.0.1".to_owned(),
            port,
            secret: secret.to_owned(),
            username: "alice".to_owned(),
            password: password.to_owned(),
            tries: 3,
            try_ms: 100,
        }
    }

    /// A server that takes one password, refuses others, and does not hear what is not sealed with its secret, nor the first
    /// time that it is asked.
    async fn server() -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut buffer = [0; LONGEST];
            let mut asked = 0;
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let said = buffer[..length].to_vec();
                let mut open = said.clone();
                open[SEAL].fill(0);
                asked += 1;
                if asked == 1 || seal(SECRET, &open).unwrap() != said[SEAL] {
                    continue;
                }
                let authenticator = said[4..HEAD].try_into().unwrap();
                let right = hidden(b"a longer password than one block", SECRET, &authenticator).unwrap();
                let packet = Packet::read(&said).unwrap();
                let is_right = packet.attributes.contains(&(USER_PASSWORD, &right[..]));
                let body = [&[REPLY_MESSAGE, 4][..], if is_right { b"hi" } else { b"no" }].concat();
                let head = [if is_right { 2 } else { 3 }, said[1], 0, 24];
                let mut digest = Md5::new();
                for part in [&head[..], &authenticator, &body, SECRET] {
                    digest.update(part);
                }
                let answer = [&head[..], &digest.finalize(), &body].concat();
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        port
    }

    #[tokio::test]
    async fn a_server_takes_the_user_or_refuses_with_its_words() {
        let port = server().await;
        let secret = std::str::from_utf8(SECRET).unwrap();
        let ask = async |password: &str| {
            let answer = serve(&Resolver::system(), &call(port, password, secret)).await.unwrap();
            (answer.verdict, answer.words.unwrap())
        };
        let accepted = ask("a longer password than one block").await;
        assert_eq!(accepted, (RadiusVerdict::Accepted, "hi".to_owned()));
        assert_eq!(ask("wrong").await, (RadiusVerdict::Rejected, "no".to_owned()));
    }

    #[tokio::test]
    async fn nobody_who_answers_and_another_secret_are_no_answer() {
        let port = server().await;
        let failure = serve(&Resolver::system(), &call(port, "x", "another"))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, CallFailureKind::Timeout);
        // One that answers without knowing the secret.
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut buffer = [0; LONGEST];
            while let Ok((_, peer)) = socket.recv_from(&mut buffer).await {
                let forged = [&[2, buffer[1], 0, 20][..], &[7; 16]].concat();
                socket.send_to(&forged, peer).await.unwrap();
            }
        });
        let failure = serve(&Resolver::system(), &call(port, "x", "xyzzy5461"))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, CallFailureKind::Protocol);
        let secret = format!("{:?}", call(port, "pass-word", "xyzzy5461"));
        assert!(!secret.contains("xyzzy") && !secret.contains("pass-word"), "{secret}");
    }
}
