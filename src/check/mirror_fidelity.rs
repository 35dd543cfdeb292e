//! `mirror-fidelity`: the mirror is production where it must be, or nothing can be said of the candidate.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;

use super::ground::Ground;
use super::suites::and_more;
use super::{About, At, Case, Check, Evidence, Given, Moment};
use crate::lock::compare::{self, Mirrored, Roles};
use crate::lock::{Facts, Lock, OwnProbe, probe};
use crate::mirror::names::follow;
use crate::record::check::CheckId;
use crate::record::fidelity::{Fidelity, FidelityState};
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Part};
use crate::record::stage::StageId;
use crate::world::model::Service;
use crate::world::replica::Replicas;

static ABOUT: About = About {
    id: CheckId::MirrorFidelity,
    question: "does the mirror run what the lock says production runs?",
    explain: "The probes whose answers are the lock's facts are run in the mirror's containers, and both are compared \
              fact by fact: same, differs, stand-in (this machine's kernel and processor; another build of the same \
              version) or unknown. `differs` or `unknown` on the authentication dependency or on the baseline makes \
              the verdict inconclusive: the mirror is not production there. The rest is listed. A product that no \
              probe knows is the same where its image digest is; of the baseline, only its digest or a probe of your \
              own counts. Where the mirror answers under production's own name, it speaks TLS as the lock says \
              production does (versions, key, signature); what it cannot follow there is a stand-in, and so are \
              fewer replicas (policy.max_replicas). A lock that is missing, unreadable, or older than production.max_lock_age is inconclusive \
              too, and no waiver covers that. What to do: let the mirror run production's version (pin the image by \
              the lock's digest), or take the lock again where production has moved; see `rehearsal explain lock`. \
              policy.waive with this id signs for the difference.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Up)],
    step: "ask the mirror what the lock says of production",
};

/// The mirror is production.
pub struct MirrorFidelity;

/// The fidelity table.
#[derive(Debug, Serialize)]
pub struct Table {
    rows: Vec<Fidelity>,
}

/// For all probes of one container.
const LIMIT: Duration = Duration::from_secs(60);

impl Check for MirrorFidelity {
    type Seen = Table;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let lock = &given.settings.production.lock;
        lock.is_none()
            .then(|| "no lock: production's facts are unrecorded".to_owned())
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Table, Lost> {
        let lock = at.case.lock.lock();
        let lock = lock.ok_or_else(|| Lost::new(Part::Step, "there is no lock to compare with"))?;
        let mirrored = ask_all(at, &lock.probes).await;
        let baseline = at.case.candidates();
        let mut rows = compare::fidelity(lock, &mirrored, roles(&at.case, &baseline));
        rows.extend(compare_tls(at, lock));
        rows.extend(at.case.world.services.values().filter_map(replicas));
        Ok(Table { rows })
    }

    /// Nobody can sign for a lock that says nothing; one can for a difference that it shows.
    fn may_be_waived(&self, finding: &Finding) -> bool {
        finding.service.is_some()
    }

    fn doubts(&self, case: &Case<'_>, seen: &Table) -> Vec<Finding> {
        let baseline = case.candidates();
        let roles = roles(case, &baseline);
        let decide = case.world.services.keys().filter(|name| roles.decide(name));
        let of = |name: &String| {
            let rows: Vec<&Fidelity> = seen.rows.iter().filter(|row| row.service == *name).collect();
            not_as_in_production(name, &rows)
        };
        decide.filter_map(of).collect()
    }

    /// What differs without deciding is said once, in one line.
    fn notes(&self, case: &Case<'_>, seen: &Table) -> Vec<String> {
        let baseline = case.candidates();
        let roles = roles(case, &baseline);
        let listed = |row: &&Fidelity| row.state == FidelityState::Differs && !roles.decide(&row.service);
        let listed = seen.rows.iter().filter(listed);
        let listed: Vec<String> = listed.map(|row| format!("{} {}", row.service, row.fact)).collect();
        if listed.is_empty() {
            return Vec::new();
        }
        vec![format!("the mirror differs from production in {}", listed.join(", "))]
    }

    fn rows(&self, seen: &Table) -> Vec<Fidelity> {
        seen.rows.clone()
    }
}

fn roles<'a>(case: &Case<'a>, baseline: &'a [String]) -> Roles<'a> {
    Roles {
        auth: case.settings.auth_services(),
        baseline,
    }
}

async fn ask_all(at: &At<'_>, own: &BTreeMap<String, OwnProbe>) -> BTreeMap<String, Mirrored> {
    let script = probe::script(own);
    let services = at.case.world.services.values();
    let asked = services.map(|service| async {
        let facts = ask(at.ground, &service.name, &script, own).await;
        let mirrored = Mirrored {
            image: service.image.clone(),
            digests: at.ground.digests(&service.image),
            facts,
        };
        (service.name.clone(), mirrored)
    });
    join_all(asked).await.into_iter().collect()
}

/// What one container says; `None` where it cannot be asked: it has ended, or has no shell.
pub(super) async fn ask(
    ground: &dyn Ground,
    service: &str,
    script: &str,
    own: &BTreeMap<String, OwnProbe>,
) -> Option<Facts> {
    let command = ["sh", "-c", script].map(str::to_owned);
    let output = tokio::time::timeout(LIMIT, ground.exec(service, &command))
        .await
        .ok()??;
    (output.exit == 0).then(|| probe::answers(&output.stdout, own))
}

/// TLS under production's name, where the mirror itself answers to it.
fn compare_tls(at: &At<'_>, lock: &Lock) -> Vec<Fidelity> {
    let production = lock.auth.as_ref().and_then(|auth| auth.tls.as_ref());
    match (production, at.ground.tls()) {
        (Some(production), Some((service, profile))) => follow::rows(&service, production, &profile),
        _ => Vec::new(),
    }
}

/// Of how many containers a service is, where production has several. Fewer are a stand-in that somebody chose.
fn replicas(service: &Service) -> Option<Fidelity> {
    let Replicas { wanted, run, .. } = service.replicas;
    let state = match run == wanted {
        true => FidelityState::Same,
        false => FidelityState::StandIn,
    };
    let row = || {
        compare::row(
            &service.name,
            "replicas",
            Some(wanted.to_string()),
            Some(run.to_string()),
            state,
        )
    };
    (wanted > 1).then(row)
}

fn finding(title: impl Into<String>, evidence: Vec<String>, help: &str) -> Finding {
    let found = Finding::new(ABOUT.id, StageId::Control, Blame::Mirror, title);
    found.seen(evidence).help(help)
}

/// The lock is of no use.
pub fn unusable(why: &str, evidence: &[String]) -> Finding {
    let help = "without production's facts nothing can be said: see `rehearsal explain lock`";
    finding(why, evidence.to_vec(), help)
}

/// A service that must be as in production, and is not, or nobody knows.
fn not_as_in_production(service: &str, rows: &[&Fidelity]) -> Option<Finding> {
    let bad: Vec<&&Fidelity> = rows
        .iter()
        .filter(|row| matches!(row.state, FidelityState::Differs | FidelityState::Unknown))
        .collect();
    let first = bad.iter().min_by_key(|row| weight(row))?;
    let title = format!("{}{}", words(first), and_more(bad.len()));
    let help = "let the mirror run what production runs (pin the image by the lock's digest), or take the lock again where production has moved";
    let rows = bad.iter().map(|row| words(row)).collect();
    Some(finding(title, rows, help).about(service.to_owned()))
}

/// What says most comes first: the product, then the image, then what is below it.
fn weight(row: &Fidelity) -> u8 {
    use crate::lock::probe::{Kind, kind};
    match (row.fact.as_str(), kind(&row.fact)) {
        ("image" | "service", _) => 1,
        (_, Kind::Product) => 0,
        (_, Kind::Runtime) => 2,
        (_, Kind::System | Kind::Machine) => 3,
        (_, Kind::Packages) => 4,
    }
}

fn words(row: &Fidelity) -> String {
    let service = &row.service;
    match (row.fact.as_str(), &row.production, &row.mirror) {
        ("service", None, _) => format!("the lock says nothing of `{service}`"),
        ("image", Some(production), Some(mirror)) if row.state == FidelityState::Differs => {
            format!("`{service}` is image {mirror} in the mirror, production runs {production}")
        }
        ("image", _, _) => {
            format!("the lock has neither a digest of `{service}` nor the answer of a probe that knows it")
        }
        (fact, Some(production), Some(mirror)) => {
            format!("`{service}` has {fact} {mirror} in the mirror, production has {production}")
        }
        (fact, Some(production), None) if row.state == FidelityState::Unknown => {
            format!("`{service}` could not be asked for {fact} in the mirror, production has {production}")
        }
        (fact, Some(production), None) => {
            format!("`{service}` has no {fact} in the mirror, production has {production}")
        }
        (fact, None, _) => format!("the lock does not say which {fact} `{service}` has"),
    }
}
