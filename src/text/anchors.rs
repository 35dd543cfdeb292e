//! Which of many patterns may stand in a text, found in one pass over it however many there are.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

/// A longer word finds nothing that its beginning does not.
const LONGEST: usize = 24;

/// Words without which a pattern cannot stand in a text.
#[derive(Default)]
pub(super) struct Anchors {
    /// A word, and the pattern that it is of.
    words: Vec<(String, usize)>,
    /// Patterns without such a word: they may stand anywhere.
    anywhere: Vec<usize>,
    /// Made when a text is searched; nothing where there are too many words.
    automaton: OnceLock<Option<AhoCorasick>>,
}

impl Anchors {
    /// A pattern that holds one of these texts, in which only ASCII letters and digits stand for themselves.
    pub fn add<'a>(&mut self, pattern: usize, texts: impl IntoIterator<Item = &'a str>) {
        self.automaton = OnceLock::new();
        for text in texts {
            match longest_word(text) {
                "" => self.anywhere.push(pattern),
                word => self.words.push((word.to_owned(), pattern)),
            }
        }
    }

    /// The patterns that may stand in a text.
    pub fn patterns_in(&self, bytes: &[u8]) -> BTreeSet<usize> {
        let words = self.words.iter().map(|(word, _)| word);
        let automaton = self.automaton.get_or_init(|| AhoCorasick::new(words).ok());
        let anywhere = self.anywhere.iter().copied();
        match automaton {
            Some(automaton) => {
                let found = automaton.find_overlapping_iter(bytes);
                anywhere
                    .chain(found.map(|found| self.words[found.pattern()].1))
                    .collect()
            }
            None => anywhere.chain(self.words.iter().map(|(_, pattern)| *pattern)).collect(),
        }
    }
}

fn longest_word(text: &str) -> &str {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let longest = words.max_by_key(|word| word.len()).unwrap_or_default();
    &longest[..longest.len().min(LONGEST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchors(patterns: &[&[&str]]) -> Anchors {
        let mut anchors = Anchors::default();
        for (pattern, texts) in patterns.iter().enumerate() {
            anchors.add(pattern, texts.iter().copied());
        }
        anchors
    }

    #[test]
    fn a_pattern_is_found_by_its_longest_word_alone() {
        let anchors = anchors(&[&["a-hunter22"], &["b/swordfish", "c+dolphin"]]);
        assert_eq!(anchors.patterns_in(b"xhunter22x"), BTreeSet::from([0]));
        assert_eq!(anchors.patterns_in(b"dolphins and hunter22"), BTreeSet::from([0, 1]));
        assert_eq!(anchors.patterns_in(b"a b c"), BTreeSet::new());
    }

    #[test]
    fn words_within_each_other_are_all_found() {
        let anchors = anchors(&[&["hunter"], &["hunter22"], &["unt"]]);
        assert_eq!(anchors.patterns_in(b"hunter22"), BTreeSet::from([0, 1, 2]));
    }

    #[test]
    fn a_pattern_without_a_word_may_stand_anywhere() {
        assert_eq!(anchors(&[&["!?*"], &["abc"]]).patterns_in(b""), BTreeSet::from([0]));
    }

    #[test]
    fn a_word_that_is_added_after_a_search_is_found() {
        let mut anchors = anchors(&[&["abc"]]);
        assert_eq!(anchors.patterns_in(b"xyz"), BTreeSet::new());
        anchors.add(1, ["xyz"]);
        assert_eq!(anchors.patterns_in(b"xyz"), BTreeSet::from([1]));
    }
}
