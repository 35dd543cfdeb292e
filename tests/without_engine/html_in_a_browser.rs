//! A real browser looks at `report.html`: everybody can read it, and no text of a candidate becomes anything but text.

use std::path::Path;
use std::process::{Command, Output};

use crate::consumers;
use crate::samples;
use rehearsal::record::v1::Record;
use rehearsal::record::verdict::Verdict;
use rehearsal::report::html;

/// What runs, or asks for something, wherever a page takes it for its own.
const ACTIVE: &[&str] = &[
    "<script>alert(1)</script>",
    "<img src=http://evil.example/x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)' autofocus onfocus='alert(1)",
    "</style><style>@import url(http://evil.example/x.css);body{display:none}</style>",
    "</title></textarea></pre></table></svg><iframe src=http://evil.example></iframe>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<base href=http://evil.example/><a href=javascript:alert(1)>x</a>",
    "<details open ontoggle=alert(1)>",
    "{{ policy }}{% include \"report.html\" %}",
    "\u{202e}\u{5d0}\u{5d1} \u{627}\u{644}<b>\u{200f}",
];

fn page(folder: &Path, name: &str, record: &Record) {
    let page = html::write(record, html::BUDGET).expect("it is written");
    assert!(page.len() <= html::BUDGET, "{name}: {} bytes", page.len());
    std::fs::write(folder.join(name).with_extension("html"), page).expect("the folder is ours");
}

fn looked_at(folder: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers/check_html.py");
    let mut python = Command::new(consumers::venv().join("bin/python"));
    let looked = python.arg(script).arg(consumers::browser()).arg(folder).output();
    looked.expect("python is there")
}

#[test]
fn everybody_can_read_the_report_and_it_asks_for_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, record: &Record| page(folder.path(), name, record);
    write("every-way-block", &samples::block());
    write("every-way-pass", &samples::pass());
    write("every-way-load", &samples::under_load());
    write("inconclusive-of-an-older-version", &older(samples::block()));
    write("large", &samples::large(2_000));
    write("spoilt", &samples::hostile_with(samples::NASTY[1]));
    let looked = looked_at(folder.path());
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
}

#[test]
fn no_text_of_a_candidate_runs_or_becomes_an_element() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| page(folder.path(), name, &samples::hostile_with(text));
    write("plain-x", "x");
    write("plain-nothing", "");
    // As in the hostile one, many of its characters are written as several.
    write("plain-huge", &"&x".repeat(100_000));
    for (number, text) in samples::NASTY.iter().chain(ACTIVE).enumerate() {
        write(&format!("hostile-{number}"), text);
    }
    write("hostile-huge", &"<script>alert(1)</script>".repeat(8_000));
    let looked = looked_at(folder.path());
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
}

/// As a Rehearsal wrote it that knew nothing of times, probes, logs and the authentication dependency.
fn older(mut record: Record) -> Record {
    record.verdict = Verdict::Inconclusive.into();
    (record.auth, record.rerun, record.again) = (None, None, None);
    record.times.clear();
    record.probes.clear();
    record.logs.clear();
    record
}

#[test]
fn a_page_that_runs_or_asks_or_cannot_be_read_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = html::write(&samples::block(), html::BUDGET).expect("it is written");
    page(folder.path(), "plain-block", &samples::block());
    let spoil = |name: &str, changes: &[(&str, &str)]| {
        let spoilt = changes.iter().fold(good.clone(), |page, (from, to)| {
            assert!(page.contains(from), "{from}");
            page.replacen(from, to, 1)
        });
        std::fs::write(folder.path().join(name), spoilt).expect("the folder is ours");
    };
    let lawless = ("Content-Security-Policy", "x-no-policy");
    let begin = |more| ("<main>", more);
    let image = begin("<main><img alt=\"x\" src=\"http://127.0.0.1:9/x.png\">");
    spoil("asks.html", &[lawless, image]);
    spoil("may-not-ask.html", &[image]);
    spoil("runs.html", &[lawless, begin("<main><script>alert(1)</script>")]);
    spoil("may-not-run.html", &[begin("<main><script>alert(1)</script>")]);
    spoil("unread.html", &[("lang=\"en\"", "")]);
    spoil("hostile-element.html", &[begin("<main><b onclick=\"\">x</b>")]);
    spoil(
        "wide.html",
        &[begin(
            "<main><svg width=\"400\" height=\"1\" aria-hidden=\"true\"></svg>",
        )],
    );
    let looked = looked_at(folder.path());
    let said = String::from_utf8_lossy(&looked.stderr);
    assert!(!looked.status.success());
    for wanted in [
        "asks.html: asked for",
        "may-not-ask.html: the console says: Loading the image",
        "runs.html: a dialog: 1",
        "may-not-run.html: the console says: Executing inline script",
        "unread.html: light",
        "hostile-element.html: its texts became {'b': 1} {'onclick'}",
        "wide.html: ",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
}
