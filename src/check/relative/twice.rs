//! Two measurements: a candidate is a failure where it is suspect in both. Within one start of the containers a difference
//! may come from where the kernel put them, and be gone with the next start: a tight interval says only that the difference
//! was there all the time, that it comes again says that it is the release's.

use serde::Serialize;

use super::answer::{Answer, Why};

/// What is concluded of a change that must be caught.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Conclusion {
    /// The candidate is not worse by so much.
    Holds,
    /// It is, and was so again on restarted containers.
    Fails,
    /// It seemed so, and was not so again: a warning.
    NotConfirmed,
    /// It cannot be told.
    CouldNotTell(Why),
}

/// What two measurements come to; the second is made where the first is suspect.
pub fn conclude(first: &Answer, again: Option<&Answer>) -> Conclusion {
    match (first, again) {
        (Answer::Pass, _) => Conclusion::Holds,
        (Answer::CouldNotTell(why), _) | (Answer::Suspect, Some(Answer::CouldNotTell(why))) => {
            Conclusion::CouldNotTell(why.clone())
        }
        (Answer::Suspect, Some(Answer::Suspect)) => Conclusion::Fails,
        (Answer::Suspect, Some(Answer::Pass)) => Conclusion::NotConfirmed,
        (Answer::Suspect, None) => Conclusion::CouldNotTell(Why::OnlyOnce),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_suspect_twice_fails_and_only_what_passes_at_once_holds() {
        let unknown = || Answer::CouldNotTell(Why::TooFewPairs { have: 3 });
        let why = || Conclusion::CouldNotTell(Why::TooFewPairs { have: 3 });
        assert_eq!(conclude(&Answer::Pass, None), Conclusion::Holds);
        assert_eq!(conclude(&Answer::Suspect, Some(&Answer::Suspect)), Conclusion::Fails);
        assert_eq!(
            conclude(&Answer::Suspect, Some(&Answer::Pass)),
            Conclusion::NotConfirmed
        );
        assert_eq!(conclude(&Answer::Suspect, Some(&unknown())), why());
        assert_eq!(conclude(&unknown(), None), why());
        let once = Conclusion::CouldNotTell(Why::OnlyOnce);
        assert_eq!(conclude(&Answer::Suspect, None), once);
    }
}
