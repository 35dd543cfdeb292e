//! `report.html`: what a release manager reads. One file that asks for nothing: no script, no picture, no font, and a
//! policy that forbids them all. It reads well with no style at all, for there are places that take it away.
//!
//! The order is that of the questions: may it be deployed; what broke, between which versions, and the way out; what was
//! compared with what, and how old production's facts are; the times. Green is for the verdict `pass` alone, so no green
//! number ever stands above a red one; everything else that is fine has the colour of text.
//!
//! ```text
//! ✗ BLOCK   Do not deploy: …
//!   what     nobody can sign in: idp answers 404 to …
//!   pair     web shop:2.0 for shop:1.0, with idp provider:1.3.3
//!   way out  keep web shop:1.0, or …
//! ```

mod alerts;
mod auth;
mod cases;
mod drawing;
mod findings;
mod first;
mod load;
mod shown;
mod timeline;

use anyhow::{Context as _, Result};
use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use self::alerts::Alerts;
use self::auth::Auth;
use self::cases::Cases;
use self::findings::Findings;
use self::first::First;
use self::load::Load;
use self::shown::{Room, Rows, Tone};
use self::timeline::Timeline;
use super::words;
use crate::record::fidelity::FidelityState;
use crate::record::v1::{self, Record};

/// Bytes of `report.html`.
pub const BUDGET: usize = 1_000_000;

const STYLE: &str = include_str!("style.css");

/// A row of the fidelity table.
#[derive(Debug)]
struct FidelityRow {
    tone: Tone,
    state: String,
    service: String,
    fact: String,
    production: String,
    mirror: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    style: &'static str,
    policy: String,
    first: First,
    findings: Findings,
    timeline: Timeline,
    load: Option<Load>,
    auth: Option<Auth>,
    alerts: Option<Alerts>,
    apart: Rows<FidelityRow>,
    same: Rows<FidelityRow>,
    notes: Rows<String>,
    cases: Cases,
    again: Vec<(&'static str, String)>,
    made_by: String,
    cut: bool,
}

/// The report in at most `budget` bytes: where there is much, less is told of each thing, and what is left out is named.
///
/// # Errors
/// Only a template that cannot be written, which is our bug.
pub fn write(result: &Record, budget: usize) -> Result<String> {
    let mut page = String::new();
    for room in Room::ALL {
        page = Page::of(result, room)
            .render()
            .context("the report cannot be written")?;
        if page.len() <= budget {
            break;
        }
    }
    Ok(page)
}

/// What the file itself forbids: everything but its own style.
fn policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

impl Page {
    fn of(result: &Record, room: Room) -> Self {
        let (same, apart): (Vec<_>, Vec<_>) = result.fidelity.iter().partition(|row| row.state == FidelityState::Same);
        Self {
            style: STYLE,
            policy: policy(),
            first: First::of(result, room),
            findings: Findings::of(result, room),
            timeline: Timeline::of(result, room),
            load: Load::of(result, room),
            auth: Auth::of(result, room),
            alerts: Alerts::of(result, room),
            apart: room.rows(&apart, |row| fidelity(row, room)),
            same: room.rows(&same, |row| fidelity(row, room)),
            notes: room.rows(&result.notes, |note| room.line(note)),
            cases: Cases::of(result, room),
            again: again(result, room),
            made_by: made_by(result, room),
            cut: room.detail < Room::ALL[0].detail,
        }
    }
}

fn fidelity(row: &v1::Fidelity, room: Room) -> FidelityRow {
    let value = |value: &Option<String>| room.line(value.as_deref().unwrap_or("unknown"));
    FidelityRow {
        tone: match row.state.or(FidelityState::Unknown) {
            FidelityState::Same => Tone::PLAIN,
            FidelityState::Differs => Tone::RED,
            FidelityState::StandIn => Tone::GREY,
            FidelityState::Unknown => Tone::AMBER,
        },
        state: words::word(&row.state),
        service: room.line(&row.service),
        fact: room.line(&row.fact),
        production: value(&row.production),
        mirror: value(&row.mirror),
    }
}

/// The commands that bring it back.
fn again(result: &Record, room: Room) -> Vec<(&'static str, String)> {
    let commands = [
        ("The same again", &result.rerun),
        ("The moment of the failure, to look at", &result.again),
    ];
    let there = commands
        .into_iter()
        .filter_map(|(what, command)| Some((what, room.line(command.as_ref()?))));
    there.filter(|(_, command)| !command.is_empty()).collect()
}

fn made_by(result: &Record, room: Room) -> String {
    let engine = result.engine.as_ref();
    let engine = engine.map(|engine| format!(", on {} {} ({})", engine.name, engine.version, engine.platform));
    let (version, seed) = (&result.rehearsal, result.seed);
    room.line(&format!(
        "Rehearsal {version}, seed {seed}{}",
        engine.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::load::{LoadSliceRecord, UsageRecord, UsedRecord};
    use crate::record::status::Status;
    use crate::report::samples;

    fn page(result: &Record) -> String {
        write(result, BUDGET).expect("it is written")
    }

    /// Where each text begins, which must be in this order.
    fn in_order(page: &str, texts: &[&str]) {
        let mut from = 0;
        for text in texts {
            let at = page[from..].find(text);
            from += at.unwrap_or_else(|| panic!("`{text}` is not where it should be in {page}"));
        }
    }

    #[test]
    fn the_page_of_the_incident() {
        insta::assert_snapshot!(page(&samples::block()));
    }

    #[test]
    fn the_page_of_a_clean_run() {
        insta::assert_snapshot!(page(&samples::pass()));
    }

    /// A section, without the rest of the page.
    fn section(page: &str, id: &str) -> String {
        let begin = format!("<section aria-labelledby=\"{id}\">");
        let from = page.find(&begin).unwrap_or_else(|| panic!("no {id} in {page}"));
        let section = &page[from..];
        section[..section.find("</section>").expect("it ends")].to_owned()
    }

    #[test]
    fn the_charts_of_a_load() {
        insta::assert_snapshot!(section(&page(&samples::under_load()), "load"));
    }

    #[test]
    fn the_drawings_of_the_alerts() {
        insta::assert_snapshot!(section(&page(&samples::under_load()), "alerts"));
    }

    #[test]
    fn a_record_of_an_older_version_without_what_containers_used_says_so() {
        let mut written = serde_json::to_value(samples::under_load()).expect("JSON");
        for load in written["load"].as_array_mut().expect("there is load") {
            load.as_object_mut().expect("an object").remove("usage");
        }
        for alert in written["alerts"].as_array_mut().expect("there are alerts") {
            alert.as_object_mut().expect("an object").remove("real_ms");
        }
        let older: Record = serde_json::from_value(written).expect("it can be read");
        let page = page(&older);
        assert!(
            page.contains("What the containers used under load is not recorded"),
            "{page}"
        );
        assert!(page.contains("how much was recorded is not known"), "{page}");
    }

    #[test]
    fn a_record_of_services_slices_and_alerts_without_end_makes_a_page_within_its_budget() {
        let mut huge = samples::under_load();
        for load in &mut huge.load {
            let slices = (0..20_000).map(|number| LoadSliceRecord {
                start_ms: number * 2_000,
                ..load.slices[0].clone()
            });
            load.slices = slices.collect();
            let (one, moment) = (load.usage[0].clone(), load.usage[0].moments[0].clone());
            let moments: Vec<UsedRecord> = (0..20_000)
                .map(|number| UsedRecord {
                    at_ms: number * 2_000,
                    memory: Some(number << 20),
                    ..moment
                })
                .collect();
            let usage = (0..20).map(|number| UsageRecord {
                service: format!("service {number}"),
                moments: moments.clone(),
                ..one.clone()
            });
            load.usage = usage.collect();
        }
        huge.alerts = vec![huge.alerts; 1_000].concat();
        let page = page(&huge);
        assert!(page.len() <= BUDGET, "{}", page.len());
        assert!(page.contains("12 more services are not drawn"), "{page}");
    }

    #[test]
    fn the_first_screen_answers_in_the_order_of_the_questions() {
        let texts = [
            "<h1>",
            "BLOCK",
            "Do not deploy",
            "sign-in broke: web shop:2 gets 500",
            "web shop:2 with idp keycloak:18.0.2",
            "keep the old flow or upgrade idp first",
            "What was compared",
            "shop:1 (sha256:111111111111)",
            "shop:2 (sha256:222222222222)",
            "taken 2 days ago from docker context prod",
            "Times",
            "Downtime",
            "34.2 s",
            "over the limit of 30 s",
            "Way back",
            "not measured",
            "rollback not run: the run was stopped",
            "Candidate ready",
            "9.1 s",
            "limit 2 min",
            "<h2 id=\"findings\"",
            "<h2 id=\"timeline\"",
            "<h2 id=\"authentication\"",
            "<h2 id=\"fidelity\"",
            "<h2 id=\"tests\"",
            "<h2 id=\"logs\"",
            "<h2 id=\"again\"",
            "rehearsal run --candidate web=shop:2 --seed 20240512",
        ];
        in_order(&page(&samples::block()), &texts);
    }

    #[test]
    fn green_is_for_a_pass_alone_and_red_counts_stand_before_others() {
        let body = |result: &Record| page(result).replace(STYLE, "");
        assert!(!body(&samples::block()).contains("green"));
        assert_eq!(body(&samples::pass()).matches("green").count(), 1);
        in_order(
            &body(&samples::block()),
            &[">Failed<", ">Could not tell<", ">Not run<", ">Passed<"],
        );
    }

    #[test]
    fn what_a_terminal_had_to_cut_is_whole_here() {
        let mut result = samples::block();
        result.findings[0].title = format!("sign-in broke {}", "again and ".repeat(30));
        result.headline.what = "auth-login: sign-in broke again and…".to_owned();
        let whole = format!("<dd>auth-login: {}</dd>", result.findings[0].title.trim());
        assert!(page(&result).contains(&whole), "{}", page(&result));
    }

    #[test]
    fn findings_of_one_cause_are_told_together() {
        let mut result = samples::block();
        let of_logs = &mut result.findings[1];
        of_logs
            .evidence
            .push(format!("web | {}", result_cause(&samples::block())));
        let page = page(&result);
        assert_eq!(page.matches("<article").count(), 2);
        in_order(
            &page,
            &[
                "sign-in broke</h3>",
                "the same cause, warning:",
                "GET /v1/items is gone</h3>",
            ],
        );
    }

    fn result_cause(result: &Record) -> String {
        result.findings[0].cause.clone().expect("it is known")
    }

    #[test]
    fn passed_tests_beyond_five_hundred_are_counted_by_suite() {
        let page = page(&samples::large(2_000));
        assert_eq!(
            page.matches("<td>smoke / item ").count(),
            500 - samples::pass().tests.len()
        );
        assert!(page.contains("… 1504 more are counted by suite above"), "{page}");
        assert!(
            page.contains("control / smoke</th><td class=\"number\">0</td>"),
            "{page}"
        );
    }

    #[test]
    fn a_page_never_exceeds_its_budget_and_says_that_it_was_cut() {
        let mut failed = samples::large(1_500);
        for test in &mut failed.tests {
            test.status = Status::Failed.into();
            test.detail = "<b>&".repeat(500);
        }
        let huge = samples::hostile_with(&"<script>'\"&".repeat(10_000));
        for result in [failed, huge] {
            let page = page(&result);
            assert!(page.len() <= BUDGET, "{}", page.len());
            assert!(page.contains("long texts are cut"), "nothing says that it was cut");
        }
    }

    #[test]
    fn a_record_that_claims_impossible_times_is_drawn_all_the_same() {
        let mut result = samples::block();
        for step in &mut result.stages[0].steps {
            (step.start_ms, step.duration_ms) = (u64::MAX, u64::MAX);
        }
        assert!(page(&result).contains("</svg>"));
        result.stages.clear();
        assert!(!page(&result).contains("<svg"));
    }

    #[test]
    fn the_policy_names_the_style_that_the_file_has() {
        let page = page(&samples::pass());
        let style = page
            .split_once("<style>")
            .and_then(|(_, rest)| rest.split_once("</style>"));
        let hash = BASE64_STANDARD.encode(Sha256::digest(style.expect("it is there").0));
        assert!(
            page.contains(&format!("default-src 'none'; style-src 'sha256-{hash}'")),
            "{page}"
        );
        for never in ["<script", " style=", "<img", "<link", " src=", "http-equiv=\"refresh\""] {
            assert!(!page.contains(never), "{never} is in {page}");
        }
    }
}
