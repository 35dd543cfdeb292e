//! Raw addresses. What a container sends to an address outside it sends to its network's gateway, and that is an address
//! nobody has. The agent takes it, in its own network namespace, and says there that every address in the world is its own: so
//! its kernel refuses, at once, whatever arrives for one of them. The agent itself answers at none (it listens at its own
//! addresses only); it reads who was sought by whom, and remembers that as it remembers names.
//!
//! What arrives here is hostile: whatever the bytes are, the reader goes on.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::notes::Notes;

/// IPv4 among Ethernet's protocols, in the order of bytes in which the kernel wants it.
const ETHERNET_IPV4: i32 = 0x0800_u16.to_be() as i32;
/// What is read of a packet: more than the headers that matter.
const HEAD: usize = 256;
/// The loopback interface has this number in every namespace.
const LOOPBACK: u32 = 1;
/// The kernel's table of addresses that are its own.
const LOCAL: u32 = 255;
/// Protocols that have ports, and what tells a TCP packet that opens a connection.
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// The same packet again is no news for so long, from as many senders as this.
const NO_NEWS: Duration = Duration::from_millis(100);
const MOST_RECENT: usize = 1_000;

/// A network of the mirror, as the agent in it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Its subnet's first address …
    pub first: Ipv4Addr,
    /// … and bits of the prefix.
    pub prefix: u8,
    /// The agent's own address.
    pub own: Ipv4Addr,
    /// The address to which containers send what is for outside, where the agent is to take it.
    pub gateway: Option<Ipv4Addr>,
}

/// Begins to refuse and to hear what is sent outside, until the process ends.
///
/// # Errors
/// The container may not, or its kernel cannot: then raw addresses are not heard, and what is sent there is lost.
pub(super) async fn begin(networks: Vec<Inside>, notes: Notes) -> Result<()> {
    // Ears first: nothing is refused unheard.
    let socket = listen(&networks).context("packets cannot be heard")?;
    take_gateways(&networks).await?;
    // A thread: tokio waits for such a socket by unsafe code only.
    std::thread::spawn(move || hear(&socket, &networks, &notes));
    Ok(())
}

async fn take_gateways(networks: &[Inside]) -> Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection().context("the kernel's routes cannot be reached")?;
    let connection = tokio::spawn(connection);
    let taken = async {
        for network in networks {
            take_gateway(&handle, network)
                .await
                .with_context(|| format!("the gateway's address of {}/{}", network.first, network.prefix))?;
        }
        every_address_is_ours(&handle)
            .await
            .context("a route for every address")
    }
    .await;
    connection.abort();
    taken
}

async fn take_gateway(handle: &Handle, network: &Inside) -> Result<()> {
    let Some(gateway) = network.gateway else { return Ok(()) };
    let addresses = handle.address().get().set_address_filter(network.own.into()).execute();
    let mut addresses = std::pin::pin!(addresses);
    let own = addresses.try_next().await?;
    let interface = own
        .with_context(|| format!("no interface has {}", network.own))?
        .header
        .index;
    handle
        .address()
        .add(interface, gateway.into(), 32)
        .replace()
        .execute()
        .await?;
    Ok(())
}

/// In the table of local addresses, and not in the main one: only then may the kernel answer under them. Longer prefixes
/// win over it in all tables as long as no rule parts the tables, so the mirror's own subnets are reached as before.
async fn every_address_is_ours(handle: &Handle) -> Result<()> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
        .output_interface(LOOPBACK)
        .table_id(LOCAL)
        .scope(RouteScope::Host)
        .kind(RouteType::Local)
        .build();
    handle.route().add(route).replace().execute().await?;
    Ok(())
}

fn listen(networks: &[Inside]) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ETHERNET_IPV4)))?;
    socket.attach_filter(&filter(networks))?;
    Ok(socket)
}

/// The kernel keeps from us what stays inside: the load of a whole rehearsal passes the agent.
fn filter(networks: &[Inside]) -> Vec<SockFilter> {
    // The filter's words: load from an offset, mask, skip the next unless equal, end with so many bytes of the packet.
    const LOAD: u16 = 0x20;
    const AND: u16 = 0x54;
    const IS: u16 = 0x15;
    const END: u16 = 0x06;
    const DESTINATION: u32 = 16;
    let drop_inside = |network: &Inside| {
        [
            SockFilter::new(LOAD, 0, 0, DESTINATION),
            SockFilter::new(AND, 0, 0, mask(network.prefix)),
            SockFilter::new(IS, 0, 1, network.first.to_bits()),
            SockFilter::new(END, 0, 0, 0),
        ]
    };
    let keep = SockFilter::new(END, 0, 0, HEAD as u32);
    networks.iter().flat_map(drop_inside).chain([keep]).collect()
}

fn hear(mut socket: &Socket, networks: &[Inside], notes: &Notes) {
    let mut buffer = [0; HEAD];
    let mut recent = Recent::default();
    loop {
        let Ok(length) = socket.read(&mut buffer) else {
            // An interface went down: its network is being removed.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if let Some((from, sought)) = sought(&buffer[..length], networks)
            && recent.is_news(from, &sought)
        {
            notes.asked(from.into(), sought);
        }
    }
}

/// Who seeks what outside: `203.0.113.9:443`, `203.0.113.9:514/udp`, or the address alone for what has no ports.
fn sought(packet: &[u8], networks: &[Inside]) -> Option<(Ipv4Addr, String)> {
    let header = packet.first_chunk::<20>()?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let (from, to) = (address(12), address(16));
    let is_inside = |address: Ipv4Addr| networks.iter().any(|network| holds(network, address));
    let is_somewhere = !(to.is_multicast() || to.is_broadcast() || to.is_loopback() || to.is_unspecified());
    let is_later_fragment = word(6) & 0x1fff != 0;
    if header[0] >> 4 != 4 || is_later_fragment || !is_inside(from) || is_inside(to) || !is_somewhere {
        return None;
    }
    let body = packet.get(usize::from(header[0] & 0x0f).max(5) * 4..)?;
    let port = || Some(u16::from_be_bytes([*body.get(2)?, *body.get(3)?]));
    let sought = match header[9] {
        TCP if body.get(13)? & (SYN | ACK) != SYN => return None,
        TCP => format!("{to}:{}", port()?),
        UDP => format!("{to}:{}/udp", port()?),
        _ => to.to_string(),
    };
    Some((from, sought))
}

fn holds(network: &Inside, address: Ipv4Addr) -> bool {
    address.to_bits() & mask(network.prefix) == network.first.to_bits()
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

/// What was heard just now: a stream of datagrams is asked about at the engine's DNS now and then, not for each.
#[derive(Default)]
struct Recent(HashMap<(Ipv4Addr, String), Instant>);

impl Recent {
    fn is_news(&mut self, from: Ipv4Addr, sought: &str) -> bool {
        let now = Instant::now();
        if self.0.len() >= MOST_RECENT {
            self.0.clear();
        }
        let before = self.0.insert((from, sought.to_owned()), now);
        before.is_none_or(|before| now.duration_since(before) >= NO_NEWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> Vec<Inside> {
        let network = |third| Inside {
            first: Ipv4Addr::new(198, 18, third, 0),
            prefix: 24,
            own: Ipv4Addr::new(198, 18, third, 2),
            gateway: Some(Ipv4Addr::new(198, 18, third, 1)),
        };
        vec![network(3), network(4)]
    }

    /// An IPv4 packet from a container, with options where the header has more than five words.
    fn packet(words: u8, protocol: u8, to: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; usize::from(words) * 4];
        packet[0] = 0x40 | words;
        packet[9] = protocol;
        packet[12..16].copy_from_slice(&[198, 18, 3, 7]);
        packet[16..20].copy_from_slice(&to);
        packet.extend(body);
        packet
    }

    fn tcp(flags: u8) -> Vec<u8> {
        let mut body = vec![0; 20];
        body[2..4].copy_from_slice(&443_u16.to_be_bytes());
        body[13] = flags;
        body
    }

    fn heard(packet: &[u8]) -> Option<String> {
        let (from, sought) = sought(packet, &networks())?;
        assert_eq!(from, Ipv4Addr::new(198, 18, 3, 7));
        Some(sought)
    }

    const OUTSIDE: [u8; 4] = [203, 0, 113, 9];

    #[test]
    fn who_opens_a_connection_to_a_raw_address_is_heard_with_its_port() {
        assert_eq!(
            heard(&packet(5, TCP, OUTSIDE, &tcp(SYN))).as_deref(),
            Some("203.0.113.9:443")
        );
        assert_eq!(
            heard(&packet(8, TCP, OUTSIDE, &tcp(SYN))).as_deref(),
            Some("203.0.113.9:443")
        );
        let datagram = [0, 9, 2, 2, 0, 8, 0, 0];
        assert_eq!(
            heard(&packet(5, UDP, OUTSIDE, &datagram)).as_deref(),
            Some("203.0.113.9:514/udp")
        );
        assert_eq!(heard(&packet(5, 1, OUTSIDE, &[8, 0])).as_deref(), Some("203.0.113.9"));
    }

    #[test]
    fn what_opens_nothing_or_stays_inside_is_not_heard() {
        for flags in [0, ACK, SYN | ACK, 0x04] {
            assert_eq!(heard(&packet(5, TCP, OUTSIDE, &tcp(flags))), None);
        }
        for inside in [
            [198, 18, 3, 8],
            [198, 18, 4, 8],
            [224, 0, 0, 251],
            [255; 4],
            [127, 0, 0, 1],
        ] {
            assert_eq!(heard(&packet(5, UDP, inside, &[0; 8])), None, "{inside:?}");
        }
        let mut later = packet(5, UDP, OUTSIDE, &[0; 8]);
        later[7] = 1;
        assert_eq!(heard(&later), None);
        let mut stranger = packet(5, UDP, OUTSIDE, &[0; 8]);
        stranger[12] = 10;
        assert_eq!(heard(&stranger), None);
    }

    #[test]
    fn no_bytes_break_the_reader() {
        for good in [packet(15, TCP, OUTSIDE, &tcp(SYN)), packet(5, UDP, OUTSIDE, &[0; 8])] {
            for length in 0..good.len() {
                let _heard = sought(&good[..length], &networks());
            }
            for at in 0..good.len() {
                for value in 0..=255 {
                    let mut bytes = good.clone();
                    bytes[at] = value;
                    let _heard = sought(&bytes, &networks());
                }
            }
        }
        let _heard = sought(&[0xff; HEAD], &networks());
    }

    #[test]
    fn a_stream_of_datagrams_is_no_news_and_a_flood_of_addresses_fills_no_memory() {
        let mut recent = Recent::default();
        let from = Ipv4Addr::new(198, 18, 3, 7);
        assert!(recent.is_news(from, "203.0.113.9:514/udp"));
        assert!(!recent.is_news(from, "203.0.113.9:514/udp"));
        for port in 0..u16::MAX {
            recent.is_news(from, &format!("203.0.113.9:{port}"));
        }
        assert!(recent.0.len() <= MOST_RECENT);
    }

    #[test]
    fn a_mask_has_as_many_bits_as_the_prefix() {
        assert_eq!([0, 8, 24, 32].map(mask), [0, 0xff00_0000, 0xffff_ff00, u32::MAX]);
    }
}
