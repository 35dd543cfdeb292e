//! `stages` and `policy`: budgets, and what blocks.

use crate::config::settings::Unexercised;
use crate::config::settings::{Border, SameRelease};
use std::net::IpAddr;
use std::time::Duration;

use super::super::grammar;
use super::super::quantity;
use super::super::settings::{Control, OpenHost, Policy, Rollback, Stages, Strategy, Suite, Upgrade, Waiver};
use super::alerts;
use super::faults;
use super::fields::Fields;
use super::load;
use crate::record::finding::Severity;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::Node;

const CONTROL_WITHIN: Duration = Duration::from_secs(180);
const UPGRADE_WITHIN: Duration = Duration::from_secs(120);
const MAX_DOWNTIME: Duration = Duration::from_secs(30);
const ROLLBACK_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn stages(file: &Fields, suites: &[Suite]) -> Stages {
    let stages = file.fields("stages", &grammar::STAGES);
    let section = |key, mapping| stages.as_ref().and_then(|stages| stages.fields(key, mapping));
    Stages {
        control: control(section("control", &grammar::CONTROL)),
        upgrade: upgrade(section("upgrade", &grammar::UPGRADE)),
        rollback: rollback(section("rollback", &grammar::ROLLBACK)),
        load: section("load", &grammar::LOAD).map(|fields| load::load(&fields, suites)),
        alerts: section("alerts", &grammar::ALERTS).map(|fields| alerts::alerts(&fields, stages.as_ref(), file)),
        faults: section("faults", &grammar::FAULTS).map(|fields| faults::faults(&fields)),
    }
}

fn control(fields: Option<Fields>) -> Control {
    Control {
        within: fields
            .and_then(|fields| fields.duration("within"))
            .unwrap_or(CONTROL_WITHIN),
    }
}

fn upgrade(fields: Option<Fields>) -> Upgrade {
    let mut upgrade = Upgrade {
        strategy: Strategy::Recreate,
        within: UPGRADE_WITHIN,
        max_downtime: MAX_DOWNTIME,
        probe: None,
    };
    if let Some(fields) = fields {
        upgrade.strategy = strategy(&fields);
        upgrade.within = fields.duration("within").unwrap_or(UPGRADE_WITHIN);
        upgrade.max_downtime = fields.duration("max_downtime").unwrap_or(MAX_DOWNTIME);
        upgrade.probe = fields.address("probe");
    }
    upgrade
}

/// The grammar lets through only what is built.
fn strategy(fields: &Fields) -> Strategy {
    let _ = fields.get("strategy");
    Strategy::Recreate
}

fn rollback(fields: Option<Fields>) -> Rollback {
    let Some(fields) = fields else {
        return Rollback::Within(ROLLBACK_WITHIN);
    };
    let within = fields.duration("within").unwrap_or(ROLLBACK_WITHIN);
    match fields.filled("forward_only") {
        Some(reason) => Rollback::ForwardOnly(reason),
        None => Rollback::Within(within),
    }
}

pub(super) fn policy(fields: Option<Fields>) -> Policy {
    let Some(fields) = fields else {
        return Policy {
            block_on: vec![Severity::Error],
            waive: vec![],
            allow_egress: vec![],
            allow_egress_spans: vec![],
            border: Border::default(),
            same_release: SameRelease::default(),
            unexercised: vec![],
            max_replicas: Policy::MAX_REPLICAS,
        };
    };
    let waivers = fields.items("waive").iter();
    Policy {
        block_on: block_on(&fields),
        waive: waivers
            .filter_map(|node| waiver(&fields.reader.fields(node, &grammar::WAIVER)))
            .collect(),
        allow_egress: fields
            .items("allow_egress")
            .iter()
            .map(|node| open_host(&fields, node))
            .collect(),
        allow_egress_spans: fields
            .items("allow_egress")
            .iter()
            .map(|node| node.span.clone())
            .collect(),
        border: match fields.text("border").as_deref() {
            Some("closed") => Border::Closed,
            _ => Border::Heard,
        },
        same_release: match fields.text("same_release").as_deref() {
            Some("pass") => SameRelease::Pass,
            _ => SameRelease::Inconclusive,
        },
        unexercised: fields
            .items("unexercised")
            .iter()
            .map(|node| unexercised(&fields.reader.fields(node, &grammar::UNEXERCISED)))
            .collect(),
        max_replicas: max_replicas(&fields),
    }
}

fn max_replicas(fields: &Fields) -> u32 {
    let given = fields.get("max_replicas").and_then(Node::as_int);
    given
        .and_then(|number| number.try_into().ok())
        .unwrap_or(Policy::MAX_REPLICAS)
}

/// A gate that lets errors pass is none.
fn block_on(fields: &Fields) -> Vec<Severity> {
    let Some(node) = fields.get("block_on") else {
        return vec![Severity::Error];
    };
    let severities: Vec<_> = fields.texts("block_on").iter().map(|word| severity(word)).collect();
    if !severities.contains(&Severity::Error) {
        let error = Diagnostic::at(&node.span, "`block_on` leaves out `error`: nothing would block");
        fields
            .reader
            .refuse(error.help("add `error`; what may pass is signed for in `policy.waive`"));
    }
    severities
}

/// Ports of a host that is written without one.
const USUAL_PORTS: [u16; 2] = [443, 80];

fn open_host(fields: &Fields, node: &Node) -> OpenHost {
    let text = fields.reader.filled(node);
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text.as_str(), None),
    };
    let host = name.trim_end_matches('.').to_ascii_lowercase();
    let number = port.map(|port| port.parse().ok().filter(|number| *number > 0));
    let problem = if text.trim().is_empty() {
        None
    } else {
        wrong_host(&text, &host).or(match number {
            Some(None) => Some((
                "has no port of 1 to 65535 behind its colon",
                "write `host` or `host:port`",
            )),
            _ => None,
        })
    };
    if let Some((message, help)) = problem {
        fields.reader.refuse_value(node, message, help);
    }
    OpenHost {
        host,
        ports: number.flatten().map_or_else(|| USUAL_PORTS.to_vec(), |port| vec![port]),
    }
}

/// What keeps a text from being a host's name, and the way out.
fn wrong_host(text: &str, host: &str) -> Option<(&'static str, &'static str)> {
    let bare = text.trim_matches(['[', ']']);
    let is_address = [bare, host].iter().any(|text| text.parse::<IpAddr>().is_ok()) || text.starts_with('[');
    let is_label = |label: &str| {
        let plain = label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.contains('/') {
        Some((
            "is a URL or a path",
            "write the host alone, as in `api.example.com` or `api.example.com:8443`",
        ))
    } else if text.contains('*') {
        Some(("is a pattern", "hosts are opened one by one: write each by its name"))
    } else if is_address {
        let help = "write the name by which the release asks for it: what is sent to a raw address stays closed";
        Some(("is an address", help))
    } else if host == "localhost" || host.ends_with(".localhost") {
        let help = "take it out; a service of the mirror is reached by its own name without this";
        Some(("leads each container to itself", help))
    } else if host.len() > 253 || !host.split('.').all(is_label) {
        Some((
            "is no host's name",
            "write it as in a URL: letters, digits, `-` and `.`",
        ))
    } else {
        None
    }
}

fn severity(word: &str) -> Severity {
    match word {
        "info" => Severity::Info,
        "warn" => Severity::Warn,
        _ => Severity::Error,
    }
}

/// Nothing where the check's id has been refused already.
fn waiver(fields: &Fields) -> Option<Waiver> {
    Some(Waiver {
        check: fields.text("check")?.parse().ok()?,
        reason: fields.filled("reason").unwrap_or_default(),
        owner: fields.filled("owner"),
        expires: date(fields),
        test: fields.filled("test"),
        service: fields.filled("service"),
    })
}

fn unexercised(fields: &Fields) -> Unexercised {
    Unexercised {
        service: fields.filled("service").unwrap_or_default(),
        reason: fields.filled("reason").unwrap_or_default(),
        expires: date(fields),
    }
}

fn date(fields: &Fields) -> Option<time::Date> {
    fields.text("expires").and_then(|day| quantity::date(&day).ok())
}
