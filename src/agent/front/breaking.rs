//! Connections that a fault breaks before anything is answered.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::fault::Fault;

/// The first byte of a TLS handshake.
pub(super) const HANDSHAKE: u8 = 0x16;
/// A record of TLS 1.2 (RFC 5246): the fatal alert `handshake_failure`.
const HANDSHAKE_FAILURE: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];

/// The connection of a client that has said this, if no fault ends it.
pub(super) async fn unbroken(fault: Option<Fault>, said: &[u8], mut stream: TcpStream) -> Option<TcpStream> {
    match fault {
        Some(Fault::Down | Fault::Reset) => {
            let _reset = stream.set_zero_linger();
            None
        }
        Some(Fault::TlsFailure) if said.first() == Some(&HANDSHAKE) => {
            // Whoever has hung up on us knows.
            let _told = stream.write_all(&HANDSHAKE_FAILURE).await;
            let _ended = stream.shutdown().await;
            None
        }
        _ => Some(stream),
    }
}
