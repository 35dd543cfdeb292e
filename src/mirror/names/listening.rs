//! Which ports a relayed service really listens on: images and files do not always say. It is read in the container itself,
//! while the service comes up, so that nobody who waits for it comes too early.

use std::convert::Infallible;
use std::time::Duration;

use super::relays::Exposed;
use super::serve;
use crate::mirror::{Mirror, Running};

/// Between two looks while a service comes up.
const PAUSE: Duration = Duration::from_secs(1);
/// For one look.
const LIMIT: Duration = Duration::from_secs(10);
/// The kernel's words for a socket that listens, over TCP, and for one that hears anybody, over UDP.
const LISTENING: &str = "0A";
const HEARS_ALL: &str = "07";
const ANYBODY: &str = ":0000";
/// From here on the kernel gives ports to whoever asks others.
const FIRST_OF_CLIENTS: u16 = 32_768;

impl Mirror {
    /// Looks again and again, and never returns: whoever waits for the service ends this.
    pub(in crate::mirror) async fn relay_what_comes_to_listen(&self, running: &Running) -> Infallible {
        loop {
            tokio::time::sleep(PAUSE).await;
            self.relay_what_listens(running).await;
        }
    }

    /// Relays every port on which a relayed service listens.
    pub(in crate::mirror) async fn relay_what_listens(&self, running: &Running) {
        let setup = &self.inner.setup;
        let name = &running.service.name;
        let Some(known) = setup.relays.relayed.get(name) else {
            return;
        };
        let tables = ["tcp", "tcp6", "udp", "udp6"].map(|kind| format!("/proc/net/{kind}"));
        let command = [&["cat".to_owned()][..], &tables].concat();
        let asked = tokio::time::timeout(LIMIT, self.engine().exec(&running.id, &command, None)).await;
        // A container without `cat` is one whose image says its ports, or nobody can.
        let Ok(Ok(said)) = asked else { return };
        let found = listening(&String::from_utf8_lossy(&said.stdout));
        let more = Exposed {
            tcp: found.tcp.difference(&known.tcp).copied().collect(),
            udp: found.udp.difference(&known.udp).copied().collect(),
        };
        // What could not be certified at the start is told there.
        let Ok(relays) = serve::relays(setup, name, &more) else {
            return;
        };
        // An agent that is gone is found by whoever needs an answer.
        let _told = serve::tell(setup, &self.inner.subnets, self.agent(), (Vec::new(), relays)).await;
    }
}

/// Ports that are reached from outside, of the kernel's tables of sockets.
fn listening(tables: &str) -> Exposed {
    let mut found = Exposed::default();
    for line in tables.lines() {
        match socket(line) {
            Some((port, LISTENING, _)) => drop(found.tcp.insert(port)),
            Some((port, HEARS_ALL, peer)) if peer.ends_with(ANYBODY) && port < FIRST_OF_CLIENTS => {
                found.udp.insert(port);
            }
            _ => {}
        }
    }
    found
}

/// Port, state and peer of a socket that is not for its own machine alone.
fn socket(line: &str) -> Option<(u16, &str, &str)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    let (peer, state) = (words.next()?, words.next()?);
    let port = u16::from_str_radix(port, 16).ok()?;
    (!is_loopback(address)).then_some((port, state, peer))
}

/// As the kernel writes addresses: in words of four bytes, the lowest first.
fn is_loopback(address: &str) -> bool {
    let v4 = address.len() == 8 && address.ends_with("7F");
    let mapped = address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F");
    v4 || mapped || address == "00000000000000000000000001000000"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_listen_for_others_are_read_as_the_kernel_writes_them() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
            0: 00000000:1F40 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000\n\
            2: 0B00007F:9C53 00000000:0000 0A 00000000:00000000\n\
            3: 0203C612:D3F2 0703C612:1F40 01 00000000:00000000\n\
            0: 00000000000000000000000000000000:0185 00000000000000000000000000000000:0000 0A 0\n\
            1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 0\n\
            2: 0000000000000000FFFF00000100007F:0278 00000000000000000000000000000000:0000 0A 0\n\
            9: 00000000:0714 00000000:0000 07 00000000:00000000\n\
            9: 0100007F:46A0 00000000:0000 07 00000000:00000000\n\
            9: 00000000:9C40 00000000:0000 07 00000000:00000000\n\
            9: 0203C612:0035 0703C612:0035 01 00000000:00000000\n";
        let found = listening(table);
        assert_eq!((found.tcp, found.udp), ([8000, 389].into(), [1812].into()));
    }
}
