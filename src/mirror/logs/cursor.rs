//! How far a container's log has been taken, by all who read it: an engine may end a reading with the container's end
//! or read on after a restart, so it is read again and again, and no entry is taken twice.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A line is cut here.
const LINE_LIMIT: usize = 16 * 1024;
/// Where the engine cuts lines itself.
const ENGINES_CUT: usize = 16 * 1024;

/// Where an entry stands in a log: the engine's time of it, and which of those with this time it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    // Times of one width sort as text.
    stamp: String,
    count: usize,
}

impl Position {
    /// Of the next entry of a reading.
    pub fn advance(&mut self, stamp: &str) {
        if self.stamp != stamp {
            (self.stamp, self.count) = (stamp.to_owned(), 0);
        }
        self.count += 1;
    }
}

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Output {
    Standard,
    Error,
}

/// The end of what has been taken.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    last: Position,
    // A line that has no end yet; it may still come.
    open: BTreeMap<Output, Vec<u8>>,
}

impl Cursor {
    /// Whole seconds since 1970, for the engine's filter; 0 = from the beginning.
    pub fn seconds(&self) -> i32 {
        let at = OffsetDateTime::parse(&self.last.stamp, &Rfc3339).map_or(0, OffsetDateTime::unix_timestamp);
        i32::try_from(at).unwrap_or(0)
    }

    /// The lines that an entry ends; none where the entry has been taken.
    pub fn take(&mut self, at: &Position, output: Output, text: &[u8]) -> Vec<Vec<u8>> {
        if !at.stamp.is_empty() && *at <= self.last {
            return Vec::new();
        }
        self.last = at.clone();
        let open = self.open.entry(output).or_default();
        let mut lines = Vec::new();
        // The engine cuts long lines itself; a shorter one without an end was its process's last.
        if !open.is_empty() && open.len() < ENGINES_CUT {
            lines.push(std::mem::take(open));
        }
        for byte in text {
            match byte {
                b'\n' => lines.push(std::mem::take(open)),
                _ if open.len() < LINE_LIMIT => open.push(*byte),
                _ => {}
            }
        }
        lines
    }

    /// What has no end when a container has ended.
    pub fn rest(&mut self) -> Vec<Vec<u8>> {
        let open = std::mem::take(&mut self.open);
        open.into_values().filter(|line| !line.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: &str = "2026-11-22T20:00:00.000000001Z";
    const LATE: &str = "2026-11-22T20:00:00.000000002Z";

    fn read(cursor: &mut Cursor, entries: &[(&str, &str)]) -> Vec<String> {
        let mut at = Position::default();
        let mut lines = Vec::new();
        for (stamp, text) in entries {
            at.advance(stamp);
            lines.extend(cursor.take(&at, Output::Standard, text.as_bytes()));
        }
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn a_second_reading_takes_only_what_is_new() {
        let mut cursor = Cursor::default();
        assert_eq!(
            read(&mut cursor, &[(EARLY, "a\n"), (LATE, "b\n"), (LATE, "c\n")]),
            ["a", "b", "c"]
        );
        assert_eq!(read(&mut cursor, &[(LATE, "b\n"), (LATE, "c\n"), (LATE, "d\n")]), ["d"]);
    }

    #[test]
    fn a_process_last_words_are_a_line_of_their_own() {
        let mut cursor = Cursor::default();
        assert_eq!(
            read(&mut cursor, &[(EARLY, "no end"), (LATE, "next life\n")]),
            ["no end", "next life"]
        );
        assert_eq!(
            read(&mut cursor, &[("2026-11-22T20:00:00.000000003Z", "again none")]),
            Vec::<String>::new()
        );
        assert_eq!(cursor.rest(), [b"again none".to_vec()]);
    }

    #[test]
    fn a_line_that_the_engine_cut_is_one_line() {
        let mut cursor = Cursor::default();
        let long = "x".repeat(ENGINES_CUT);
        assert_eq!(read(&mut cursor, &[(EARLY, &long), (LATE, "y\n")]), [long]);
    }

    #[test]
    fn a_log_is_read_again_from_its_last_second_on() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.seconds(), 0);
        read(&mut cursor, &[("1970-01-01T00:01:00.900000000Z", "a\n")]);
        assert_eq!(cursor.seconds(), 60);
    }
}
