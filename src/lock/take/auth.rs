//! The authentication dependency from outside: its discovery document and key set, by GET and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use url::Url;

use super::key_size::bits_of;
use super::tls;
use crate::agent::resolver::Resolver;
use crate::lock::facts::{AuthFacts, Capability, KeyFacts, Known, TlsFacts, Trust};

/// For one answer.
const LIMIT: Duration = Duration::from_secs(15);
/// Larger than any discovery document or key set.
const MAX_BYTES: usize = 1 << 20;

/// Reads the public endpoints of an issuer. Where the chain of its TLS is not trusted, the lock says so; what is
/// public is read all the same. Where it speaks no TLS that this program speaks, its documents are not recorded.
///
/// # Errors
/// It does not answer, or answers neither with a document nor with 404.
pub(super) async fn read(issuer: &str, ca: Option<&[u8]>) -> Result<AuthFacts> {
    let url = Url::parse(issuer).with_context(|| format!("the issuer `{issuer}` is no URL"))?;
    let names = Resolver::system();
    let tls = match url.scheme() {
        "https" => Some(tls::read(&url, ca, &names).await?),
        _ => None,
    };
    let mut facts = AuthFacts {
        issuer: Some(issuer.to_owned()),
        ..AuthFacts::default()
    };
    if tls.as_ref().is_none_or(can_be_spoken) {
        let untrusted = tls.as_ref().is_some_and(|tls| matches!(tls.trust, Trust::No(_)));
        documents(&mut facts, issuer, &client(ca, untrusted, names)?).await?;
    }
    facts.tls = tls;
    Ok(facts)
}

fn can_be_spoken(tls: &TlsFacts) -> bool {
    tls.protocols.iter().any(|one| one == "TLSv1.2" || one == "TLSv1.3")
}

async fn documents(facts: &mut AuthFacts, issuer: &str, client: &reqwest::Client) -> Result<()> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let discovery = get(client, &address).await?;
    facts.keys = match discovery.as_ref().and_then(|document| document["jwks_uri"].as_str()) {
        Some(address) => get(client, address).await?.map(|set| keys(&set)),
        None => None,
    };
    facts.capabilities = discovery.as_ref().map(capabilities).unwrap_or_default();
    facts.discovery = Some(discovery.unwrap_or(Json::Null));
    Ok(())
}

fn client(ca: Option<&[u8]>, untrusted: bool, names: Resolver) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .timeout(LIMIT)
        .redirect(reqwest::redirect::Policy::limited(3))
        .tls_danger_accept_invalid_certs(untrusted)
        .dns_resolver(names)
        .no_proxy();
    if let Some(pem) = ca {
        builder = builder
            .tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).context("the CA file holds no certificate")?);
    }
    builder.build().context("no TLS on this machine")
}

/// A JSON document, or `None` where there is none.
async fn get(client: &reqwest::Client, address: &str) -> Result<Option<Json>> {
    let mut answer = client
        .get(address)
        .send()
        .await
        .with_context(|| format!("`{address}` does not answer"))?;
    if answer.status() == 404 {
        return Ok(None);
    }
    ensure!(
        answer.status().is_success(),
        "`{address}` answers {}, neither with a document nor with 404",
        answer.status()
    );
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        ensure!(
            bytes.len() <= MAX_BYTES,
            "`{address}` answers with more than any document"
        );
    }
    let document = serde_json::from_slice(&bytes).with_context(|| format!("`{address}` does not answer with JSON"))?;
    Ok(Some(document))
}

/// The key set without the keys, in an order of its own: rotation changes the keys, not what they are.
fn keys(set: &Json) -> Vec<KeyFacts> {
    let text = |key: &Json, field: &str| key[field].as_str().unwrap_or("absent").to_owned();
    let one = |key: &Json| KeyFacts {
        kty: text(key, "kty"),
        alg: text(key, "alg"),
        kid: if key["kid"].is_string() { "present" } else { "absent" }.to_owned(),
        bits: bits(key),
    };
    let mut keys: Vec<KeyFacts> = set["keys"].as_array().into_iter().flatten().map(one).collect();
    keys.sort();
    keys
}

fn bits(key: &Json) -> Option<u64> {
    match key["crv"].as_str() {
        Some("P-256" | "secp256k1") => return Some(256),
        Some("P-384") => return Some(384),
        Some("P-521") => return Some(521),
        _ => {}
    }
    Some(bits_of(
        &URL_SAFE_NO_PAD.decode(key["n"].as_str()?.trim_end_matches('=')).ok()?,
    ))
}

/// What the document says; whether production holds to it, and what it insists on, nobody has tried.
fn capabilities(document: &Json) -> BTreeMap<String, BTreeMap<String, Capability>> {
    let methods = document["code_challenge_methods_supported"].as_array();
    let of = |method: &str| {
        let advertised = methods.is_some_and(|methods| methods.iter().any(|one| one == method));
        let advertised = if advertised { Known::Yes } else { Known::No };
        (
            method.to_owned(),
            Capability {
                advertised,
                honoured: Known::Unknown,
                required: Known::Unknown,
            },
        )
    };
    BTreeMap::from([("pkce".to_owned(), ["S256", "plain"].into_iter().map(of).collect())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn keys_are_described_and_not_copied() {
        let n = URL_SAFE_NO_PAD.encode([&[0u8][..], &[0x80; 256][..]].concat());
        let set = json!({"keys": [{"kty": "RSA", "alg": "RS256", "n": n, "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "kid": "k1", "x": "…"}]});
        let keys = keys(&set);
        assert_eq!(
            keys[0],
            KeyFacts {
                kty: "EC".to_owned(),
                alg: "absent".to_owned(),
                kid: "present".to_owned(),
                bits: Some(256)
            }
        );
        assert_eq!(
            keys[1],
            KeyFacts {
                kty: "RSA".to_owned(),
                alg: "RS256".to_owned(),
                kid: "absent".to_owned(),
                bits: Some(2048)
            }
        );
        assert!(super::keys(&json!([1])).is_empty());
    }

    #[test]
    fn pkce_is_advertised_or_not_and_the_rest_unknown() {
        let pkce = |document: Json| capabilities(&document)["pkce"]["S256"];
        assert_eq!(
            pkce(json!({"code_challenge_methods_supported": ["S256"]})).advertised,
            Known::Yes
        );
        assert_eq!(pkce(json!({})).advertised, Known::No);
        assert_eq!(pkce(json!({})).honoured, Known::Unknown);
    }

    /// A provider with one answer.
    async fn provider(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _read = client.read(&mut request).await;
                let _written = client.write_all(answer.as_bytes()).await;
            }
        });
        format!("http://{address}/o/")
    }

    #[tokio::test]
    async fn no_document_is_recorded_as_null() {
        let issuer = provider("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        let facts = read(&issuer, None).await.expect("it answers");
        assert_eq!((facts.discovery, facts.keys, facts.tls), (Some(Json::Null), None, None));
    }

    #[tokio::test]
    async fn an_answer_that_is_no_document_is_an_error() {
        for answer in [
            "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi",
        ] {
            let issuer = provider(answer).await;
            assert!(read(&issuer, None).await.is_err(), "{answer}");
        }
    }
}
