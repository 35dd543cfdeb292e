//! Merge: the shards of one run as one record, with one verdict. A shard that is missing, there twice, of another run, or
//! that says less than it planned is told by name, and with it the verdict is `inconclusive`. What every shard looked at counts as the
//! worst of them saw it; whether anything notices that a release is gone is asked in all of them, and one that noticed
//! is enough.

mod fit;
mod noticed;
mod shard;
mod together;

use crate::check::pair::Pair;
use crate::check::trouble;
use crate::record::exit_code::ExitCode;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::headline::{ALTERS_NOTHING, Headline};
use crate::record::partial::Partial;
use crate::record::reread::{self, UnknownWord};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::v1::{Counts, Record};
use crate::record::verdict::Verdict;
use crate::verdict::{self, Change, Ended, Judgement};
use fit::Fit;
pub use shard::Given;
use shard::One;

/// The record of the whole, and what it came to.
#[derive(Debug)]
pub struct Merged {
    /// The record.
    pub record: Record,
    /// Its verdict.
    pub judgement: Judgement,
}

/// Merges what was given, in whatever order; `None` where no record could be read at all.
pub fn merge(given: Vec<Given>) -> Option<Merged> {
    let Fit {
        base,
        mut shards,
        uncovered,
        mut problems,
    } = fit::of(given)?;
    let excused = noticed::excuse(&mut shards);
    problems.extend(shards.iter().filter_map(|one| contradiction(one, &excused)));
    let is_excused = |one: &&One| excused.contains(&one.shard.place.index);
    problems.extend(shards.iter().filter(is_excused).filter_map(fit::unknown_images));
    let mut record = together::whole(&base, &shards, &uncovered);
    record.findings.splice(0..0, problems.iter().map(Into::into));
    together::sort(&mut record.findings);
    let ground = match problems.is_empty() && shards.iter().all(control_holds) {
        true => Ground::Holds,
        false => Ground::Gives,
    };
    let judgement = judged(&record, &shards, ground);
    tell(&mut record, &judgement, &shards);
    Some(Merged { record, judgement })
}

/// A shard whose verdict is not what its record says: nobody knows why.
fn contradiction(one: &One, excused: &[u32]) -> Option<Finding> {
    let is_pass = one.record.verdict == Verdict::Pass || excused.contains(&one.shard.place.index);
    let own = || judged(&one.record, std::slice::from_ref(one), Ground::Holds).verdict == Verdict::Pass;
    (!is_pass && own()).then(|| {
        let title = format!("{} has no pass: {}", one.name(), one.record.cause);
        trouble::shards(title, "see its own report, and run that shard again")
    })
}

/// Whether what was seen of the candidate says anything of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// Every shard is there, and production works in each.
    Holds,
    /// Law 2: nothing blocks, whatever another shard saw.
    Gives,
}

fn control_holds(one: &One) -> bool {
    let control = one.record.stages.iter().filter(|stage| stage.id == StageId::Control);
    control.clone().count() > 0
        && control
            .into_iter()
            .all(|stage| !stage.status.or(Status::Error).is_red())
}

fn judged(record: &Record, shards: &[One], ground: Ground) -> Judgement {
    let told = |UnknownWord(word): UnknownWord| Judgement {
        verdict: Verdict::Inconclusive,
        headline: Headline::plain(&format!("a shard says `{word}`, which this Rehearsal does not know")),
        exit_code: ExitCode::Inconclusive,
    };
    let mut recorded = match reread::recorded(record) {
        Ok(recorded) => recorded,
        Err(unknown) => return told(unknown),
    };
    if ground == Ground::Gives {
        let findings = &mut recorded.findings;
        findings.retain(|finding| !matches!(finding.blame, Blame::Candidate | Blame::Nobody));
    }
    let block_on: Vec<Severity> = shards.first().map(One::block_on).unwrap_or_default();
    let auth = record.auth.as_ref().map_or(&[][..], |auth| &auth.services);
    let pair = Pair::of(&record.candidate, &record.baseline, &record.mirror, auth).short();
    let run = verdict::Run {
        block_on: &block_on,
        ended: Ended::AsPlanned,
        pair: &pair,
        partial: &partial(record, shards),
        change: change(record),
    };
    verdict::judge(&recorded, run)
}

/// What the whole leaves out, and what somebody has signed for.
fn partial(record: &Record, shards: &[One]) -> Vec<Partial> {
    let shard = shards.first().map(|one| &one.shard);
    let forward = shard
        .and_then(|shard| shard.forward_only.clone())
        .map(Partial::ForwardOnly);
    let unexercised = shard.into_iter().flat_map(|shard| shard.unexercised.iter().cloned());
    let unexercised = unexercised.map(|(service, reason)| Partial::Unexercised(service, reason));
    let mut partial: Vec<Partial> = forward.into_iter().chain(unexercised).collect();
    let waived = record.findings.iter().filter(|finding| finding.waived.is_some());
    for check in waived.filter_map(|finding| finding.check.known()) {
        if !partial.contains(&Partial::Waived(check)) {
            partial.push(Partial::Waived(check));
        }
    }
    partial
}

fn change(record: &Record) -> Change {
    let alters_nothing = |stage: &crate::record::v1::Stage| stage.reason.as_deref() == Some(ALTERS_NOTHING);
    match !record.stages.is_empty() && record.stages.iter().all(alters_nothing) {
        true => Change::Nothing,
        false => Change::Something,
    }
}

/// Writes down what it came to.
fn tell(record: &mut Record, judgement: &Judgement, shards: &[One]) {
    let mut red = shards.iter().filter(|one| one.record.verdict != Verdict::Pass);
    let red = red.next().map(|one| &one.record);
    record.partial = partial(record, shards)
        .iter()
        .map(|part| part.word().to_owned())
        .collect();
    record.verdict = judgement.verdict.into();
    record.headline = judgement.headline.clone();
    record.cause = judgement.headline.to_string();
    record.exit_code = judgement.exit_code.number();
    record.again = red
        .filter(|_| judgement.verdict == Verdict::Block)
        .and_then(|red| red.again.clone());
    record.rerun = red.and_then(|red| red.rerun.clone());
    record.counts = Counts::of(record);
}
