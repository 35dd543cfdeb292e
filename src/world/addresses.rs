//! Addresses: every network of the mirror has a subnet of this run alone, known before anything lives in it. Fixed
//! addresses keep their place in it (the host part); all others are given out by the engine, from a range that no fixed
//! address is in. The agent's address and the door's are fixed in each.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use bollard::models::{EndpointIpamConfig, Ipam, IpamConfig};

use crate::world::model::{Attachment, Network};

/// Places up to here can be kept: 65533, the last but one of 16 bits' hosts.
pub const LAST_PLACE: u32 = 0xfffd;

/// Where subnets are taken from, in this order: RFC 2544 keeps the first for tests, RFC 1918 the others for everyone.
const POOLS: [Block; 3] = [
    Block::new([198, 18, 0, 0], 15),
    Block::new([10, 0, 0, 0], 8),
    Block::new([172, 16, 0, 0], 12),
];
/// A network has at least this many bits for hosts …
const FEWEST_BITS: u8 = 8;
/// … and the range that the engine gives out at least these.
const FEWEST_DYNAMIC: u8 = 7;

/// A block of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    first: u32,
    bits: u8,
}

impl Block {
    const fn new(first: [u8; 4], prefix: u8) -> Self {
        Self {
            first: u32::from_be_bytes(first),
            bits: 32 - prefix,
        }
    }

    /// `10.0.0.0/8`; `None` for what is no IPv4 block.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let bits = 32u8.checked_sub(prefix.parse().ok()?)?;
        let first = u32::from(address.parse::<Ipv4Addr>().ok()?) & !mask(bits);
        Some(Self { first, bits })
    }

    /// The smallest block of at least 256 that holds all of them.
    pub fn around(addresses: &[Ipv4Addr]) -> Option<Self> {
        let one = u32::from(*addresses.first()?);
        let differing = addresses.iter().fold(0, |bits, other| bits | (one ^ u32::from(*other)));
        let bits = bits_for(u64::from(differing) + 1).max(FEWEST_BITS);
        let first = one & !mask(bits);
        Some(Self { first, bits })
    }

    /// The host part of an address of this block.
    pub fn place(self, address: Ipv4Addr) -> Option<u32> {
        let place = u32::from(address).checked_sub(self.first)?;
        (place <= mask(self.bits)).then_some(place)
    }

    fn overlaps(self, other: Self) -> bool {
        let wider = mask(self.bits.max(other.bits));
        self.first & !wider == other.first & !wider
    }
}

fn mask(bits: u8) -> u32 {
    u32::try_from((1u64 << bits) - 1).unwrap_or(u32::MAX)
}

/// Bits that count this many.
fn bits_for(count: u64) -> u8 {
    u8::try_from(count.next_power_of_two().trailing_zeros()).unwrap_or(32)
}

/// Which place of a network is for what, wherever its subnet will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    bits: u8,
    dynamic: (u32, u8),
    gateway: u32,
    agent: u32,
    door: u32,
    v6: Option<Layout6>,
}

/// The same for IPv6, where every subnet has 64 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout6 {
    dynamic: u64,
    gateway: u64,
    agent: u64,
}

impl Layout {
    /// Whether the network carries IPv6.
    pub fn has_v6(&self) -> bool {
        self.v6.is_some()
    }

    /// For a network in which at most `containers` live at the same time.
    pub fn of(network: &Network, containers: usize) -> Self {
        let taken = &network.places;
        let dynamic = bits_for(containers as u64 + 8).max(FEWEST_DYNAMIC);
        let last = taken.last().map_or(0, |last| u64::from(*last) + 2);
        let mut bits = bits_for(last).max(FEWEST_BITS).max(dynamic + 1);
        let range = free_range(taken, bits, dynamic).unwrap_or_else(|| {
            bits += 1;
            1 << (bits - 1)
        });
        let in_range = |place: &u32| *place >> dynamic == range >> dynamic;
        let mut free = (1..).filter(|place| !taken.contains(place) && !in_range(place));
        Self {
            bits,
            dynamic: (range, dynamic),
            gateway: free.next().unwrap_or(1),
            agent: free.next().unwrap_or(2),
            door: free.next().unwrap_or(3),
            v6: network.ipv6.then(|| Layout6::of(&network.places6)),
        }
    }
}

/// The highest block of so many bits in which no place is taken; the lowest is left to fixed addresses.
fn free_range(taken: &BTreeSet<u32>, bits: u8, dynamic: u8) -> Option<u32> {
    let blocks = 1u32 << (bits - dynamic);
    (1..blocks)
        .rev()
        .map(|block| block << dynamic)
        .find(|first| taken.range(*first..=*first + mask(dynamic)).next().is_none())
}

impl Layout6 {
    fn of(taken: &BTreeSet<u64>) -> Self {
        // Not the highest block: engine 20.10 cannot count to the end of one.
        let block = (1..0xffff_u64).find(|block| taken.iter().all(|place| place >> 48 != *block));
        let mut free = (1..).filter(|place| !taken.contains(place));
        Self {
            dynamic: block.unwrap_or(1) << 48,
            gateway: free.next().unwrap_or(1),
            agent: free.next().unwrap_or(2),
        }
    }
}

/// The addresses of one container in one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6, where the network carries it.
    pub v6: Option<Ipv6Addr>,
}

/// A network's addresses in this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    layout: Layout,
    first: Ipv4Addr,
    first6: Option<Ipv6Addr>,
    agent_is_gateway: bool,
}

impl Subnet {
    /// One that overlaps none of `taken`; `None` where none is left. `random` tells where the search begins, and the
    /// IPv6 prefix.
    pub fn choose(layout: &Layout, taken: &[Block], random: [u8; 12]) -> Option<Self> {
        let [a, b, c, d, p, q, r, s, t, u, v, ..] = random;
        let first = free_block(layout.bits, taken, u32::from_be_bytes([a, b, c, d]))?;
        let first6 = [0xfd, p, q, r, s, t, u, v, 0, 0, 0, 0, 0, 0, 0, 0];
        Some(Self {
            layout: layout.clone(),
            first: first.into(),
            first6: layout.v6.is_some().then(|| first6.into()),
            agent_is_gateway: false,
        })
    }

    /// One that is there already, of so many bits of prefix; `None` where it is none of this layout.
    pub fn found(layout: &Layout, first: Ipv4Addr, prefix: u8, first6: Option<Ipv6Addr>) -> Option<Self> {
        let fits = prefix == 32 - layout.bits && first6.is_some() == layout.v6.is_some();
        fits.then(|| Self {
            layout: layout.clone(),
            first,
            first6,
            agent_is_gateway: false,
        })
    }

    /// The same where what is sent outside arrives at the gateway's address, for the agent to take.
    #[must_use]
    pub fn with_agent_as_gateway(self) -> Self {
        Self {
            agent_is_gateway: true,
            ..self
        }
    }

    /// Whether it carries IPv6.
    pub fn carries_v6(&self) -> bool {
        self.first6.is_some()
    }

    /// Its first IPv4 address, and bits of the prefix.
    pub fn prefix(&self) -> (Ipv4Addr, u8) {
        (self.first, 32 - self.layout.bits)
    }

    /// The gateway's IPv4 address, where the agent is to take it.
    pub fn gateway_for_agent(&self) -> Option<Ipv4Addr> {
        self.agent_is_gateway.then(|| self.gateway().v4)
    }

    /// The block of IPv4 addresses that it is.
    pub fn block(&self) -> Block {
        Block {
            first: self.first.into(),
            bits: self.layout.bits,
        }
    }

    /// Where the agent is.
    pub fn agent(&self) -> Addresses {
        Addresses {
            v4: self.v4(self.layout.agent),
            v6: self.layout.v6.as_ref().and_then(|layout| self.v6(layout.agent)),
        }
    }

    /// The same in the engine's words.
    pub fn for_agent(&self) -> EndpointIpamConfig {
        let addresses = self.agent();
        EndpointIpamConfig {
            ipv4_address: Some(addresses.v4.to_string()),
            ipv6_address: addresses.v6.map(|address| address.to_string()),
            ..Default::default()
        }
    }

    /// Where the door is, where there is one.
    pub fn door(&self) -> Ipv4Addr {
        self.v4(self.layout.door)
    }

    /// The same in the engine's words.
    pub fn for_door(&self) -> EndpointIpamConfig {
        EndpointIpamConfig {
            ipv4_address: Some(self.door().to_string()),
            ..Default::default()
        }
    }

    /// Where the engine itself is.
    pub fn gateway(&self) -> Addresses {
        Addresses {
            v4: self.v4(self.layout.gateway),
            v6: self.layout.v6.as_ref().and_then(|layout| self.v6(layout.gateway)),
        }
    }

    /// The fixed addresses of a service; `None` for one that takes what the engine gives.
    pub fn fixed(&self, attachment: &Attachment) -> Option<EndpointIpamConfig> {
        let v4 = attachment.place.map(|place| self.v4(place).to_string());
        let v6 = attachment.place6.and_then(|place| self.v6(place));
        let fixed = EndpointIpamConfig {
            ipv4_address: v4,
            ipv6_address: v6.map(|address| address.to_string()),
            ..Default::default()
        };
        (fixed != EndpointIpamConfig::default()).then_some(fixed)
    }

    /// What the engine is told.
    pub fn ipam(&self) -> Ipam {
        let (range, bits) = self.layout.dynamic;
        let v4 = IpamConfig {
            subnet: Some(format!("{}/{}", self.first, 32 - self.layout.bits)),
            ip_range: Some(format!("{}/{}", self.v4(range), 32 - bits)),
            gateway: Some(self.v4(self.layout.gateway).to_string()),
            ..Default::default()
        };
        let v6 = self
            .layout
            .v6
            .as_ref()
            .zip(self.first6)
            .map(|(layout, first)| IpamConfig {
                subnet: Some(format!("{first}/64")),
                ip_range: self.v6(layout.dynamic).map(|range| format!("{range}/80")),
                gateway: self.v6(layout.gateway).map(|gateway| gateway.to_string()),
                ..Default::default()
            });
        Ipam {
            config: Some(std::iter::once(v4).chain(v6).collect()),
            ..Default::default()
        }
    }

    fn v4(&self, place: u32) -> Ipv4Addr {
        (u32::from(self.first) + place).into()
    }

    fn v6(&self, place: u64) -> Option<Ipv6Addr> {
        Some((u128::from(self.first6?) + u128::from(place)).into())
    }
}

/// The first free block of so many bits, from a random one on.
fn free_block(bits: u8, taken: &[Block], random: u32) -> Option<u32> {
    POOLS.into_iter().filter(|pool| pool.bits > bits).find_map(|pool| {
        let blocks = 1u32 << (pool.bits - bits);
        let block = |number: u32| Block {
            first: pool.first + ((random.wrapping_add(number) % blocks) << bits),
            bits,
        };
        (0..blocks)
            .map(block)
            .find(|block| !taken.iter().any(|other| other.overlaps(*block)))
            .map(|block| block.first)
    })
}

/// Where this machine's routes lead, without the way that leads everywhere. A subnet of the mirror over one of them
/// would hide what is there from this machine. Empty where the kernel does not tell.
pub fn routes() -> Vec<Block> {
    let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    table.lines().filter_map(route).collect()
}

fn route(line: &str) -> Option<Block> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok().map(u32::from_be);
    let (first, mask) = (number(1)?, number(7)?);
    let bits = u8::try_from(mask.trailing_zeros()).ok()?;
    (bits < 32).then_some(Block { first, bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(places: &[u32], containers: usize) -> Layout {
        let network = Network {
            places: places.iter().copied().collect(),
            ..Network::default()
        };
        Layout::of(&network, containers)
    }

    #[test]
    fn a_subnet_that_is_there_is_known_again_where_the_layout_is_its_own() {
        let layout = layout(&[], 10);
        let made = Subnet::choose(&layout, &[], [7; 12]).expect("one is free");
        let (first, prefix) = made.prefix();
        assert_eq!(Subnet::found(&layout, first, prefix, None), Some(made));
        assert_eq!(Subnet::found(&layout, first, prefix - 1, None), None);
        assert_eq!(Subnet::found(&layout, first, prefix, Some(Ipv6Addr::LOCALHOST)), None);
    }

    #[test]
    fn no_fixed_address_is_in_the_range_that_is_given_out() {
        for places in [
            &[][..],
            &[10],
            &[1, 2, 3],
            &[130, 250],
            &[0xfffd, 0x100, 0x80],
            &[127, 128, 255],
        ] {
            for containers in [1, 100, 1000] {
                let layout = layout(places, containers);
                let (first, bits) = layout.dynamic;
                let given = first..=first + mask(bits);
                let fixed = places.iter().chain([&layout.gateway, &layout.agent, &layout.door]);
                assert!(
                    fixed.clone().all(|place| !given.contains(place)),
                    "{places:?}: {layout:?}"
                );
                assert!(
                    fixed.clone().all(|place| *place < mask(layout.bits)),
                    "{places:?}: {layout:?}"
                );
                assert_eq!(fixed.collect::<BTreeSet<_>>().len(), places.len() + 3, "{layout:?}");
                assert!(*given.end() <= mask(layout.bits) && bits_for(containers as u64) <= bits);
            }
        }
    }

    #[test]
    fn a_subnet_overlaps_nothing_that_is_taken() {
        let layout = layout(&[], 10);
        let all_but_one = Block::parse("198.18.0.0/16")
            .into_iter()
            .chain((0..255).filter_map(|n| Block::parse(&format!("198.19.{n}.0/24"))));
        let taken: Vec<Block> = all_but_one.collect();
        let subnet = Subnet::choose(&layout, &taken, [7; 12]).expect("one is left");
        assert_eq!(subnet.first, Ipv4Addr::new(198, 19, 255, 0));
        let full: Vec<Block> = taken.into_iter().chain([subnet.block()]).collect();
        let elsewhere = Subnet::choose(&layout, &full, [7; 12]).expect("there are other pools");
        assert_eq!(elsewhere.first.octets()[0], 10);
        assert_eq!(Subnet::choose(&layout, &[Block::new([0; 4], 0)], [7; 12]), None);
    }

    #[test]
    fn a_route_is_read_as_the_kernel_writes_it() {
        let line = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        assert_eq!(route(line), Block::parse("192.0.2.0/24"));
        assert_eq!(
            route("eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"),
            None
        );
        assert_eq!(
            route("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask"),
            None
        );
    }

    #[test]
    fn the_host_part_is_kept() {
        let production = Block::parse("172.28.0.0/16").expect("a block");
        let place = production.place(Ipv4Addr::new(172, 28, 4, 9));
        assert_eq!(place, Some(4 * 256 + 9));
        assert_eq!(production.place(Ipv4Addr::new(172, 29, 0, 1)), None);
        let unknown = Block::around(&[Ipv4Addr::new(172, 28, 4, 9), Ipv4Addr::new(172, 28, 5, 9)]).expect("a block");
        assert_eq!(unknown.place(Ipv4Addr::new(172, 28, 5, 9)), Some(256 + 9));
    }
}
