//! What is said of it: a row in the report, and a line for each turn.

use super::compare::{Answer, factor, geometric};
use super::measure::{Measured, intervals};
use super::ran_out::RanOut;
use super::turn::Turn;
use crate::record::load::{BornRecord, CapacityAnswer, CapacityRecord, CapacityTurnRecord};
use crate::text::capacity;

/// For the reports.
pub(super) fn record(measured: &Measured) -> CapacityRecord {
    let pairs = || measured.pairs.iter().chain(&measured.again);
    CapacityRecord {
        objective: measured.held_to.clone(),
        baseline: born(pairs().map(|(old, _)| old)),
        candidate: born(pairs().map(|(_, new)| new)),
        answer: match measured.answer {
            Answer::Alike => CapacityAnswer::Alike,
            Answer::Lower => CapacityAnswer::Lower,
            Answer::Higher => CapacityAnswer::Higher,
            Answer::CouldNotTell(_) => CapacityAnswer::Unknown,
        }
        .into(),
        change: factor(&intervals(pairs())).map(|factor| factor - 1.0),
        reason: match &measured.answer {
            Answer::CouldNotTell(why) => Some(why.clone()),
            Answer::Alike | Answer::Lower | Answer::Higher => None,
        },
    }
}

fn born<'t>(turns: impl Iterator<Item = &'t Turn>) -> BornRecord {
    let turns: Vec<&Turn> = turns.collect();
    let ran_out = RanOut::together(turns.iter().map(|turn| &turn.ran_out));
    BornRecord {
        held: geometric(turns.iter().map(|turn| turn.interval().held)),
        broke: geometric(turns.iter().map(|turn| turn.interval().broke)),
        ran_out: ran_out.resource.into(),
        ran_out_of: ran_out.of,
        turns: turns
            .iter()
            .map(|turn| CapacityTurnRecord {
                held: turn.held,
                broke: turn.interval().broke,
                why: turn.why(),
            })
            .collect(),
    }
}

/// Of what bears less.
pub(super) fn title(record: &CapacityRecord) -> String {
    format!("the candidate bears less: {}", capacity::compared(record))
}

/// What it ran out of, where that is known.
pub(super) fn ran_out(born: &BornRecord) -> Option<String> {
    capacity::ran_out(born).map(|what| format!("{what} ran out first"))
}

/// Each turn, in a line.
pub(super) fn evidence(record: &CapacityRecord) -> Vec<String> {
    let of = |who: &'static str, born: &BornRecord| {
        let turns = born.turns.iter();
        let lines = turns.map(|turn| format!("{who}: {}", capacity::turn(turn)));
        let ran_out = ran_out(born).map(|what| format!("{who}: {what}"));
        lines.chain(ran_out).collect::<Vec<_>>()
    };
    let held_to = format!("held to: {}", record.objective.join(", "));
    let lines = of("candidate", &record.candidate).into_iter();
    lines.chain(of("baseline", &record.baseline)).chain([held_to]).collect()
}
