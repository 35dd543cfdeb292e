//! `rehearsal explain`: what a check does, what makes it fire and what to do then.

use crate::cli::ExplainArgs;
use crate::record::exit_code::ExitCode;
use crate::{check, lock};

pub fn explain(args: &ExplainArgs) -> ExitCode {
    if args.check.as_deref() == Some("lock") {
        print!("{}", lock::explain::TEXT);
        return ExitCode::Pass;
    }
    let wanted = |about: &&check::About| args.check.as_ref().is_none_or(|id| id == about.id);
    let found: Vec<&check::About> = check::ALL.iter().filter(wanted).collect();
    for about in &found {
        println!("{}: {}\n\n{}\n", about.id, about.question, about.explain);
    }
    if found.is_empty() {
        let ids: Vec<&str> = check::ALL.iter().map(|about| about.id).collect();
        eprintln!(
            "error: there is no check `{}`; there are {}, and `lock`",
            args.check.as_deref().unwrap_or_default(),
            ids.join(", ")
        );
        return ExitCode::Usage;
    }
    ExitCode::Pass
}
