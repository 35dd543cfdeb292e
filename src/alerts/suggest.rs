//! The threshold that a rule should have: the loosest with which it tells every failure in time, and is silent where
//! nothing has failed. Each that is tried is written into the rule's own file and read from there, so what is suggested is
//! what was evaluated.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::judged::{Judge, Said};
use super::promtool::Failure;
use super::rules::{self, Group, Makes, Rule, Rules};
use super::series::Recording;
use crate::record::alerts::{Scenario, Told};
use crate::yaml::span::Source;

/// Thresholds that are tried at once.
const AT_ONCE: i32 = 32;
/// How often what lies between is looked into.
const ROUNDS: usize = 2;

/// The one number that a rule compares with.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As it is.
    pub value: f64,
    /// Where it stands in the file.
    pub place: Range<usize>,
    side: Side,
}

/// On which side of it the alarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Above,
    Below,
}

impl Threshold {
    /// Whether `one` lets the rule fire less easily than `other`.
    fn is_looser(&self, one: f64, other: f64) -> bool {
        match self.side {
            Side::Above => one > other,
            Side::Below => one < other,
        }
    }
}

/// A failure that was made.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// Production before it.
    pub steady: &'a Recording,
    /// What was recorded of it.
    pub recording: &'a Recording,
}

/// What is wanted of a rule.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The failures that it must tell.
    pub scenarios: BTreeMap<Scenario, Failed<'a>>,
    /// Milliseconds after a user's first failed request at the latest; nothing where it only has to fire.
    pub before_ms: Option<u64>,
}

/// What came of looking for a threshold.
#[derive(Debug, Clone, PartialEq)]
pub enum Suggested {
    /// This one.
    Threshold(Threshold, f64),
    /// The one that it has.
    AsItIs(Threshold),
    /// None does.
    None(Threshold),
    /// It has not exactly one.
    NotOne,
}

/// The number that a rule compares with, where there is exactly one.
pub fn threshold(rule: &Rule) -> Option<Threshold> {
    let text = rule.span.source.text.get(rule.span.range.clone())?;
    let mut found = comparisons(text);
    let only = found.pop().filter(|_| found.is_empty())?;
    let offset = rule.span.range.start;
    Some(Threshold {
        place: only.place.start + offset..only.place.end + offset,
        ..only
    })
}

/// Looks for one.
///
/// # Errors
/// promtool could not be asked.
pub async fn suggest(judge: Judge<'_>, group: &Group, rule: &Rule, wanted: &Wanted<'_>) -> Result<Suggested, Failure> {
    let Some(threshold) = threshold(rule) else {
        return Ok(Suggested::NotOne);
    };
    let search = Search {
        judge,
        group,
        rule,
        threshold: &threshold,
        wanted,
    };
    let mut tried = search.try_all(first(&threshold)).await?;
    for _ in 0..ROUNDS {
        let Some((loose, tight)) = edge(&tried) else { break };
        let between = (1..AT_ONCE).map(|part| loose + (tight - loose) * f64::from(part) / f64::from(AT_ONCE));
        let more = search.try_all(between.collect()).await?;
        tried.extend(more);
        tried.sort_by(|(one, _), (other, _)| search.looser_first(*one, *other));
    }
    let Some(best) = tried
        .iter()
        .find(|(_, does)| *does == Does::Well)
        .map(|(value, _)| *value)
    else {
        return Ok(Suggested::None(threshold));
    };
    let round = rounded(best, threshold.side);
    let round_is_good = search
        .try_all(vec![round])
        .await?
        .iter()
        .all(|(_, does)| *does == Does::Well);
    let best = if round_is_good { round } else { best };
    Ok(match is_close(best, threshold.value) {
        true => Suggested::AsItIs(threshold),
        false => Suggested::Threshold(threshold, best),
    })
}

/// How a threshold does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// A failure is not told, or not in time.
    TooLittle,
    /// All is as it is wanted.
    Well,
    /// It fires where nothing has failed.
    TooMuch,
}

/// The last that does too little, and the one after it; the loosest comes first.
fn edge(tried: &[(f64, Does)]) -> Option<(f64, f64)> {
    let at = tried
        .iter()
        .position(|(_, does)| *does != Does::TooLittle)
        .filter(|at| *at > 0)?;
    Some((tried[at - 1].0, tried[at].0))
}

fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-3 * one.abs().max(other.abs())
}

/// Around the one that it has, over many sizes.
fn first(threshold: &Threshold) -> Vec<f64> {
    let size = match threshold.value.abs() {
        0.0 => 1.0,
        size => size,
    };
    let sizes = (-12..=12).map(|power| size * 2_f64.powi(power));
    let both = sizes.flat_map(|size| [size, -size]);
    both.chain([0.0]).collect()
}

/// To three digits, towards what fires more easily.
fn rounded(value: f64, side: Side) -> f64 {
    if value == 0.0 {
        return value;
    }
    let unit = 10_f64.powf(value.abs().log10().floor() - 2.0);
    let steps = match side {
        Side::Above => (value / unit).floor(),
        Side::Below => (value / unit).ceil(),
    };
    // As people would write it.
    format!("{:.2e}", steps * unit).parse().unwrap_or(value)
}

/// A search for a threshold.
struct Search<'a> {
    judge: Judge<'a>,
    group: &'a Group,
    rule: &'a Rule,
    threshold: &'a Threshold,
    wanted: &'a Wanted<'a>,
}

impl Search<'_> {
    fn looser_first(&self, one: f64, other: f64) -> std::cmp::Ordering {
        match self.threshold.is_looser(one, other) {
            true => std::cmp::Ordering::Less,
            false => std::cmp::Ordering::Greater,
        }
    }

    /// Which of them do, the loosest first.
    async fn try_all(&self, mut values: Vec<f64>) -> Result<Vec<(f64, Does)>, Failure> {
        values.sort_by(|one, other| self.looser_first(*one, *other));
        let rules = self.rules_with(&values);
        let judge = Judge {
            rules: &rules,
            ..self.judge
        };
        let mut done = vec![Does::Well; values.len()];
        for failed in self.wanted.scenarios.values() {
            let said = judge.judge(failed.steady, failed.recording).await?;
            for (at, done) in done.iter_mut().enumerate() {
                *done = match (*done, self.does(&said, FIRST + at, failed.recording)) {
                    (Does::TooMuch, _) | (_, Does::TooMuch) => Does::TooMuch,
                    (Does::Well, Does::Well) => Does::Well,
                    _ => Does::TooLittle,
                };
            }
        }
        Ok(std::iter::zip(values, done).collect())
    }

    fn does(&self, said: &Said, number: usize, recording: &Recording) -> Does {
        let firing = match said.get(&number) {
            Some(Told::Fires(firing) | Told::TooLate(firing)) => firing,
            Some(Told::FalseAlarm) => return Does::TooMuch,
            Some(Told::Never | Told::NotJudged(_)) | None => return Does::TooLittle,
        };
        match (recording.harm(), self.wanted.before_ms) {
            (Some(failed), Some(before)) if firing.latest_ms > (failed as u64 * 1000).saturating_add(before) => {
                Does::TooLittle
            }
            _ => Does::Well,
        }
    }

    /// Production's recording rules, and the rule with each of these thresholds.
    fn rules_with(&self, values: &[f64]) -> Rules {
        let records = |rule: &&Rule| matches!(rule.makes, Makes::Series(_));
        let mut groups: Vec<Group> = self.judge.rules.groups.clone();
        for group in &mut groups {
            group.rules = group.rules.iter().filter(records).cloned().collect();
        }
        let tried = values.iter().enumerate();
        let tried = tried.filter_map(|(at, value)| {
            let rule = with(self.rule, self.threshold, *value)?;
            Some(Rule {
                number: FIRST + at,
                ..rule
            })
        });
        groups.push(Group {
            rules: tried.collect(),
            ..self.group.clone()
        });
        Rules { groups }
    }
}

/// The number of the first that is tried: production has no rule of it.
const FIRST: usize = 1_000_000;

/// A file with another threshold in it; all else is as it was, byte for byte.
pub fn patched(text: &str, threshold: &Threshold, value: f64) -> String {
    let (before, after) = (&text[..threshold.place.start], &text[threshold.place.end..]);
    format!("{before}{value}{after}")
}

/// The rule as it is in that file.
fn with(rule: &Rule, threshold: &Threshold, value: f64) -> Option<Rule> {
    let source = &rule.span.source;
    let other = Source {
        path: source.path.clone(),
        text: patched(&source.text, threshold, value),
    };
    let read = rules::of_source(Arc::new(other)).ok()?;
    let mut all = read.iter().flat_map(|group| &group.rules);
    let found = all.find(|other| other.span.range.start == rule.span.range.start)?;
    Some(found.clone())
}

/// Every number on the right of `<`, `<=`, `>` or `>=`, which stands there alone.
fn comparisons(text: &str) -> Vec<Threshold> {
    let bare = Bare::of(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < bare.0.len() {
        let side = match bare.0[at] {
            b'>' => Some(Side::Above),
            b'<' => Some(Side::Below),
            _ => None,
        };
        at += 1;
        if let Some(side) = side {
            at += usize::from(bare.0.get(at) == Some(&b'='));
            found.extend(bare.number(at).map(|(value, place)| Threshold { value, place, side }));
        }
    }
    found
}

/// An expression with blanks in place of what is in quotes, brackets, braces and comments; as long as it was.
struct Bare(Vec<u8>);

impl Bare {
    fn of(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        // YAML's own marks: quotes around it, or the head of a block.
        let outer = bytes.first().copied().filter(|first| b"\"'".contains(first));
        let head = match bytes.first() {
            Some(b'|' | b'>') => text.find('\n').unwrap_or(text.len()),
            _ => usize::from(outer.is_some()),
        };
        bytes[..head].fill(b' ');
        let end = bytes.len() - usize::from(outer.is_some() && bytes.len() > 1);
        let (mut quote, mut open, mut comment) = (None, 0_usize, false);
        let mut at = head;
        while at < end {
            let byte = bytes[at];
            let hidden = quote.is_some() || open > 0 || comment;
            match (byte, quote) {
                (b'\n', _) => comment = false,
                (b'\\', Some(_)) if outer != Some(b'"') => {
                    bytes[at] = b' ';
                    at += 1;
                }
                (b'"' | b'\'' | b'`', None) if !comment => quote = Some(byte),
                (byte, Some(own)) if byte == own => quote = None,
                (b'[' | b'{', None) if !comment => open += 1,
                (b']' | b'}', None) if !comment => open = open.saturating_sub(1),
                (b'#', None) if open == 0 => comment = true,
                _ => {}
            }
            if (hidden || quote.is_some() || open > 0 || comment) && at < end {
                bytes[at] = b' ';
            }
            at += 1;
        }
        bytes[end..].fill(b' ');
        Self(bytes)
    }

    fn blanks(&self, mut at: usize) -> usize {
        while self.0.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    }

    /// A number that stands there, and is no part of a sum or a product.
    fn number(&self, at: usize) -> Option<(f64, Range<usize>)> {
        let mut at = self.blanks(at);
        if self.0.get(at..)?.starts_with(b"bool") {
            at = self.blanks(at + 4);
        }
        let is_part = |end: usize| {
            let byte = self.0.get(end).copied().unwrap_or(b' ');
            let after_exponent = end > at && b"eE".contains(&self.0[end - 1]);
            byte.is_ascii_alphanumeric() || byte == b'.' || (b"+-".contains(&byte) && (end == at || after_exponent))
        };
        let end = (at..self.0.len()).find(|end| !is_part(*end)).unwrap_or(self.0.len());
        let value: f64 = std::str::from_utf8(self.0.get(at..end)?).ok()?.parse().ok()?;
        let next = self.0.get(self.blanks(end)).copied().unwrap_or(b')');
        (value.is_finite() && !b"+-*/%^".contains(&next)).then_some((value, at..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(f64, &str)> {
        let found = comparisons(text).into_iter();
        found.map(|one| (one.value, &text[one.place])).collect()
    }

    #[test]
    fn a_threshold_is_the_number_on_the_right_of_a_comparison() {
        assert_eq!(found("rate(a[5m]) > 0.5"), [(0.5, "0.5")]);
        assert_eq!(found("a >= bool 1e-3 and b{x=\"> 7\"} == 1"), [(1e-3, "1e-3")]);
        assert_eq!(found("'a{x=\"<3\"} < -2'"), [(-2.0, "-2")]);
        assert_eq!(found("\"a{x=\\\"<3\\\"} < 2\""), [(2.0, "2")]);
        assert_eq!(found(">-\n  a # > 3\n  > 4\n"), [(4.0, "4")]);
        assert_eq!(found("a > 1 or b < 2"), [(1.0, "1"), (2.0, "2")]);
    }

    #[test]
    fn what_is_no_number_alone_is_none() {
        for text in [
            "a > b",
            "a > 1024 * 1024",
            "a > 5m",
            "a == 0",
            "0.5 < a",
            "a > (1)",
            "a{x=~\"b>1\"}",
            "a >",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn a_number_is_rounded_towards_what_fires_more_easily() {
        let cases = [
            (0.123_456, 0.123, 0.124),
            (1234.5, 1230.0, 1240.0),
            (-0.5, -0.5, -0.5),
            (0.0, 0.0, 0.0),
        ];
        for (value, above, below) in cases {
            assert!((rounded(value, Side::Above) - above).abs() < 1e-9, "{value}");
            assert!((rounded(value, Side::Below) - below).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn all_else_stays_byte_for_byte() {
        let text = "groups: # ü\r\n- name: g\r\n  rules:\r\n  - alert: A\r\n    expr: 'a > 0.5' # why\r\n";
        let source = Arc::new(Source {
            path: "rules.yaml".into(),
            text: text.to_owned(),
        });
        let groups = rules::of_source(source).expect("rules");
        let rule = &groups[0].rules[0];
        let threshold = threshold(rule).expect("one");
        assert_eq!(patched(text, &threshold, 0.25), text.replace("0.5", "0.25"));
        assert_eq!(
            with(rule, &threshold, 0.25).map(|rule| rule.expr),
            Some("a > 0.25".to_owned())
        );
    }
}
