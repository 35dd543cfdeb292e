//! Reads a lock: YAML in, types or the first mistake out, with its place. Unknown keys are refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::facts::{
    AuthFacts, Capability, Captured, Certificate, Facts, KeyFacts, Known, Lock, OwnProbe, ServiceFacts, TlsFacts, Trust,
};
use super::probe;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::file;
use crate::yaml::span::{Source, Span};
use crate::yaml::tree::{self, Node};

/// The only format there is.
pub const VERSION: i64 = 1;
/// Before the reason why a chain is not trusted.
pub(super) const UNTRUSTED: &str = "untrusted: ";

type Read<T> = Result<T, Diagnostic>;

/// Reads a lock from a file.
///
/// # Errors
/// It is not there, cannot be read, or does not say what a lock says; with the place where there is one.
pub fn load(path: &Path) -> Read<Lock> {
    let text = text(path).map_err(|error| {
        let absent = error.kind() == std::io::ErrorKind::NotFound;
        let what = if absent {
            "it is not there".to_owned()
        } else {
            error.to_string()
        };
        Diagnostic::new(what).help(format!("take it with `rehearsal lock --out {}`", path.display()))
    })?;
    parse(Arc::new(Source {
        path: path.to_owned(),
        text,
    }))
}

fn text(path: &Path) -> std::io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    file::text(path)
}

/// Reads a lock from its text.
///
/// # Errors
/// As [`load`].
pub fn parse(source: Arc<Source>) -> Read<Lock> {
    let node = tree::parse(source)?;
    let file = Keys::of(&node, &["version", "captured", "probes", "services", "auth"])?;
    let version = file.needed("version")?;
    if version.as_int() != Some(VERSION) {
        let message = format!("`version` of the lock is not {VERSION}");
        return Err(Diagnostic::at(&version.span, message).help("take it again with this release of Rehearsal"));
    }
    Ok(Lock {
        captured: captured(file.needed("captured")?)?,
        probes: file.named("probes", own_probe)?,
        services: file.named("services", |_, node| service(node))?,
        auth: file.given("auth").map(auth).transpose()?,
    })
}

/// A mapping whose keys are ours.
struct Keys<'a>(&'a Node);

impl<'a> Keys<'a> {
    fn of(node: &'a Node, known: &[&str]) -> Read<Self> {
        let entries = node.as_map().ok_or_else(|| node.expected("a mapping"))?;
        match entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
            Some(entry) => Err(Diagnostic::unknown_key(
                &entry.key_span,
                &entry.key,
                known.iter().copied(),
            )),
            None => Ok(Self(node)),
        }
    }

    /// The value of a key; null and absent are the same.
    fn given(&self, key: &str) -> Option<&'a Node> {
        self.0.get(key).filter(|node| !node.is_null())
    }

    fn needed(&self, key: &str) -> Read<&'a Node> {
        self.given(key)
            .ok_or_else(|| Diagnostic::at(&start(&self.0.span), format!("`{key}` is missing")))
    }

    fn text(&self, key: &str) -> Read<String> {
        text_of(self.needed(key)?)
    }

    fn maybe_text(&self, key: &str) -> Read<Option<String>> {
        self.given(key).map(text_of).transpose()
    }

    fn named<T>(&self, key: &str, read: impl Fn(&str, &Node) -> Read<T>) -> Read<BTreeMap<String, T>> {
        let Some(node) = self.given(key) else {
            return Ok(BTreeMap::new());
        };
        let entries = node.as_map().ok_or_else(|| node.expected("a mapping"))?;
        entries
            .iter()
            .map(|entry| Ok((entry.key.clone(), read(&entry.key, &entry.node)?)))
            .collect()
    }

    fn list<T>(&self, key: &str, read: impl Fn(&Node) -> Read<T>) -> Read<Vec<T>> {
        let Some(node) = self.given(key) else {
            return Ok(Vec::new());
        };
        node.as_seq()
            .ok_or_else(|| node.expected("a list"))?
            .iter()
            .map(read)
            .collect()
    }
}

fn start(span: &Span) -> Span {
    Span {
        range: span.range.start..span.range.start,
        ..span.clone()
    }
}

fn text_of(node: &Node) -> Read<String> {
    node.as_text().ok_or_else(|| node.expected("a text"))
}

fn captured(node: &Node) -> Read<Captured> {
    let keys = Keys::of(node, &["at", "from", "by"])?;
    let at = keys.needed("at")?;
    let text = text_of(at)?;
    let parsed = OffsetDateTime::parse(&text, &Rfc3339);
    let at =
        parsed.map_err(|_| Diagnostic::at(&at.span, format!("`{text}` is not a time like 2026-11-20T09:00:00Z")))?;
    let words = |key| Ok::<_, Diagnostic>(keys.maybe_text(key)?.unwrap_or_else(|| "unknown".to_owned()));
    Ok(Captured {
        at,
        from: words("from")?,
        by: words("by")?,
    })
}

fn own_probe(name: &str, node: &Node) -> Read<OwnProbe> {
    let keys = Keys::of(node, &["command", "match"])?;
    let (command, matches) = (keys.text("command")?, keys.maybe_text("match")?);
    if probe::find(name).is_some() {
        let message = format!("`{name}` is the name of a built-in probe");
        return Err(Diagnostic::at(&node.span, message).help("give it a name of its own"));
    }
    if let Some(Err(error)) = matches.as_deref().map(regex::Regex::new) {
        let reason = error.to_string().lines().last().unwrap_or_default().to_owned();
        return Err(Diagnostic::at(
            &node.span,
            format!("`match` is not a regular expression: {reason}"),
        ));
    }
    Ok(OwnProbe { command, matches })
}

fn service(node: &Node) -> Read<ServiceFacts> {
    let keys = Keys::of(node, &["image", "digest", "facts"])?;
    let facts: Facts = keys.named("facts", |_, node| text_of(node))?;
    Ok(ServiceFacts {
        image: keys.maybe_text("image")?,
        digest: keys.maybe_text("digest")?,
        facts,
    })
}

fn auth(node: &Node) -> Read<AuthFacts> {
    let keys = Keys::of(node, &["issuer", "product", "discovery", "jwks", "tls", "capabilities"])?;
    let jwks = keys
        .given("jwks")
        .map(|node| Keys::of(node, &["keys"])?.list("keys", key))
        .transpose()?;
    Ok(AuthFacts {
        issuer: keys.maybe_text("issuer")?,
        product: keys.given("product").map(product).transpose()?,
        discovery: node.get("discovery").map(Node::to_json),
        keys: jwks,
        tls: keys.given("tls").map(tls).transpose()?,
        capabilities: keys.named("capabilities", |_, node| variants(node))?,
    })
}

fn product(node: &Node) -> Read<(String, String)> {
    let keys = Keys::of(node, &["name", "version"])?;
    Ok((keys.text("name")?, keys.text("version")?))
}

fn key(node: &Node) -> Read<KeyFacts> {
    let keys = Keys::of(node, &["kty", "alg", "kid", "bits"])?;
    let word = |key| Ok::<_, Diagnostic>(keys.maybe_text(key)?.unwrap_or_else(|| "absent".to_owned()));
    let bits = keys
        .given("bits")
        .and_then(Node::as_int)
        .and_then(|bits| u64::try_from(bits).ok());
    Ok(KeyFacts {
        kty: keys.text("kty")?,
        alg: word("alg")?,
        kid: word("kid")?,
        bits,
    })
}

fn tls(node: &Node) -> Read<TlsFacts> {
    let keys = Keys::of(node, &["protocols", "trust", "chain"])?;
    Ok(TlsFacts {
        protocols: keys.list("protocols", text_of)?,
        trust: keys.given("trust").map_or(Ok(Trust::Unknown), trust)?,
        chain: keys.list("chain", certificate)?,
    })
}

fn trust(node: &Node) -> Read<Trust> {
    let text = text_of(node)?;
    match text.strip_prefix(UNTRUSTED) {
        Some(why) => Ok(Trust::No(why.to_owned())),
        None if text == "trusted" => Ok(Trust::Yes),
        None => Err(node.expected("`trusted` or `untrusted: WHY`")),
    }
}

fn certificate(node: &Node) -> Read<Certificate> {
    let known = [
        "subject",
        "issuer",
        "signature",
        "key",
        "aki",
        "ski",
        "names",
        "not_after",
    ];
    let keys = Keys::of(node, &known)?;
    let word = |key| Ok::<_, Diagnostic>(keys.maybe_text(key)?.unwrap_or_else(|| "unknown".to_owned()));
    Ok(Certificate {
        subject: word("subject")?,
        signature: word("signature")?,
        aki: word("aki")?,
        ski: keys.maybe_text("ski")?,
        issuer: keys.maybe_text("issuer")?,
        key: keys.maybe_text("key")?,
        names: keys.list("names", text_of)?,
        not_after: keys.maybe_text("not_after")?,
    })
}

fn variants(node: &Node) -> Read<BTreeMap<String, Capability>> {
    let entries = node.as_map().ok_or_else(|| node.expected("a mapping"))?;
    entries
        .iter()
        .map(|entry| Ok((entry.key.clone(), capability(&entry.node)?)))
        .collect()
}

fn capability(node: &Node) -> Read<Capability> {
    let keys = Keys::of(node, &["advertised", "honoured", "required"])?;
    let known = |key| keys.given(key).map_or(Ok(Known::Unknown), known);
    Ok(Capability {
        advertised: known("advertised")?,
        honoured: known("honoured")?,
        required: known("required")?,
    })
}

fn known(node: &Node) -> Read<Known> {
    match (node.as_bool(), node.as_str()) {
        (Some(true), _) => Ok(Known::Yes),
        (Some(false), _) => Ok(Known::No),
        (None, Some("unknown")) => Ok(Known::Unknown),
        _ => Err(node.expected("`true`, `false` or `unknown`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the contract.
    const CONTRACT: &str = r#"
version: 1
captured: {at: 2026-11-20T09:00:00Z, from: "docker context prod", by: rehearsal 0.1.0}
services:
  web: {image: registry.example.com/shop, digest: "sha256:ab", facts: {os: debian 11, python: 3.9.2, openssl: 1.1.1w, glibc: "2.31"}}
  db:  {image: postgres, digest: "sha256:cd", facts: {postgres: "13.16"}}
auth:
  issuer: https://login.example.com/realms/shop
  product: {name: django-oauth-toolkit, version: 1.3.3}
  discovery: null
  jwks: {keys: [{kty: RSA, alg: RS256, kid: absent, bits: 2048}]}
  tls: {protocols: [TLSv1.2, TLSv1.3], chain: [{subject: CN=login, signature: sha256WithRSA, aki: absent}]}
  capabilities: {pkce: {S256: {advertised: false, honoured: unknown, required: false}}}
"#;

    fn read(text: &str) -> Read<Lock> {
        parse(Arc::new(Source {
            path: "production.lock".into(),
            text: text.to_owned(),
        }))
    }

    #[test]
    fn the_contract_s_example_reads() {
        let lock = read(CONTRACT).expect("it reads");
        assert_eq!(lock.services["web"].facts["glibc"], "2.31");
        assert_eq!(lock.services["db"].digest.as_deref(), Some("sha256:cd"));
        let auth = lock.auth.expect("it is there");
        assert_eq!(auth.discovery, Some(serde_json::Value::Null));
        assert_eq!(auth.capabilities["pkce"]["S256"].honoured, Known::Unknown);
    }

    #[test]
    fn what_is_written_reads_back_the_same_and_is_written_the_same() {
        let lock = read(CONTRACT).expect("it reads");
        let text = super::super::write::text(&lock);
        assert_eq!(read(&text).expect(&text), lock);
        assert_eq!(super::super::write::text(&read(&text).expect("it reads")), text);
    }

    #[test]
    fn a_version_without_quotes_is_the_text_as_it_stands() {
        let lock = read("version: 1\ncaptured: {at: 2026-11-20T09:00:00Z}\nservices: {db: {facts: {postgres: 16.10}}}");
        assert_eq!(lock.expect("it reads").services["db"].facts["postgres"], "16.10");
    }

    #[test]
    fn mistakes_say_where_and_what_was_meant() {
        let wrong = [
            (
                "version: 1\ncaptured: {at: 2026-11-20T09:00:00Z}\nservice: {}",
                "unknown key `service`",
                "did you mean `services`?",
            ),
            (
                "version: 1\ncaptured: {at: yesterday}",
                "`yesterday` is not a time",
                "2:16",
            ),
            ("version: 2", "`version` of the lock is not 1", "take it again"),
            ("captured: {}", "`version` is missing", ""),
            (
                "version: 1\ncaptured: {at: 2026-11-20T09:00:00Z}\nprobes: {python: {command: x}}",
                "built-in probe",
                "name of its own",
            ),
            (
                "version: 1\ncaptured: {at: 2026-11-20T09:00:00Z}\nprobes: {shop: {command: x, match: \"(\"}}",
                "not a regular expression",
                "3:16",
            ),
        ];
        for (text, message, more) in wrong {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(message) && error.contains(more), "{error}");
        }
    }
}
