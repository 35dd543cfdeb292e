//! `rehearsal explain`: what a check does, what makes it fire and what to do then.

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
/// The part that is about checks.
const CHECKS: &str = "what-it-holds-to";

pub fn explain(args: &ExplainArgs) -> ExitCode {
    let told = match args.check.as_deref() {
        Some("lock") => Some(lock::explain::TEXT),
        Some("production-from") => Some(elsewhere::explain::TEXT),
        _ => None,
    };
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
    let ids: Vec<&str> = check::catalog::CATALOG
        .iter()
        .map(|check| check.about().id.as_str())
        .collect();
    let ids = ids.join(", ");
    match id.parse::<CheckId>() {
        Ok(id) => format!("the check `{id}` is not built yet; there are {ids}, `alerts`, `lock` and `production-from`"),
        Err(_) => format!("there is no check `{id}`; there are {ids}, `alerts`, `lock` and `production-from`"),
    }
}
