//! What a run leaves out: it stands in the first line of every report, and a narrowed run is never taken for a whole one.

use strum::{EnumDiscriminants, IntoStaticStr};

use super::check::CheckId;
use super::shard::Place;

/// Something that is left out, or signed for.
#[derive(Debug, Clone, PartialEq, Eq, EnumDiscriminants)]
#[strum_discriminants(name(Part), derive(Hash, IntoStaticStr), strum(serialize_all = "snake_case"))]
pub enum Partial {
    /// `--only`: what was asked for.
    Only(String),
    /// One of several runs that together are one.
    Shard(Place),
    /// There is no way back: why.
    ForwardOnly(String),
    /// A candidate that no test notices: the service, and why.
    Unexercised(String, String),
    /// A finding that somebody has signed for.
    Waived(CheckId),
}

impl Partial {
    /// Its word in `result.json`.
    pub fn word(&self) -> &'static str {
        Part::from(self).into()
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Only(words) => format!("only {words} was asked for"),
            Self::Shard(_) => "no pass before `rehearsal merge` has all shards".to_owned(),
            Self::ForwardOnly(reason) => format!("there is no way back ({reason})"),
            Self::Unexercised(service, reason) => format!("no test notices `{service}` ({reason})"),
            Self::Waived(check) => format!("a finding of {check} is waived"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_contract_are_kept() {
        let all = [
            Partial::Only(String::new()),
            Partial::Shard(Place { index: 1, of: 2 }),
            Partial::ForwardOnly(String::new()),
            Partial::Unexercised(String::new(), String::new()),
            Partial::Waived(CheckId::AuthLogin),
        ];
        let words: Vec<_> = all.iter().map(Partial::word).collect();
        assert_eq!(words, ["only", "shard", "forward_only", "unexercised", "waived"]);
    }
}
