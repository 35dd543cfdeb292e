//! A port of this machine for a test, on which nobody listens and nobody is given one by chance.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that systems give to whoever asks for any (from 32768 on Linux, from 49152 by RFC 6335): a port of those may
/// be another test's by the time that it is used.
const FROM: u16 = 20_000;
/// How many there are.
const MANY: u16 = 12_000;

/// Never the same twice in a process, and free for TCP and for UDP.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes of one machine begin at different places.
    let begin = u16::try_from(std::process::id() % u32::from(MANY)).expect("less than that");
    let ports = std::iter::repeat_with(|| FROM + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % MANY);
    let is_free =
        |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    ports.take(usize::from(MANY)).find(is_free).expect("a free port")
}
