//! `summary.md`: the job summary. First line the cause. Never larger than its budget: a runner drops a summary that is
//! too large whole, so first the tests that passed go, then evidence and captured output, then everything but the counts.

use super::{alerts, words};
use crate::record::finding::{Blame, Severity};
use crate::record::status::Status;
use crate::record::v1::{Alert, Finding, Record, Stage, Test};
use crate::text::harmless;
use crate::text::units::of_millis;

/// Bytes of `summary.md`; a runner takes 1 MiB for a step, with what other tools wrote.
pub const BUDGET: usize = 1_000_000;

/// Captured output of one test or finding.
const DETAIL: usize = 16 * 1024;
/// Rows of a table where the budget is short.
const FEW: usize = 50;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// All.
    Full,
    /// Without the tests that passed.
    Failures,
    /// And without evidence and captured output.
    Lines,
    /// And of the tables only their first rows.
    Few,
    /// The cause and the counts.
    Counts,
}

/// The summary in at most `budget` bytes; with no room even for the counts, it is empty.
pub fn write(result: &Record, budget: usize) -> String {
    let levels = [
        Detail::Full,
        Detail::Failures,
        Detail::Lines,
        Detail::Few,
        Detail::Counts,
    ];
    levels
        .into_iter()
        .map(|detail| at(result, detail))
        .find(|summary| summary.len() <= budget)
        .unwrap_or_default()
}

fn at(result: &Record, detail: Detail) -> String {
    let head = format!(
        "## {}: {}\n",
        words::Told::of(result).word(),
        escape(&words::cause(result))
    );
    let parts = words::headline(result);
    // What the heading says whole is not said again.
    let parts: String = parts
        .iter()
        .filter(|_| parts.len() > 1)
        .map(|(name, text)| format!("- {name}: {}\n", escape(text)))
        .collect();
    let counts = format!("{}; {}\n", words::counts(result), of_millis(result.duration_ms));
    if detail == Detail::Counts {
        return format!("{head}\n{counts}\n{}", notice(detail));
    }
    let sections = [
        head,
        parts,
        pair(result),
        findings(result, detail),
        failed_tests(result, detail),
        stages(result),
        bullets("Load", &words::load(result)),
        bullets("Not run", &words::not_run(result)),
        steps(result, detail),
        fidelity(result, detail),
        alerts_told(result, detail),
        all_tests(result, detail),
        bullets("Notes", &result.notes),
        format!("{counts}\n{}", replay(result)),
        notice(detail),
    ];
    sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn pair(result: &Record) -> String {
    let roles = [
        ("candidate", &result.candidate),
        ("replaces", &result.baseline),
        ("beside", &result.mirror),
    ];
    let rows = roles.iter().flat_map(|(role, releases)| {
        releases
            .iter()
            .map(|one| vec![(*role).to_owned(), code(&one.service), code(&words::release(one))])
    });
    let lock = vec!["lock".to_owned(), String::new(), escape(&result.lock.statement)];
    let production = result.production.iter();
    let production = production.map(|from| vec!["from".to_owned(), String::new(), escape(&from.statement)]);
    let rows = rows.chain(production).chain([lock]);
    table(&["", "service", "release"], rows.collect(), usize::MAX)
}

fn findings(result: &Record, detail: Detail) -> String {
    if result.findings.is_empty() {
        return String::new();
    }
    let shown = rows_at(detail);
    let told: Vec<String> = result
        .findings
        .iter()
        .take(shown)
        .map(|finding| self::finding(finding, detail))
        .collect();
    format!(
        "### Findings\n\n{}{}",
        told.join("\n"),
        more(result.findings.len(), shown)
    )
}

fn finding(finding: &Finding, detail: Detail) -> String {
    let service = finding
        .service
        .as_deref()
        .map_or(String::new(), |service| format!(", {}", code(service)));
    let mut lines = vec![format!(
        "- {} **{}** ({} in {}{service})",
        finding_mark(finding),
        escape(&finding.title),
        code(&words::word(&finding.check)),
        escape(&words::word(&finding.stage))
    )];
    lines.extend(
        finding
            .waived
            .as_ref()
            .map(|waiver| format!("  waived: {}", escape(waiver))),
    );
    lines.extend(blame(finding.blame.or(Blame::Mirror)).map(|blame| format!("  {blame}")));
    lines.extend(finding.cause.as_ref().map(|cause| format!("  Why: {}", escape(cause))));
    lines.extend(words::folded(finding).map(|others| format!("  And {}", escape(&others))));
    lines.push(format!("  Way out: {}", escape(&finding.help)));
    let mut told = lines.join("<br>\n") + "\n";
    if !finding.evidence.is_empty() && detail < Detail::Lines {
        told.push_str(&folded("evidence", &finding.evidence.join("\n")));
    }
    told
}

fn finding_mark(finding: &Finding) -> &'static str {
    match (
        finding.severity.or(Severity::Error),
        finding.blame.or(Blame::Mirror),
        &finding.waived,
    ) {
        (_, _, Some(_)) => "➖",
        (Severity::Error, Blame::Candidate, None) => "❌",
        (Severity::Error | Severity::Warn, _, None) => "⚠️",
        (Severity::Info, _, None) => "ℹ️",
    }
}

fn blame(blame: Blame) -> Option<&'static str> {
    match blame {
        Blame::Candidate | Blame::Nobody => None,
        Blame::Mirror => Some("Says nothing about the candidate: the mirror, a suite or the machine is at fault."),
        Blame::Flaky => Some("Flaky: an untouched baseline fails here too."),
        Blame::PreExisting => Some("Pre-existing: the baseline fails here alike."),
    }
}

fn failed_tests(result: &Record, detail: Detail) -> String {
    let bad = |test: &&Test| matches!(test.status.or(Status::Error), Status::Failed | Status::Error);
    let bad: Vec<&Test> = result.tests.iter().filter(bad).collect();
    let rows = bad.iter().map(|test| test_row(test)).collect();
    let rows = table(
        &["", "stage", "suite", "test", "time", "what broke"],
        rows,
        rows_at(detail),
    );
    let details: String = bad
        .iter()
        .filter(|test| !test.detail.is_empty() && detail < Detail::Lines)
        .map(captured)
        .collect();
    if bad.is_empty() {
        String::new()
    } else {
        format!("### Tests that failed\n\n{rows}{details}")
    }
}

fn captured(test: &&Test) -> String {
    folded(
        &format!("{} / {} / {}", words::word(&test.stage), test.suite, test.name),
        &test.detail,
    )
}

fn all_tests(result: &Record, detail: Detail) -> String {
    let fine = |test: &&Test| matches!(test.status.or(Status::Error), Status::Passed | Status::Skipped);
    let rows: Vec<_> = result.tests.iter().filter(fine).map(test_row).collect();
    if rows.is_empty() || detail > Detail::Full {
        return String::new();
    }
    let count = words::counted(rows.len() as u64, "test", "tests");
    let rows = table(&["", "stage", "suite", "test", "time", ""], rows, usize::MAX);
    format!("<details><summary>{count} passed or skipped</summary>\n\n{rows}\n</details>\n")
}

fn test_row(test: &Test) -> Vec<String> {
    let retried = if test.retries > 0 {
        format!(
            " (after {})",
            words::counted(u64::from(test.retries), "retry", "retries")
        )
    } else {
        String::new()
    };
    let place = test.location.as_deref().filter(|_| !test.message.is_empty());
    let place = place.map_or(String::new(), |place| format!(" ({})", code(place)));
    vec![
        mark(words::status(test.status.or(Status::Error))),
        words::word(&test.stage),
        code(&test.suite),
        code(&test.name),
        of_millis(test.duration_ms),
        format!("{}{place}{retried}", escape(&test.message)),
    ]
}

fn stages(result: &Record) -> String {
    let row = |stage: &Stage| {
        let status = words::status(stage.status.or(Status::Error));
        let reason = escape(stage.reason.as_deref().unwrap_or_default());
        vec![
            mark(status),
            words::word(&stage.id),
            status.to_owned(),
            of_millis(stage.duration_ms),
            reason,
        ]
    };
    format!(
        "### Stages\n\n{}",
        table(
            &["", "stage", "", "time", ""],
            result.stages.iter().map(row).collect(),
            usize::MAX
        )
    )
}

fn steps(result: &Record, detail: Detail) -> String {
    let rows: Vec<Vec<String>> = result
        .stages
        .iter()
        .flat_map(|stage| {
            let ran = stage.steps.iter().filter(|step| step.status != Status::NotRun);
            ran.map(|step| {
                let reason = escape(step.reason.as_deref().unwrap_or_default());
                let status = mark(words::status(step.status.or(Status::Error)));
                vec![
                    status,
                    words::word(&stage.id),
                    code(&step.id),
                    of_millis(step.duration_ms),
                    reason,
                ]
            })
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let rows = table(&["", "stage", "step", "time", ""], rows, rows_at(detail));
    format!("<details><summary>Time per step</summary>\n\n{rows}\n</details>\n")
}

fn fidelity(result: &Record, detail: Detail) -> String {
    let value = |value: &Option<String>| value.as_deref().map_or("unknown".to_owned(), code);
    let rows: Vec<_> = result
        .fidelity
        .iter()
        .map(|row| {
            vec![
                escape(&words::word(&row.state)),
                code(&row.service),
                code(&row.fact),
                value(&row.production),
                value(&row.mirror),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let rows = table(&["", "service", "fact", "production", "mirror"], rows, rows_at(detail));
    format!("<details><summary>Fidelity of the mirror</summary>\n\n{rows}\n</details>\n")
}

fn alerts_told(result: &Record, detail: Detail) -> String {
    let row = |alert: &&Alert| {
        let wanted = if alert.must_fire { "must fire" } else { "" };
        vec![
            code(&alerts::name(alert)),
            escape(&words::word(&alert.scenario)),
            wanted.to_owned(),
            escape(&alerts::says(alert)),
        ]
    };
    let rows: Vec<Vec<String>> = alerts::told(result).iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let rows = table(&["alert", "failure", "", "what it said"], rows, rows_at(detail));
    let how = escape(alerts::HOW);
    format!("<details><summary>Production's alert rules</summary>\n\n{how}\n\n{rows}\n</details>\n")
}

fn bullets(title: &str, lines: &[String]) -> String {
    let bullets: String = lines
        .iter()
        .take(FEW)
        .map(|line| format!("- {}\n", escape(line)))
        .collect();
    if bullets.is_empty() {
        bullets
    } else {
        format!("### {title}\n\n{bullets}")
    }
}

fn replay(result: &Record) -> String {
    let engine = result
        .engine
        .as_ref()
        .map_or(String::new(), |engine| format!(", {} {}", engine.name, engine.version));
    escape(&format!("seed {}, rehearsal {}{engine}", result.seed, result.rehearsal)) + "\n"
}

fn notice(detail: Detail) -> String {
    match detail {
        Detail::Full => String::new(),
        Detail::Failures => "Left out for size: tests that passed. All are in `junit.xml`.\n".to_owned(),
        _ => "Left out for size: most details. All are in `result.json`, `junit.xml` and `logs/`.\n".to_owned(),
    }
}

fn rows_at(detail: Detail) -> usize {
    if detail < Detail::Few { usize::MAX } else { FEW }
}

fn table(head: &[&str], rows: Vec<Vec<String>>, shown: usize) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let body: String = rows.iter().take(shown).map(|row| line(row)).collect();
    format!("{}{}{body}{}", line(&head), line(&rule), more(rows.len(), shown))
}

fn more(all: usize, shown: usize) -> String {
    if all > shown {
        format!("\n… {} more\n", all - shown)
    } else {
        String::new()
    }
}

fn mark(status: &str) -> String {
    match status {
        "passed" => "✅",
        "failed" => "❌",
        "error" => "⚠️",
        "skipped" => "➖",
        _ => "⏹️",
    }
    .to_owned()
}

/// Text behind a fold. Nothing is Markdown inside `pre`, and nothing is HTML once `<` and `&` are escaped.
fn folded(title: &str, body: &str) -> String {
    let title = escape(title);
    let body = html(&harmless::block(body, DETAIL));
    format!("\n<details><summary>{title}</summary>\n\n<pre>\n{body}\n</pre>\n\n</details>\n")
}

fn code(value: &str) -> String {
    let value = escape(value);
    if value.is_empty() {
        value
    } else {
        format!("<code>{value}</code>")
    }
}

/// One line in which no character is Markdown or HTML: each that could be is written as a character reference, which
/// Markdown never reads as its own. An invisible word joiner keeps `@` and `#` from naming people and issues.
pub fn escape(value: &str) -> String {
    let mut escaped = String::new();
    for ch in harmless::line(value, words::LINE).chars() {
        match ch {
            '@' | '#' => escaped.push_str(&format!("&#{};&#8288;", u32::from(ch))),
            '&' | '<' | '>' | '`' | '*' | '_' | '[' | ']' | '\\' | '|' | '~' | '$' => {
                escaped.push_str(&format!("&#{};", u32::from(ch)));
            }
            _ => escaped.push(ch),
        }
    }
    // Web addresses become links by themselves.
    escaped.replace("://", "&#58;//").replace("www.", "www&#46;")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::status::Status;
    use crate::report::samples;
    use crate::report::samples::NASTY;

    fn large(tests: usize, detail: usize) -> Record {
        let mut result = samples::block();
        let passed = result.tests[0].clone();
        result.tests.extend(std::iter::repeat_n(passed, tests));
        let mut failed = result.tests[5].clone();
        failed.detail = "x\n".repeat(detail);
        result.tests.extend(std::iter::repeat_n(failed, tests / 10));
        result
    }

    #[test]
    fn the_job_summary_of_the_incident() {
        insta::assert_snapshot!(write(&samples::block(), BUDGET));
    }

    #[test]
    fn the_first_line_is_the_cause() {
        let first = write(&samples::block(), BUDGET).lines().next().map(str::to_owned);
        assert!(first.is_some_and(|line| line.starts_with("## BLOCK: sign-in broke: web shop:2 gets 500")));
    }

    #[test]
    fn hostile_text_is_neither_markdown_nor_html() {
        let ours = [
            "<details>",
            "</details>",
            "<summary>",
            "</summary>",
            "<pre>",
            "</pre>",
            "<code>",
            "</code>",
            "<br>",
        ];
        for result in samples::hostile() {
            let summary = write(&result, BUDGET);
            let rest = ours.iter().fold(summary.clone(), |text, tag| text.replace(tag, ""));
            assert!(!rest.contains('<'), "{summary}");
            let outside: String = outside_of_pre(&summary);
            let clean = outside_of_pre(&write(&samples::hostile_with("x"), BUDGET));
            for mark in ["](", "```", "~~", "__", "$", "://", "[["] {
                assert!(!outside.contains(mark), "{mark} in {outside}");
            }
            for mark in ["<details>", "\n#", "\n---", "**"] {
                assert!(
                    outside.matches(mark).count() <= clean.matches(mark).count(),
                    "{mark} in {summary}"
                );
            }
        }
    }

    fn outside_of_pre(summary: &str) -> String {
        summary
            .split("<pre>")
            .map(|part| part.split_once("</pre>").map_or(part, |(_, rest)| rest))
            .collect()
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells_as_its_head() {
        for result in samples::hostile() {
            let summary = outside_of_pre(&write(&result, BUDGET));
            let mut columns = 0;
            for line in summary.lines() {
                let bars = line.matches('|').count();
                if !line.starts_with('|') {
                    assert_eq!(bars, 0, "{line}");
                    columns = 0;
                } else {
                    assert!(columns == 0 || columns == bars, "{line}");
                    columns = bars;
                }
            }
        }
    }

    #[test]
    fn escaping_leaves_plain_words_and_numbers_alone() {
        assert_eq!(escape("plain words, 3.5 and a-b/c"), "plain words, 3.5 and a-b/c");
        assert_eq!(escape("@acme"), "&#64;&#8288;acme");
        for nasty in NASTY {
            let left = escape(nasty).replace("&#", "");
            assert!(
                !left.contains(['<', '>', '`', '|', '*', '_', '[', ']', '@', '&', '\\', '~', '#']),
                "{left}"
            );
        }
    }

    #[test]
    fn a_summary_never_exceeds_its_budget_and_gives_up_passed_rows_first() {
        let summary = write(&large(1_000, 10), 100_000);
        assert!(summary.len() <= 100_000, "{}", summary.len());
        assert!(summary.contains("Left out for size: tests that passed") && summary.contains("<pre>"));
        let summary = write(&large(200, 800), 20_000);
        assert!(summary.len() <= 20_000, "{}", summary.len());
        assert!(summary.contains("most details") && summary.contains("what broke") && !summary.contains("<pre>"));
        let summary = write(&large(10_000, 1), 100_000);
        assert!(
            summary.len() <= 100_000 && summary.contains("… 952 more"),
            "{}",
            summary.len()
        );
    }

    #[test]
    fn a_tight_budget_leaves_the_cause_and_none_leaves_nothing() {
        let tight = write(&samples::block(), 600);
        assert!(
            tight.len() <= 600 && tight.starts_with("## BLOCK: sign-in broke") && tight.contains("9 tests"),
            "{tight}"
        );
        assert_eq!(write(&samples::block(), 10), "");
    }

    #[test]
    fn a_stage_that_did_not_run_is_never_shown_as_fine() {
        let summary = write(&samples::block(), BUDGET);
        assert!(summary.contains("| ⏹️ | rollback | not run |"), "{summary}");
        assert_eq!(mark(words::status(Status::NotRun)), "⏹️");
    }
}
