//! `rehearsal explain`: what a check does, what makes it fire and what to do then; and the pages of the manual.

use super::common::shown;
use crate::cli::ExplainArgs;
use crate::prepare::elsewhere;
use crate::record::check::CheckId;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::{say, tell};
use crate::text::redact::Redactor;
use crate::{check, lock};

/// What is explained beside checks, and the part of README that is about it.
const OTHERS: [(&str, &str); 2] = [("lock", "the-lock"), ("production-from", "whose-production")];

/// Pages of the manual, by name, in Markdown.
const PAGES: [(&str, &str); 15] = [
    ("alert-rules", include_str!("explain/alert-rules.md")),
    ("auth", include_str!("explain/auth.md")),
    ("budget", include_str!("explain/budget.md")),
    ("engines", include_str!("explain/engines.md")),
    ("github", include_str!("explain/github.md")),
    ("images", include_str!("explain/images.md")),
    ("install", include_str!("explain/install.md")),
    ("laws", include_str!("explain/laws.md")),
    ("mirror", include_str!("explain/mirror.md")),
    ("release", include_str!("explain/release.md")),
    ("restore", include_str!("explain/restore.md")),
    ("shards", include_str!("explain/shards.md")),
    ("sign-in", include_str!("explain/sign-in.md")),
    ("under-load", include_str!("explain/under-load.md")),
    ("verify", include_str!("explain/verify.md")),
];

/// The part that is about checks.
const CHECKS: &str = "what-it-holds-to";

pub fn explain(args: &ExplainArgs) -> ExitCode {
    let told = match args.check.as_deref() {
        Some("lock") => Some(lock::explain::TEXT),
        Some("production-from") => Some(elsewhere::explain::TEXT),
        _ => None,
    };
    if let Some(page) = page(args.check.as_deref()) {
        tell(page.trim_end());
        return ExitCode::Pass;
    }
    if let (Some(text), Some(own)) = (told, args.check.as_deref()) {
        tell(&format!("{}\n\n{}", text.trim_end(), link(own)));
        return ExitCode::Pass;
    }
    let id = args.check.as_deref().map(id_of);
    let wanted = |about: &&check::About| id.is_none_or(|id| id == about.id.as_str());
    let all = check::catalog::CATALOG.iter().map(|check| check.about());
    let found: Vec<&check::About> = all.filter(wanted).collect();
    for about in &found {
        let link = link(about.id.as_str());
        tell(&format!(
            "{}: {}\n\n{}\n\n{link}\n",
            about.id, about.question, about.explain
        ));
    }
    if found.is_empty() {
        let unknown = unknown(args.check.as_deref().unwrap_or_default());
        say(format!("error: {}", shown(unknown, &Redactor::default())));
        return ExitCode::Usage;
    }
    ExitCode::Pass
}

fn page(name: Option<&str>) -> Option<&'static str> {
    let mut pages = PAGES.iter();
    pages.find(|(own, _)| name == Some(own)).map(|(_, text)| *text)
}

/// What is configured as `alerts` is a check of a longer name.
fn id_of(word: &str) -> &str {
    match word {
        "alerts" => CheckId::AlertLeadTime.as_str(),
        other => other,
    }
}

/// Where more is told.
fn link(own: &str) -> String {
    let part = OTHERS.into_iter().find(|(name, _)| *name == own);
    let part = part.map_or(CHECKS, |(_, part)| part);
    format!("See {}#{part}", env!("CARGO_PKG_REPOSITORY"))
}

fn unknown(id: &str) -> String {
    let checks = check::catalog::CATALOG.iter().map(|check| check.about().id.as_str());
    let checks: Vec<&str> = checks.chain(["alerts"]).collect();
    let others = PAGES.iter().chain(&OTHERS).map(|(name, _)| *name);
    let others: Vec<&str> = others.collect();
    let there_are = format!(
        "there are the checks {}, and the pages {}",
        checks.join(", "),
        others.join(", ")
    );
    match id.parse::<CheckId>() {
        Ok(id) => format!("the check `{id}` is not built yet; {there_are}"),
        Err(_) => format!("there is no check or page `{id}`; {there_are}"),
    }
}
