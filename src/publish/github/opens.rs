//! What opens a gate of GitHub's: a pass of the whole, and nothing else.

use crate::attest::statement::Part;
use crate::record::v1::Record;
use crate::record::verdict::Verdict;

/// What a gate is told. A run of which a part was left out (`--only`, a shard) tells nothing of the rest, and neither does
/// one that left out what we have no word for.
pub(super) fn of(result: &Record) -> Verdict {
    let narrows = |word: &String| word.parse::<Part>().map_or(true, Part::narrows);
    match result.verdict.or(Verdict::Inconclusive) {
        Verdict::Pass if result.partial.iter().any(narrows) => Verdict::Inconclusive,
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::word::Word;
    use crate::report::samples;

    #[test]
    fn a_narrowed_pass_opens_nothing_and_one_that_somebody_signed_for_does() {
        let mut record = samples::pass();
        for (left_out, wanted) in [
            (vec![], Verdict::Pass),
            (vec!["waived"], Verdict::Pass),
            (vec!["only"], Verdict::Inconclusive),
            (vec!["waived", "shard"], Verdict::Inconclusive),
            (vec!["something new"], Verdict::Inconclusive),
        ] {
            record.partial = left_out.into_iter().map(str::to_owned).collect();
            assert_eq!(of(&record), wanted, "{:?}", record.partial);
        }
        record.verdict = Word::Known(Verdict::Block);
        assert_eq!(of(&record), Verdict::Block);
    }
}
