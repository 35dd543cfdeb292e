//! Bytes that are read one field after the other; behind the end there are none.

/// What has not been read yet.
#[derive(Debug, Clone, Copy)]
pub(in crate::agent) struct Octets<'b>(pub(in crate::agent) &'b [u8]);

impl<'b> Octets<'b> {
    /// The next so many.
    pub(in crate::agent) fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes, the highest first; at most eight count.
    pub(in crate::agent) fn number(&mut self, length: usize) -> Option<usize> {
        let bytes = self.take(length)?;
        Some(bytes.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte)))
    }

    /// What stands behind its own length of so many bytes.
    pub(in crate::agent) fn counted(&mut self, length: usize) -> Option<Self> {
        let length = self.number(length)?;
        self.take(length).map(Self)
    }

    /// One element in BER (X.690): its tag and its content.
    pub(in crate::agent) fn element(&mut self) -> Option<(u8, Self)> {
        let tag = *self.take(1)?.first()?;
        let first = self.number(1)?;
        let length = match first {
            0..=0x7f => first,
            0x81..=0x84 => self.number(first - 0x80)?,
            _ => return None,
        };
        self.take(length).map(|content| (tag, Self(content)))
    }
}
