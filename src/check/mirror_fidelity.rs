//! `mirror-fidelity`: the mirror is production where it must be, or nothing can be said of the candidate.

use super::About;
use super::control::and_more;
use crate::config::settings::Settings;
use crate::record::finding::{Blame, Finding};
use crate::record::result::Fidelity;
use crate::record::stage::StageId;

/// What this check is.
pub const ABOUT: About = About {
    id: "mirror-fidelity",
    question: "does the mirror run what the lock says production runs?",
    explain: "The probes whose answers are the lock's facts are run in the mirror's containers, and both are compared \
              fact by fact: same, differs, stand-in (this machine's kernel and processor; another build of the same \
              version) or unknown. `differs` or `unknown` on the authentication dependency or on the baseline makes \
              the verdict inconclusive: the mirror is not production there. The rest is listed. A product that no \
              probe knows is the same where its image digest is; of the baseline, only its digest or a probe of your \
              own counts. Where the mirror answers under production's own name, it speaks TLS as the lock says \
              production does (versions, key, signature); what it cannot follow there is a stand-in. A lock that is missing, unreadable, or older than production.max_lock_age is inconclusive \
              too, and no waiver covers that. What to do: let the mirror run production's version (pin the image by \
              the lock's digest), or take the lock again where production has moved; see `rehearsal explain lock`. \
              policy.waive with this id signs for the difference.",
};

/// Why it is left out, if it is.
pub fn left_out(settings: &Settings) -> Option<String> {
    settings
        .production
        .lock
        .is_none()
        .then(|| "no lock: production's facts are unrecorded".to_owned())
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

/// Nobody can sign for a lock that says nothing; one can for a difference that it shows.
pub fn can_be_waived(finding: &Finding) -> bool {
    finding.check != ABOUT.id || finding.service.is_some()
}

/// A service that must be as in production, and is not, or nobody knows.
pub fn not_as_in_production(service: &str, rows: &[&Fidelity]) -> Option<Finding> {
    let bad: Vec<&&Fidelity> = rows
        .iter()
        .filter(|row| row.state == "differs" || row.state == "unknown")
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
        ("image", Some(production), Some(mirror)) if row.state == "differs" => {
            format!("`{service}` is image {mirror} in the mirror, production runs {production}")
        }
        ("image", _, _) => {
            format!("the lock has neither a digest of `{service}` nor the answer of a probe that knows it")
        }
        (fact, Some(production), Some(mirror)) => {
            format!("`{service}` has {fact} {mirror} in the mirror, production has {production}")
        }
        (fact, Some(production), None) if row.state == "unknown" => {
            format!("`{service}` could not be asked for {fact} in the mirror, production has {production}")
        }
        (fact, Some(production), None) => {
            format!("`{service}` has no {fact} in the mirror, production has {production}")
        }
        (fact, None, _) => format!("the lock does not say which {fact} `{service}` has"),
    }
}
