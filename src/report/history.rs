//! History: what the records of many runs say together. A folder of records is all the store that there is: nothing is
//! kept beside them that could say otherwise than they do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::words;
use crate::record::finding::Blame;
use crate::record::measured::Measure;
use crate::record::status::Status;
use crate::record::v1::{Record, TestName};
use crate::record::verdict::Verdict;
use crate::text::harmless;
use crate::text::units::of_millis;

/// Runs of each half, from which on a later half is held against an earlier one.
const HALF: usize = 4;
/// Longest name that is shown.
const NAME: usize = 80;

/// Many runs, in the order in which they began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct History {
    /// Each run.
    pub runs: Vec<Run>,
    /// How often each verdict was given, by its word.
    pub verdicts: BTreeMap<String, usize>,
    /// Milliseconds of whole runs.
    pub took: Option<Spread>,
    /// Milliseconds of downtime, where it could be told.
    pub downtime: Option<Spread>,
    /// Milliseconds until production's release was back, where that could be told.
    pub way_back: Option<Spread>,
    /// Tests that do not say the same of the same.
    pub flaky: Vec<Flaky>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// RFC 3339, UTC.
    pub started: String,
    /// The verdict's word.
    pub verdict: String,
    /// Wall clock.
    pub took_ms: u64,
    /// The longest time without a good answer; absent where it was not told.
    pub downtime_ms: Option<u64>,
    /// Until production's release was back; absent where it was not told.
    pub way_back_ms: Option<u64>,
    /// Service and image of each candidate.
    pub candidate: String,
    /// The first-cause line.
    pub cause: String,
}

/// What many times came to, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// The shortest.
    pub least: u64,
    /// Half of them took no longer.
    pub median: u64,
    /// The longest.
    pub most: u64,
    /// The newest.
    pub last: u64,
    /// The medians of the earlier and of the later half, where there are enough.
    pub halves: Option<(u64, u64)>,
}

/// A test that does not say the same of the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaky {
    /// Its suite.
    pub suite: String,
    /// Its name.
    pub name: String,
    /// Runs in which an untouched baseline failed at it, too.
    pub seen: usize,
    /// Candidates, image by image the same, that passed it in one run and failed at it in another.
    pub torn: usize,
    /// The last run in which it was either.
    pub last: String,
}

impl History {
    /// Of records in any order; one that is there twice counts once, and a shard's not at all: the run is what they were
    /// merged to.
    pub fn of(mut records: Vec<Record>) -> Self {
        records.retain(|record| record.shard.is_none());
        records.sort_by(|one, other| (&one.started, one.seed).cmp(&(&other.started, other.seed)));
        records.dedup_by(|one, other| {
            (&one.started, one.seed, one.duration_ms) == (&other.started, other.seed, other.duration_ms)
        });
        let runs: Vec<Run> = records.iter().map(Run::of).collect();
        let mut verdicts = BTreeMap::new();
        for run in &runs {
            *verdicts.entry(run.verdict.clone()).or_default() += 1;
        }
        Self {
            took: Spread::of(runs.iter().map(|run| run.took_ms)),
            downtime: Spread::of(runs.iter().filter_map(|run| run.downtime_ms)),
            way_back: Spread::of(runs.iter().filter_map(|run| run.way_back_ms)),
            flaky: flaky(&records),
            verdicts,
            runs,
        }
    }

    /// As tables, for people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{:<20}  {:<12}  {:>12}  {:>10}  {:>10}  {}\n",
            "started", "verdict", "took", "downtime", "way back", "candidate"
        );
        for run in &self.runs {
            let told = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), of_millis);
            // Writing to a String cannot fail.
            let _written = writeln!(
                text,
                "{:<20}  {:<12}  {:>12}  {:>10}  {:>10}  {}",
                clean(&run.started).chars().take(20).collect::<String>(),
                clean(&run.verdict),
                of_millis(run.took_ms),
                told(run.downtime_ms),
                told(run.way_back_ms),
                clean(&run.candidate)
            );
            if run.verdict != Verdict::Pass.to_string() {
                let _written = writeln!(text, "{:<20}  {}", "", harmless::line(&run.cause, words::LINE));
            }
        }
        let verdicts: Vec<String> = self
            .verdicts
            .iter()
            .map(|(word, count)| format!("{count} {}", clean(word)))
            .collect();
        let _written = writeln!(text, "\n{} runs: {}", self.runs.len(), verdicts.join(", "));
        for (name, spread) in [
            ("took", self.took),
            ("downtime", self.downtime),
            ("way back", self.way_back),
        ] {
            let line = spread.map_or_else(
                || "not told in any run".to_owned(),
                |spread| spread.words(self.runs.len()),
            );
            let _written = writeln!(text, "{name:<9} {line}");
        }
        for test in &self.flaky {
            let _written = writeln!(text, "flaky     {}", test.words());
        }
        harmless::no_commands(&text)
    }
}

impl Run {
    fn of(record: &Record) -> Self {
        let measured = |measure: Measure| {
            let times = record.times.iter().filter(|time| time.measure == measure);
            times.map(|time| time.value_ms).max()
        };
        let candidate = record
            .candidate
            .iter()
            .map(|release| format!("{} {}", release.service, release.image));
        Self {
            started: record.started.clone(),
            verdict: record.verdict.to_string(),
            took_ms: record.duration_ms,
            downtime_ms: measured(Measure::Downtime),
            way_back_ms: measured(Measure::WayBack),
            candidate: candidate.collect::<Vec<_>>().join(", "),
            cause: words::cause(record),
        }
    }
}

impl Spread {
    fn of(times: impl Iterator<Item = u64>) -> Option<Self> {
        let times: Vec<u64> = times.collect();
        let (last, half) = (*times.last()?, times.len() / 2);
        let halves = (half >= HALF).then(|| (median(&times[..half]), median(&times[times.len() - half..])));
        Some(Self {
            count: times.len(),
            least: times.iter().copied().min()?,
            median: median(&times),
            most: times.iter().copied().max()?,
            last,
            halves,
        })
    }

    fn words(&self, runs: usize) -> String {
        let mut words = format!(
            "median {}, from {} to {}; the last {}",
            of_millis(self.median),
            of_millis(self.least),
            of_millis(self.most),
            of_millis(self.last)
        );
        if let Some((earlier, later)) = self.halves {
            let _written = write!(
                words,
                "; median {} earlier, {} later",
                of_millis(earlier),
                of_millis(later)
            );
        }
        if self.count < runs {
            let _written = write!(words, "; not told in {} runs", runs - self.count);
        }
        words
    }
}

impl Flaky {
    fn words(&self) -> String {
        let seen = (self.seen > 0).then(|| format!("an untouched baseline failed, too, in {} runs", self.seen));
        let torn = (self.torn > 0).then(|| format!("the same candidate passed and failed, {} times", self.torn));
        let how: Vec<String> = seen.into_iter().chain(torn).collect();
        format!(
            "{} / {}: {}; last {}",
            clean(&self.suite),
            clean(&self.name),
            how.join("; "),
            clean(&self.last)
        )
    }
}

fn clean(text: &str) -> String {
    harmless::line(text, NAME)
}

/// The smaller of the two in the middle, where there are two.
fn median(times: &[u64]) -> u64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or_default()
}

/// What is known of one test over all runs.
#[derive(Default)]
struct Seen {
    flaky: usize,
    /// How it ended in each stage of each candidate.
    ended: BTreeMap<(String, String), BTreeSet<bool>>,
    last: String,
}

fn flaky(records: &[Record]) -> Vec<Flaky> {
    let mut all: BTreeMap<(String, String), Seen> = BTreeMap::new();
    for record in records {
        for named in named_flaky(record) {
            let seen = all.entry(named).or_default();
            seen.flaky += 1;
            seen.last.clone_from(&record.started);
        }
        let Some(candidate) = candidate(record) else { continue };
        for test in &record.tests {
            let passed = match test.status.known() {
                Some(Status::Passed) => true,
                Some(Status::Failed) => false,
                _ => continue,
            };
            let seen = all.entry((test.suite.clone(), test.name.clone())).or_default();
            let ended = seen
                .ended
                .entry((candidate.clone(), test.stage.to_string()))
                .or_default();
            if ended.insert(passed) && ended.len() > 1 {
                seen.last.clone_from(&record.started);
            }
        }
    }
    let torn = |seen: &Seen| seen.ended.values().filter(|ended| ended.len() > 1).count();
    let found = all.into_iter().filter(|(_, seen)| seen.flaky + torn(seen) > 0);
    found
        .map(|((suite, name), seen)| Flaky {
            suite,
            name,
            seen: seen.flaky,
            torn: torn(&seen),
            last: seen.last,
        })
        .collect()
}

/// The tests that a run itself calls flaky, each once.
fn named_flaky(record: &Record) -> BTreeSet<(String, String)> {
    let found = record.findings.iter().filter(|finding| finding.blame == Blame::Flaky);
    let tests = found.flat_map(|finding| {
        finding
            .tests
            .iter()
            .chain(finding.folded.iter().flat_map(|one| &one.tests))
    });
    tests
        .map(|TestName { suite, name }| (suite.clone(), name.clone()))
        .collect()
}

/// The candidates by the digests of their images, with what they were rehearsed on; nothing where one is not known.
fn candidate(record: &Record) -> Option<String> {
    let configuration = record.inputs.configuration.as_ref().map(|input| format!("{input:?}"));
    let all = record.candidate.iter().chain(&record.baseline);
    let digests: Option<Vec<String>> = all
        .map(|release| Some(format!("{} {}", release.service, release.digest.as_ref()?)))
        .collect();
    Some(format!("{} {}", digests?.join(" "), configuration?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::inputs::Input;
    use crate::report::samples;

    fn run(day: u8, verdict: Verdict, took_ms: u64) -> Record {
        let mut record = samples::pass();
        record.started = format!("2026-11-{day:02}T09:00:00Z");
        record.verdict = verdict.into();
        record.duration_ms = took_ms;
        record.inputs.configuration = Some(Input::of(b"configuration"));
        for release in record.candidate.iter_mut().chain(&mut record.baseline) {
            release.digest = Some("sha256:ab".to_owned());
        }
        record
    }

    #[test]
    fn runs_stand_in_order_and_one_that_is_there_twice_counts_once() {
        let history = History::of(vec![
            run(3, Verdict::Block, 30_000),
            run(1, Verdict::Pass, 10_000),
            run(2, Verdict::Pass, 20_000),
            run(2, Verdict::Pass, 20_000),
        ]);
        assert_eq!(
            history.runs.iter().map(|run| run.took_ms).collect::<Vec<_>>(),
            [10_000, 20_000, 30_000]
        );
        assert_eq!(
            history.verdicts,
            BTreeMap::from([("block".to_owned(), 1), ("pass".to_owned(), 2)])
        );
        let took = history.took.expect("three runs");
        assert_eq!(
            (took.least, took.median, took.most, took.last, took.halves),
            (10_000, 20_000, 30_000, 30_000, None)
        );
        insta::assert_snapshot!(history.to_text());
    }

    #[test]
    fn a_later_half_is_held_against_an_earlier_one_where_both_are_large_enough() {
        let records = (1..=8).map(|day| run(day, Verdict::Pass, if day > 4 { 9_000 } else { 3_000 }));
        let took = History::of(records.collect()).took.expect("eight runs");
        assert_eq!(took.halves, Some((3_000, 9_000)));
    }

    #[test]
    fn what_no_run_told_is_not_zero() {
        let mut untold = run(1, Verdict::Inconclusive, 1_000);
        untold.times.clear();
        let history = History::of(vec![untold.clone()]);
        assert_eq!((history.downtime, history.runs[0].downtime_ms), (None, None));
        assert!(history.to_text().contains("downtime  not told in any run"));
        let both = History::of(vec![untold, run(2, Verdict::Pass, 1_000)]).to_text();
        assert!(both.contains("not told in 1 runs"), "{both}");
    }

    #[test]
    fn a_test_is_flaky_where_a_run_says_so_or_the_same_candidate_passes_and_fails() {
        let mut failed = run(2, Verdict::Block, 1_000);
        failed.tests[0].status = Status::Failed.into();
        let named = failed.tests[0].clone();
        let torn = History::of(vec![run(1, Verdict::Pass, 1_000), failed.clone()]).flaky;
        assert_eq!(torn.len(), 1, "{torn:?}");
        assert_eq!((&torn[0].name, torn[0].seen, torn[0].torn), (&named.name, 0, 1));
        // Another candidate may fail where one passed.
        failed.candidate[0].digest = Some("sha256:cd".to_owned());
        assert_eq!(
            History::of(vec![run(1, Verdict::Pass, 1_000), failed.clone()]).flaky,
            []
        );
        // And of one whose image is not known nothing is said.
        failed.candidate[0].digest = None;
        assert_eq!(History::of(vec![run(1, Verdict::Pass, 1_000), failed]).flaky, []);
        let mut seen = samples::block();
        seen.findings[0].blame = Blame::Flaky.into();
        seen.findings[0].folded.clear();
        seen.findings[0].tests = vec![TestName {
            suite: named.suite,
            name: named.name.clone(),
        }];
        let seen = History::of(vec![seen]).flaky;
        assert_eq!((seen.len(), seen[0].seen, seen[0].torn), (1, 1, 0), "{seen:?}");
    }

    #[test]
    fn hostile_records_forge_nothing() {
        for record in samples::hostile() {
            let text = History::of(vec![record]).to_text();
            assert!(!text.chars().any(|ch| ch.is_control() && ch != '\n'), "{text:?}");
            assert!(
                !text
                    .lines()
                    .any(|line| line.trim_start().starts_with("::") || line.contains("##[")),
                "{text}"
            );
        }
    }
}
