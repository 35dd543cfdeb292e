//! Each: what the several containers of a service answered to one step, as one attempt. It holds where every answer does.

use super::runner::Attempt;
use crate::mirror::names::several::Asked;

/// Attempts as one, in the order in which they were made; at least one. Captured is what the last one captured: its are
/// the cookies in the jar. Where some are not as expected, the first of these is what came back.
pub(super) fn as_one(mut attempts: Vec<(Asked, Attempt)>) -> Attempt {
    let failing = || attempts.iter().filter(|(_, one)| !one.problems.is_empty());
    let details = failing().map(|(asked, one)| named(asked, attempts.len(), &one.detail));
    let whole = Attempt {
        problems: problems(&attempts),
        detail: details.collect::<Vec<_>>().join("\n\n"),
        lost: failing().all(|(_, one)| one.lost),
        duration: attempts.iter().map(|(_, one)| one.duration).sum(),
        secrets: attempts.iter().flat_map(|(_, one)| one.secrets.clone()).collect(),
        ..Attempt::default()
    };
    let captured = attempts.last_mut().map(|(_, last)| std::mem::take(&mut last.captured));
    let shown = attempts.iter().position(|(_, one)| !one.problems.is_empty());
    let shown = attempts.swap_remove(shown.unwrap_or(attempts.len() - 1)).1;
    Attempt {
        captured: captured.unwrap_or_default(),
        service: shown.service,
        reply: shown.reply,
        guarded: shown.guarded,
        ..whole
    }
}

/// What all have is said once, all else with the container that has it.
fn problems(attempts: &[(Asked, Attempt)]) -> Vec<String> {
    match attempts {
        [(_, first), ..] if attempts.iter().all(|(_, one)| one.problems == first.problems) => first.problems.clone(),
        _ => {
            let own = |(asked, one): &(Asked, Attempt)| {
                let problems = one.problems.iter();
                problems
                    .map(|problem| named(asked, attempts.len(), problem))
                    .collect::<Vec<_>>()
            };
            attempts.iter().flat_map(own).collect()
        }
    }
}

fn named(asked: &Asked, of: usize, words: &str) -> String {
    match asked {
        Asked::Alone { replica, .. } => format!("{replica}: {words}"),
        Asked::InTurn if of > 1 => format!("one of {of} replicas: {words}"),
        Asked::InTurn => words.to_owned(),
    }
}
