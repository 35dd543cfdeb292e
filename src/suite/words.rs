//! Words about what came from outside: bounded, in one line, without secrets. Everything a suite says about a
//! candidate's answer goes through here.

use std::borrow::Cow;

use serde_json::Value;
use url::Url;

use crate::agent::Answer;

/// What a message shows of one value.
pub(super) const IN_MESSAGE: usize = 200;

/// What a detail shows of one text.
pub(super) const IN_DETAIL: usize = 4000;

/// Parts of names whose values are secrets.
const SECRET_NAMES: [&str; 18] = [
    "token",
    "secret",
    "session",
    "sess",
    "code",
    "key",
    "password",
    "passwd",
    "csrf",
    "xsrf",
    "jwt",
    "nonce",
    "state",
    "ticket",
    "saml",
    "assertion",
    "verifier",
    "signature",
];

/// A text in one line and in backticks: control characters escaped, cut at `limit` characters.
pub(super) fn quoted(text: &str, limit: usize) -> String {
    format!("`{}`", harmless(&head(text, limit), Lines::One))
}

/// A JSON value as a message shows it.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {}", quoted(text, IN_MESSAGE)),
        other => quoted(&other.to_string(), IN_MESSAGE),
    }
}

/// A text of several lines as a detail shows it: its beginning.
pub(super) fn beginning(text: &str) -> String {
    harmless(&head(text.trim_end(), IN_DETAIL), Lines::Many)
}

/// A text of several lines as a detail shows it: its end, where programs say why they failed.
pub(super) fn ending(text: &str) -> String {
    harmless(&tail(text.trim_end(), IN_DETAIL), Lines::Many)
}

/// A name from outside, as names in reports are: one line, bounded.
pub(super) fn name(text: &str) -> String {
    let line = harmless(text.trim(), Lines::One);
    if line.chars().count() > IN_MESSAGE {
        line.chars().take(IN_MESSAGE).chain(['…']).collect()
    } else {
        line
    }
}

/// The first line that says something.
pub(super) fn first_line(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    harmless(&head(line, IN_MESSAGE), Lines::One)
}

/// A URL without its user, its fragment and the values of codes and tokens.
pub(super) fn masked(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return quoted(url, IN_MESSAGE);
    };
    url.set_fragment(None);
    // Only URLs without a host refuse these, and they have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let Some(query) = url.query() else { return url.into() };
    let pairs: Vec<_> = query.split('&').map(masked_pair).collect();
    let query = pairs.join("&");
    url.set_query(Some(&query));
    url.into()
}

fn masked_pair(pair: &str) -> Cow<'_, str> {
    match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && (is_secret_name(name) || is_token(value)) => {
            Cow::Owned(format!("{name}=***"))
        }
        _ => Cow::Borrowed(pair),
    }
}

/// A value of that name is not for reports.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let shortest = if value.chars().all(|letter| letter.is_ascii_digit()) {
        6
    } else {
        4
    };
    value.len() >= shortest && is_secret_name(name) || is_token(value)
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part)) || name == "sid"
}

/// Long, without a space, of mixed classes: what no person writes.
fn is_token(value: &str) -> bool {
    let has = |class: fn(&char) -> bool| usize::from(value.chars().any(|letter| class(&letter)));
    let classes = has(char::is_ascii_digit) + has(char::is_ascii_lowercase) + has(char::is_ascii_uppercase);
    // An address is no token; one that carries a token has a `?` and is learnt by its parameters.
    value.len() >= 20 && classes >= 2 && value.chars().all(is_token_letter) && !value.contains("://")
}

fn is_token_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "+/_=.%-~:".contains(letter)
}

/// The first `limit` characters. A run of token letters is never cut in two: half a secret would pass redaction.
fn head(text: &str, limit: usize) -> Cow<'_, str> {
    let Some((end, _)) = text.char_indices().nth(limit) else {
        return Cow::Borrowed(text);
    };
    let kept = text[..end].trim_end_matches(is_token_letter);
    Cow::Owned(format!("{kept}…"))
}

fn tail(text: &str, limit: usize) -> Cow<'_, str> {
    let Some((start, _)) = text.char_indices().rev().nth(limit) else {
        return Cow::Borrowed(text);
    };
    let kept = text[start..].trim_start_matches(is_token_letter);
    Cow::Owned(format!("…{kept}"))
}

enum Lines {
    One,
    Many,
}

/// Control characters and those that turn the direction of writing, escaped.
fn harmless(text: &str, lines: Lines) -> String {
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        match (letter, &lines) {
            ('\n' | '\t', Lines::Many) => clean.push(letter),
            ('\r', Lines::Many) => {}
            _ if letter.is_control()
                || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                clean.extend(letter.escape_default());
            }
            _ => clean.push(letter),
        }
    }
    clean
}

/// The words for an answer that no call of this kind gets: agent and gate are the same binary, so a bug.
pub(super) fn unexpected(answer: &Answer) -> String {
    let kind = format!("{answer:?}");
    format!("the agent answered with {}, a bug in Rehearsal", quoted(&kind, 40))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_in_messages() {
        assert_eq!(quoted("a\n::error::b\u{1b}[31m", 100), "`a\\n::error::b\\u{1b}[31m`");
    }

    #[test]
    fn a_cut_never_leaves_half_a_token() {
        assert_eq!(quoted("id ABCDEFGHIJ", 6), "`id …`");
        let end = tail("ABCDEFGHIJ said no", 12);
        assert_eq!(end, "… said no");
    }

    #[test]
    fn codes_and_tokens_are_masked_in_urls() {
        let url = "https://me:pw@web/cb?code=abc&state=&page=2&x=eyJhbGciOiJIUzI1NiIsInR5cCI6#access_token=q";
        assert_eq!(masked(url), "https://web/cb?code=***&state=&page=2&x=***");
    }

    #[test]
    fn tokens_are_told_from_words() {
        assert!(is_secret("api_key", "abcd"));
        assert!(is_secret("id", "eyJhbGciOiJIUzI1NiJ9.x"));
        assert!(!is_secret("id", "12"));
        assert!(!is_secret("status_code", "200"));
        assert!(!is_secret("title", "a long title with many words"));
    }
}
