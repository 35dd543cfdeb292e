//! `log-difference`: what containers say on the candidate that they did not say on the baseline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use super::{About, At, Case, Check, Evidence, Moment};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::text::pattern;
use crate::world::replica::Replica;

static ABOUT: About = About {
    id: CheckId::LogDifference,
    question: "what do the logs say on the candidate that they did not say on the baseline?",
    explain: "Lines are reduced to templates (numbers, ids, times and quoted values taken out). Templates with words \
              like ERROR, FATAL, panic, traceback, deprecated, ignored or falling back that are new against the \
              baseline are shown, but for what services that stay say while another release comes; what was said to a wrong password or a forged token of ours is not. Text alone proves nothing: this blocks only together with a failure in behaviour \
              in the same stage, and otherwise warns.",
    evidence: Evidence::Text,
    looks: &[
        (StageId::Control, Moment::Probed),
        (StageId::Upgrade, Moment::Tried),
        (StageId::Rollback, Moment::Tried),
    ],
    step: "",
};

/// New lines in logs.
pub struct LogDifference;

/// What each service said that tells of trouble: template and first line of that template, in order.
#[derive(Debug, Default, Serialize)]
pub struct Said {
    services: BTreeMap<String, Vec<NewLine>>,
}

/// One kind of lines.
#[derive(Debug, Serialize)]
struct NewLine {
    template: String,
    line: String,
    /// Who said it first.
    replica: Replica,
}

impl Check for LogDifference {
    type Seen = Said;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Said, Lost> {
        // What the baseline says after a rollback is nothing that the candidate said.
        if (at.case.stage, at.role) == (StageId::Rollback, Role::Baseline) {
            return Ok(Said::default());
        }
        let names = at.case.world.services.keys().chain(at.case.candidate.services.keys());
        let of = |name: &String| {
            let replicas = at.case.candidate.replicas(name, at.case.world).into_iter();
            let said = replicas.flat_map(|replica| {
                let lines = at.ground.said(at.case.stage, at.role, &replica);
                let lines = at.facts.without_aside(at.case.stage, at.role, &replica, lines);
                lines.into_iter().map(move |line| (replica.clone(), line))
            });
            (name.clone(), telling(said))
        };
        Ok(Said {
            services: names.map(of).collect(),
        })
    }

    fn judge(&self, case: &Case<'_>, before: &Said, after: &Said) -> Vec<Finding> {
        let none = Vec::new();
        let of = |(service, lines): (&String, &Vec<NewLine>)| {
            let known = before.services.get(service).unwrap_or(&none);
            let known: BTreeSet<&String> = known.iter().map(|line| &line.template).collect();
            let new = lines.iter().filter(|line| !known.contains(&line.template));
            finding(case, service, &new.collect::<Vec<_>>())
        };
        after.services.iter().filter_map(of).collect()
    }
}

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
        .map(|(volatile, with)| (pattern(volatile), with))
        .collect()
});

static TELLING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(error|fatal|panic(ked)?|traceback|exception|critical|emerg|segfault|deprecat\w*|ignor(ed|ing)|falling back|unsupported|unknown (option|parameter|variable|directive))\b",
    )
});

/// A line without what changes from one run to the next.
pub fn template(line: &str) -> String {
    VOLATILE.iter().fold(line.trim().to_owned(), |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    })
}

fn is_telling(line: &str) -> bool {
    TELLING.is_match(line)
}

/// Lines with telling words, the first of each template, in order.
fn telling(lines: impl Iterator<Item = (Replica, String)>) -> Vec<NewLine> {
    let mut shown = BTreeSet::new();
    let telling = lines.filter(|(_, line)| is_telling(line));
    let kinds = telling.map(|(replica, line)| NewLine {
        template: template(&line),
        line,
        replica,
    });
    kinds.filter(|line| shown.insert(line.template.clone())).collect()
}

fn finding(case: &Case<'_>, service: &str, lines: &[&NewLine]) -> Option<Finding> {
    let first = lines.first()?;
    let kinds = match lines.len() {
        1 => "a kind of line".to_owned(),
        more => format!("{more} kinds of lines"),
    };
    // Where one replica alone says all of it, that is worth knowing.
    let is_one = lines.iter().all(|line| line.replica == first.replica);
    let name = if is_one {
        first.replica.to_string()
    } else {
        service.to_owned()
    };
    let title = format!("`{name}` logs {kinds} that it did not log before");
    let shown = lines.iter().take(MOST_LINES);
    let shown = shown.map(|line| line.replica.said(&line.line.chars().take(500).collect::<String>()));
    Some(
        Finding::new(ABOUT.id, case.stage, Blame::Nobody, title)
            .about(service.to_owned())
            .because(first.line.trim().chars().take(300).collect::<String>())
            .seen(shown.collect())
            .help("read them: they are not there with production's release"),
    )
}
