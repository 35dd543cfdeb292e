//! How large a key is, whatever it was read from: a key set or a certificate.

/// The size of a number, big-endian, whatever zeros it begins with.
pub(super) fn bits_of(number: &[u8]) -> u64 {
    let significant: Vec<&u8> = number.iter().skip_while(|byte| **byte == 0).collect();
    let unused = significant.first().map_or(0, |byte| u64::from(byte.leading_zeros()));
    significant.len() as u64 * 8 - unused
}
