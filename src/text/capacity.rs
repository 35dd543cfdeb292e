//! How many requests a second releases bear, as people say it: the same in a finding and in every report.

use super::units::rate;
use crate::record::load::{BornRecord, CapacityAnswer, CapacityRecord, CapacityTurnRecord, Resource};

/// What one release bears: `410`, `at least 4000`, `less than 25`.
pub fn bears(born: &BornRecord) -> String {
    match (born.held, born.broke) {
        (Some(held), Some(_)) => rate(held),
        (Some(held), None) => format!("at least {}", rate(held)),
        (None, Some(broke)) => format!("less than {}", rate(broke)),
        (None, None) => "unknown".to_owned(),
    }
}

/// Production's release and the candidate: `410 → 330 requests a second`.
pub fn compared(record: &CapacityRecord) -> String {
    format!(
        "{} → {} requests a second",
        bears(&record.baseline),
        bears(&record.candidate)
    )
}

/// What ran out first, where that is known: "the limit of processor time of `web`".
pub fn ran_out(born: &BornRecord) -> Option<String> {
    let of = born.ran_out_of.as_deref();
    let of = of.map_or(String::new(), |service| format!(" of `{service}`"));
    let what = match born.ran_out.or(Resource::Unknown) {
        Resource::Unknown => return None,
        Resource::CpuLimit => "the limit of processor time",
        Resource::Memory => "the memory",
        Resource::Machine => "the machine's processors, of which the gate uses a part",
        Resource::OneProcessor => "the one processor that a single thread can use",
        Resource::Connections => "connections",
        Resource::Errors => "something of which only errors tell",
    };
    Some(format!("{what}{of}"))
}

/// One turn: `bore 410 requests a second, broke at 430: p95 412 ms, at most 300 ms`.
pub fn turn(turn: &CapacityTurnRecord) -> String {
    let bore = turn.held.map_or_else(
        || "bore none of the rates".to_owned(),
        |held| format!("bore {} requests a second", rate(held)),
    );
    match turn.broke {
        Some(broke) => format!("{bore}, broke at {}: {}", rate(broke), turn.why),
        None => format!("{bore}: {}", turn.why),
    }
}

/// All of it in a line, with what ran out.
pub fn line(record: &CapacityRecord) -> String {
    let answer = match record.answer.or(CapacityAnswer::Unknown) {
        CapacityAnswer::Alike => "alike".to_owned(),
        CapacityAnswer::Lower => "lower".to_owned(),
        CapacityAnswer::Higher => "higher".to_owned(),
        CapacityAnswer::Unknown => format!(
            "how they compare cannot be told: {}",
            record.reason.as_deref().unwrap_or("no reason is recorded")
        ),
    };
    let first = |who: &str, born: &BornRecord| {
        let what = ran_out(born).unwrap_or_else(|| "what cannot be told".to_owned());
        format!("; first ran out on {who}: {what}")
    };
    let is_alike = ran_out(&record.baseline) == ran_out(&record.candidate);
    let first = match is_alike {
        true => first("both", &record.candidate),
        false => first("the baseline", &record.baseline) + &first("the candidate", &record.candidate),
    };
    format!("capacity: {}: {answer}{first}", compared(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn born(held: Option<f64>, broke: Option<f64>, ran_out: Resource, of: Option<&str>) -> BornRecord {
        BornRecord {
            held,
            broke,
            ran_out: ran_out.into(),
            ran_out_of: of.map(str::to_owned),
            turns: Vec::new(),
        }
    }

    fn record(baseline: BornRecord, candidate: BornRecord, answer: CapacityAnswer) -> CapacityRecord {
        CapacityRecord {
            objective: Vec::new(),
            baseline,
            candidate,
            answer: answer.into(),
            change: None,
            reason: (answer == CapacityAnswer::Unknown).then(|| "neither broke".to_owned()),
        }
    }

    #[test]
    fn a_line_says_how_much_each_bears_and_what_ran_out_first() {
        let limit = |held: f64| born(Some(held), Some(held * 1.05), Resource::CpuLimit, Some("web"));
        let fell = record(limit(410.2), limit(330.0), CapacityAnswer::Lower);
        let words =
            "capacity: 410 → 330 requests a second: lower; first ran out on both: the limit of processor time of `web`";
        assert_eq!(line(&fell), words);
        let machine = born(Some(8.25), Some(8.5), Resource::Machine, None);
        let differ = record(
            machine,
            born(None, Some(1.0), Resource::Unknown, None),
            CapacityAnswer::Lower,
        );
        let words = "capacity: 8.2 → less than 1 requests a second: lower; first ran out on the baseline: the machine's \
                     processors, of which the gate uses a part; first ran out on the candidate: what cannot be told";
        assert_eq!(line(&differ), words);
    }

    #[test]
    fn what_the_gate_could_not_ask_is_at_least_and_cannot_be_compared() {
        let open = || born(Some(4_000.0), None, Resource::Unknown, None);
        let words = "capacity: at least 4000 → at least 4000 requests a second: how they compare cannot be told: neither broke; \
                     first ran out on both: what cannot be told";
        assert_eq!(line(&record(open(), open(), CapacityAnswer::Unknown)), words);
    }

    #[test]
    fn a_record_may_claim_anything() {
        let odd = born(Some(f64::NAN), Some(-1e300), Resource::Unknown, None);
        assert_eq!(bears(&odd), "–");
    }
}
