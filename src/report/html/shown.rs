//! How much is shown of a record, and how it looks.

use crate::record::status::Status;
use crate::report::words;
use crate::text::harmless;

/// How much of each thing there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Rows of a list or a table.
    pub(super) rows: usize,
    /// Cases that passed or were left out, one by one; all are counted by suite.
    pub(super) passed: usize,
    /// Bytes of a line.
    pub(super) line: usize,
    /// Bytes of a captured output or of evidence.
    pub(super) detail: usize,
}

impl Room {
    /// From all that a reader may want to what always fits.
    pub(super) const ALL: [Self; 4] = [
        Self {
            rows: 1_000,
            passed: 500,
            line: words::LINE,
            detail: 64 * 1024,
        },
        Self {
            rows: 200,
            passed: 500,
            line: words::LINE,
            detail: 4 * 1024,
        },
        Self {
            rows: 40,
            passed: 100,
            line: 300,
            detail: 512,
        },
        Self {
            rows: 8,
            passed: 0,
            line: 120,
            detail: 0,
        },
    ];

    pub(super) fn line(self, text: &str) -> String {
        harmless::line(text, self.line)
    }

    /// The first rows, and how many there are beyond them.
    pub(super) fn rows<T, V>(self, all: &[T], view: impl FnMut(&T) -> V) -> Rows<V> {
        Rows {
            shown: all.iter().take(self.rows).map(view).collect(),
            more: all.len().saturating_sub(self.rows),
        }
    }
}

/// What is shown of a list.
#[derive(Debug)]
pub(super) struct Rows<V> {
    pub(super) shown: Vec<V>,
    /// What there was no room for.
    pub(super) more: usize,
}

/// How something looks that ended in some way: a word for the style, and a sign for those who see no colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tone {
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
}

impl Tone {
    pub(super) const RED: Self = Self {
        class: "red",
        sign: "✗",
    };
    pub(super) const AMBER: Self = Self {
        class: "amber",
        sign: "!",
    };
    pub(super) const PLAIN: Self = Self {
        class: "plain",
        sign: "✓",
    };
    pub(super) const GREY: Self = Self {
        class: "grey",
        sign: "–",
    };

    pub(super) fn of(status: Status) -> Self {
        match status {
            Status::Passed => Self::PLAIN,
            Status::Failed => Self::RED,
            Status::Error | Status::NotRun => Self::AMBER,
            Status::Skipped => Self::GREY,
        }
    }
}
