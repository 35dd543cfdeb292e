//! RADIUS read along, one client's datagrams: which packet was asked, with which attributes, and which one came. No value is
//! kept.

use std::collections::BTreeMap;

use super::calls::{Client, RadiusSaid, Said, Ticket};
use crate::agent::radius::{Packet, attribute_name, code_name};

/// Reads a client's datagrams along.
pub(super) struct RadiusWatch {
    client: Client,
    /// The last request of each identifier.
    asked: BTreeMap<u8, Asked>,
    /// It has said something that is no RADIUS: kept once.
    is_other: bool,
}

/// A request.
struct Asked {
    authenticator: Vec<u8>,
    ticket: Option<Ticket>,
}

impl RadiusWatch {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            asked: BTreeMap::new(),
            is_other: false,
        }
    }

    /// The client has said this.
    pub(super) fn asks(&mut self, datagram: &[u8]) {
        let Some(packet) = Packet::read(datagram).filter(Packet::is_request) else {
            if !self.is_other {
                self.client.settles(self.client.begins(Said::Other));
            }
            self.is_other = true;
            return;
        };
        // The same request again has the same authenticator (RFC 5080, 2.2.1).
        let known = self.asked.get(&packet.identifier);
        if let Some(known) = known.filter(|known| known.authenticator == packet.authenticator) {
            self.client.learns(known.ticket, |said| {
                if let Said::Radius(radius) = said {
                    radius.retransmissions += 1;
                }
            });
            return;
        }
        let ticket = self.client.begins(Said::Radius(said(&packet)));
        let asked = Asked {
            authenticator: packet.authenticator.to_vec(),
            ticket,
        };
        // Nobody waits any more for what had the identifier before.
        if let Some(before) = self.asked.insert(packet.identifier, asked) {
            self.client.settles(before.ticket);
        }
    }

    /// The service has said this.
    pub(super) fn answers(&mut self, datagram: &[u8]) {
        let Some(packet) = Packet::read(datagram) else { return };
        let Some(asked) = self.asked.get(&packet.identifier) else {
            return;
        };
        self.client.learns(asked.ticket, |said| {
            if let Said::Radius(radius) = said {
                radius.answer.get_or_insert_with(|| code_name(packet.code));
                radius.answer_sealed.get_or_insert(packet.is_sealed());
            }
        });
        self.client.settles(asked.ticket);
    }
}

impl Drop for RadiusWatch {
    /// Whoever waits for an answer gets none.
    fn drop(&mut self) {
        for asked in self.asked.values() {
            self.client.settles(asked.ticket);
        }
    }
}

fn said(packet: &Packet<'_>) -> RadiusSaid {
    let mut attributes: Vec<String> = Vec::new();
    for name in packet.attributes.iter().map(|(kind, _)| attribute_name(*kind)) {
        if !attributes.contains(&name) {
            attributes.push(name);
        }
    }
    RadiusSaid {
        request: code_name(packet.code),
        sealed: packet.is_sealed(),
        attributes,
        ..RadiusSaid::default()
    }
}
