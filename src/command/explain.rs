//! `rehearsal explain`: what a check does, what makes it fire and what to do then.

use crate::cli::ExplainArgs;
use crate::record::check::CheckId;
use crate::record::exit_code::ExitCode;
use crate::{check, lock};

pub fn explain(args: &ExplainArgs) -> ExitCode {
    if args.check.as_deref() == Some("lock") {
        print!("{}", lock::explain::TEXT);
        return ExitCode::Pass;
    }
    let wanted = |about: &&check::About| args.check.as_ref().is_none_or(|id| id == about.id.as_str());
    let all = check::catalog::CATALOG.iter().map(|check| check.about());
    let found: Vec<&check::About> = all.filter(wanted).collect();
    for about in &found {
        println!("{}: {}\n\n{}\n", about.id, about.question, about.explain);
    }
    if found.is_empty() {
        eprintln!("error: {}", unknown(args.check.as_deref().unwrap_or_default()));
        return ExitCode::Usage;
    }
    ExitCode::Pass
}

fn unknown(id: &str) -> String {
    let ids: Vec<&str> = check::catalog::CATALOG
        .iter()
        .map(|check| check.about().id.as_str())
        .collect();
    let ids = ids.join(", ");
    match id.parse::<CheckId>() {
        Ok(id) => format!("the check `{id}` is not built yet; there are {ids}, and `lock`"),
        Err(_) => format!("there is no check `{id}`; there are {ids}, and `lock`"),
    }
}
