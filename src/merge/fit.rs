//! Which of the records that were given are the shards of one run, each there once; and what is wrong with the others.
//! Nothing depends on the order in which they were given.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::shard::{Given, One};
use crate::check::trouble;
use crate::plan::shard::{Part, joined};
use crate::record::exit_code::ExitCode;
use crate::record::finding::Finding;
use crate::record::reread;
use crate::record::shard::{Place, Shard};
use crate::record::v1::Record;
use crate::record::verdict::Verdict;

const AGAIN: &str = "run every shard of one `rehearsal shard` again, on the same commit and images, and merge those";

/// What was found.
pub(super) struct Fit {
    /// The record from which the whole takes what all of them say alike.
    pub base: Record,
    /// The shards of one run, in their order, each once.
    pub shards: Vec<One>,
    /// Parts that none of them has looked at.
    pub uncovered: Vec<Part>,
    /// Everything that stands in the way of a pass.
    pub problems: Vec<Finding>,
}

/// `None` where nothing could be read.
pub(super) fn of(mut given: Vec<Given>) -> Option<Fit> {
    given.sort_by(|one, other| one.place.cmp(&other.place));
    let base = given.iter().find_map(|given| given.read.as_ref().ok())?.clone();
    let mut problems = Vec::new();
    let shards = given.into_iter().filter_map(|given| kept(one(given), &mut problems));
    let shards = of_one_run(shards.collect(), &mut problems);
    let shards = of_the_same_images(shards, &mut problems);
    let mut shards = each_once(shards, &mut problems);
    shards.sort_by_key(|one| one.shard.place.index);
    problems.extend(shards.iter().filter_map(of_unknown_images));
    problems.extend(shards.iter().filter_map(says_less));
    let uncovered = uncovered(&shards, &mut problems);
    Some(Fit {
        base: shards.first().map_or(base, |one| one.record.clone()),
        shards,
        uncovered,
        problems,
    })
}

fn kept<T>(read: Result<T, String>, problems: &mut Vec<Finding>) -> Option<T> {
    read.map_err(|title| problems.push(trouble::shards(title, AGAIN))).ok()
}

/// A record that says of itself which shard it is.
fn one(given: Given) -> Result<One, String> {
    let Given { place, read } = given;
    let record = read.map_err(|why| format!("no shard can be read in `{place}`: {why}"))?;
    let shard = record.shard.clone();
    let shard = shard.ok_or_else(|| format!("`{place}` is no shard: `rehearsal run --shard` did not write it"))?;
    if !is_possible(&shard) {
        return Err(format!("`{place}` says of itself what no shard can be"));
    }
    if let Err(unknown) = reread::recorded(&record) {
        return Err(format!("{} (`{place}`) cannot be judged: {unknown}", shard.place));
    }
    let signals = [ExitCode::Interrupted, ExitCode::Terminated].map(ExitCode::number);
    if signals.contains(&record.exit_code) {
        return Err(format!("{} (`{place}`) was interrupted", shard.place));
    }
    Ok(One { place, shard, record })
}

fn is_possible(shard: &Shard) -> bool {
    let Place { index, of } = shard.place;
    let most = u32::try_from(shard.all.len().max(1)).unwrap_or(u32::MAX);
    let each = |words: &[String]| {
        let mut seen = BTreeSet::new();
        words
            .iter()
            .all(|word| word.parse::<Part>().is_ok() && seen.insert(word.clone()))
    };
    let own = shard.parts.iter().all(|part| shard.all.contains(part));
    let blocks = shard.block_on.iter().all(|word| word.known().is_some());
    (1..=of).contains(&index) && of <= most && each(&shard.all) && each(&shard.parts) && own && blocks
}

/// What shards of one run have alike, by its name.
fn identity(one: &One) -> Vec<(&'static str, String)> {
    let (shard, record) = (&one.shard, &one.record);
    vec![
        ("plan", shard.plan.clone()),
        ("number of shards", shard.place.of.to_string()),
        ("division into parts", json(&shard.all)),
        (
            "policy",
            json(&(&shard.block_on, &shard.forward_only, &shard.unexercised)),
        ),
        ("seed", record.seed.to_string()),
        ("configuration", json(&record.inputs.configuration)),
        ("lock", json(&record.inputs.lock)),
        ("description of production", json(&record.production)),
        ("version of Rehearsal", record.rehearsal.clone()),
    ]
}

/// As text, to compare.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The shards of the run to which most of them belong.
fn of_one_run(shards: Vec<One>, problems: &mut Vec<Finding>) -> Vec<One> {
    let alike = |one: &One| Some(identity(one));
    most_alike(shards, alike, problems, |one, most| {
        let own = identity(one);
        let differs = own.iter().zip(most).find(|(own, other)| own != other);
        let what = differs.map_or("run", |((what, _), _)| what);
        format!(
            "{} is foreign: it is of another {what} than the other shards",
            one.name()
        )
    })
}

/// The shards that rehearsed the images that most of them rehearsed, and those of which that is not known.
fn of_the_same_images(shards: Vec<One>, problems: &mut Vec<Finding>) -> Vec<One> {
    let alike = |one: &One| images(&one.record);
    most_alike(shards, alike, problems, |one, most| {
        let own = images(&one.record).unwrap_or_default();
        let differs = own.iter().zip(most).find(|(own, other)| own != other);
        let what = differs.map_or_else(|| "a service".to_owned(), |((what, _), _)| what.clone());
        format!(
            "{} is foreign: it ran another image of {what} than the other shards",
            one.name()
        )
    })
}

/// Every image by the digest under which it ran; `None` where one is not known.
fn images(record: &Record) -> Option<Vec<(String, String)>> {
    let roles = [
        ("the candidate's", &record.candidate),
        ("the baseline's", &record.baseline),
        ("the mirror's", &record.mirror),
    ];
    let all = roles.iter().flat_map(|(role, releases)| {
        releases.iter().map(move |release| {
            let digest = release.pushed.as_ref().or(release.digest.as_ref())?;
            Some((format!("{role} `{}`", release.service), digest.clone()))
        })
    });
    all.collect()
}

/// Those that have alike what most have. Where nobody is in the majority, nobody knows who is foreign, and none is taken.
fn most_alike<K: Ord + Clone>(
    shards: Vec<One>,
    alike: impl Fn(&One) -> Option<K>,
    problems: &mut Vec<Finding>,
    foreign: impl Fn(&One, &K) -> String,
) -> Vec<One> {
    let mut groups: BTreeMap<K, usize> = BTreeMap::new();
    for key in shards.iter().filter_map(&alike) {
        *groups.entry(key).or_default() += 1;
    }
    let most = groups.values().copied().max().unwrap_or_default();
    let largest: Vec<&K> = groups
        .iter()
        .filter(|(_, count)| **count == most)
        .map(|(key, _)| key)
        .collect();
    let Some(key) = largest.first() else { return shards };
    let fits = |one: &One| alike(one).is_none_or(|own| own == **key);
    let (own, others): (Vec<One>, Vec<One>) = shards.into_iter().partition(fits);
    let why: Vec<String> = others.iter().map(|one| foreign(one, key)).collect();
    if largest.len() == 1 {
        problems.extend(why.into_iter().map(|why| trouble::shards(why, AGAIN)));
        return own;
    }
    let names: Vec<String> = own.iter().chain(&others).map(One::name).collect();
    let title = format!("{} do not belong together: {}", names.join(" and "), why.join("; "));
    problems.push(trouble::shards(title, AGAIN));
    Vec::new()
}

/// A shard that is there twice counts as none: nobody knows which of the two to believe.
fn each_once(shards: Vec<One>, problems: &mut Vec<Finding>) -> Vec<One> {
    let mut by_index: BTreeMap<u32, Vec<One>> = BTreeMap::new();
    let of = shards.first().map_or(0, |one| one.shard.place.of);
    for one in shards {
        by_index.entry(one.shard.place.index).or_default().push(one);
    }
    for index in (1..=of).filter(|index| !by_index.contains_key(index)) {
        let title = format!("{} is missing", Place { index, of });
        problems.push(trouble::shards(title, AGAIN));
    }
    let mut once = Vec::new();
    for mut same in by_index.into_values() {
        if same.len() > 1 {
            let places: Vec<String> = same.iter().map(|one| format!("`{}`", one.place)).collect();
            let title = format!(
                "{} is there {} times: {}",
                same[0].shard.place,
                same.len(),
                places.join(", ")
            );
            problems.push(trouble::shards(title, AGAIN));
        } else {
            once.append(&mut same);
        }
    }
    once
}

/// A pass of images that nobody knows.
fn of_unknown_images(one: &One) -> Option<Finding> {
    let is_pass = one.record.verdict == Verdict::Pass && !one.shard.planned.is_empty();
    is_pass.then(|| unknown_images(one)).flatten()
}

/// Of one that counts as a pass, whatever its verdict was.
pub(super) fn unknown_images(one: &One) -> Option<Finding> {
    images(&one.record).is_none().then(|| {
        let title = format!(
            "which images {} rehearsed is not known: it has not the digest of each",
            one.name()
        );
        trouble::shards(title, AGAIN)
    })
}

/// Something that it planned, and of which it says nothing.
fn says_less(one: &One) -> Option<Finding> {
    let record = &one.record;
    let steps = record.stages.iter().flat_map(|stage| {
        let named = |step: &crate::record::v1::Step| format!("{}: {}", stage.id, step.id);
        stage.steps.iter().map(named).collect::<Vec<_>>()
    });
    let checks = record
        .checks
        .iter()
        .map(|check| format!("{}: check {}", check.stage, check.check));
    let said: BTreeSet<String> = steps.chain(checks).collect();
    let unsaid = one.shard.planned.iter().find(|planned| !said.contains(*planned))?;
    let title = format!("{} says nothing of what it planned: {unsaid}", one.name());
    Some(trouble::shards(title, AGAIN))
}

/// Every part is one shard's: none is nobody's, and none several shards'.
fn uncovered(shards: &[One], problems: &mut Vec<Finding>) -> Vec<Part> {
    let Some(first) = shards.first() else { return Vec::new() };
    let mut uncovered = Vec::new();
    for part in first.all() {
        let own: Vec<String> = shards
            .iter()
            .filter(|one| one.parts().contains(&part))
            .map(One::name)
            .collect();
        if own.is_empty() {
            uncovered.push(part);
        } else if own.len() > 1 {
            let title = format!(
                "`{part}` is a part of {}: they are not of one division",
                own.join(" and ")
            );
            problems.push(trouble::shards(title, AGAIN));
        }
    }
    if !uncovered.is_empty() {
        let title = format!("no shard looked at {}", joined(&uncovered));
        problems.push(trouble::shards(title, AGAIN));
    }
    uncovered
}
