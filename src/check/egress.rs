//! `egress`: what the candidate tries to reach outside the mirror that production's release does not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::Serialize;

use super::{About, At, Case, Check, Evidence, Moment, Unanswered};
use crate::mirror::border::attempts::Attempts;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;

static ABOUT: About = About {
    id: CheckId::Egress,
    question: "does the candidate try to reach hosts outside the mirror that production's release does not?",
    explain: "The mirror's networks have no way out, so that no release reaches production from here. Names that no \
              service of the mirror bears are answered by the agent: there is no such host. What is sent to an IPv4 \
              address outside arrives at the agent, too, whose kernel refuses it at once. It remembers which container \
              it was. A name or an address with its port that only the candidate sought is a warning, `candidate tried \
              to reach HOST`, with the service: a new dependency, telemetry, or a service that production does not \
              have. What production's release seeks too is a note. The check blocks nothing by itself; \
              `policy.block_on: [error, warn]` makes it block.\n\n\
              A host that the candidate shall reach is opened by its name, for production's release too: \
              `policy.allow_egress: [api.example.com]`, on ports 443 and 80, or on another as in \
              `db.example.com:5432`. A small container of ours, the door, then bears the name inside the mirror and \
              passes connections on to the host, and to no other. Where several hosts are open on one port, it tells \
              them apart by the name in the TLS hello or by the `Host` of the first request; a client that says neither \
              is hung up on. An open host is never a finding; every plan and report lists what is open. Its raw \
              address stays closed, and wildcards do not exist.\n\n\
              What this check cannot see: an IPv6 address. In a network without IPv6 it fails at once in the \
              candidate's own container, as in production; only the candidate's log and failures tell of it. In a \
              network with IPv6, and on Podman, raw addresses of both kinds are refused and not heard; the report says \
              so. Questions about the name of an address (PTR) reach nobody and are not counted. Containers that share \
              a service's network are that service. What one network of the mirror sends to another that it is not in \
              is lost, as in production, and no way out. A program that has the right to forge Ethernet frames (`NET_RAW`, \
              which containers have as root) can send single datagrams past the agent by the engine's bridge; no answer \
              comes back, and the check does not hear them. `policy: {border: closed}` makes the mirror's networks internal \
              ones: the engine then drops what is forged for another machine, and raw addresses are not heard and fail as where \
              nobody is, on some engines after three seconds. The engine's own machine still takes such a datagram. An engine that does not hand questions from closed networks \
              on to the agent (a test name is asked at the start) leaves the check skipped, with the reason. An IPv6 \
              network of an old engine lets containers reach this machine by its IPv6 gateway; nothing else.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Upgrade, Moment::Over)],
    step: "",
};

/// New hosts outside.
pub struct Egress;

/// What a release sought outside the mirror.
#[derive(Debug, Serialize)]
pub struct Sought {
    /// Service → names and addresses, in the order of asking.
    hosts: BTreeMap<String, Vec<String>>,
    /// Why nothing can be said on this engine.
    unheard: Option<String>,
    #[serde(skip)]
    remarks: Vec<String>,
}

impl Check for Egress {
    type Seen = Sought;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Sought, Lost> {
        let attempts = at.ground.attempts().await?;
        let remarks = match (at.role, &attempts.unheard) {
            (Role::Baseline, _) => Vec::new(),
            (Role::Candidate, None) => remarks(&attempts),
            (Role::Candidate, Some(why)) => unheard(why, &attempts),
        };
        Ok(Sought {
            unheard: attempts.unheard,
            remarks,
            hosts: match at.role {
                Role::Baseline => attempts.production,
                Role::Candidate => attempts.candidate,
            },
        })
    }

    fn judge(&self, _case: &Case<'_>, before: &Sought, after: &Sought) -> Vec<Finding> {
        findings(&before.hosts, &after.hosts)
    }

    /// Where a warning blocks, what cannot be heard cannot pass.
    fn unanswered(&self, case: &Case<'_>, after: &Sought) -> Option<Unanswered> {
        let reason = format!("could not look: {}", not_handed_on(after.unheard.as_ref()?));
        let counts = case.settings.policy.block_on.contains(&Severity::Warn);
        Some(if counts {
            Unanswered::NotRun(reason)
        } else {
            Unanswered::Skipped(reason)
        })
    }

    fn notes(&self, _case: &Case<'_>, seen: &Sought) -> Vec<String> {
        seen.remarks.clone()
    }
}

fn not_handed_on(why: &str) -> String {
    format!("this engine does not hand questions for names outside on to the agent: {why}")
}

fn unheard(why: &str, attempts: &Attempts) -> Vec<String> {
    let first = format!("`{}` could not look: {}", ABOUT.id, not_handed_on(why));
    std::iter::once(first)
        .chain(attempts.raw_unheard.iter().cloned())
        .collect()
}

/// Findings of one service; more are told in one line.
const MOST: usize = 10;

/// One finding for each host that only the candidate asked for.
fn findings(production: &BTreeMap<String, Vec<String>>, candidate: &BTreeMap<String, Vec<String>>) -> Vec<Finding> {
    let known: BTreeSet<&String> = production.values().flatten().collect();
    let of = |(service, hosts): (&String, &Vec<String>)| {
        let new: Vec<&String> = hosts.iter().filter(|host| !known.contains(host)).collect();
        let mut found: Vec<Finding> = new.iter().take(MOST).map(|host| tried(service, host)).collect();
        if new.len() > MOST {
            found.push(and_more(service, &new[MOST..]));
        }
        found
    };
    candidate.iter().flat_map(of).collect()
}

fn tried(service: &str, host: &str) -> Finding {
    let address = host.split([':', '/']).next().unwrap_or(host);
    let how = if address.parse::<Ipv4Addr>().is_ok() {
        format!("`{service}` sent packets to `{host}`, an address outside the mirror; production's release does not")
    } else {
        format!(
            "`{service}` asked for the name `{host}`, which no service of the mirror bears; production's release does not \
             ask for it"
        )
    };
    finding(service, format!("candidate tried to reach {host}"))
        .detail(host)
        .because(how)
        .help(format!(
            "if it is wanted, see that production's network lets it pass to `{host}`, and open it by its name in \
             `policy.allow_egress` if the rehearsal needs it; a name that should be a service of production is missing in \
             its compose file"
        ))
}

fn and_more(service: &str, hosts: &[&String]) -> Finding {
    let shown = hosts.iter().take(100).map(|host| (*host).clone());
    finding(service, format!("candidate tried to reach {} more hosts", hosts.len()))
        .seen(shown.collect())
        .help("find out what it looks for")
}

fn finding(service: &str, title: String) -> Finding {
    Finding::new(ABOUT.id, StageId::Upgrade, Blame::Nobody, title).about(service.to_owned())
}

/// What is worth knowing and new to nobody, one sentence each.
fn remarks(attempts: &Attempts) -> Vec<String> {
    let mut notes: Vec<String> = attempts.production.iter().map(of_production).collect();
    notes.extend(attempts.raw_unheard.iter().cloned());
    if !attempts.unknown.is_empty() {
        notes.push(format!(
            "asked for outside the mirror, by containers that the engine does not name: {}",
            listed(&attempts.unknown)
        ));
    }
    if attempts.more > 0 {
        notes.push(format!(
            "{} further questions for names outside the mirror were too many to remember",
            attempts.more
        ));
    }
    notes
}

fn of_production((service, hosts): (&String, &Vec<String>)) -> String {
    format!(
        "production's `{service}` tries to reach hosts outside the mirror: {}",
        listed(hosts)
    )
}

fn listed(hosts: &[String]) -> String {
    let shown: Vec<String> = hosts.iter().take(MOST).map(|host| format!("`{host}`")).collect();
    let more = hosts.len().saturating_sub(MOST);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::finding::Severity;

    fn hosts(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("h{number}.example.com")).collect()
    }

    #[test]
    fn only_what_production_does_not_ask_for_is_found() {
        let attempts = Attempts {
            candidate: [("web".to_owned(), hosts(2))].into(),
            production: [("web".to_owned(), hosts(1))].into(),
            ..Attempts::default()
        };
        let found = findings(&attempts.production, &attempts.candidate);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].title, "candidate tried to reach h1.example.com");
        assert_eq!((found[0].severity, found[0].blame), (Severity::Warn, Blame::Nobody));
        assert_eq!(found[0].service.as_deref(), Some("web"));
        assert_eq!(
            remarks(&attempts),
            ["production's `web` tries to reach hosts outside the mirror: `h0.example.com`"]
        );
    }

    #[test]
    fn many_hosts_are_told_in_one_line() {
        let attempts = Attempts {
            candidate: [("web".to_owned(), hosts(100))].into(),
            production: [("db".to_owned(), vec!["other.example.com".to_owned(); 12])].into(),
            more: 900,
            ..Attempts::default()
        };
        let found = findings(&attempts.production, &attempts.candidate);
        assert_eq!(found.len(), MOST + 1);
        assert_eq!(found[MOST].title, "candidate tried to reach 90 more hosts");
        assert!(remarks(&attempts)[0].ends_with(" and 2 more"));
        assert!(remarks(&attempts)[1].starts_with("900 further questions"));
    }
}
