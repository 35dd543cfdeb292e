//! Elements in BER (X.690), as they are written.

/// A tag, the length of its content in as few bytes as it takes, and that.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let head = match content.len() {
        short @ 0..=0x7f => vec![tag, u8::try_from(short).unwrap_or_default()],
        _ => [&[tag, 0x80 | u8::try_from(length.len()).unwrap_or_default()], length].concat(),
    };
    [&head, content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::front::octets::Octets;

    #[test]
    fn what_is_written_is_read_again_at_every_length() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let written = element(0x30, &vec![7; length]);
            let mut octets = Octets(&written);
            let (tag, content) = octets.element().unwrap();
            assert_eq!((tag, content.0.len(), octets.0.len()), (0x30, length, 0));
        }
    }
}
