//! LDAP refused (RFC 4511): every request is answered by one result, as a server does that is busy or unavailable.
//!
//! What arrives here is hostile: whatever the bytes are, it ends, and it keeps a bounded number of them.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::octets::Octets;

/// The longest request that is read.
const LIMIT: usize = 64 * 1024;
/// Tags.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// A result (RFC 4511, 4.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server is too busy.
    Busy = 51,
    /// It is shutting down, or part of it is away.
    Unavailable = 52,
}

/// Answers so until the client ends, or says what is no LDAP.
pub(super) async fn refuse(mut client: impl AsyncRead + AsyncWrite + Unpin, refusal: Refusal) -> std::io::Result<()> {
    let mut said = Vec::new();
    loop {
        while let Some(length) = whole(&said) {
            let Some(answer) = answer(&said[..length], refusal) else {
                return client.shutdown().await;
            };
            client.write_all(&answer).await?;
            said.drain(..length);
        }
        let mut buffer = [0; 4096];
        let length = client.read(&mut buffer).await?;
        if length == 0 || said.len() > LIMIT {
            return client.shutdown().await;
        }
        said.extend_from_slice(&buffer[..length]);
    }
}

/// The length of the first message, once it is there.
fn whole(said: &[u8]) -> Option<usize> {
    let mut octets = Octets(said);
    octets.element()?;
    Some(said.len() - octets.0.len())
}

/// What is answered to a request, nothing to what needs no answer; `None` = the conversation is over.
fn answer(message: &[u8], refusal: Refusal) -> Option<Vec<u8>> {
    let (SEQUENCE, mut message) = Octets(message).element()? else {
        return None;
    };
    let (INTEGER, number) = message.element()? else {
        return None;
    };
    let (operation, _) = message.element()?;
    let kind = match operation {
        0x60 => 0x61,
        // A search's end; of all others the answer's tag is the next one.
        0x63 => 0x65,
        0x66 | 0x68 | 0x6c | 0x6e => operation + 1,
        0x4a => 0x6b,
        0x77 => 0x78,
        // To abandon something is answered by nothing.
        0x50 => return Some(Vec::new()),
        _ => return None,
    };
    // Code, no name, no words.
    let result = [0x0a, 1, refusal as u8, 0x04, 0, 0x04, 0];
    let id = [&[INTEGER, short(number.0)?][..], number.0].concat();
    let body = [&id[..], &[kind, short(&result)?], &result].concat();
    Some([&[SEQUENCE, short(&body)?][..], &body].concat())
}

/// A length in one byte.
fn short(content: &[u8]) -> Option<u8> {
    u8::try_from(content.len()).ok().filter(|length| *length < 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_request_of_a_conversation_is_refused_until_it_ends() {
        // A simple bind as nobody, a search of the root, an unbind.
        let bind = [0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];
        let search = [
            0x30, 0x25, 2, 1, 2, 0x63, 0x20, 4, 0, 0x0a, 1, 0, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0, 0x87, 0x0b, b'o',
            b'b', b'j', b'e', b'c', b't', b'C', b'l', b'a', b's', b's', 0x30, 0,
        ];
        let unbind = [0x30, 5, 2, 1, 3, 0x42, 0];
        let (mut client, service) = tokio::io::duplex(1024);
        let refusing = tokio::spawn(refuse(service, Refusal::Unavailable));
        client.write_all(&[&bind[..], &search[..9]].concat()).await.unwrap();
        let mut answer = [0; 14];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0x30, 12, 2, 1, 1, 0x61, 7, 0x0a, 1, 52, 4, 0, 4, 0]);
        client.write_all(&[&search[9..], &unbind].concat()).await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[4..6], [2, 0x65]);
        refusing.await.unwrap().unwrap();
        assert_eq!(client.read(&mut answer).await.unwrap(), 0);
    }
}
