//! What is kept in memory of one container's log: its first lines and its last ones. The cause of a failure stands among
//! the first of a release, or among the last before its end; of what is between, the number is kept.

use std::collections::{BTreeMap, VecDeque};

use crate::record::release::Role;
use crate::record::stage::StageId;

/// Lines at either end.
const LINES: usize = 10_000;
/// Bytes at either end, whatever the lines' number: a release may say anything.
const BYTES: usize = 16 * 1024 * 1024;

/// When a line was said: the stage, and whose turn it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub stage: StageId,
    pub role: Role,
}

/// Lines of a log, as far as they are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Oldest first.
    pub lines: Vec<String>,
    /// So many more were said between the first and the last of them.
    pub left_out: usize,
}

impl Excerpt {
    /// With what came after it.
    pub(super) fn extend(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.left_out += other.left_out;
    }
}

/// One end of a log.
#[derive(Debug, Default)]
struct End {
    lines: VecDeque<(Moment, String)>,
    bytes: usize,
}

impl End {
    fn is_full(&self) -> bool {
        self.lines.len() >= LINES || self.bytes >= BYTES
    }

    fn push(&mut self, moment: Moment, line: String) {
        self.bytes += line.len();
        self.lines.push_back((moment, line));
    }

    fn drop_first(&mut self) -> Option<Moment> {
        let (moment, line) = self.lines.pop_front()?;
        self.bytes -= line.len();
        Some(moment)
    }
}

/// A container's log.
#[derive(Debug, Default)]
pub(super) struct Kept {
    head: End,
    tail: End,
    left_out: BTreeMap<Moment, usize>,
}

impl Kept {
    /// One more line.
    pub fn push(&mut self, moment: Moment, line: String) {
        if self.left_out.is_empty() && self.tail.lines.is_empty() && !self.head.is_full() {
            return self.head.push(moment, line);
        }
        while self.tail.is_full() {
            let Some(gone) = self.tail.drop_first() else { break };
            *self.left_out.entry(gone).or_default() += 1;
        }
        self.tail.push(moment, line);
    }

    /// How many lines have been said.
    pub fn count(&self) -> usize {
        self.head.lines.len() + self.gap() + self.tail.lines.len()
    }

    fn gap(&self) -> usize {
        self.left_out.values().sum()
    }

    /// What was said at moments that are `wanted`.
    pub fn at(&self, wanted: impl Fn(Moment) -> bool) -> Excerpt {
        let lines = self.head.lines.iter().chain(&self.tail.lines);
        let left_out = self.left_out.iter().filter(|(moment, _)| wanted(**moment));
        Excerpt {
            lines: lines
                .filter(|(moment, _)| wanted(*moment))
                .map(|(_, line)| line.clone())
                .collect(),
            left_out: left_out.map(|(_, count)| count).sum(),
        }
    }

    /// What was said after so many lines.
    pub fn after(&self, count: usize) -> Excerpt {
        let (head, gap) = (self.head.lines.len(), self.gap());
        let in_tail = count.saturating_sub(head + gap);
        let lines = self.head.lines.iter().skip(count);
        Excerpt {
            lines: lines
                .chain(self.tail.lines.iter().skip(in_tail))
                .map(|(_, line)| line.clone())
                .collect(),
            left_out: gap.saturating_sub(count.saturating_sub(head)),
        }
    }

    /// The last lines.
    pub fn last(&self, count: usize) -> Vec<String> {
        let lines = self.head.lines.iter().chain(&self.tail.lines);
        let all = self.head.lines.len() + self.tail.lines.len();
        lines
            .skip(all.saturating_sub(count))
            .map(|(_, line)| line.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: Moment = Moment {
        stage: StageId::Control,
        role: Role::Baseline,
    };
    const UPGRADE: Moment = Moment {
        stage: StageId::Upgrade,
        role: Role::Candidate,
    };

    fn kept(lines: std::ops::Range<usize>, moment: Moment) -> Kept {
        let mut kept = Kept::default();
        lines.for_each(|number| kept.push(moment, number.to_string()));
        kept
    }

    #[test]
    fn the_fatal_line_behind_twenty_thousand_others_is_kept() {
        let mut kept = kept(0..25_000, CONTROL);
        kept.push(UPGRADE, "FATAL".to_owned());
        let all = kept.after(0);
        assert_eq!((all.lines.len(), all.left_out, kept.count()), (20_000, 5_001, 25_001));
        assert_eq!(all.lines[..2], ["0", "1"]);
        assert_eq!(all.lines[9_999..10_001], ["9999", "15001"]);
        assert_eq!(kept.last(2), ["24999", "FATAL"]);
        assert_eq!(kept.at(|moment| moment == UPGRADE).lines, ["FATAL"]);
        assert_eq!(kept.at(|moment| moment == CONTROL).left_out, 5_001);
    }

    #[test]
    fn what_was_said_after_a_mark_counts_what_is_missing_after_it() {
        let kept = kept(0..25_000, CONTROL);
        let after = |count| {
            let excerpt = kept.after(count);
            (excerpt.lines.first().cloned(), excerpt.lines.len(), excerpt.left_out)
        };
        assert_eq!(after(9_999), (Some("9999".to_owned()), 10_001, 5_000));
        assert_eq!(after(12_000), (Some("15000".to_owned()), 10_000, 3_000));
        assert_eq!(after(24_999), (Some("24999".to_owned()), 1, 0));
        assert_eq!(after(25_000), (None, 0, 0));
        assert_eq!(after(99_999), (None, 0, 0));
    }

    #[test]
    fn long_lines_fill_no_more_memory_than_many() {
        let mut kept = Kept::default();
        let line = "x".repeat(BYTES / 4);
        (0..20).for_each(|_| kept.push(CONTROL, line.clone()));
        let all = kept.after(0);
        assert_eq!((all.lines.len(), all.left_out, kept.count()), (8, 12, 20));
    }
}
