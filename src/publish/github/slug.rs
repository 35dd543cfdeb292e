//! A repository's name on GitHub.

use std::fmt;
use std::str::FromStr;

/// `OWNER/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(String);

impl FromStr for Slug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = |name: &str| {
            let known = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
            !matches!(name, "" | "." | "..") && name.chars().all(known)
        };
        match text.split_once('/') {
            Some((owner, own)) if name(owner) && name(own) => Ok(Self(text.to_owned())),
            _ => Err(format!("`{text}` is no repository: OWNER/NAME is wanted")),
        }
    }
}

impl Slug {
    /// Whether this names it, whose case does not count.
    pub fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_owner_and_a_name_are_a_repository() {
        for text in ["acme", "acme/", "a/b/c", "a/..", "a b/c", "a/b?x"] {
            assert!(text.parse::<Slug>().is_err(), "{text}");
        }
        let slug: Slug = "Acme/shop.io".parse().expect("a slug");
        assert!(slug.is("acme/Shop.io") && !slug.is("acme/shop"));
    }
}
