//! The first screen: the verdict, the first cause, what was compared with what, the times.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::shown::{Room, Rows, Tone};
use crate::record::fidelity::FidelityState;
use crate::record::measured::Measure;
use crate::record::release::Release;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::v1::{Finding, Record};
use crate::report::words::{self, Told};
use crate::text::units::of_millis;

/// What is read in the first seconds.
#[derive(Debug)]
pub(super) struct First {
    pub(super) tone: &'static str,
    pub(super) sign: &'static str,
    pub(super) verdict: &'static str,
    pub(super) meaning: &'static str,
    /// The first cause in its parts, each with its name.
    pub(super) cause: Vec<(&'static str, String)>,
    pub(super) services: Rows<Place>,
    /// What else must be known of the comparison, each with its name.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) times: Vec<Time>,
}

/// A service, in production and in the rehearsal.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) service: String,
    pub(super) role: &'static str,
    pub(super) production: String,
    /// Nothing where it is production's.
    pub(super) candidate: Option<String>,
}

/// A time with its limit.
#[derive(Debug)]
pub(super) struct Time {
    pub(super) tone: Tone,
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) limit: String,
}

impl First {
    pub(super) fn of(result: &Record, room: Room) -> Self {
        let told = Told::of(result);
        let (tone, sign, meaning) = match told {
            Told::Pass => (
                "green",
                "✓",
                "The candidate may take the place of what production runs.",
            ),
            Told::Part => (
                "amber",
                "?",
                "One of several shards found nothing. Do not deploy yet: `rehearsal merge` gives the verdict.",
            ),
            Told::Block => (
                "red",
                "✗",
                "Do not deploy: in production this release would have gone wrong.",
            ),
            Told::Inconclusive => ("amber", "?", "Do not deploy yet: Rehearsal could not tell."),
        };
        Self {
            tone,
            sign,
            verdict: told.word(),
            meaning,
            cause: cause(result, room),
            services: places(result, room),
            facts: facts(result, room),
            times: times(result, room),
        }
    }

    /// For the title of the window.
    pub(super) fn what(&self) -> &str {
        self.cause.first().map_or("", |(_, what)| what)
    }
}

/// The headline in its parts; what had to be cut for a terminal's line is whole here.
fn cause(result: &Record, room: Room) -> Vec<(&'static str, String)> {
    let whole = |finding: &Finding| [format!("{}: {}", finding.check, finding.title), finding.help.clone()];
    let told: Vec<String> = result.findings.iter().take(room.rows).flat_map(whole).collect();
    let parts = words::headline(result).into_iter().filter_map(|(name, text)| {
        let name = match name {
            "what" => "What",
            "pair" => "Pair",
            "do this" => "Way out",
            // It has a place of its own.
            _ => return None,
        };
        Some((name, room.line(uncut(&text, &told).unwrap_or(&text))))
    });
    parts.collect()
}

/// The text that was cut to this one.
fn uncut<'a>(text: &str, told: &'a [String]) -> Option<&'a str> {
    let begin = text.strip_suffix('…')?;
    let whole = told.iter().find(|whole| whole.starts_with(begin));
    whole.map(String::as_str)
}

fn places(result: &Record, room: Room) -> Rows<Place> {
    let changed = result.candidate.iter().map(|new| {
        let old = result.baseline.iter().find(|old| old.service == new.service);
        (new.service.as_str(), old, Some(new))
    });
    let is_new = |old: &&Release| !result.candidate.iter().any(|new| new.service == old.service);
    let gone = result.baseline.iter().filter(is_new);
    let kept = gone
        .chain(&result.mirror)
        .map(|old| (old.service.as_str(), Some(old), None));
    let all: Vec<_> = changed.chain(kept).collect();
    room.rows(&all, |(service, old, new)| Place {
        service: room.line(service),
        role: role(result, service, *new),
        production: old.map_or_else(|| "does not have it".to_owned(), words::release),
        candidate: new.map(words::release),
    })
}

fn role(result: &Record, service: &str, new: Option<&Release>) -> &'static str {
    let is_auth = result
        .auth
        .as_ref()
        .is_some_and(|auth| auth.services.iter().any(|name| name == service));
    match (new, is_auth) {
        (Some(_), true) => "candidate, authentication",
        (Some(_), false) => "candidate",
        (None, true) => "authentication",
        (None, false) => "",
    }
}

fn facts(result: &Record, room: Room) -> Vec<(&'static str, String)> {
    let production = result
        .production
        .as_ref()
        .map(|production| production.statement.clone());
    let facts = [
        ("Production's facts", Some(result.lock.statement.clone())),
        ("Mirror against them", fidelity(result)),
        ("Production's description", production),
        ("Left out or signed for", left_out(result)),
        ("Rehearsed", Some(rehearsed(result))),
    ];
    let there = facts
        .into_iter()
        .filter_map(|(name, text)| Some((name, room.line(&text?))));
    there.filter(|(_, text)| !text.is_empty()).collect()
}

/// What is not alike first.
fn fidelity(result: &Record) -> Option<String> {
    let of = |state| {
        result
            .fidelity
            .iter()
            .filter(|row| row.state.or(FidelityState::Unknown) == state)
            .count()
    };
    let states = [
        (of(FidelityState::Differs), "differ"),
        (of(FidelityState::Unknown), "unknown"),
        (of(FidelityState::StandIn), "stand-ins"),
        (of(FidelityState::Same), "the same"),
    ];
    let there = states.iter().filter(|(count, _)| *count > 0);
    let there: Vec<String> = there.map(|(count, word)| format!("{count} {word}")).collect();
    let facts = words::counted(result.fidelity.len() as u64, "fact", "facts");
    (!there.is_empty()).then(|| format!("{facts}: {}", there.join(", ")))
}

fn left_out(result: &Record) -> Option<String> {
    (!result.partial.is_empty()).then(|| result.partial.join(", "))
}

fn rehearsed(result: &Record) -> String {
    let took = of_millis(result.duration_ms);
    let at = OffsetDateTime::parse(&result.started, &Rfc3339);
    match at {
        Ok(at) => format!("{} at {:02}:{:02} UTC, took {took}", at.date(), at.hour(), at.minute()),
        Err(_) => format!("{}, took {took}", result.started),
    }
}

/// Each of the three, with its limit: those over it first, then those that nobody measured.
fn times(result: &Record, room: Room) -> Vec<Time> {
    let wanted = [
        (Measure::Downtime, StageId::Upgrade, "Downtime"),
        (Measure::WayBack, StageId::Rollback, "Way back"),
        (Measure::Ready, StageId::Upgrade, "Candidate ready"),
    ];
    let mut times: Vec<Time> = wanted
        .into_iter()
        .map(|(measure, stage, name)| time(result, room, measure, stage, name))
        .collect();
    times.sort_by_key(|time| time.tone == Tone::PLAIN);
    times.sort_by_key(|time| time.tone != Tone::RED);
    times
}

fn time(result: &Record, room: Room, measure: Measure, stage: StageId, name: &'static str) -> Time {
    let Some(time) = result.times.iter().find(|time| time.measure == measure) else {
        return Time {
            tone: Tone::GREY,
            name,
            value: "not measured".to_owned(),
            limit: room.line(&not_measured(result, stage)),
        };
    };
    let (limit, is_over) = (of_millis(time.limit_ms), time.value_ms > time.limit_ms);
    Time {
        tone: if is_over { Tone::RED } else { Tone::PLAIN },
        name,
        value: of_millis(time.value_ms),
        limit: match is_over {
            true => format!("over the limit of {limit}"),
            false => format!("limit {limit}"),
        },
    }
}

/// A stage that did not run, or a release that did not come up.
fn not_measured(result: &Record, id: StageId) -> String {
    let Some(stage) = result.stages.iter().find(|stage| stage.id == id) else {
        return format!("there was no {id}");
    };
    let swap = stage.steps.iter().find(|step| step.id.starts_with("swap"));
    let (what, status, reason) = match (stage.status.or(Status::Error), swap) {
        (status @ (Status::Skipped | Status::NotRun), _) => (id.as_str(), status, &stage.reason),
        (_, Some(swap)) if swap.status != Status::Passed => ("the swap", swap.status.or(Status::Error), &swap.reason),
        _ => return "no figure is recorded".to_owned(),
    };
    let reason = reason.as_ref().map(|reason| format!(": {reason}"));
    format!("{what} {}{}", status.words(), reason.unwrap_or_default())
}
