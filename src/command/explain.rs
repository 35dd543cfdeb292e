//! `rehearsal explain`: what a check does, what makes it fire and what to do then.

use super::common::shown;
use crate::cli::ExplainArgs;
use crate::prepare::elsewhere;
use crate::record::check::CheckId;
use crate::record::exit_code::ExitCode;
use crate::report::terminal::{say, tell};
use crate::text::redact::Redactor;
use crate::{check, lock};

pub fn explain(args: &ExplainArgs) -> ExitCode {
    let told = match args.check.as_deref() {
        Some("lock") => Some(lock::explain::TEXT),
        Some("production-from") => Some(elsewhere::explain::TEXT),
        _ => None,
    };
    if let Some(text) = told {
        tell(text.trim_end());
        return ExitCode::Pass;
    }
    let id = args.check.as_deref().map(id_of);
    let wanted = |about: &&check::About| id.is_none_or(|id| id == about.id.as_str());
    let all = check::catalog::CATALOG.iter().map(|check| check.about());
    let found: Vec<&check::About> = all.filter(wanted).collect();
    for about in &found {
        tell(&format!("{}: {}\n\n{}\n", about.id, about.question, about.explain));
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
