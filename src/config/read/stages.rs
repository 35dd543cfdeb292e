//! `stages` and `policy`: budgets, and what blocks.

use std::time::Duration;

use super::super::diagnostic::Diagnostic;
use super::super::grammar;
use super::super::quantity;
use super::super::settings::{Policy, Rollback, Stages, Strategy, Upgrade, Waiver};
use super::fields::Fields;
use crate::finding::Severity;

const UPGRADE_WITHIN: Duration = Duration::from_secs(120);
const MAX_DOWNTIME: Duration = Duration::from_secs(30);
const ROLLBACK_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn stages(stages: Option<Fields>) -> Stages {
    let section = |key, mapping| stages.as_ref().and_then(|stages| stages.fields(key, mapping));
    Stages {
        upgrade: upgrade(section("upgrade", &grammar::UPGRADE)),
        rollback: rollback(section("rollback", &grammar::ROLLBACK)),
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
        upgrade.probe = fields.url("probe");
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
        };
    };
    let waivers = fields.items("waive").iter();
    Policy {
        block_on: block_on(&fields),
        waive: waivers
            .map(|node| waiver(&fields.reader.fields(node, &grammar::WAIVER)))
            .collect(),
        allow_egress: fields.names("allow_egress"),
    }
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

fn severity(word: &str) -> Severity {
    match word {
        "info" => Severity::Info,
        "warn" => Severity::Warn,
        _ => Severity::Error,
    }
}

fn waiver(fields: &Fields) -> Waiver {
    Waiver {
        check: fields.text("check").unwrap_or_default(),
        reason: fields.filled("reason").unwrap_or_default(),
        owner: fields.filled("owner"),
        expires: fields.text("expires").and_then(|day| quantity::date(&day).ok()),
    }
}
