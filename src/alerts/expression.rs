//! An expression of a rule: which series it needs, and how far it looks back. It is only read here; promtool evaluates it.

use std::time::Duration;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Call, Expr, Offset, VectorSelector};

use super::series::{Labels, NAME, quoted};

/// Deeper than any rule, shallower than any stack.
const MOST_DEPTH: usize = 100;
/// Longer than any rule.
const MOST_BYTES: usize = 64 << 10;

/// An expression, as far as it is looked at.
#[derive(Debug, Clone)]
pub struct Expression {
    /// What must be there for it to say anything.
    pub needs: Need,
    /// How far it looks back: windows, offsets, subqueries.
    pub window: Duration,
}

/// What an expression needs, so that it can say anything.
#[derive(Debug, Clone)]
pub enum Need {
    /// A series that this selects.
    Series(Selector),
    /// Nothing must be there that this selects: `absent()`.
    Absent(Selector),
    /// Each of them.
    All(Vec<Self>),
    /// One of them.
    Any(Vec<Self>),
    /// To know what time it is: a mirror's seconds are counted from 1970 on.
    Clock,
}

/// What selects series.
#[derive(Debug, Clone)]
pub struct Selector {
    name: Option<String>,
    /// One group of them must match.
    groups: Vec<Vec<Matcher>>,
}

impl Selector {
    fn of(selector: &VectorSelector) -> Self {
        let matchers = &selector.matchers;
        let groups = match matchers.or_matchers.is_empty() {
            true => vec![matchers.matchers.clone()],
            false => matchers.or_matchers.clone(),
        };
        Self {
            name: selector.name.clone(),
            groups,
        }
    }

    /// Whether it selects a series.
    pub fn selects(&self, labels: &Labels) -> bool {
        let mut groups = self.groups.iter();
        let own = |group: &Vec<Matcher>| group.iter().all(|one| one.is_match(labels.get(&one.name)));
        self.may_select(labels.name()) && groups.any(own)
    }

    /// Whether it selects a series of that name, whatever its labels.
    pub fn may_select(&self, name: &str) -> bool {
        self.may_select_with(name, &[])
    }

    /// Whether it selects a series of that name with these labels, whatever others it has.
    pub fn may_select_with(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let known = |label: &str| match label {
            NAME => Some(name),
            other => labels.iter().find(|(name, _)| *name == other).map(|(_, value)| *value),
        };
        let fits = |one: &Matcher| known(&one.name).is_none_or(|value| one.is_match(value));
        let mut groups = self.groups.iter();
        self.name.as_deref().is_none_or(|own| own == name) && groups.any(|group| group.iter().all(fits))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or_default())?;
        let words = |group: &Vec<Matcher>| {
            let words = group.iter().map(|one| {
                let sign = match one.op {
                    MatchOp::Equal => "=",
                    MatchOp::NotEqual => "!=",
                    MatchOp::Re(_) => "=~",
                    MatchOp::NotRe(_) => "!~",
                };
                format!("{}{sign}{}", one.name, quoted(&one.value))
            });
            words.collect::<Vec<_>>().join(", ")
        };
        let groups: Vec<String> = self
            .groups
            .iter()
            .map(words)
            .filter(|words| !words.is_empty())
            .collect();
        match groups.is_empty() {
            true => Ok(()),
            false => write!(f, "{{{}}}", groups.join(" or ")),
        }
    }
}

impl Need {
    /// Every selector in it.
    pub fn selectors(&self) -> Vec<&Selector> {
        match self {
            Self::Series(selector) | Self::Absent(selector) => vec![selector],
            Self::All(needs) | Self::Any(needs) => needs.iter().flat_map(Self::selectors).collect(),
            Self::Clock => Vec::new(),
        }
    }
}

/// Reads an expression.
///
/// # Errors
/// It is none, in the parser's words, or one that no rule has.
pub fn read(text: &str) -> Result<Expression, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("it is longer than {} KiB", MOST_BYTES >> 10));
    }
    if depth(text) > MOST_DEPTH {
        return Err(format!("it is nested deeper than {MOST_DEPTH}"));
    }
    let expr = promql_parser::parser::parse(text)?;
    Ok(Expression {
        needs: needs(&expr),
        window: window(&expr),
    })
}

/// Brackets that are open at the same time, and signs in a row: each is a call of the parser's.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest, mut signs) = (0_usize, 0, 0_usize);
    for character in text.chars() {
        match character {
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
        signs = match character {
            '-' | '+' => signs + 1,
            other if other.is_whitespace() => signs,
            _ => 0,
        };
        deepest = deepest.max(open + signs);
    }
    deepest
}

fn needs(expr: &Expr) -> Need {
    match expr {
        Expr::VectorSelector(selector) => Need::Series(Selector::of(selector)),
        Expr::MatrixSelector(matrix) => Need::Series(Selector::of(&matrix.vs)),
        Expr::Aggregate(aggregate) => needs(&aggregate.expr),
        Expr::Unary(unary) => needs(&unary.expr),
        Expr::Paren(paren) => needs(&paren.expr),
        Expr::Subquery(subquery) => needs(&subquery.expr),
        Expr::Binary(binary) => match binary.op.to_string().as_str() {
            "or" => Need::Any(vec![needs(&binary.lhs), needs(&binary.rhs)]),
            // What is not there takes nothing away.
            "unless" => needs(&binary.lhs),
            // How long ago something was seen is the same in every year.
            "-" if is_clock(&binary.lhs) && is_timestamp(&binary.rhs) => needs(&binary.rhs),
            _ => Need::All(vec![needs(&binary.lhs), needs(&binary.rhs)]),
        },
        Expr::Call(call) => needs_of_call(call),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Need::All(Vec::new()),
    }
}

fn is_clock(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(call) if call.func.name == "time")
}

fn is_timestamp(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(call) if call.func.name == "timestamp")
}

/// Functions that ask what time it is where they are given none.
const CALENDAR: [&str; 9] = [
    "time",
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "month",
    "year",
];

fn needs_of_call(call: &Call) -> Need {
    if call.args.args.is_empty() && CALENDAR.contains(&call.func.name) {
        return Need::Clock;
    }
    let arguments: Vec<Need> = call.args.args.iter().map(|argument| needs(argument)).collect();
    if !call.func.name.starts_with("absent") {
        return Need::All(arguments);
    }
    let argument = Need::All(arguments);
    let selectors = argument.selectors().into_iter().cloned();
    Need::All(selectors.map(Need::Absent).collect())
}

fn window(expr: &Expr) -> Duration {
    match expr {
        Expr::VectorSelector(selector) => offset(selector.offset.as_ref()),
        Expr::MatrixSelector(matrix) => matrix.range + offset(matrix.vs.offset.as_ref()),
        Expr::Aggregate(aggregate) => window(&aggregate.expr),
        Expr::Unary(unary) => window(&unary.expr),
        Expr::Paren(paren) => window(&paren.expr),
        Expr::Subquery(subquery) => window(&subquery.expr) + subquery.range + offset(subquery.offset.as_ref()),
        Expr::Binary(binary) => window(&binary.lhs).max(window(&binary.rhs)),
        Expr::Call(call) => {
            let windows = call.args.args.iter().map(|argument| window(argument));
            windows.max().unwrap_or_default()
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Duration::ZERO,
    }
}

fn offset(offset: Option<&Offset>) -> Duration {
    match offset {
        Some(Offset::Pos(offset)) => *offset,
        Some(Offset::Neg(_)) | None => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_of(text: &str) -> u64 {
        read(text).expect(text).window.as_secs()
    }

    #[test]
    fn it_looks_back_as_far_as_windows_offsets_and_subqueries_together() {
        let cases = [
            ("up == 0", 0),
            ("rate(a[5m]) > 1", 300),
            ("rate(a[5m] offset 1h) > rate(a[10m])", 3900),
            ("max_over_time(rate(a[1m])[30m:1m]) > 1", 1860),
            ("histogram_quantile(0.9, sum by (le) (rate(a_bucket[2m]))) > 1", 120),
            ("a - a offset 1d > 5", 86_400),
        ];
        for (text, seconds) in cases {
            assert_eq!(window_of(text), seconds, "{text}");
        }
    }

    #[test]
    fn it_says_which_series_it_needs() {
        let cases = [
            ("up{job=\"web\"} == 0", "all[up{job=\"web\"}, all[]]"),
            ("a or b", "any[a, b]"),
            ("a unless b", "a"),
            (
                "sum(rate(a[5m])) / sum(rate(b[5m])) > 0.1",
                "all[all[all[a], all[b]], all[]]",
            ),
            ("absent(a{x!=\"1\"})", "all[absent a{x!=\"1\"}]"),
            ("absent_over_time(a[5m]) or vector(1)", "any[all[absent a], all[all[]]]"),
            ("{__name__=~\"a.+\"}", "{__name__=~\"a.+\"}"),
            ("time() - a > 60", "all[all[the time, a], all[]]"),
            ("time() - timestamp(a) > 60", "all[all[a], all[]]"),
            ("a > 0 and on() hour() > 8", "all[all[a, all[]], all[the time, all[]]]"),
            ("hour(a) > 8", "all[all[a], all[]]"),
        ];
        for (text, needs) in cases {
            assert_eq!(words(&read(text).expect(text).needs), needs, "{text}");
        }
    }

    fn words(need: &Need) -> String {
        let list = |needs: &[Need]| needs.iter().map(words).collect::<Vec<_>>().join(", ");
        match need {
            Need::Series(selector) => selector.to_string(),
            Need::Absent(selector) => format!("absent {selector}"),
            Need::All(needs) => format!("all[{}]", list(needs)),
            Need::Any(needs) => format!("any[{}]", list(needs)),
            Need::Clock => "the time".to_owned(),
        }
    }

    #[test]
    fn a_selector_knows_its_series_by_name_and_labels() {
        let read = read("a{code=~\"5..\",path!=\"/x\"} > 0").expect("an expression");
        let selectors = read.needs.selectors();
        let selects = |labels: &Labels| selectors[0].selects(labels);
        assert!(selects(&Labels::of("a", [("code", "503")])));
        assert!(!selects(&Labels::of("a", [("code", "5030")])));
        assert!(!selects(&Labels::of("a", [("code", "503"), ("path", "/x")])));
        assert!(!selects(&Labels::of("b", [("code", "503")])));
        assert!(selectors[0].may_select("a") && !selectors[0].may_select("b"));
    }

    #[test]
    fn what_is_no_expression_or_too_deep_is_an_error() {
        for text in ["", "rate(a[5m]", "a >", "sum by (a"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("{}a{}", "(".repeat(50_000), ")".repeat(50_000))).is_err());
        assert!(read(&format!("{}a", "-".repeat(50_000))).is_err());
    }
}
