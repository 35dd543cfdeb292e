//! Each: what the several containers of a service answered to one step, as one attempt. It holds where every answer does.

use super::runner::Attempt;
use super::words::is_secret;
use crate::mirror::names::several::Asked;

/// Attempts as one, in the order in which they were made; at least one. Captured is what the first one captured: its are
/// the cookies in the jar. What others captured and must not be told is kept as a secret. What came back is the first one's,
/// or that of the first which is not as expected.
pub(super) fn as_one(mut attempts: Vec<(Asked, Attempt)>) -> Attempt {
    let failing = || attempts.iter().filter(|(_, one)| !one.problems.is_empty());
    let details = failing().map(|(asked, one)| named(asked, attempts.len(), &one.detail));
    let whole = Attempt {
        problems: problems(&attempts),
        detail: details.collect::<Vec<_>>().join("\n\n"),
        lost: failing().all(|(_, one)| one.lost),
        duration: attempts.iter().map(|(_, one)| one.duration).sum(),
        secrets: attempts.iter().flat_map(|(_, one)| secrets(one)).collect(),
        ..Attempt::default()
    };
    let captured = attempts
        .first_mut()
        .map(|(_, first)| std::mem::take(&mut first.captured));
    let shown = attempts.iter().position(|(_, one)| !one.problems.is_empty());
    let shown = attempts.swap_remove(shown.unwrap_or_default()).1;
    Attempt {
        captured: captured.unwrap_or_default(),
        service: shown.service,
        reply: shown.reply,
        guarded: shown.guarded,
        ..whole
    }
}

fn secrets(attempt: &Attempt) -> Vec<String> {
    let captured = attempt.captured.iter().filter(|(name, value)| is_secret(name, value));
    let captured = captured.map(|(_, value)| value.clone());
    attempt.secrets.iter().cloned().chain(captured).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_captures_go_on_and_no_token_of_another_is_told() {
        let attempt = |token: &str| Attempt {
            captured: vec![("access_token".to_owned(), token.to_owned())],
            ..Attempt::default()
        };
        let both = ["first-of-all", "second-of-all"].map(|token| (Asked::InTurn, attempt(token)));
        let one = as_one(both.into());
        assert_eq!(one.captured, [("access_token".to_owned(), "first-of-all".to_owned())]);
        assert!(one.secrets.contains(&"second-of-all".to_owned()), "{:?}", one.secrets);
    }
}
