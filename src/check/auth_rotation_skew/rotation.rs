//! Rotation, where a key of ours stands among the issuer's: another one appears beside it, then a third in the place of both.
//! Each is asked with before it is shown, so that whoever asks for keys only now and then has just done so, on both releases
//! alike.

use std::sync::Arc;
use std::time::Duration;

use strum::VariantArray as _;
use tokio::time::Instant;

use super::heard::of_now;
use super::seen::{Change, Kept, Turned};
use crate::check::auth_refusals::Answered;
use crate::check::fault_trial::{MORE_THAN_PRODUCTION, restarted};
use crate::check::{At, Case};
use crate::config::settings::AuthChange;
use crate::mirror::names::issuer::Signer;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::outcome::{Lost, Part};
use crate::suite::guarded::Guarded;
use crate::text::units::{millis, of_millis};

/// Production's release has so long to take a new key: libraries ask for keys again every 30 s at most. How much of that is
/// over when the key appears is chance, so the candidate has as long, whatever production took.
pub(in crate::check) const TAKEN_WITHIN: Duration = Duration::from_secs(35);
/// Between two questions.
pub(in crate::check) const PAUSE: Duration = Duration::from_millis(250);

impl Change {
    fn words(self) -> &'static str {
        match self {
            Self::Beside => "a new key beside the old one",
            Self::Dropped => "a new key in the old one's place",
        }
    }
}

/// Keys change, and are those of before when this returns.
///
/// # Errors
/// Nobody can tell: the agent is gone, or production's release takes no token any more, even restarted.
pub(super) async fn turned(
    at: &At<'_>,
    (heard, before): (&[Guarded], Option<&Kept>),
    kept: &mut Kept,
) -> Result<(), Lost> {
    let Some(first) = at.ground.signer().filter(|_| !heard.is_empty()) else {
        return Ok(());
    };
    let changed = changes(at, (heard, before), &first, kept).await;
    // Whatever was lost, the issuer shows what it did.
    at.ground.show_keys(&[Arc::clone(&first)]).await?;
    changed?;
    if is_back(at, heard, &first).await? {
        return Ok(());
    }
    let words = "after the rotation no token is taken any more, even restarted";
    match before {
        None => Err(Lost::new(Part::Step, words)),
        // What it was seen to do stands.
        Some(_) => {
            kept.untold.insert(words.to_owned());
            Ok(())
        }
    }
}

async fn changes(
    at: &At<'_>,
    (heard, before): (&[Guarded], Option<&Kept>),
    first: &Arc<Signer>,
    kept: &mut Kept,
) -> Result<(), Lost> {
    let mut asked: Vec<&Guarded> = heard.iter().collect();
    for change in Change::VARIANTS {
        asked.retain(|asked| limit(before, asked, *change).is_some());
        if asked.is_empty() {
            return Ok(());
        }
        let new = first.another();
        let new = Arc::new(new.map_err(|error| Lost::new(Part::Step, format!("{error:#}")))?);
        let turned = one_change(at, (&asked, before), *change, (first, &new)).await?;
        // Who takes one new key not, or any, says nothing of the next.
        asked.retain(|asked| turned.iter().any(|one| one.request == asked.name && one.is_borne()));
        for one in turned {
            keep(at, before, one, kept);
        }
    }
    Ok(())
}

/// How long a request may go without the new key; `None` = production's release did not take it.
fn limit(before: Option<&Kept>, asked: &Guarded, change: Change) -> Option<Duration> {
    let Some(before) = before else {
        return Some(TAKEN_WITHIN);
    };
    of(&before.rotation, &asked.name, change)?.taken_ms?;
    Some(TAKEN_WITHIN + MORE_THAN_PRODUCTION)
}

async fn one_change(
    at: &At<'_>,
    (asked, before): (&[&Guarded], Option<&Kept>),
    change: Change,
    (first, new): (&Arc<Signer>, &Arc<Signer>),
) -> Result<Vec<Turned>, Lost> {
    let mut turned = Vec::new();
    for one in asked {
        let unseen = of_now(at, one, new).await?;
        turned.push(Turned {
            request: one.name.clone(),
            change,
            unseen,
            taken_ms: None,
            last: unseen,
            broke: unseen.broken(),
            old: Answered::Deaf,
        });
    }
    let shown = match change {
        Change::Beside => vec![Arc::clone(first), Arc::clone(new)],
        Change::Dropped => vec![Arc::clone(new)],
    };
    at.ground.show_keys(&shown).await?;
    until_taken(at, (asked, before), (change, new), &mut turned).await?;
    for (one, turned) in asked.iter().zip(&mut turned) {
        turned.old = of_now(at, one, first).await?;
    }
    Ok(turned)
}

/// Asks each until it takes the new key, or has had its time.
async fn until_taken(
    at: &At<'_>,
    (asked, before): (&[&Guarded], Option<&Kept>),
    (change, new): (Change, &Signer),
    turned: &mut [Turned],
) -> Result<(), Lost> {
    let begun = Instant::now();
    loop {
        let mut is_over = true;
        for (one, turned) in asked.iter().zip(turned.iter_mut()) {
            if turned.taken_ms.is_some() {
                continue;
            }
            turned.last = of_now(at, one, new).await?;
            turned.broke = turned.broke.or(turned.last.broken());
            let took = begun.elapsed();
            match turned.last.is_given() {
                true => turned.taken_ms = Some(millis(took)),
                false => is_over &= limit(before, one, change).is_none_or(|limit| took >= limit),
            }
        }
        if is_over {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps what can be compared, and says why the rest cannot.
fn keep(at: &At<'_>, before: Option<&Kept>, one: Turned, kept: &mut Kept) {
    let (request, words) = (&one.request, one.change.words());
    let asked_once = [(one.unseen, "before"), (one.old, "after")];
    let silent = asked_once.iter().filter(|(answered, _)| answered.tells_nothing());
    let why = silent.map(|(_, when)| format!("{request} gave no answer that tells, {when} {words}"));
    kept.untold.extend(why);
    if one.taken_ms.is_none() && one.last.tells_nothing() {
        let why = format!("{request} gave no answer that tells, after {words}");
        kept.untold.insert(why);
    } else if before.is_none() && one.unseen.is_given() {
        let why = format!(
            "rotation is skipped: production takes a token by a key that the issuer does not show, at {request}"
        );
        kept.left.insert(why);
        return;
    } else if before.is_none() && one.taken_ms.is_none() {
        let (release, seconds) = (at.case.pair.baseline(), TAKEN_WITHIN.as_secs());
        let why = format!("rotation is skipped: {release} does not take {words} within {seconds} s at {request}");
        kept.left.insert(why);
        return;
    }
    kept.rotation.push(one);
}

/// The first key is taken again: what comes after this is asked with it.
async fn is_back(at: &At<'_>, heard: &[Guarded], first: &Arc<Signer>) -> Result<bool, Lost> {
    if is_taken(at, heard, first).await? {
        return Ok(true);
    }
    restarted(at).await?;
    is_taken(at, heard, first).await
}

async fn is_taken(at: &At<'_>, heard: &[Guarded], first: &Signer) -> Result<bool, Lost> {
    let begun = Instant::now();
    for asked in heard {
        while !of_now(at, asked, first).await?.is_given() {
            if begun.elapsed() >= TAKEN_WITHIN {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(true)
}

impl Turned {
    /// The new key is taken, and was not before it was shown.
    fn is_borne(&self) -> bool {
        self.taken_ms.is_some() && !self.unseen.is_given()
    }
}

fn of<'a>(all: &'a [Turned], request: &str, change: Change) -> Option<&'a Turned> {
    all.iter().find(|one| one.request == request && one.change == change)
}

/// What the candidate does otherwise than production's release.
pub(super) fn findings(case: &Case<'_>, before: &[Turned], after: &[Turned]) -> Vec<Finding> {
    let pairs = after
        .iter()
        .filter_map(|new| Some((of(before, &new.request, new.change)?, new)));
    pairs.flat_map(|(old, new)| of_pair(case, old, new)).collect()
}

fn of_pair(case: &Case<'_>, old: &Turned, new: &Turned) -> Vec<Finding> {
    let (request, words, baseline) = (&new.request, new.change.words(), case.pair.baseline());
    let mut all = Vec::new();
    if let (Some(took), None, Answered::Refused(now) | Answered::Broken(now)) = (old.taken_ms, new.taken_ms, new.last) {
        let took = of_millis(took);
        let title =
            format!("after {words}, {request} answers HTTP {now} to its tokens; {baseline} takes them after {took}");
        all.push(found(case, "late", title, (old, new)));
    } else if let (None, Some(now)) = (old.broke, new.broke) {
        let title = format!("after {words}, {request} ends in HTTP {now}; from {baseline} no such error comes");
        all.push(found(case, "breaks", title, (old, new)));
    }
    if let (Answered::Refused(_) | Answered::Broken(_), Answered::Given(now)) = (old.unseen, new.unseen) {
        let title =
            format!("{request} answers HTTP {now} to a token by a key that nobody shows, which {baseline} refuses");
        all.push(found(case, "unseen", title, (old, new)));
    }
    match (new.change, old.old, new.old) {
        (Change::Beside, Answered::Given(_), Answered::Refused(now) | Answered::Broken(now)) => {
            let title =
                format!("after {words}, {request} answers HTTP {now} to tokens by the old one, which {baseline} takes");
            all.push(found(case, "old", title, (old, new)));
        }
        (Change::Dropped, Answered::Given(_) | Answered::Refused(_), Answered::Broken(now))
            if new.old.broken().is_some() =>
        {
            let title = format!("after {words}, {request} ends in HTTP {now} for tokens by the old one");
            all.push(found(case, "breaks/old", title, (old, new)));
        }
        (Change::Dropped, Answered::Refused(_) | Answered::Broken(_), Answered::Given(_)) => {
            let title = format!("after {words}, {request} takes tokens by the old one, which {baseline} refuses");
            all.push(Finding {
                blame: Blame::Nobody,
                severity: Severity::Warn,
                ..found(case, "gone", title, (old, new))
            });
        }
        _ => {}
    }
    all
}

fn found(case: &Case<'_>, way: &str, title: String, (old, new): (&Turned, &Turned)) -> Finding {
    let seen = [(case.pair.baseline(), old), (case.pair.candidate(), new)];
    let line = |(who, one): (String, &Turned)| {
        let taken = match one.taken_ms {
            Some(took) => format!("is taken after {}", of_millis(took)),
            None => format!("is not taken, at last it {}", one.last.words()),
        };
        let (request, words, old) = (&one.request, one.change.words(), one.old.words());
        format!("{who}, {request}, {words}: its token {taken}; to the old one's it {old}")
    };
    Finding::new(CheckId::AuthRotationSkew, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .detail(format!("{}/{way}/{} {}", AuthChange::Rotation, new.change, new.request))
        .seen(seen.map(line).to_vec())
        .help("ask for the issuer's keys again when a token names one that is not known, and keep all that are shown")
}
