//! The signed verdict by its commands, and held against others that read and sign such files: openssl, securesystemslib,
//! in-toto's messages and Sigstore's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser as _;
use rehearsal::attest::bundle::Bundle;
use rehearsal::attest::envelope;
use rehearsal::attest::key::SigningKey;
use rehearsal::attest::statement::Statement;
use rehearsal::cli::Cli;
use rehearsal::record::inputs::{Input, Inputs};
use rehearsal::record::v1::Record;
use rehearsal::record::verdict::Verdict;
use rehearsal::yaml::span::Source;
use rehearsal::yaml::tree;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::consumers;
use crate::driver::{self, Ended, end, without_engine};
use crate::samples;

const DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// A folder with a pair of keys, a lock, a configuration and the verdict of a run that was just over.
struct Deploy {
    folder: PathBuf,
}

impl Deploy {
    fn of(name: &str, change: impl Fn(&mut Record)) -> Self {
        let deploy = Self {
            folder: driver::folder(&format!("signed/{name}")),
        };
        let made = end(without_engine(&["keygen", "--out", shown(&deploy.file("rehearsal"))]));
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        deploy.write("production.lock", b"the lock");
        deploy.write("rehearsal.yaml", b"the configuration");
        deploy.sign(&statement(change));
        deploy
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).expect("the file is there")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.file(name), bytes).expect("the folder is ours");
    }

    fn sign(&self, payload: &[u8]) {
        let key = String::from_utf8(self.read("rehearsal.key")).expect("PEM");
        let key = SigningKey::from_pem(&key).expect("ours");
        let envelope = envelope::sign(payload, &key).expect("signed");
        let hint = key.public().expect("a pair").hint();
        self.write(
            "verdict.sigstore.json",
            &Bundle::around(envelope, hint).to_json().expect("JSON"),
        );
    }

    fn verify_with(&self, key: &str, bundle: &str, more: &[&str]) -> Ended {
        let image = format!("registry.example.com/acme/shop@{DIGEST}");
        let files = [key, bundle, "production.lock", "rehearsal.yaml"].map(|name| self.file(name));
        let [key, bundle, lock, config] = &files;
        let mut arguments = vec!["verify", &image, "--key", shown(key), "--bundle", shown(bundle)];
        arguments.extend(["--lock", shown(lock), "--config", shown(config)]);
        arguments.extend(more);
        end(without_engine(&arguments))
    }

    fn verify(&self, more: &[&str]) -> Ended {
        self.verify_with("rehearsal.pub", "verdict.sigstore.json", more)
    }

    fn envelope(&self) -> Value {
        let bundle: Value = serde_json::from_slice(&self.read("verdict.sigstore.json")).expect("JSON");
        bundle["dsseEnvelope"].clone()
    }
}

/// What is said of a pass that is a minute old.
fn statement(change: impl Fn(&mut Record)) -> Vec<u8> {
    let mut record = samples::pass();
    let started = OffsetDateTime::now_utc() - Duration::minutes(1);
    record.started = started.format(&Rfc3339).expect("a time");
    record.duration_ms = 20_000;
    record.partial.clear();
    record.candidate[0].pushed = Some(format!("registry.example.com/acme/shop@{DIGEST}"));
    record.inputs = Inputs {
        configuration: Some(Input::of(b"the configuration")),
        lock: Some(Input::of(b"the lock")),
        plan: Some(Input::of(b"the plan")),
    };
    change(&mut record);
    serde_json::to_vec(&Statement::of(&record).expect("a verdict")).expect("JSON")
}

#[test]
fn a_deploy_goes_on_with_a_fresh_pass_of_exactly_this_and_with_nothing_else() {
    let deploy = Deploy::of("deploy", |_| ());
    let stands = deploy.verify(&[]);
    assert_eq!(stands.code, Some(0), "{}", stands.stderr);
    assert!(
        stands
            .stdout
            .starts_with("pass: registry.example.com/acme/shop@sha256:222"),
        "{}",
        stands.stdout
    );
    for (more, code, words) in [
        (&["--max-age", "10s"][..], 1, "at most 10 s are allowed: rehearse again"),
        (
            &["web@sha256:3333333333333333333333333333333333333333333333333333333333333333"],
            1,
            "was not rehearsed",
        ),
    ] {
        let ended = deploy.verify(more);
        assert_eq!(
            (ended.code, ended.stderr.lines().count()),
            (Some(code), 1),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.starts_with("refused: ") && ended.stderr.contains(words),
            "{}",
            ended.stderr
        );
    }
    deploy.write("production.lock", b"the lock, taken again");
    let moved = deploy.verify(&[]);
    assert_eq!(moved.code, Some(1), "{}", moved.stderr);
    assert!(moved.stderr.contains("against another lock"), "{}", moved.stderr);
}

#[test]
fn what_is_not_there_or_cannot_be_read_is_never_a_pass() {
    let deploy = Deploy::of("unreadable", |_| ());
    for (name, words) in [
        ("rehearsal.pub", "with `--key`"),
        ("production.lock", "with `--lock`"),
        ("rehearsal.yaml", "with `--config`"),
        ("verdict.sigstore.json", "rehearsal run --key"),
    ] {
        let whole = deploy.read(name);
        std::fs::remove_file(deploy.file(name)).expect("ours");
        let ended = deploy.verify(&[]);
        assert_eq!(ended.code, Some(3), "{name}: {}", ended.stderr);
        let told = ended.stderr.starts_with("could not tell: ") && ended.stderr.contains(words);
        assert!(told, "{name}: {}", ended.stderr);
        deploy.write(name, &whole);
    }
    let private = deploy.verify_with("rehearsal.key", "verdict.sigstore.json", &[]);
    assert_eq!(private.code, Some(3), "{}", private.stderr);
    assert!(private.stderr.contains("give the public one"), "{}", private.stderr);
    deploy.write("verdict.sigstore.json", &vec![b' '; 20 << 20]);
    assert_eq!(deploy.verify(&[]).code, Some(3));
    deploy.write("verdict.sigstore.json", b"\x1b[2Jpass");
    let garbage = deploy.verify(&[]);
    assert_eq!(garbage.code, Some(3));
    assert!(!garbage.stderr.contains('\u{1b}'), "{}", garbage.stderr);
}

#[test]
fn a_tag_is_not_verified() {
    let ended = end(without_engine(&["verify", "shop:2", "--key", "rehearsal.pub"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("a tag can be moved"), "{}", ended.stderr);
}

#[test]
fn what_somebody_signed_for_is_named_and_refused_where_nothing_is_allowed() {
    let deploy = Deploy::of("partial", |record| record.partial = vec!["forward_only".to_owned()]);
    let named = deploy.verify(&[]);
    assert_eq!(named.code, Some(0), "{}", named.stderr);
    assert!(named.stdout.contains("signed for: forward_only"), "{}", named.stdout);
    let strictly = deploy.verify(&["--strict"]);
    assert_eq!(strictly.code, Some(1), "{}", strictly.stderr);
}

#[test]
fn keys_are_never_written_over_and_only_their_owner_reads_the_private_one() {
    let deploy = Deploy::of("keygen", |_| ());
    let private = deploy.read("rehearsal.key");
    let mode = std::fs::metadata(deploy.file("rehearsal.key"))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::remove_file(deploy.file("rehearsal.pub")).expect("ours");
    let again = end(without_engine(&["keygen", "--out", shown(&deploy.file("rehearsal"))]));
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    assert!(again.stderr.contains("a key is never written over"), "{}", again.stderr);
    assert!(deploy.read("rehearsal.key") == private && !deploy.file("rehearsal.pub").exists());
}

/// What a run without an engine signs, of a candidate that is named by its digest.
fn run_signed(name: &str, key: &str, set: &[(&str, &str)]) -> (PathBuf, Ended) {
    let out = driver::folder(&format!("signed/{name}"));
    let config = driver::world("twin");
    let candidate = format!("web=registry.example.com/acme/shop@{DIGEST}");
    let mut command = driver::run(&config, &out);
    command.args(["--candidate", &candidate, "--key", key]);
    command
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .envs(set.iter().copied());
    (out, end(command))
}

#[test]
fn a_run_that_could_not_tell_is_signed_and_refused() {
    let deploy = Deploy::of("run", |_| ());
    let pem = String::from_utf8(deploy.read("rehearsal.key")).expect("PEM");
    let (out, ended) = run_signed("run-out", "env:SIGNING_KEY", &[("SIGNING_KEY", &pem)]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let (bundle, key, config) = (
        out.join("verdict.sigstore.json"),
        deploy.file("rehearsal.pub"),
        driver::world("twin"),
    );
    let lock = config.with_file_name("worlds/shop-1.0-provider-1.7.0.lock");
    let image = format!("shop@{DIGEST}");
    let mut arguments = vec!["verify", &image, "--key", shown(&key), "--bundle", shown(&bundle)];
    arguments.extend(["--config", shown(&config), "--lock", shown(&lock)]);
    let refused = end(without_engine(&arguments));
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("the verdict is `inconclusive`"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_key_that_is_none_starts_nothing_and_is_shown_nowhere() {
    let deploy = Deploy::of("no-key", |_| ());
    let pem = String::from_utf8(deploy.read("rehearsal.key")).expect("PEM");
    let secret = pem.lines().nth(1).expect("PEM has lines");
    for (name, key, set, words) in [
        ("unset", "env:SIGNING_KEY", vec![], "it is not set"),
        ("itself", pem.as_str(), vec![], "give a file, or `env:NAME`"),
        ("absent", "nowhere.key", vec![], "nowhere.key"),
        (
            "other",
            "env:SIGNING_KEY",
            vec![("SIGNING_KEY", secret)],
            "it holds no private key",
        ),
    ] {
        let (out, ended) = run_signed(&format!("no-key-{name}"), key, &set);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(words) && !ended.stderr.contains(secret),
            "{name}: {}",
            ended.stderr
        );
        assert!(!out.join("result.json").exists(), "{name}");
    }
}

#[test]
fn a_configuration_cannot_name_the_variable_that_holds_the_key() {
    let deploy = Deploy::of("stolen", |_| ());
    let pem = String::from_utf8(deploy.read("rehearsal.key")).expect("PEM");
    let folder = driver::folder("signed/stolen-config");
    let compose = "services: {web: {image: shop, environment: {STOLEN: \"${SIGNING_KEY:-nothing}\"}}}\n";
    std::fs::write(folder.join("compose.yaml"), compose).expect("ours");
    let config = "production: {compose: compose.yaml}\ncandidate: {web: {image: \"shop:${SIGNING_KEY:-2}\"}}\n";
    std::fs::write(folder.join("rehearsal.yaml"), config).expect("ours");
    let out = folder.join("out");
    let mut command = driver::run(&folder.join("rehearsal.yaml"), &out);
    command.args(["--key", "env:SIGNING_KEY"]).env("SIGNING_KEY", &pem);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let ended = end(command);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let plan = std::fs::read_to_string(out.join("plan.json")).expect("the plan is there");
    assert!(plan.contains("\"shop:2\"") && !plan.contains("PRIVATE"), "{plan}");
}

/// The example, beside the files that it names; the servers it reached.
fn deployed(deploy: &Deploy) -> (Ended, String) {
    let example = driver::root().join(".github/examples/deploy.sh");
    std::fs::copy(example, deploy.file("deploy.sh")).expect("the example is there");
    let out = deploy.file("rehearsal-out");
    std::fs::create_dir_all(&out).expect("ours");
    std::fs::copy(deploy.file("verdict.sigstore.json"), out.join("verdict.sigstore.json")).expect("ours");
    deploy.write("ssh", b"#!/bin/sh\nprintf '%s\\n' \"$*\" >>\"$REACHED\"\n");
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(deploy.file("ssh"), runs).expect("ours");
    let mut command = Command::new(deploy.file("deploy.sh"));
    command.args([&format!("registry.example.com/acme/shop@{DIGEST}"), "web-1", "web-2"]);
    command
        .env("REHEARSAL", env!("CARGO_BIN_EXE_rehearsal"))
        .env("SSH", deploy.file("ssh"));
    let reached = deploy.file("reached");
    let ended = end({
        command.env("REACHED", &reached);
        command
    });
    (ended, std::fs::read_to_string(reached).unwrap_or_default())
}

#[test]
fn the_plain_deploy_reaches_every_server_with_a_pass_and_none_without() {
    let (ended, reached) = deployed(&Deploy::of("ssh", |_| ()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let one = |host: &str| {
        format!("{host} cd /srv/shop && WEB_IMAGE=registry.example.com/acme/shop@{DIGEST} docker compose up")
    };
    assert!(
        reached.contains(&one("web-1")) && reached.contains(&one("web-2")),
        "{reached}"
    );
    let block = Deploy::of("ssh-block", |record| record.verdict = Verdict::Block.into());
    let (ended, reached) = deployed(&block);
    assert_eq!((ended.code, reached.as_str()), (Some(1), ""), "{}", ended.stderr);
}

#[test]
fn the_example_for_argo_cd_gives_arguments_that_verify_takes() {
    let text = std::fs::read_to_string(driver::root().join(".github/examples/argocd-presync.yaml")).expect("there");
    let path = "argocd-presync.yaml".into();
    let job = tree::parse(std::sync::Arc::new(Source { path, text }))
        .expect("YAML")
        .to_json();
    let job: Value = serde_json::from_str(&job.to_string()).expect("JSON");
    assert_eq!(job["metadata"]["annotations"]["argocd.argoproj.io/hook"], "PreSync");
    let arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .expect("a list");
    let arguments = arguments.iter().map(|argument| argument.as_str().expect("text"));
    let read = Cli::try_parse_from(["rehearsal"].into_iter().chain(arguments)).expect("arguments of ours");
    assert!(matches!(read.command, rehearsal::cli::Command::Verify(_)));
}

/// openssl, with its error where it does not do what is wanted.
fn openssl(arguments: &[&str]) -> Result<String, String> {
    let done = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl is there");
    let said = String::from_utf8_lossy(if done.status.success() {
        &done.stdout
    } else {
        &done.stderr
    });
    if done.status.success() {
        Ok(said.into_owned())
    } else {
        Err(said.into_owned())
    }
}

#[test]
fn openssl_reads_our_keys_and_verifies_what_they_signed() {
    let deploy = Deploy::of("openssl", |_| ());
    let (private, public) = (deploy.file("rehearsal.key"), deploy.file("rehearsal.pub"));
    let text = openssl(&["pkey", "-in", shown(&private), "-check", "-noout", "-text"]).expect("a key");
    assert!(text.contains("prime256v1"), "{text}");
    let own = openssl(&["pkey", "-in", shown(&private), "-pubout"]).expect("a pair");
    assert_eq!(own.as_bytes(), deploy.read("rehearsal.pub"), "the pair is none");

    let envelope = deploy.envelope();
    let decoded = |value: &Value| STANDARD.decode(value.as_str().expect("text")).expect("Base64");
    let (payload, signature) = (
        decoded(&envelope["payload"]),
        decoded(&envelope["signatures"][0]["sig"]),
    );
    // Written down here by the specification, not by our own code.
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    let signed = [head.as_bytes(), &payload].concat();
    deploy.write("signature", &signature);
    let (signature, message) = (deploy.file("signature"), deploy.file("signed"));
    let arguments = [
        "dgst",
        "-sha256",
        "-verify",
        shown(&public),
        "-signature",
        shown(&signature),
        shown(&message),
    ];
    deploy.write("signed", &signed);
    assert_eq!(openssl(&arguments), Ok("Verified OK\n".to_owned()));
    deploy.write("signed", &payload);
    assert!(
        openssl(&arguments).is_err(),
        "openssl verifies what was not signed: this proves nothing"
    );
}

#[test]
fn a_pair_made_by_openssl_signs_and_verifies() {
    let deploy = Deploy::of("openssl-pair", |_| ());
    for name in ["rehearsal.key", "rehearsal.pub"] {
        std::fs::remove_file(deploy.file(name)).expect("ours");
    }
    let (private, public) = (deploy.file("rehearsal.key"), deploy.file("rehearsal.pub"));
    let curve = "ec_paramgen_curve:P-256";
    openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        curve,
        "-out",
        shown(&private),
    ])
    .expect("a key");
    openssl(&["pkey", "-in", shown(&private), "-pubout", "-out", shown(&public)]).expect("a pair");
    deploy.sign(&statement(|_| ()));
    let stands = deploy.verify(&[]);
    assert_eq!(stands.code, Some(0), "{}", stands.stderr);
}

#[test]
fn others_verify_our_bundle_and_read_its_statement_and_we_verify_theirs() {
    let deploy = Deploy::of("consumers", |_| ());
    let [manifest, bundle, key, signed, signed_key] = [
        "manifest.json",
        "verdict.sigstore.json",
        "rehearsal.pub",
        "theirs.json",
        "theirs.pub",
    ]
    .map(|name| deploy.file(name));
    let meant = json!({
        "bundle": bundle,
        "key": key,
        "digests": [DIGEST.replace("sha256:", "")],
        "result": "PASSED",
        "signed": signed,
        "signed_key": signed_key,
    });
    std::fs::write(&manifest, meant.to_string()).expect("the folder is ours");
    let script = driver::root().join("tests/consumers/check_signed.py");
    let checked = Command::new(consumers::venv().join("bin/python"))
        .args([&script, &manifest])
        .output();
    let checked = checked.expect("python is there");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let theirs = deploy.verify_with("theirs.pub", "theirs.json", &[]);
    assert_eq!(theirs.code, Some(0), "{}", theirs.stderr);
    let by_ours = deploy.verify_with("rehearsal.pub", "theirs.json", &[]);
    assert_eq!(by_ours.code, Some(1), "{}", by_ours.stderr);
    assert!(by_ours.stderr.contains("not signed by this key"), "{}", by_ours.stderr);
}
