//! By which words links, buttons and addresses say that they sign somebody out.

use url::Url;

/// What links, buttons and addresses say, without spaces and hyphens.
const WORDS: [&str; 15] = [
    "logout",
    "logoff",
    "signout",
    "signoff",
    "endsession",
    "abmelden",
    "ausloggen",
    "deconnexion",
    "déconnexion",
    "sedéconnecter",
    "cerrarsesión",
    "uitloggen",
    "loggaut",
    "disconnetti",
    "wyloguj",
];

/// A longer text speaks of it, and is no button.
const LONGEST_LABEL: usize = 40;

/// A label says so.
pub(super) fn says(label: &str) -> bool {
    let label = joined(label);
    label.chars().count() <= LONGEST_LABEL && WORDS.iter().any(|word| label.starts_with(word))
}

/// A part of its path or of its query is the word alone.
pub(super) fn is_named(address: &Url) -> bool {
    let mut segments = address.path_segments().into_iter().flatten();
    let mut query = address.query_pairs();
    segments.any(is_word) || query.any(|(name, value)| is_word(&name) || is_word(&value))
}

/// It is the word alone.
pub(super) fn is_word(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default();
    WORDS.contains(&joined(stem).as_str())
}

/// A name has the word in it.
pub(super) fn has_word(name: &str) -> bool {
    WORDS.iter().any(|word| joined(name).contains(word))
}

fn joined(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .collect()
}
