//! Every way in which a bundle can be wrong, each by itself: a table, and every row is seen to be a pass without its change.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::attest::bundle;
use crate::attest::key::SigningKey;
use crate::attest::samples::{self, PUSHED, signed};
use crate::record::inputs::digest_of;
use crate::record::v1::Record;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

const HOUR_LATER: OffsetDateTime = datetime!(2026-11-30 11:00 UTC);

/// What is deployed, as the sample was rehearsed.
struct Asked {
    digests: BTreeSet<String>,
    lock: Option<String>,
    configuration: String,
    max_age: Duration,
    allows: Allows,
    now: OffsetDateTime,
    key: VerifyingKey,
}

impl Asked {
    fn as_rehearsed() -> Self {
        let (_, digest) = PUSHED.split_once('@').unwrap();
        Self {
            digests: [digest.to_owned()].into(),
            lock: Some(digest_of(b"lock")),
            configuration: digest_of(b"configuration"),
            max_age: Duration::hours(24),
            allows: Allows::SignedFor,
            now: HOUR_LATER,
            key: KEY.public().unwrap(),
        }
    }

    fn of(&self, bundle: &[u8]) -> Result<Stands, No> {
        let deploy = Deploy {
            digests: &self.digests,
            lock: self.lock.as_deref(),
            configuration: &self.configuration,
            max_age: self.max_age,
            allows: self.allows,
            now: self.now,
        };
        verify(bundle, &self.key, &deploy)
    }
}

fn other(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

fn statement(record: &Record) -> Value {
    serde_json::to_value(Statement::of(record).unwrap()).unwrap()
}

fn bundle_of(statement: &Value) -> Vec<u8> {
    signed(&serde_json::to_vec(statement).unwrap(), &KEY)
}

/// A pass with something of its statement changed before it was signed.
fn said(change: impl Fn(&mut Value)) -> Vec<u8> {
    let mut statement = statement(&samples::pass());
    change(&mut statement);
    bundle_of(&statement)
}

/// The same of the words of Rehearsal.
fn says(name: &'static str, value: Value) -> Vec<u8> {
    said(move |statement| statement["predicate"]["rehearsal"][name] = value.clone())
}

/// What a run writes whose record was changed.
fn recorded(change: impl Fn(&mut Record)) -> Vec<u8> {
    let mut record = samples::pass();
    change(&mut record);
    bundle_of(&statement(&record))
}

fn partial(word: &'static str) -> Vec<u8> {
    recorded(move |record| record.partial = vec![word.to_owned()])
}

/// A pass's bundle changed after it was signed.
fn altered(change: impl Fn(&mut Value)) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(&pass()).unwrap();
    change(&mut bundle);
    serde_json::to_vec(&bundle).unwrap()
}

/// A bundle whose payload was changed after it was signed.
fn with_payload(bundle: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(bundle).unwrap();
    let payload = &mut bundle["dsseEnvelope"]["payload"];
    let before = String::from_utf8(STANDARD.decode(payload.as_str().unwrap()).unwrap()).unwrap();
    let after = change(&before);
    assert_ne!(after, before);
    *payload = STANDARD.encode(after).into();
    serde_json::to_vec(&bundle).unwrap()
}

fn pass() -> Vec<u8> {
    recorded(|_| ())
}

fn asked(change: impl Fn(&mut Asked)) -> Asked {
    let mut asked = Asked::as_rehearsed();
    change(&mut asked);
    asked
}

/// Refused, and the sentence holds this.
fn refused(bundle: &[u8], asked: &Asked, words: &str) {
    match asked.of(bundle) {
        Err(No::Refused(why)) => assert!(why.to_string().contains(words), "{why}"),
        other => panic!("{words}: {other:?}"),
    }
}

/// It cannot be told, and the sentence holds this.
fn untold(bundle: &[u8], words: &str) {
    match Asked::as_rehearsed().of(bundle) {
        Err(No::Untold(why)) => assert!(why.to_string().contains(words), "{why}"),
        other => panic!("{words}: {other:?}"),
    }
}

#[test]
fn a_pass_of_exactly_this_stands() {
    let stands = Asked::as_rehearsed().of(&pass()).unwrap();
    assert_eq!(stands.age, Duration::HOUR);
    assert_eq!(stands.rehearsed.candidate[0].image, PUSHED);
}

#[test]
fn a_pass_of_something_else_is_refused() {
    let not_rehearsed = "was not rehearsed, but `registry.example.com/acme/shop@sha256:222";
    refused(
        &pass(),
        &asked(|asked| asked.digests = [other("3")].into()),
        not_rehearsed,
    );
    let one_more = |asked: &mut Asked| asked.digests.extend([other("3")]);
    refused(&pass(), &asked(one_more), "was not rehearsed");
    let two = recorded(|record| {
        let mut second = record.candidate[0].clone();
        second.pushed = Some(format!("registry.example.com/acme/worker@{}", other("4")));
        record.candidate.push(second);
    });
    refused(&two, &Asked::as_rehearsed(), "acme/worker@sha256:444");
    refused(&pass(), &asked(|asked| asked.digests.clear()), "is not named");
}

#[test]
fn a_pass_of_what_no_registry_has_is_refused_whatever_is_asked() {
    let unpushed = recorded(|record| record.candidate[0].pushed = None);
    refused(&unpushed, &Asked::as_rehearsed(), "push by digest before the rehearsal");
    refused(
        &unpushed,
        &asked(|asked| asked.digests = [other("3")].into()),
        "push by digest",
    );
}

#[test]
fn a_pass_against_something_else_is_refused() {
    let another_lock = |asked: &mut Asked| asked.lock = Some(digest_of(b"moved"));
    refused(&pass(), &asked(another_lock), "against another lock");
    refused(&pass(), &asked(|asked| asked.lock = None), "give it with `--lock`");
    let without = recorded(|record| record.inputs.lock = None);
    refused(&without, &Asked::as_rehearsed(), "rehearsed without a lock");
    assert!(asked(|asked| asked.lock = None).of(&without).is_ok());
    let another = |asked: &mut Asked| asked.configuration = digest_of(b"other");
    refused(&pass(), &asked(another), "with another configuration");
}

#[test]
fn a_pass_is_too_old_to_the_second_and_counts_from_the_beginning() {
    let at = |now| asked(move |asked| asked.now = now);
    assert!(at(datetime!(2026-12-01 10:00 UTC)).of(&pass()).is_ok());
    let too_old = "began 24 h 00 min 01 s ago, and at most 24 h are allowed";
    refused(&pass(), &at(datetime!(2026-12-01 10:00:01 UTC)), too_old);
    let to_the_nanosecond = at(datetime!(2026-12-01 10:00:00.000000001 UTC));
    refused(&pass(), &to_the_nanosecond, "rehearse again");
}

#[test]
fn a_pass_from_the_future_is_refused_beyond_what_clocks_differ() {
    let long = recorded(|record| record.duration_ms = 600_000);
    let at = |now| asked(move |asked| asked.now = now);
    assert_eq!(
        at(datetime!(2026-11-30 10:05 UTC)).of(&long).unwrap().age,
        Duration::minutes(5)
    );
    assert_eq!(
        at(datetime!(2026-11-30 9:58 UTC)).of(&pass()).unwrap().age,
        Duration::ZERO
    );
    refused(&long, &at(datetime!(2026-11-30 10:04:59 UTC)), "is from the future");
    refused(&pass(), &at(datetime!(1970-01-01 0:00 UTC)), "set the clocks");
}

#[test]
fn other_verdicts_are_refused_with_their_cause() {
    for verdict in [Verdict::Block, Verdict::Inconclusive] {
        let bundle = recorded(|record| {
            record.verdict = verdict.into();
            record.cause = "nobody can sign in".to_owned();
        });
        let words = format!("the verdict is `{verdict}`, and only `pass` is deployed (nobody can sign in)");
        refused(&bundle, &Asked::as_rehearsed(), &words);
    }
}

#[test]
fn what_was_narrowed_is_always_refused_and_what_was_signed_for_only_where_nothing_is_allowed() {
    let strictly = asked(|asked| asked.allows = Allows::Nothing);
    for word in ["only", "shard"] {
        refused(&partial(word), &Asked::as_rehearsed(), "was narrowed");
        refused(&partial(word), &strictly, "was narrowed");
    }
    for word in ["forward_only", "unexercised", "waived"] {
        let stands = Asked::as_rehearsed().of(&partial(word)).unwrap();
        assert_eq!(stands.rehearsed.partial[0].words(), word);
        refused(&partial(word), &strictly, "`--strict` allows nothing");
    }
    assert!(strictly.of(&pass()).is_ok());
}

#[test]
fn a_signature_that_is_not_one_of_this_key_is_refused() {
    let of_another = asked(|asked| asked.key = SigningKey::generate().unwrap().public().unwrap());
    refused(&pass(), &of_another, "not signed by this key");
    let twice = altered(|bundle| {
        let signatures = bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
    });
    refused(&twice, &Asked::as_rehearsed(), "it has 2 signatures, not one");
    let none = altered(|bundle| bundle["dsseEnvelope"]["signatures"] = json!([]));
    refused(&none, &Asked::as_rehearsed(), "it has 0 signatures");
    let empty = altered(|bundle| bundle["dsseEnvelope"]["signatures"][0]["sig"] = "".into());
    refused(&empty, &Asked::as_rehearsed(), "not signed by this key");
    let of_a_block = altered(|bundle| {
        let block: Value = serde_json::from_slice(&recorded(|record| record.verdict = Verdict::Block.into())).unwrap();
        bundle["dsseEnvelope"]["signatures"] = block["dsseEnvelope"]["signatures"].clone();
    });
    refused(&of_a_block, &Asked::as_rehearsed(), "not signed by this key");
}

#[test]
fn what_was_changed_after_it_was_signed_is_refused() {
    let block = recorded(|record| record.verdict = Verdict::Block.into());
    let to_pass = with_payload(&block, |said| {
        said.replace("\"block\"", "\"pass\"").replace("FAILED", "PASSED")
    });
    let subject = with_payload(&pass(), |said| said.replace(&"2".repeat(64), &"3".repeat(64)));
    // The same words in other bytes are changed, too.
    let spaced = with_payload(&pass(), |said| format!("{said} "));
    for bundle in [to_pass, subject, spaced] {
        refused(&bundle, &Asked::as_rehearsed(), "or was changed since");
    }
    let kind = altered(|bundle| bundle["dsseEnvelope"]["payloadType"] = "application/json".into());
    refused(&kind, &Asked::as_rehearsed(), "or was changed since");
}

#[test]
fn what_is_no_bundle_cannot_be_told() {
    untold(b"", "it is no signed verdict");
    untold(b"\x00\xff garbage", "it is no signed verdict");
    untold(b"[]", "it is no signed verdict");
    untold(br#"{"mediaType": "x"}"#, "missing field");
    untold(&pass()[..200], "it is no signed verdict");
    untold(&[pass(), pass()].concat(), "trailing characters");
    let huge = altered(|bundle| bundle["more"] = "x".repeat(bundle::MOST).into());
    untold(&huge, "larger than 4 MiB");
    untold(
        &altered(|bundle| bundle["mediaType"] = "application/json".into()),
        "it calls itself `application/json`",
    );
    let certificate = altered(|bundle| bundle["verificationMaterial"] = json!({"certificate": {"rawBytes": ""}}));
    untold(&certificate, "signed by a certificate");
    untold(
        &altered(|bundle| bundle["dsseEnvelope"]["payload"] = "%".into()),
        "Base64",
    );
}

#[test]
fn a_name_that_stands_twice_cannot_be_told() {
    let text = String::from_utf8(pass()).unwrap();
    let twice = text.replacen("\"payloadType\"", "\"payload\": \"\", \"payloadType\"", 1);
    untold(twice.as_bytes(), "`payload` stands twice");
    let payload = statement(&samples::pass()).to_string();
    let twice = payload.replacen("\"verdict\"", "\"verdict\":\"block\",\"verdict\"", 1);
    untold(&signed(twice.as_bytes(), &KEY), "`verdict` stands twice");
}

#[test]
fn another_thing_that_this_key_signed_cannot_be_told() {
    untold(&signed(b"deploy it all", &KEY), "what this key signed is no verdict");
    untold(&said(|statement| statement["_type"] = "x".into()), "its `_type` is not");
    untold(
        &said(|statement| statement["predicateType"] = "x".into()),
        "its `predicateType` is not",
    );
    untold(
        &said(|statement| statement["predicate"]["rehearsal"] = Value::Null),
        "no words of Rehearsal",
    );
    untold(
        &says("schema", "rehearsal/verdict/v2".into()),
        "the form `rehearsal/verdict/v2`",
    );
    untold(&says("candidate", Value::Null), "no verdict");
}

#[test]
fn words_of_another_version_cannot_be_told() {
    untold(&says("verdict", "splendid".into()), "`splendid`");
    untold(&partial("skipped_half"), "`skipped_half`");
    let by = |statement: &mut Value| statement["predicate"]["rehearsal"]["candidate"][0]["by"] = "hearsay".into();
    untold(&said(by), "`hearsay`");
    untold(
        &said(|statement| statement["predicate"]["result"] = "GREAT".into()),
        "`GREAT`",
    );
}

#[test]
fn what_contradicts_itself_cannot_be_told() {
    untold(
        &said(|statement| statement["predicate"]["result"] = "FAILED".into()),
        "not that of its verdict",
    );
    untold(&says("verdict", "block".into()), "not that of its verdict");
    let another = |statement: &mut Value| statement["subject"][0]["digest"]["sha256"] = "5".repeat(64).into();
    untold(&said(another), "not what it is about");
    untold(&said(|statement| statement["subject"] = json!([])), "about nothing");
    let two_kinds = |statement: &mut Value| statement["subject"][0]["digest"]["sha512"] = "5".into();
    untold(&said(two_kinds), "about nothing");
    untold(&says("configuration", other("6").into()), "two configurations");
    untold(&says("started", "2026-11-30T11:00:00Z".into()), "ended before it began");
}

#[test]
fn times_that_are_none_cannot_be_told() {
    for time in ["", "yesterday", "2026-11-30", "2026-11-30T10:00:00", "9999999"] {
        untold(&says("started", time.into()), "its times are none");
        untold(&says("finished", time.into()), "its times are none");
    }
}

#[test]
fn times_read_well_to_the_second() {
    let all = [0, 59, 60, 3_599, 3_600, 86_401].map(|seconds| words(Duration::seconds(seconds)));
    let wanted = ["0 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h", "24 h 00 min 01 s"];
    assert_eq!(all, wanted);
}
