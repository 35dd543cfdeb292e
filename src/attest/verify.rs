//! Whether a deploy goes on: a signed verdict is held against the images, the key, the lock, the configuration and the
//! time. One way leads through, and every question is asked on it.

use std::collections::BTreeSet;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::bundle::Bundle;
use super::key::VerifyingKey;
use super::refusal::{No, Refused, Untold};
use super::statement::{By, Known, LeftOut, Named, Part, Rehearsed, Statement, TestVerdict};
use crate::record::verdict::Verdict;
use crate::record::word::Word;

/// Two machines' clocks may differ by so much.
const CLOCKS_DIFFER: Duration = Duration::minutes(5);

/// What is to be deployed, and where.
#[derive(Debug, Clone)]
pub struct Deploy<'a> {
    /// `sha256:…` of every image.
    pub digests: &'a BTreeSet<String>,
    /// `sha256:…` of the lock, where there is one.
    pub lock: Option<&'a str>,
    /// `sha256:…` of the configuration.
    pub configuration: &'a str,
    /// Since the rehearsal began.
    pub max_age: Duration,
    /// Of what was left out and signed for.
    pub allows: Allows,
    /// The time.
    pub now: OffsetDateTime,
}

/// What a rehearsal may have left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allows {
    /// What somebody has signed for.
    SignedFor,
    /// Nothing.
    Nothing,
}

/// It goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Stands {
    /// Since the rehearsal began.
    pub age: Duration,
    /// What was signed.
    pub rehearsed: Rehearsed,
}

/// Reads a bundle and holds it against a deploy.
///
/// # Errors
/// The deploy must not go on.
pub fn verify(bundle: &[u8], key: &VerifyingKey, deploy: &Deploy<'_>) -> Result<Stands, No> {
    let payload = Bundle::read(bundle)?.dsse_envelope.open(key)?;
    let statement = Statement::read(&payload)?;
    let (started, finished) = sound(&statement)?;
    is_about(&statement, deploy)?;
    let rehearsed = statement.predicate.rehearsal;
    is_against(&rehearsed, deploy)?;
    is_pass(&rehearsed)?;
    is_whole(&rehearsed.partial, deploy.allows)?;
    let age = is_recent(started, finished, deploy)?;
    Ok(Stands { age, rehearsed })
}

/// What is signed twice says the same, and every word is known. Returns when the run began and ended.
fn sound(statement: &Statement) -> Result<(OffsetDateTime, OffsetDateTime), Untold> {
    let rehearsed = &statement.predicate.rehearsal;
    known(&rehearsed.verdict)?;
    for left_out in &rehearsed.partial {
        known(&left_out.part)?;
    }
    for candidate in &rehearsed.candidate {
        known(&candidate.by)?;
    }
    if known::<TestVerdict>(&statement.predicate.result)? != rehearsed.result() {
        return Err(Untold::Contradiction("its result is not that of its verdict"));
    }
    let candidates: Option<BTreeSet<String>> = rehearsed.candidate.iter().map(|known| known.digest.clone()).collect();
    if candidates != Some(statement.digests()?) {
        return Err(Untold::Contradiction("its candidates are not what it is about"));
    }
    let configuration = statement.predicate.configuration.first().and_then(Named::digest);
    if configuration.as_ref() != Some(&rehearsed.configuration) {
        return Err(Untold::Contradiction("it names two configurations"));
    }
    let (started, finished) = (moment(&rehearsed.started)?, moment(&rehearsed.finished)?);
    match started <= finished {
        true => Ok((started, finished)),
        false => Err(Untold::Contradiction("it ended before it began")),
    }
}

fn known<T: Copy>(word: &Word<T>) -> Result<T, Untold> {
    match word {
        Word::Known(word) => Ok(*word),
        Word::Unknown(word) => Err(Untold::UnknownWord(word.clone())),
    }
}

fn moment(text: &str) -> Result<OffsetDateTime, Untold> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Untold::Contradiction("its times are none"))
}

/// Exactly these images, each as its registry knows it.
fn is_about(statement: &Statement, deploy: &Deploy<'_>) -> Result<(), No> {
    let candidates = &statement.predicate.rehearsal.candidate;
    if let Some(known) = candidates.iter().find(|known| known.by != By::Registry) {
        return Err(Refused::NeverPushed(known.image.clone()).into());
    }
    let rehearsed = statement.digests()?;
    let missing: Vec<String> = deploy.digests.difference(&rehearsed).cloned().collect();
    if !missing.is_empty() {
        let rehearsed = images(candidates, &rehearsed);
        return Err(Refused::NotRehearsed { missing, rehearsed }.into());
    }
    let left: BTreeSet<String> = rehearsed.difference(deploy.digests).cloned().collect();
    match left.is_empty() {
        true => Ok(()),
        false => Err(Refused::LeftBehind(images(candidates, &left)).into()),
    }
}

/// The images with these digests, each once.
fn images(candidates: &[Known], digests: &BTreeSet<String>) -> Vec<String> {
    let is_one = |known: &&Known| known.digest.as_ref().is_some_and(|digest| digests.contains(digest));
    let images: BTreeSet<String> = candidates
        .iter()
        .filter(is_one)
        .map(|known| known.image.clone())
        .collect();
    images.into_iter().collect()
}

/// This lock and this configuration.
fn is_against(rehearsed: &Rehearsed, deploy: &Deploy<'_>) -> Result<(), Refused> {
    match (rehearsed.lock.as_deref(), deploy.lock) {
        (Some(then), Some(now)) if then == now => {}
        (None, None) => {}
        (Some(_), Some(_)) => return Err(Refused::OtherLock),
        (Some(_), None) => {
            return Err(Refused::Lock(
                "it was rehearsed against a lock, and none is named: give it with `--lock`",
            ));
        }
        (None, Some(_)) => {
            return Err(Refused::Lock(
                "it was rehearsed without a lock: name it in `production.lock` of the configuration, and rehearse again",
            ));
        }
    }
    match rehearsed.configuration == deploy.configuration {
        true => Ok(()),
        false => Err(Refused::OtherConfiguration),
    }
}

fn is_pass(rehearsed: &Rehearsed) -> Result<(), No> {
    match known(&rehearsed.verdict)? {
        Verdict::Pass => Ok(()),
        verdict => Err(Refused::Verdict {
            verdict,
            cause: rehearsed.cause.clone(),
        }
        .into()),
    }
}

/// Narrowed runs are never enough; what somebody has signed for is, where that is allowed.
fn is_whole(partial: &[LeftOut], allows: Allows) -> Result<(), Refused> {
    let words = |parts: Vec<&LeftOut>| parts.into_iter().map(LeftOut::words).collect::<Vec<_>>().join(", ");
    let narrows = |left_out: &&LeftOut| left_out.part.known().is_none_or(Part::narrows);
    let narrowed: Vec<&LeftOut> = partial.iter().filter(narrows).collect();
    if !narrowed.is_empty() {
        return Err(Refused::Narrowed(words(narrowed)));
    }
    match allows {
        Allows::Nothing if !partial.is_empty() => Err(Refused::Partial(words(partial.iter().collect()))),
        _ => Ok(()),
    }
}

/// How long ago it began.
fn is_recent(started: OffsetDateTime, finished: OffsetDateTime, deploy: &Deploy<'_>) -> Result<Duration, Refused> {
    if finished - deploy.now > CLOCKS_DIFFER {
        return Err(Refused::Future(finished));
    }
    let age = (deploy.now - started).max(Duration::ZERO);
    match age <= deploy.max_age {
        true => Ok(age),
        false => Err(Refused::TooOld {
            age: words(age),
            most: words(deploy.max_age),
        }),
    }
}

/// A time in words, to the second: `25 h`, `25 h 10 min 02 s`, `12 min 00 s`, `40 s`.
pub fn words(time: Duration) -> String {
    let seconds = time.whole_seconds();
    let (hours, minutes, rest) = (seconds / 3_600, seconds % 3_600 / 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes} min {rest:02} s"),
        (_, 0) if rest == 0 => format!("{hours} h"),
        _ => format!("{hours} h {minutes:02} min {rest:02} s"),
    }
}

#[cfg(test)]
mod tests;
