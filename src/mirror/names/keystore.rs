//! Java's store of CAs: how one more is put into it. Written is always the old format (JKS), which every Java reads
//! wherever it expects either.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const VERSION: u32 = 2;
const TRUSTED_CERTIFICATE: u32 = 2;
const SEAL: usize = 20;
/// The password of every store that a Java distribution ships.
const PASSWORD: &str = "changeit";
/// `certBag` holding an X.509 certificate, as PKCS #12 encodes it.
const X509_BAG: [u8; 12] = [0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];

/// The store with one more trusted certificate; `None` where it is in no form that can be read, or sealed with
/// another password than the usual.
pub fn with_ca(store: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    if store.starts_with(&MAGIC) {
        appended(store, certificate)
    } else {
        converted(store, certificate)
    }
}

/// JKS: one more entry at the end, one more in the count, a new seal.
fn appended(store: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    let (content, sealed) = store.split_at_checked(store.len().checked_sub(SEAL)?)?;
    if seal(content) != sealed || content.get(4..8)? != VERSION.to_be_bytes() {
        return None;
    }
    let count = u32::from_be_bytes(content.get(8..12)?.try_into().ok()?);
    let mut new = [&MAGIC, &VERSION.to_be_bytes(), &count.checked_add(1)?.to_be_bytes()]
        .map(|part| part.as_slice())
        .concat();
    new.extend_from_slice(content.get(12..)?);
    new.extend(entry("rehearsal", certificate)?);
    Some(finished(new))
}

/// PKCS #12 without encryption, as Java ships it since 18: its certificates, in a store of the old format.
fn converted(store: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    let known = certificates(store);
    if known.is_empty() {
        return None;
    }
    let count = u32::try_from(known.len() + 1).ok()?;
    let mut new = [&MAGIC, &VERSION.to_be_bytes(), &count.to_be_bytes()]
        .map(|part| part.as_slice())
        .concat();
    for (number, known) in known.iter().enumerate() {
        new.extend(entry(&format!("ca-{number}"), known)?);
    }
    new.extend(entry("rehearsal", certificate)?);
    Some(finished(new))
}

fn finished(content: Vec<u8>) -> Vec<u8> {
    let seal = seal(&content);
    [content, seal].concat()
}

fn entry(alias: &str, certificate: &[u8]) -> Option<Vec<u8>> {
    let mut entry = TRUSTED_CERTIFICATE.to_be_bytes().to_vec();
    text(&mut entry, alias)?;
    // Created at the epoch: the same store is the same bytes.
    entry.extend_from_slice(&0u64.to_be_bytes());
    text(&mut entry, "X.509")?;
    entry.extend_from_slice(&u32::try_from(certificate.len()).ok()?.to_be_bytes());
    entry.extend_from_slice(certificate);
    Some(entry)
}

fn text(into: &mut Vec<u8>, text: &str) -> Option<()> {
    into.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
    into.extend_from_slice(text.as_bytes());
    Some(())
}

fn seal(content: &[u8]) -> Vec<u8> {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for unit in PASSWORD.encode_utf16() {
        digest.update(&unit.to_be_bytes());
    }
    // The format's own words.
    digest.update(b"Mighty Aphrodite");
    digest.update(content);
    digest.finish().as_ref().to_vec()
}

/// Every certificate that lies open in a PKCS #12 file.
fn certificates(store: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = store;
    while let Some(at) = rest.windows(X509_BAG.len()).position(|window| window == X509_BAG) {
        rest = &rest[at + X509_BAG.len()..];
        // [0] EXPLICIT, OCTET STRING, the certificate.
        let octets = inside(rest, 0xa0).and_then(|inner| inside(inner, 0x04));
        found.extend(octets.filter(|certificate| certificate.first() == Some(&0x30)));
    }
    found
}

/// The content of the DER value at the start, if it bears that tag.
fn inside(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.get(..usize::from(*length));
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    let length = bytes.iter().try_fold(0usize, |sum, byte| {
        sum.checked_mul(256)?.checked_add(usize::from(*byte))
    })?;
    rest.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_more_is_in_the_count_and_under_the_seal() {
        let empty = finished([&MAGIC[..], &VERSION.to_be_bytes(), &0u32.to_be_bytes()].concat());
        let one = with_ca(&empty, b"\x30\x01x").unwrap();
        let two = with_ca(&one, b"\x30\x01y").unwrap();
        assert_eq!(two[8..12], 2u32.to_be_bytes());
        assert_eq!(seal(&two[..two.len() - SEAL]), two[two.len() - SEAL..]);
    }

    #[test]
    fn a_store_under_another_seal_or_of_another_kind_is_left_alone() {
        let mut store = finished([&MAGIC[..], &VERSION.to_be_bytes(), &0u32.to_be_bytes()].concat());
        *store.last_mut().unwrap() ^= 1;
        assert_eq!(with_ca(&store, b"\x30"), None);
        assert_eq!(with_ca(b"", b"\x30"), None);
        assert_eq!(with_ca(b"\x30\x82\xff\xff", b"\x30"), None);
    }

    #[test]
    fn certificates_that_lie_open_in_pkcs12_are_taken_over() {
        let bag = [&X509_BAG[..], &[0xa0, 0x05, 0x04, 0x03, 0x30, 0x01, b'x']].concat();
        let store = [&[0x30, 0x40][..], &bag, &bag].concat();
        let new = with_ca(&store, b"\x30\x01y").unwrap();
        assert_eq!(new[8..12], 3u32.to_be_bytes());
    }

    #[test]
    fn hostile_lengths_are_no_certificates() {
        let endless = [&X509_BAG[..], &[0xa0, 0x8f, 0xff]].concat();
        assert!(certificates(&endless).is_empty());
        assert!(
            certificates(
                &[
                    &X509_BAG[..],
                    &[0xa0, 0x89, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
                ]
                .concat()
            )
            .is_empty()
        );
    }
}
