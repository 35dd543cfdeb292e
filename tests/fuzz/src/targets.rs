//! What must hold whatever the bytes: readers of what comes from outside. Each target is one function that panics where
//! something does not hold.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rehearsal::agent::client::Client;
use rehearsal::agent::{Call, Reply, Request};
use rehearsal::attest::bundle::Bundle;
use rehearsal::attest::key::VerifyingKey;
use rehearsal::attest::verify::{Allows, Deploy, verify};
use rehearsal::compose::{self, LoadOptions, Project};
use rehearsal::config::settings::{HttpExpect, Login, LoginExpect, LoginFields};
use rehearsal::lock;
use rehearsal::record::inputs::digest_of;
use rehearsal::record::test::TestRecord;
use rehearsal::record::v1::Record;
use rehearsal::record::verdict::Verdict;
use rehearsal::report::{ReportKind, github, words};
use rehearsal::suite::foreign;
use rehearsal::yaml::diagnostic::Diagnostic;
use rehearsal::yaml::env_file::{self, Format, Variables};
use rehearsal::yaml::span::Source;
use rehearsal::yaml::tree::{self, Document, Node, Value};
use rehearsal::yaml::write;
use serde_json::Value as Json;
use time::Duration;
use time::macros::datetime;
use url::Url;

/// One reader and what is asked of it.
pub struct Target {
    /// As `make fuzz` is told it.
    pub name: &'static str,
    /// Panics where it does not hold.
    pub holds: fn(&[u8]),
}

/// Every target.
pub const ALL: [Target; 10] = [
    Target {
        name: "bundle",
        holds: bundle,
    },
    Target {
        name: "compose",
        holds: compose,
    },
    Target {
        name: "env",
        holds: env,
    },
    Target {
        name: "hurl",
        holds: hurl,
    },
    Target {
        name: "junit",
        holds: junit,
    },
    Target {
        name: "lock",
        holds: lock,
    },
    Target {
        name: "page",
        holds: page,
    },
    Target {
        name: "record",
        holds: record,
    },
    Target {
        name: "wire",
        holds: wire,
    },
    Target {
        name: "yaml",
        holds: yaml,
    },
];

/// The public key of the seeds; the private one was thrown away.
const SIGNER: &str = include_str!("../seeds/signer.pub");

/// The statements that it signed.
const SIGNED: [&str; 2] = [
    "sha256:451f8ee0baaea2640361751449e3cebb9730f6327daf0791198bed64e7af7809",
    "sha256:93f42db448207b015f4aea2820a495bffa9a56cbcccc00f7b5f57924a06c9173",
];

/// Signed verdicts: what stands is what was signed, byte for byte, and what does not stand says why. Of the time nothing is
/// asked here.
fn bundle(data: &[u8]) {
    let key = VerifyingKey::from_pem(SIGNER).expect("a key");
    let digest = format!("sha256:{}", "2".repeat(64));
    let deploy = Deploy {
        digests: &[digest].into(),
        lock: Some(&digest_of(b"lock")),
        configuration: &digest_of(b"configuration"),
        max_age: Duration::hours(1),
        allows: Allows::Nothing,
        now: datetime!(2026-11-30 10:30 UTC),
    };
    match verify(data, &key, &deploy) {
        Ok(stands) => {
            assert_eq!(stands.rehearsed.verdict, Verdict::Pass);
            let payload = Bundle::read(data).expect("it was read").dsse_envelope.open(&key);
            let signed = digest_of(&payload.expect("it was opened"));
            assert!(SIGNED.contains(&signed.as_str()), "{signed} was never signed");
        }
        Err(why) => assert!(!why.to_string().trim().is_empty()),
    }
    if let Ok(read) = Bundle::read(data) {
        let written = read.to_json().expect("JSON");
        assert_eq!(Bundle::read(&written), Ok(read));
    }
}

fn source(text: &str) -> Arc<Source> {
    Arc::new(Source {
        path: "input".into(),
        text: text.to_owned(),
    })
}

/// A refusal says something, and where it points there is something.
fn refused(error: &Diagnostic) {
    assert!(!error.to_string().trim().is_empty());
    if let Some(place) = error.place() {
        assert!(place.contains(':'), "{place}");
    }
}

/// YAML: each node's place lies within its file; what was read and is written as YAML is read as the same.
fn yaml(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = match tree::parse_all(source(text)) {
        Ok(read) => read,
        Err(error) => return refused(&error),
    };
    for Document { root, .. } in &read {
        in_place(root, text);
        let json = root.to_json();
        let written = write::yaml(&json);
        let again = tree::parse(source(&written)).unwrap_or_else(|error| panic!("{written}\n{error}"));
        assert_eq!(again.to_json(), json, "{written}");
    }
}

fn in_place(node: &Node, text: &str) {
    assert!(
        text.get(node.span.range.clone()).is_some(),
        "{:?} of {}",
        node.span.range,
        text.len()
    );
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| in_place(item, text)),
        Value::Map(entries) => entries.iter().for_each(|entry| in_place(&entry.node, text)),
        _ => {}
    }
}

/// Compose: the canonical form of a project, where it can be read as a Compose file, is a project of the same canonical
/// form. Not everything that Compose prints can be read, by itself or by us: it writes devices' limits with other keys.
fn compose(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let project = match project(folder.path(), data) {
        Ok(project) => project,
        Err(error) => return refused(&error),
    };
    let canonical = project.canonical_json();
    let written = serde_json::to_string_pretty(&canonical).expect("JSON");
    match self::project(folder.path(), written.as_bytes()) {
        Ok(again) => assert_eq!(again.canonical_json(), canonical, "{written}"),
        Err(error) => refused(&error),
    }
}

fn project(folder: &Path, text: &[u8]) -> Result<Project, Diagnostic> {
    let file = folder.join("compose.yaml");
    std::fs::write(&file, text).expect("a file");
    let options = LoadOptions {
        files: vec![file],
        project_name: Some("fuzz".to_owned()),
        ..LoadOptions::default()
    };
    compose::load(&options)
}

/// Env files: names are names and stand once; what was read and is written as raw lines is read as the same.
fn env(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for format in [Format::Dotenv, Format::Raw] {
        let variables = match variables(text, format) {
            Ok(variables) => variables,
            Err(error) => return refused(&error),
        };
        let names: BTreeSet<_> = variables.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), variables.len(), "a name stands twice");
        assert!(
            names
                .iter()
                .all(|name| !name.is_empty() && !name.contains(char::is_whitespace)),
            "{names:?}"
        );
        raw_again(&variables);
    }
}

fn variables(text: &str, format: Format) -> Result<Variables, Diagnostic> {
    env_file::parse(source(text), format, &|name| {
        (name == "OUTSIDE").then(|| "outer".to_owned())
    })
}

fn raw_again(variables: &Variables) {
    let plain = |(name, value): &&(String, String)| {
        !name.starts_with('#') && !name.contains('=') && !value.contains(['\n', '\r'])
    };
    let plain: Variables = variables.iter().filter(plain).cloned().collect();
    let lines: String = plain.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    assert_eq!(self::variables(&lines, Format::Raw).expect("lines of our own"), plain);
}

/// The lock: what was read, written again, is read as the same.
fn lock(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let lock = match lock::read::parse(source(text)) {
        Ok(lock) => lock,
        Err(error) => return refused(&error),
    };
    let written = lock::write::text(&lock);
    let again = lock::read::parse(source(&written)).unwrap_or_else(|error| panic!("{written}\n{error}"));
    assert_eq!(lock::write::text(&again), written);
}

/// JUnit of others: names and messages are one bounded line that forges nothing.
fn junit(data: &[u8]) {
    foreign::junit(data).iter().for_each(harmless);
}

/// Hurl: a file, its report and what was said, parted by NUL; as for JUnit.
fn hurl(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (text, report, said) = (part(), part(), part());
    let (text, said) = (String::from_utf8_lossy(text), String::from_utf8_lossy(said));
    let tests = foreign::hurl(&text, report, &said);
    tests.iter().for_each(harmless);
}

fn harmless(test: &TestRecord) {
    for line in [&test.name, &test.message] {
        assert!(!line.chars().any(|letter| letter.is_control()), "{line:?}");
        assert!(line.len() < 64 << 10, "{} bytes in one line", line.len());
    }
    let forges = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    assert!(!test.detail.chars().any(forges), "{:?}", test.detail);
    assert!(test.detail.len() < 64 << 10, "{} bytes of detail", test.detail.len());
}

/// Pages: what a form sends has names, the title is one line, and a refresh leads to a page.
fn page(data: &[u8]) {
    let html = String::from_utf8_lossy(data);
    let url = Url::parse("http://idp/auth/login?next=/x").expect("a URL");
    let (forms, refresh, says) = foreign::page(&html, &url, &login());
    for (_, data) in &forms {
        assert!(data.iter().all(|(name, _)| !name.is_empty()), "{data:?}");
    }
    assert!(refresh.is_none_or(|url| matches!(url.scheme(), "http" | "https")));
    assert!(!says.chars().any(char::is_control), "{says:?}");
}

fn login() -> Login {
    Login {
        start: "http://web/login".to_owned(),
        expect: LoginExpect {
            get: "http://web/account".to_owned(),
            expect: HttpExpect::default(),
        },
        username: "alice".to_owned(),
        password: "wonderland".to_owned(),
        fields: LoginFields::default(),
        by: Default::default(),
        headers: Vec::new(),
        tls: Default::default(),
    }
}

/// The record: read, it can be written and read as the same, and every report can be made from it. Ours of JUnit has
/// as many test cases as its root counts, whatever the texts.
fn record(data: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Record>(data) else {
        return;
    };
    let written = serde_json::to_value(&record).expect("JSON");
    let again: Record = serde_json::from_value(written.clone()).expect("what was written");
    assert_eq!(serde_json::to_value(&again).expect("JSON"), written);
    for kind in [ReportKind::Junit, ReportKind::JunitJenkins, ReportKind::JunitAnt] {
        well_formed(&kind.write(&record).expect("JUnit"));
    }
    ReportKind::Summary.write(&record).expect("a summary");
    assert!(!words::cause(&record).contains('\n'));
    for line in github::annotations(&record) {
        assert!(!line.contains(['\n', '\r']), "{line:?}");
    }
}

fn well_formed(junit: &[u8]) {
    let text = str::from_utf8(junit).expect("text");
    let counted: Option<usize> = text
        .split_once("<testsuites")
        .and_then(|(_, rest)| rest.split_once('>')?.0.split_once(" tests=\""))
        .and_then(|(_, rest)| rest.split_once('"')?.0.parse().ok());
    let read = foreign::junit(junit);
    assert!(
        !read.iter().any(|test| test.message.contains("cannot be relied on")),
        "{text}"
    );
    if let Some(counted) = counted {
        assert_eq!(read.len(), counted, "{text}");
    }
}

/// The agent's wire: a request and a reply, written again, are read as the same; and whatever the agent's end says, a
/// call of the gate's ends.
fn wire(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(request) = serde_json::from_slice::<Request>(line) {
            let written = serde_json::to_value(&request).expect("JSON");
            same(
                &written,
                &serde_json::to_value(serde_json::from_value::<Request>(written.clone()).expect("ours")),
            );
        }
        if let Ok(reply) = serde_json::from_slice::<Reply>(line) {
            let written = serde_json::to_value(&reply).expect("JSON");
            same(
                &written,
                &serde_json::to_value(serde_json::from_value::<Reply>(written.clone()).expect("ours")),
            );
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let said = std::io::Cursor::new(data.to_vec());
    runtime.block_on(async {
        let client = Client::over(said, tokio::io::sink());
        // The stream has an end: the answer is the one with this number, or that nobody is there.
        drop(client.call(Call::Ping).await);
    });
}

fn same(one: &Json, other: &serde_json::Result<Json>) {
    assert_eq!(Some(one), other.as_ref().ok());
}
