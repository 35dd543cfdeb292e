//! Writes a lock: the same facts always give the same bytes, one fact a line, so that a pull request shows what moved.

use serde_json::{Map, Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::facts::{
    AuthFacts, Capability, Certificate, KeyFacts, Known, Lock, OwnProbe, ServiceFacts, TlsFacts, Trust,
};
use super::read::{UNTRUSTED, VERSION};
use crate::yaml::write::yaml;

const HEAD: &str = "# Production's facts, written by `rehearsal lock` and reviewed like any lock file: see `rehearsal explain lock`.\n";

/// The lock as the text of its file.
pub fn text(lock: &Lock) -> String {
    format!("{HEAD}{}", yaml(&value(lock)))
}

/// A moment to the second, UTC.
pub fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

/// The lock as data, without what is not known.
pub fn value(lock: &Lock) -> Json {
    let captured = json!({"at": moment(lock.captured.at), "from": lock.captured.from, "by": lock.captured.by});
    let mut file = Map::new();
    file.insert("version".to_owned(), json!(VERSION));
    file.insert("captured".to_owned(), captured);
    if !lock.probes.is_empty() {
        file.insert(
            "probes".to_owned(),
            lock.probes
                .iter()
                .map(|(name, probe)| (name.clone(), own_probe(probe)))
                .collect(),
        );
    }
    file.insert(
        "services".to_owned(),
        lock.services
            .iter()
            .map(|(name, facts)| (name.clone(), service(facts)))
            .collect(),
    );
    if let Some(facts) = &lock.auth {
        file.insert("auth".to_owned(), auth(facts));
    }
    Json::Object(file)
}

fn given(entries: impl IntoIterator<Item = (&'static str, Option<Json>)>) -> Json {
    entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

fn own_probe(probe: &OwnProbe) -> Json {
    given([
        ("command", Some(json!(probe.command))),
        ("match", probe.matches.as_ref().map(|text| json!(text))),
    ])
}

fn service(facts: &ServiceFacts) -> Json {
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    given([
        ("image", text(&facts.image)),
        ("digest", text(&facts.digest)),
        ("facts", Some(json!(facts.facts))),
    ])
}

fn auth(auth: &AuthFacts) -> Json {
    let product = auth
        .product
        .as_ref()
        .map(|(name, version)| json!({"name": name, "version": version}));
    let keys = auth
        .keys
        .as_ref()
        .map(|keys| json!({"keys": keys.iter().map(key).collect::<Vec<_>>()}));
    let variants = |variants: &std::collections::BTreeMap<String, Capability>| -> Json {
        variants
            .iter()
            .map(|(name, capability)| (name.clone(), self::capability(capability)))
            .collect()
    };
    let capabilities: Json = auth
        .capabilities
        .iter()
        .map(|(name, all)| (name.clone(), variants(all)))
        .collect();
    given([
        ("issuer", auth.issuer.as_ref().map(|issuer| json!(issuer))),
        ("product", product),
        ("discovery", auth.discovery.clone()),
        ("jwks", keys),
        ("tls", auth.tls.as_ref().map(tls)),
        ("capabilities", (!auth.capabilities.is_empty()).then_some(capabilities)),
    ])
}

fn key(key: &KeyFacts) -> Json {
    given([
        ("kty", Some(json!(key.kty))),
        ("alg", Some(json!(key.alg))),
        ("kid", Some(json!(key.kid))),
        ("bits", key.bits.map(|bits| json!(bits))),
    ])
}

fn tls(tls: &TlsFacts) -> Json {
    let trust = match &tls.trust {
        Trust::Yes => Some(json!("trusted")),
        Trust::No(why) => Some(json!(format!("{UNTRUSTED}{why}"))),
        Trust::Unknown => None,
    };
    given([
        ("protocols", Some(json!(tls.protocols))),
        ("trust", trust),
        ("chain", Some(tls.chain.iter().map(certificate).collect())),
    ])
}

fn certificate(one: &Certificate) -> Json {
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    given([
        ("subject", Some(json!(one.subject))),
        ("issuer", text(&one.issuer)),
        ("signature", Some(json!(one.signature))),
        ("key", text(&one.key)),
        ("aki", Some(json!(one.aki))),
        ("ski", text(&one.ski)),
        ("names", (!one.names.is_empty()).then(|| json!(one.names))),
        ("not_after", text(&one.not_after)),
    ])
}

fn capability(capability: &Capability) -> Json {
    let known = |known: Known| match known {
        Known::Yes => json!(true),
        Known::No => json!(false),
        Known::Unknown => json!("unknown"),
    };
    json!({
        "advertised": known(capability.advertised),
        "honoured": known(capability.honoured),
        "required": known(capability.required),
    })
}
