//! Tests and checks: what is red one by one, what is not counted by suite.

use std::collections::HashMap;

use super::shown::{Room, Rows, Tone};
use crate::record::status::Status;
use crate::record::v1::{self, Check, Counts, Record, Tally, Test};
use crate::report::words;
use crate::text::harmless;
use crate::text::units::of_millis;

/// Everything of the section.
#[derive(Debug)]
pub(super) struct Cases {
    /// Each kind of case, and all of them.
    pub(super) kinds: Vec<Counted>,
    /// Tests that are red, with what each left to see.
    pub(super) red: Rows<Case>,
    pub(super) captured: Vec<(String, String)>,
    /// The containers' logs.
    pub(super) logs: Rows<Log>,
    pub(super) not_run: Rows<String>,
    /// Each suite in each stage, the red ones first.
    pub(super) suites: Rows<Counted>,
    /// Tests that passed or were left out.
    pub(super) fine: Rows<Case>,
    pub(super) checks: Rows<Case>,
}

/// How many there are of something, by how they ended; the red ones first.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) tally: Tally,
    /// The sum.
    pub(super) is_sum: bool,
}

/// The end of a container's log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) file: String,
    pub(super) size: String,
    pub(super) end: String,
}

/// A test or a check.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) tone: Tone,
    pub(super) status: &'static str,
    pub(super) stage: String,
    pub(super) suite: String,
    pub(super) name: String,
    pub(super) took: String,
    pub(super) message: String,
}

impl Cases {
    pub(super) fn of(result: &Record, room: Room) -> Self {
        let is_red = |test: &&Test| test.status.or(Status::Error).is_red();
        let (red, fine): (Vec<&Test>, Vec<&Test>) = result.tests.iter().partition(is_red);
        let few = Room {
            rows: room.passed,
            ..room
        };
        Self {
            kinds: kinds(&Counts::of(result)),
            logs: room.rows(&result.logs, |log| of_log(log, room)),
            captured: red
                .iter()
                .take(room.rows)
                .filter_map(|test| captured(test, room))
                .collect(),
            red: room.rows(&red, |test| of_test(test, room)),
            not_run: room.rows(&words::not_run(result), |line| room.line(line)),
            suites: suites(&result.tests, room),
            fine: few.rows(&fine, |test| of_test(test, room)),
            checks: room.rows(&by_redness(&result.checks), |check| of_check(check, room)),
        }
    }
}

fn kinds(counts: &Counts) -> Vec<Counted> {
    let kinds = &counts.kinds;
    let named = [
        ("tests", kinds.tests),
        ("sign-ins", kinds.sign_ins),
        ("starts of services", kinds.starts),
        ("checks", kinds.checks),
        ("stages", kinds.stages),
    ];
    let there = named
        .into_iter()
        .filter(|(_, tally)| tally.all > 0)
        .map(|(name, tally)| Counted {
            name: name.to_owned(),
            tally,
            is_sum: false,
        });
    let sum = Counted {
        name: "all cases".to_owned(),
        tally: counts.all(),
        is_sum: true,
    };
    std::iter::once(sum).chain(there).collect()
}

/// How many tests of each suite ended how, stage by stage.
fn suites(tests: &[Test], room: Room) -> Rows<Counted> {
    let mut places: HashMap<(String, &str), usize> = HashMap::new();
    let mut suites: Vec<Counted> = Vec::new();
    for test in tests {
        let place = *places.entry((test.stage.to_string(), &test.suite)).or_insert_with(|| {
            suites.push(Counted {
                name: format!("{} / {}", test.stage, test.suite),
                tally: Tally::default(),
                is_sum: false,
            });
            suites.len() - 1
        });
        count(&mut suites[place].tally, test.status.or(Status::Error));
    }
    suites.sort_by_key(|suite| suite.tally.passed + suite.tally.skipped == suite.tally.all);
    room.rows(&suites, |suite| Counted {
        name: room.line(&suite.name),
        ..*suite
    })
}

fn count(tally: &mut Tally, status: Status) {
    tally.all += 1;
    let one = match status {
        Status::Passed => &mut tally.passed,
        Status::Failed => &mut tally.failed,
        Status::Error => &mut tally.errors,
        Status::Skipped => &mut tally.skipped,
        Status::NotRun => &mut tally.not_run,
    };
    *one += 1;
}

fn by_redness(checks: &[Check]) -> Vec<&Check> {
    let mut checks: Vec<&Check> = checks.iter().collect();
    checks.sort_by_key(|check| !check.status.or(Status::Error).is_red());
    checks
}

fn of_test(test: &Test, room: Room) -> Case {
    let status = test.status.or(Status::Error);
    let place = test.location.as_deref().filter(|_| !test.message.is_empty());
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    let retried = match test.retries {
        0 => String::new(),
        more => format!(" after {}", words::counted(u64::from(more), "retry", "retries")),
    };
    Case {
        tone: Tone::of(status),
        status: status.words(),
        stage: words::word(&test.stage),
        suite: room.line(&test.suite),
        name: room.line(&test.name),
        took: of_millis(test.duration_ms),
        message: room.line(&format!("{}{place}{retried}", test.message)),
    }
}

fn of_check(check: &Check, room: Room) -> Case {
    let status = check.status.or(Status::Error);
    Case {
        tone: Tone::of(status),
        status: status.words(),
        stage: words::word(&check.stage),
        suite: String::new(),
        name: words::word(&check.check),
        took: of_millis(check.duration_ms),
        message: room.line(check.reason.as_deref().unwrap_or_default()),
    }
}

/// What a test left to see, under its name.
fn captured(test: &Test, room: Room) -> Option<(String, String)> {
    let there = room.detail > 0 && !test.detail.trim().is_empty();
    let name = format!("{} / {} / {}", test.stage, test.suite, test.name);
    there.then(|| (room.line(&name), harmless::block(&test.detail, room.detail)))
}

fn of_log(log: &v1::Log, room: Room) -> Log {
    let whole = log.bytes <= log.end.len() as u64;
    Log {
        file: room.line(&format!("logs/{}/{}.log", log.stage, log.service)),
        size: match whole {
            true => words::counted(log.bytes, "byte", "bytes"),
            false => format!("the end of {} bytes", log.bytes),
        },
        end: match room.detail {
            0 => String::new(),
            most => harmless::block(&log.end, most),
        },
    }
}
