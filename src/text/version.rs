//! Versions: which is less than which (16.4 < 16.10), and requirements such as `>=14, <17`.

use std::cmp::Ordering;
use std::fmt;

/// A part of a version: a number, or letters between numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Number(String),
    Letters(String),
}

/// How two versions stand to each other. Numbers compare as numbers, a missing part is 0; letters after a number
/// are a later patch (1.1.1 < 1.1.1w), except where they name what comes before a release (16beta1, 2.0-rc1 < 2.0).
pub fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (parts(one), parts(other));
    let longest = one.len().max(other.len());
    let ordering = (0..longest).map(|at| compare_parts(one.get(at), other.get(at)));
    ordering
        .into_iter()
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Numbers and words, up to build metadata (`+`), which orders nothing. A Debian revision is such metadata too.
fn parts(text: &str) -> Vec<Part> {
    let text = text.trim().trim_start_matches(['v', 'V']);
    let text = text.split(['+', '~', ' ']).next().unwrap_or_default();
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let letters = first.is_alphabetic();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != digits || c.is_alphabetic() != letters)
            .unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        match (digits, letters) {
            (true, _) => parts.push(Part::Number(part.trim_start_matches('0').to_owned())),
            (_, true) => parts.push(Part::Letters(part.to_lowercase())),
            _ => {}
        }
        rest = after;
    }
    parts
}

fn compare_parts(one: Option<&Part>, other: Option<&Part>) -> Ordering {
    use Part::{Letters, Number};
    match (one, other) {
        (Some(Number(one)), Some(Number(other))) => numbers(one, other),
        (Some(Letters(one)), Some(Letters(other))) => (!before(one), one).cmp(&(!before(other), other)),
        (Some(Letters(one)), _) => {
            if before(one) {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (_, Some(Letters(other))) => {
            if before(other) {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (Some(Number(one)), None) => numbers(one, ""),
        (None, Some(Number(other))) => numbers("", other),
        (None, None) => Ordering::Equal,
    }
}

/// Digits without leading zeros, of any length.
fn numbers(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn before(word: &str) -> bool {
    [
        "alpha", "beta", "rc", "pre", "preview", "dev", "snapshot", "cr", "m", "ea",
    ]
    .contains(&word)
}

/// How a version must stand to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    More,
    AtMost,
    Less,
    Exactly,
    Not,
}

/// Longest first.
const OPERATORS: [(&str, Operator); 8] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("==", Operator::Exactly),
    ("!=", Operator::Not),
    (">", Operator::More),
    ("<", Operator::Less),
    ("=", Operator::Exactly),
    ("", Operator::Exactly),
];

/// One condition: `>= 14`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    operator: Operator,
    version: String,
}

impl Condition {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, operator) = OPERATORS.iter().find(|(sign, _)| text.starts_with(sign))?;
        let version = text[sign.len()..].trim();
        let good = version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_+~".contains(c));
        (good && version.starts_with(|c: char| c.is_ascii_digit() || c == 'v')).then(|| Self {
            operator: *operator,
            version: version.to_owned(),
        })
    }

    /// Whether a version is as asked. `= 16` is met by 16.4: what is not said is not asked.
    pub fn is_met_by(&self, version: &str) -> bool {
        let ordering = compare(version, &self.version);
        match self.operator {
            Operator::AtLeast => ordering.is_ge(),
            Operator::More => ordering.is_gt() && !begins_with(version, &self.version),
            Operator::AtMost => ordering.is_le() || begins_with(version, &self.version),
            Operator::Less => ordering.is_lt(),
            Operator::Exactly => begins_with(version, &self.version),
            Operator::Not => !begins_with(version, &self.version),
        }
    }
}

/// Whether the shorter version says all that the longer one begins with.
fn begins_with(version: &str, asked: &str) -> bool {
    let (version, asked) = (parts(version), parts(asked));
    let early = version
        .get(asked.len())
        .is_some_and(|part| matches!(part, Part::Letters(word) if before(word)));
    !early && (0..asked.len()).all(|at| compare_parts(version.get(at), asked.get(at)).is_eq())
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPERATORS
            .iter()
            .find(|(sign, operator)| *operator == self.operator && *sign != "==");
        write!(f, "{} {}", sign.map_or("=", |(sign, _)| sign), self.version)
    }
}

/// Conditions of which all must hold: `>=14, <17`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement(Vec<Condition>);

impl Requirement {
    /// Reads `>=14`, `>=14, <17`, `=16` or `16`.
    ///
    /// # Errors
    /// A message that continues "`TEXT` …".
    pub fn read(text: &str) -> Result<Self, String> {
        let all: Option<Vec<Condition>> = text.split(',').map(Condition::read).collect();
        all.map(Self)
            .ok_or_else(|| "is not a requirement: write one like `>=14` or `>=14, <17`".to_owned())
    }

    /// The first condition that a version does not meet.
    pub fn unmet_by(&self, version: &str) -> Option<&Condition> {
        self.0.iter().find(|condition| !condition.is_met_by(version))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(Condition::to_string).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_order_them() {
        let ascending = [
            "0.9",
            "1.0-rc1",
            "1",
            "1.1.1",
            "1.1.1d",
            "1.1.1w",
            "3.0.9",
            "3.0.22",
            "9.6.24",
            "13.16",
            "16beta1",
            "16rc2",
            "16",
            "16.4",
            "16.10",
            "17",
            "20230311",
            "20250419",
            "99999999999999999999999999",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn what_means_the_same_is_equal() {
        for (one, other) in [
            ("16", "16.0"),
            ("v18.19.0", "18.19"),
            ("1.02", "1.2"),
            ("2.5.13+dfsg-5", "2.5.13"),
            ("", ""),
        ] {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} {other}");
        }
    }

    #[test]
    fn requirements_hold_or_not() {
        let cases = [
            (">=14", "13.16", false),
            (">=14", "14.0", true),
            (">= 16.5", "16.10", true),
            (">=14, <17", "17.2", false),
            ("=16", "16.4", true),
            ("16", "17", false),
            ("<=16", "16.4", true),
            (">16", "16.4", false),
            ("!=16.3", "16.3", false),
            ("<2", "2.0-rc1", true),
            (">=2", "2.0-rc1", false),
            ("=16", "16beta1", false),
            (">=1.1.1k", "1.1.1w", true),
        ];
        for (requirement, version, met) in cases {
            let requirement = Requirement::read(requirement).expect(requirement);
            assert_eq!(requirement.unmet_by(version).is_none(), met, "{requirement} {version}");
        }
    }

    #[test]
    fn a_condition_is_written_with_a_blank() {
        let requirement = Requirement::read(">=14,<17").expect("it reads");
        assert_eq!(requirement.to_string(), ">= 14, < 17");
        assert_eq!(
            requirement.unmet_by("17").map(Condition::to_string).as_deref(),
            Some("< 17")
        );
        assert_eq!(Requirement::read("16").expect("it reads").to_string(), "= 16");
    }

    #[test]
    fn what_is_no_requirement_is_refused() {
        for wrong in ["", ">>14", "latest", ">=", ">=14,", "^14", ">= fourteen", "~>2"] {
            assert!(Requirement::read(wrong).is_err(), "{wrong}");
        }
    }
}
