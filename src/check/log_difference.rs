//! `log-difference`: what containers say on the candidate that they did not say on the baseline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::About;
use crate::record::finding::{Blame, Finding};
use crate::record::stage::StageId;

/// What this check is.
pub const ABOUT: About = About {
    id: "log-difference",
    question: "what do the logs say on the candidate that they did not say on the baseline?",
    explain: "Lines are reduced to templates (numbers, ids, times and quoted values taken out). Templates with words \
              like ERROR, FATAL, panic, traceback, deprecated, ignored or falling back that are new against the \
              baseline are shown. Text alone proves nothing: this blocks only together with a failure in behaviour \
              in the same stage, and otherwise warns.",
};

/// Lines of one finding.
const MOST_LINES: usize = 10;

static VOLATILE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}", "<id>"),
        (r"\b\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d\S*", "<time>"),
        (r"\b[0-9a-fA-F]*\d[0-9a-fA-F]{7,}\b", "<id>"),
        (r#""[^"]*""#, "<text>"),
        (r"'[^']*'", "<text>"),
        (r"\d+", "<n>"),
    ];
    rules
        .into_iter()
        .filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, with)))
        .collect()
});

static TELLING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(error|fatal|panic(ked)?|traceback|exception|critical|emerg|segfault|deprecat\w*|ignor(ed|ing)|falling back|unsupported|unknown (option|parameter|variable|directive))\b").ok()
});

/// A line without what changes from one run to the next.
pub fn template(line: &str) -> String {
    VOLATILE.iter().fold(line.trim().to_owned(), |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    })
}

fn is_telling(line: &str) -> bool {
    TELLING.as_ref().is_some_and(|pattern| pattern.is_match(line))
}

/// Lines with telling words whose template the baseline never said; each template once, in order.
pub fn new_lines(baseline: &[String], candidate: &[String]) -> Vec<String> {
    let known: BTreeSet<String> = baseline.iter().map(|line| template(line)).collect();
    let mut shown = BTreeSet::new();
    let is_new = |line: &&String| {
        let template = template(line);
        is_telling(line) && !known.contains(&template) && shown.insert(template)
    };
    candidate.iter().filter(is_new).cloned().collect()
}

/// One finding for each service with something new to say; `failed` = behaviour failed in the same stage.
pub fn findings(
    baseline: &BTreeMap<String, Vec<String>>,
    candidate: &BTreeMap<String, Vec<String>>,
    failed: bool,
) -> Vec<Finding> {
    let none = Vec::new();
    let of = |(service, lines): (&String, &Vec<String>)| {
        finding(
            service,
            &new_lines(baseline.get(service).unwrap_or(&none), lines),
            failed,
        )
    };
    candidate.iter().filter_map(of).collect()
}

fn finding(service: &str, lines: &[String], failed: bool) -> Option<Finding> {
    let first = lines.first()?;
    let blame = if failed { Blame::Candidate } else { Blame::Nobody };
    let title = format!(
        "`{service}` logs {} kinds of lines that it did not log before",
        lines.len()
    );
    let shown = lines.iter().take(MOST_LINES);
    Some(
        Finding::new(ABOUT.id, StageId::Upgrade, blame, title)
            .about(service.to_owned())
            .because(first.trim().chars().take(300).collect::<String>())
            .seen(shown.map(|line| line.chars().take(500).collect()).collect())
            .help("read them: they are not there with production's release"),
    )
}
