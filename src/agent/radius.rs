//! RADIUS (RFC 2865): packets as their bytes say them, and a question to a server.
//!
//! What arrives here is hostile: whatever the bytes are, reading ends, and what is no packet is none.

/// The head before the attributes: code, identifier, length, authenticator.
pub(super) const HEAD: usize = 20;
/// The longest packet (RFC 2865, 3).
const LONGEST: usize = 4096;
/// The attribute by which a packet is sealed as a whole (RFC 3579, 3.2).
pub(super) const MESSAGE_AUTHENTICATOR: u8 = 80;

/// Codes that ask for an answer.
const REQUESTS: [u8; 5] = [1, 4, 12, 40, 43];

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet<'b> {
    pub(super) code: u8,
    pub(super) identifier: u8,
    pub(super) authenticator: &'b [u8],
    /// Type and value, in their order.
    pub(super) attributes: Vec<(u8, &'b [u8])>,
}

impl<'b> Packet<'b> {
    /// What a datagram says; octets behind the packet's own length are padding.
    pub(super) fn read(datagram: &'b [u8]) -> Option<Self> {
        let (&[code, identifier, high, low], _) = datagram.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let packet = datagram.get(..length).filter(|_| length <= LONGEST)?;
        let mut rest = packet.get(HEAD..)?;
        let mut attributes = Vec::new();
        while let Some((&[kind, length], _)) = rest.split_first_chunk() {
            attributes.push((kind, rest.get(2..usize::from(length))?));
            rest = &rest[usize::from(length)..];
        }
        rest.is_empty().then_some(Self {
            code,
            identifier,
            authenticator: &packet[4..HEAD],
            attributes,
        })
    }

    /// It asks for something.
    pub(super) fn is_request(&self) -> bool {
        REQUESTS.contains(&self.code)
    }

    /// It is sealed as a whole: whether rightly, only those know who share the secret.
    pub(super) fn is_sealed(&self) -> bool {
        self.attributes.iter().any(|(kind, _)| *kind == MESSAGE_AUTHENTICATOR)
    }
}

/// What a packet is for: `Access-Request`.
pub(super) fn code_name(code: u8) -> String {
    let known = match code {
        1 => "Access-Request",
        2 => "Access-Accept",
        3 => "Access-Reject",
        4 => "Accounting-Request",
        5 => "Accounting-Response",
        11 => "Access-Challenge",
        12 => "Status-Server",
        40 => "Disconnect-Request",
        41 => "Disconnect-ACK",
        42 => "Disconnect-NAK",
        43 => "CoA-Request",
        44 => "CoA-ACK",
        45 => "CoA-NAK",
        other => return format!("code {other}"),
    };
    known.to_owned()
}

/// An attribute's name, as registered (RFC 2865, 2866, 2869, 3162, 3579, 4372, 5176).
pub(super) fn attribute_name(kind: u8) -> String {
    let known = match kind {
        1 => "User-Name",
        2 => "User-Password",
        3 => "CHAP-Password",
        4 => "NAS-IP-Address",
        5 => "NAS-Port",
        6 => "Service-Type",
        7 => "Framed-Protocol",
        8 => "Framed-IP-Address",
        11 => "Filter-Id",
        12 => "Framed-MTU",
        18 => "Reply-Message",
        24 => "State",
        25 => "Class",
        26 => "Vendor-Specific",
        27 => "Session-Timeout",
        28 => "Idle-Timeout",
        29 => "Termination-Action",
        30 => "Called-Station-Id",
        31 => "Calling-Station-Id",
        32 => "NAS-Identifier",
        33 => "Proxy-State",
        40 => "Acct-Status-Type",
        41 => "Acct-Delay-Time",
        42 => "Acct-Input-Octets",
        43 => "Acct-Output-Octets",
        44 => "Acct-Session-Id",
        45 => "Acct-Authentic",
        46 => "Acct-Session-Time",
        49 => "Acct-Terminate-Cause",
        55 => "Event-Timestamp",
        60 => "CHAP-Challenge",
        61 => "NAS-Port-Type",
        64 => "Tunnel-Type",
        65 => "Tunnel-Medium-Type",
        77 => "Connect-Info",
        79 => "EAP-Message",
        MESSAGE_AUTHENTICATOR => "Message-Authenticator",
        81 => "Tunnel-Private-Group-ID",
        85 => "Acct-Interim-Interval",
        87 => "NAS-Port-Id",
        89 => "Chargeable-User-Identity",
        95 => "NAS-IPv6-Address",
        101 => "Error-Cause",
        other => return format!("attribute {other}"),
    };
    known.to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A packet with these attributes.
    pub(in crate::agent) fn packet(code: u8, identifier: u8, seed: u8, attributes: &[(u8, &[u8])]) -> Vec<u8> {
        let body: Vec<u8> = attributes
            .iter()
            .flat_map(|(kind, value)| {
                let length = u8::try_from(value.len() + 2).unwrap();
                [&[*kind, length], *value].concat()
            })
            .collect();
        let length = u16::try_from(HEAD + body.len()).unwrap().to_be_bytes();
        [&[code, identifier], &length[..], &[seed; 16], &body].concat()
    }

    #[test]
    fn a_packet_is_read_whatever_pads_it() {
        let mut bytes = packet(1, 7, 9, &[(1, b"alice"), (MESSAGE_AUTHENTICATOR, &[0; 16])]);
        bytes.extend([0; 5]);
        let read = Packet::read(&bytes).unwrap();
        assert_eq!((read.code, read.identifier), (1, 7));
        assert_eq!(read.authenticator, [9; 16]);
        assert!(read.is_request() && read.is_sealed());
        assert_eq!(read.attributes[0], (1, &b"alice"[..]));
    }

    #[test]
    fn what_is_no_packet_is_none_and_no_bytes_break_the_reader() {
        let whole = packet(1, 7, 9, &[(1, b"alice")]);
        for end in 0..whole.len() {
            assert_eq!(Packet::read(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 2, 3, 19, 0x7f, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken[at] = value;
                let _read = Packet::read(&broken);
            }
        }
        // An attribute that is shorter than its own head would be read for ever.
        let endless = packet(1, 7, 9, &[]);
        let endless = [&endless[..2], &[0, 22], &endless[4..], &[1, 0]].concat();
        assert_eq!(Packet::read(&endless), None);
        assert_eq!(Packet::read(b"GET / HTTP/1.1\r\nHost: idp\r\n\r\n"), None);
    }
}
