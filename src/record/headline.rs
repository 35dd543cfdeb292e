//! The headline: what broke and where, the pair, the way out. It is read in a few seconds, so it is short: digests, the
//! texts of exceptions and everything else stand below it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first line where a change's own production is what runs.
pub const ALTERS_NOTHING: &str = "this change alters nothing that runs";

/// Characters of the whole line.
pub const MOST: usize = 256;
/// Characters of the pair, and of the way out, where there is much to say.
const PART: usize = 72;
/// Characters between the parts.
const BETWEEN: usize = 4;
/// A reason that would be cut shorter than this says nothing.
const LEAST: usize = 24;

/// The first line of every report, in its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headline {
    /// What broke and where; of a pass, what works.
    pub what: String,
    /// The pair of versions.
    pub pair: String,
    /// What to do.
    pub way_out: String,
}

impl Headline {
    /// Fits the parts into a line; `why` stands behind what broke as far as there is room.
    pub fn of(what: &str, why: Option<&str>, pair: &str, way_out: &str) -> Self {
        let (pair, way_out) = (cut(pair, PART), cut(way_out, PART));
        let room = MOST - BETWEEN - length(&pair) - length(&way_out);
        let what = one_line(what);
        let left = room.saturating_sub(length(&what) + 2);
        let what = match why.map(one_line).filter(|why| !what.contains(why) && left >= LEAST) {
            Some(why) => format!("{what}: {}", cut(&why, left)),
            None => cut(&what, room),
        };
        Self { what, pair, way_out }
    }

    /// The same with something before all of it.
    #[must_use]
    pub fn after(self, before: &str) -> Self {
        let others = length(&self.pair) + length(&self.way_out) + BETWEEN;
        Self {
            what: cut(&format!("{before}: {}", self.what), MOST.saturating_sub(others)),
            ..self
        }
    }

    /// A line that has nothing to say of a pair or a way out.
    pub fn plain(what: &str) -> Self {
        Self {
            what: cut(what, MOST),
            ..Self::default()
        }
    }
}

impl fmt::Display for Headline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.what, &self.pair, &self.way_out];
        let said: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        f.write_str(&said.join("; "))
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str, most: usize) -> String {
    let text = one_line(text);
    if length(&text) <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_headline_is_never_longer_than_its_line_whatever_is_said() {
        let long = "ü".repeat(1_000);
        for (what, why) in [
            ("short", Some(long.as_str())),
            (long.as_str(), Some("why")),
            (long.as_str(), None),
        ] {
            let line = Headline::of(what, why, &long, &long).to_string();
            assert!(length(&line) <= MOST, "{} characters", length(&line));
        }
        assert_eq!(length(&Headline::plain(&long).to_string()), MOST);
    }

    #[test]
    fn a_reason_is_said_as_far_as_there_is_room_and_not_twice() {
        let line = |what: &str, why| Headline::of(what, why, "web shop:2", "keep shop:1").to_string();
        assert_eq!(
            line("web is down", Some("no route")),
            "web is down: no route; web shop:2; keep shop:1"
        );
        assert_eq!(
            line("web is down: no route", Some("no route")),
            "web is down: no route; web shop:2; keep shop:1"
        );
    }
}
