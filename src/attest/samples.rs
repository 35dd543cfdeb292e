//! Records and bundles for the tests of this room.

use crate::attest::key::SigningKey;
use crate::attest::{bundle, envelope};
use crate::record::inputs::{Input, Inputs};
use crate::record::v1::Record;
use crate::record::verdict::Verdict;

/// The candidate's image in its registry.
pub const PUSHED: &str =
    "registry.example.com/acme/shop@sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// A run that was blocked, of a candidate that was pushed.
pub fn block() -> Record {
    let text = include_str!("../../tests/samples/block.json");
    let mut record: Record = serde_json::from_str(text).unwrap();
    record.started = "2026-11-30T10:00:00Z".to_owned();
    record.candidate[0].pushed = Some(PUSHED.to_owned());
    record.inputs = Inputs {
        configuration: Some(Input::of(b"configuration")),
        lock: Some(Input::of(b"lock")),
        plan: Some(Input::of(b"plan")),
    };
    record
}

/// The same gone well.
pub fn pass() -> Record {
    let mut record = block();
    record.verdict = Verdict::Pass.into();
    record.cause = "web shop:2 may take the place of shop:1".to_owned();
    for released in [&mut record.partial, &mut record.notes] {
        released.clear();
    }
    record.findings.clear();
    record.checks.clear();
    record.tests.clear();
    record.stages.clear();
    record
}

/// A payload signed by a key, as a file.
pub fn signed(payload: &[u8], key: &SigningKey) -> Vec<u8> {
    let envelope = envelope::sign(payload, key).unwrap();
    let hint = key.public().unwrap().hint();
    bundle::Bundle::around(envelope, hint).to_json().unwrap()
}
