//! Rule files as Prometheus reads them: groups, and in each the recording and the alerting rules, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::expression::{self, Expression};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::file;
use crate::yaml::span::{Source, Span};
use crate::yaml::tree::{Node, parse};

/// Rules of all files together.
const MOST_RULES: usize = 5_000;

/// Production's rules.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// In the order of the files.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name; another file may have one of the same.
    pub name: String,
    /// In which file it stands.
    pub file: PathBuf,
    /// How often it is evaluated; as Prometheus' own configuration says where it says nothing.
    pub interval: Option<Duration>,
    /// In order.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its place among all rules: names are not unique.
    pub number: usize,
    /// What it makes.
    pub makes: Makes,
    /// As written.
    pub expr: String,
    /// Where it is written.
    pub span: Span,
    /// What it asks for, or why that cannot be read.
    pub expression: Result<Expression, String>,
    /// Labels that it adds; templates stay as they are.
    pub labels: Vec<(String, String)>,
}

/// What a rule makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Makes {
    /// A series.
    Series(String),
    /// An alert.
    Alert {
        /// Its name.
        name: String,
        /// How long the condition must hold.
        hold: Duration,
        /// How long it goes on firing when the condition is over.
        keep: Duration,
    },
}

impl Rule {
    /// The alert's name, where it is one.
    pub fn alert(&self) -> Option<&str> {
        match &self.makes {
            Makes::Alert { name, .. } => Some(name),
            Makes::Series(_) => None,
        }
    }

    /// How long its condition must hold.
    pub fn hold(&self) -> Duration {
        match self.makes {
            Makes::Alert { hold, .. } => hold,
            Makes::Series(_) => Duration::ZERO,
        }
    }
}

impl Rule {
    fn asks_for(&self, other: &Self) -> bool {
        let selectors = self.expression.as_ref().map(|read| read.needs.selectors());
        let mut selectors = selectors.unwrap_or_default().into_iter();
        match &other.makes {
            Makes::Series(name) => selectors.any(|selector| selector.may_select(name)),
            Makes::Alert { name, .. } => selectors.any(|selector| {
                let of = |series| selector.may_select_with(series, &[("alertname", name)]);
                of("ALERTS") || of("ALERTS_FOR_STATE")
            }),
        }
    }
}

impl Rules {
    /// Every rule with its group.
    pub fn all(&self) -> impl Iterator<Item = (&Group, &Rule)> {
        let of = |group| std::iter::repeat(group);
        self.groups
            .iter()
            .flat_map(move |group| std::iter::zip(of(group), &group.rules))
    }

    /// Every alert with its group.
    pub fn alerts(&self) -> impl Iterator<Item = (&Group, &Rule)> {
        self.all().filter(|(_, rule)| rule.alert().is_some())
    }

    /// These alerts, and every rule whose series or alerts they ask for.
    pub fn needed_by(&self, alerts: impl Iterator<Item = usize>) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open: Vec<usize> = alerts.collect();
        let all: BTreeMap<usize, &Rule> = self.all().map(|(_, rule)| (rule.number, rule)).collect();
        while let Some(number) = open.pop() {
            let Some(rule) = all.get(&number).filter(|_| needed.insert(number)) else {
                continue;
            };
            let makers = all.values().filter(|other| rule.asks_for(other));
            open.extend(makers.map(|other| other.number));
        }
        needed
    }

    /// Whether any expression may select series of that name.
    pub fn ask_for(&self, name: &str) -> bool {
        let mut read = self.all().filter_map(|(_, rule)| rule.expression.as_ref().ok());
        read.any(|expression| {
            let mut selectors = expression.needs.selectors().into_iter();
            selectors.any(|selector| selector.may_select(name))
        })
    }
}

/// Reads rule files.
///
/// # Errors
/// One cannot be read, or is none, each with its place. What an expression means is promtool's word.
pub fn read(files: &[PathBuf]) -> Result<Rules, Diagnostic> {
    let mut rules = Rules::default();
    let mut number = 0;
    for file in files {
        let mut groups = of_source(source(file)?)?;
        for rule in groups.iter_mut().flat_map(|group| &mut group.rules) {
            rule.number = number;
            number += 1;
            if number > MOST_RULES {
                let error = Diagnostic::at(&rule.span, format!("these are more than {MOST_RULES} rules"));
                return Err(error.help("name the files that say something of what is rehearsed"));
            }
        }
        rules.groups.extend(groups);
    }
    Ok(rules)
}

/// The groups of one file; the numbers of their rules are those within it.
///
/// # Errors
/// As [`read`].
pub fn of_source(source: Arc<Source>) -> Result<Vec<Group>, Diagnostic> {
    let path = source.path.clone();
    let document = parse(source)?;
    let Some(groups) = document.get("groups") else {
        return Err(wrong(&document, "a rule file has `groups`"));
    };
    let groups = seq(groups, "a list of groups")?.iter();
    groups.map(|group| read_group(group, &path)).collect()
}

fn source(path: &Path) -> Result<Arc<Source>, Diagnostic> {
    let text = file::text(path)
        .map_err(|error| Diagnostic::new(format!("the rule file `{}` cannot be read: {error}", path.display())))?;
    let path = path.to_owned();
    Ok(Arc::new(Source { path, text }))
}

fn read_group(node: &Node, file: &Path) -> Result<Group, Diagnostic> {
    let name = node.get("name").and_then(Node::as_text);
    let rules = node.get("rules").filter(|rules| !rules.is_null());
    let mut group = Group {
        name: name.ok_or_else(|| wrong(node, "a group has a `name`"))?,
        file: file.to_owned(),
        interval: duration(node, "interval")?.filter(|interval| !interval.is_zero()),
        rules: Vec::new(),
    };
    for rule in rules.map_or(Ok(&[][..]), |rules| seq(rules, "a list of rules"))? {
        group.rules.push(read_rule(rule, group.rules.len())?);
    }
    Ok(group)
}

fn read_rule(node: &Node, number: usize) -> Result<Rule, Diagnostic> {
    let text = |key| node.get(key).and_then(Node::as_text);
    let makes = match (text("alert"), text("record")) {
        (Some(name), None) => Makes::Alert {
            name,
            hold: duration(node, "for")?.unwrap_or_default(),
            keep: duration(node, "keep_firing_for")?.unwrap_or_default(),
        },
        (None, Some(name)) => Makes::Series(name),
        _ => return Err(wrong(node, "a rule has either `alert` or `record`")),
    };
    let written = node.get("expr").ok_or_else(|| wrong(node, "a rule has an `expr`"))?;
    let expr = written
        .as_text()
        .ok_or_else(|| wrong(written, "`expr` is an expression of PromQL"))?;
    let labels = node.get("labels").and_then(Node::as_map).unwrap_or_default().iter();
    Ok(Rule {
        number,
        makes,
        expression: expression::read(&expr),
        expr,
        span: written.span.clone(),
        labels: labels
            .filter_map(|entry| Some((entry.key.clone(), entry.node.as_text()?)))
            .collect(),
    })
}

fn seq<'n>(node: &'n Node, what: &str) -> Result<&'n [Node], Diagnostic> {
    node.as_seq().ok_or_else(|| wrong(node, &format!("here stands {what}")))
}

fn duration(node: &Node, key: &str) -> Result<Option<Duration>, Diagnostic> {
    let Some(value) = node.get(key).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let text = value.as_text().unwrap_or_default();
    match span(&text) {
        Some(duration) => Ok(Some(duration)),
        None => Err(wrong(
            value,
            &format!("`{key}` is a duration as in Prometheus: `5m`, `1h30m`"),
        )),
    }
}

/// A duration as Prometheus writes it.
pub fn span(text: &str) -> Option<Duration> {
    match text {
        "0" => Some(Duration::ZERO),
        other => promql_parser::util::parse_duration(other).ok(),
    }
}

fn wrong(node: &Node, what: &str) -> Diagnostic {
    let help = "`promtool check rules FILE` says more; name production's rule files in `stages.alerts.rules`";
    Diagnostic::at(&node.span, what.to_owned()).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Rules, Diagnostic> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.yaml");
        std::fs::write(&path, text).expect("written");
        read(&[path])
    }

    #[test]
    fn a_rule_file_is_read_as_prometheus_reads_it() {
        let rules = read_text(
            "groups:\n- name: g\n  interval: 1m\n  limit: 10\n  rules:\n  - record: a:rate\n    expr: rate(a[5m])\n  \
             - alert: Down\n    expr: up == 0\n    for: 1h30m\n    keep_firing_for: 5m\n    labels: {severity: page, level: 1}\n    \
             annotations: {summary: '{{ $value }}'}\n- name: empty\n  rules:\n",
        )
        .expect("rules");
        let [first, empty] = &rules.groups[..] else {
            panic!("{rules:?}")
        };
        assert_eq!((first.interval, empty.rules.len()), (Some(Duration::from_secs(60)), 0));
        assert_eq!(first.rules[0].makes, Makes::Series("a:rate".to_owned()));
        let alert = Makes::Alert {
            name: "Down".to_owned(),
            hold: Duration::from_secs(5400),
            keep: Duration::from_secs(300),
        };
        assert_eq!(first.rules[1].makes, alert);
        let labels = [("severity", "page"), ("level", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(first.rules[1].labels, labels);
        assert!(rules.ask_for("up") && rules.ask_for("a") && !rules.ask_for("a:rate"));
    }

    #[test]
    fn what_is_no_rule_file_is_an_error_with_its_place() {
        let cases = [
            ("rules: []", "1:1"),
            ("groups:\n- rules: []", "2:3"),
            ("groups:\n- name: g\n  rules:\n  - expr: up", "4:5"),
            ("groups:\n- name: g\n  rules:\n  - alert: A", "4:5"),
            ("groups:\n- name: g\n  interval: soon\n  rules: []", "3:13"),
            ("groups: {}", "1:9"),
        ];
        for (text, place) in cases {
            let error = read_text(text).expect_err(text);
            assert!(
                error.place().is_some_and(|found| found.ends_with(place)),
                "{text}: {error:?}"
            );
        }
    }

    #[test]
    fn an_expression_that_cannot_be_read_is_promtools_business() {
        let rules = read_text("groups: [{name: g, rules: [{alert: A, expr: 'new_syntax('}]}]").expect("rules");
        assert!(rules.groups[0].rules[0].expression.is_err());
    }
}
