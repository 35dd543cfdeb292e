//! Which ports a relayed service really listens on: images and files do not always say. It is read in the container itself,
//! while the service comes up, so that nobody who waits for it comes too early.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use super::serve;
use crate::mirror::{Mirror, Running};

/// Between two looks while a service comes up.
const PAUSE: Duration = Duration::from_secs(1);
/// For one look.
const LIMIT: Duration = Duration::from_secs(10);
/// The kernel's word for a socket that listens.
const LISTENING: &str = "0A";

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
        let command = ["cat", "/proc/net/tcp", "/proc/net/tcp6"].map(str::to_owned);
        let asked = tokio::time::timeout(LIMIT, self.engine().exec(&running.id, &command, None)).await;
        // A container without `cat` is one whose image says its ports, or nobody can.
        let Ok(Ok(said)) = asked else { return };
        let found = listening(&String::from_utf8_lossy(&said.stdout));
        let more: BTreeSet<u16> = found.difference(known).copied().collect();
        let relays = serve::relays(setup, name, &more);
        // An agent that is gone is found by whoever needs an answer.
        let _told = serve::tell(setup, &self.inner.subnets, self.agent(), (Vec::new(), relays)).await;
    }
}

/// Ports that are reached from outside, of the kernel's table of sockets.
fn listening(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (address, port) = words.next()?.split_once(':')?;
        let is_open = words.nth(1) == Some(LISTENING) && !is_loopback(address);
        u16::from_str_radix(port, 16).ok().filter(|_| is_open)
    };
    table.lines().filter_map(port).collect()
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
            2: 0000000000000000FFFF00000100007F:0278 00000000000000000000000000000000:0000 0A 0\n";
        assert_eq!(listening(table), [8000, 389].into());
    }
}
