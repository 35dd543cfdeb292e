//! Credentials for registries, found where `docker login` and `podman login` put them: in a file, in a program that
//! keeps them (a credential helper), or in `DOCKER_AUTH_CONFIG`.
//!
//! `docker_credential` reads what stands in the files. The programs are run here: the crate runs them without a limit
//! of time, names neither the one that is missing nor why, and puts what it printed into its error.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use futures_util::future::join_all;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::context::Context;
use crate::engine::pull::failure::said;
use crate::engine::pull::reference::Reference;
use crate::text::redact::Redactor;

/// A helper may ask a human to unlock something; nobody may be there.
const HELPER_LIMIT: Duration = Duration::from_secs(30);

/// Every place where credentials may be, the first one speaks first.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    sources: Vec<Source>,
    redactor: Redactor,
    /// The engine's own index, as `docker login` calls it: a URL.
    index: String,
}

/// One file, or one variable.
#[derive(Clone)]
struct Source {
    name: String,
    config: Value,
}

/// Says where and never what.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.name).finish()
    }
}

/// Credentials for one registry.
#[derive(Clone)]
pub struct Login {
    /// As the engine takes them.
    pub credentials: DockerCredentials,
    /// Where they were found.
    pub from: String,
}

impl Keyring {
    /// Reads the files that are there. What is in them is learned as secret when it is used.
    ///
    /// # Errors
    /// One of them is no JSON: the user's doing.
    pub fn read(context: &Context, redactor: &Redactor) -> Result<Self> {
        let mut sources = Vec::new();
        if let Some(text) = context
            .environment
            .get("DOCKER_AUTH_CONFIG")
            .filter(|text| !text.is_empty())
        {
            sources.push(Source::of("DOCKER_AUTH_CONFIG".to_owned(), text)?);
        }
        for file in files(context) {
            match std::fs::read_to_string(&file) {
                Ok(text) => sources.push(Source::of(format!("`{}`", file.display()), &text)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => bail!(
                    "`{}`, where credentials may be, could not be read: {error}",
                    file.display()
                ),
            }
        }
        Ok(Self {
            sources,
            redactor: redactor.clone(),
            index: String::new(),
        })
    }

    /// The same, knowing which index the engine asks for names without a registry.
    #[must_use]
    pub fn with_index(mut self, url: Option<String>) -> Self {
        self.index = url.unwrap_or_default();
        self
    }

    /// The credentials for the registry of a reference, if there are any.
    ///
    /// # Errors
    /// They are there and cannot be read: where, and why.
    pub async fn of(&self, reference: &str) -> Result<Option<Login>> {
        let keys = self.keys(&Reference::of(reference));
        for source in &self.sources {
            if let Some(login) = source.find(&keys).await? {
                self.learn(&login.credentials);
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    /// All that are kept here, by registry: which of them a recipe needs, only the builder knows. What cannot be read
    /// is left out.
    pub async fn all(&self) -> HashMap<String, DockerCredentials> {
        let mut all = HashMap::new();
        // The first source speaks last, and so has its way.
        for source in self.sources.iter().rev() {
            let logins = join_all(source.keys().map(|key| async move {
                let found = source.find(std::slice::from_ref(key)).await;
                Some((key.clone(), found.ok()??.credentials))
            }));
            all.extend(logins.await.into_iter().flatten());
        }
        for credentials in all.values() {
            self.learn(credentials);
        }
        all
    }

    fn learn(&self, credentials: &DockerCredentials) {
        for secret in [&credentials.password, &credentials.identitytoken]
            .into_iter()
            .flatten()
        {
            self.redactor.learn(secret);
        }
        if let (Some(user), Some(password)) = (&credentials.username, &credentials.password) {
            self.redactor.learn(&format!("{user}:{password}"));
        }
    }

    /// By what names the credentials of a reference may be kept, the most particular first: Podman keeps them by folder
    /// too, and `docker login` keeps those of the engine's own index by its URL.
    fn keys(&self, reference: &Reference) -> Vec<String> {
        let index = self.index_host();
        let registry = match &reference.registry {
            Some(host) if Some(host.as_str()) != index && Some(host.as_str()) != index.map(without_index) => host,
            _ => return self.index_keys(),
        };
        let whole = format!("{registry}/{}", reference.path);
        let folders = whole.match_indices('/').map(|(end, _)| whole[..end].to_owned());
        let mut keys: Vec<String> = folders.chain([whole.clone()]).collect();
        keys.reverse();
        keys
    }

    fn index_keys(&self) -> Vec<String> {
        let host = self.index_host();
        let names = [Some(self.index.as_str()), host, host.map(without_index)];
        names
            .into_iter()
            .flatten()
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn index_host(&self) -> Option<&str> {
        let rest = self
            .index
            .split_once("://")
            .map_or(self.index.as_str(), |(_, rest)| rest);
        rest.split('/').next().filter(|host| !host.is_empty())
    }
}

/// `index.example.com` is also written `example.com`.
fn without_index(host: &str) -> &str {
    host.strip_prefix("index.").unwrap_or(host)
}

/// Where Docker's and Podman's logins are written, in the order in which they are asked.
fn files(context: &Context) -> Vec<PathBuf> {
    let home = context.path("HOME");
    let docker = context
        .path("DOCKER_CONFIG")
        .or_else(|| Some(home.as_ref()?.join(".docker")));
    let podman = match context.path("REGISTRY_AUTH_FILE") {
        Some(file) => vec![file],
        None => {
            let running = context.path("XDG_RUNTIME_DIR");
            let kept = home.map(|home| home.join(".config"));
            let folders = running.into_iter().chain(kept);
            folders.map(|folder| folder.join("containers/auth.json")).collect()
        }
    };
    let docker = docker.map(|folder| folder.join("config.json"));
    docker.into_iter().chain(podman).collect()
}

impl Source {
    fn of(name: String, text: &str) -> Result<Self> {
        // The parser's own words would quote the text, and so a secret.
        match serde_json::from_str(text) {
            Ok(config @ Value::Object(_)) => Ok(Self { name, config }),
            Ok(_) => bail!("{name}, where credentials may be, is no JSON object"),
            Err(error) => bail!(
                "{name}, where credentials may be, is no JSON: line {}, column {}",
                error.line(),
                error.column()
            ),
        }
    }

    /// What it has credentials for.
    fn keys(&self) -> impl Iterator<Item = &String> {
        let parts = [&self.config["auths"], &self.config["credHelpers"]];
        let keys: BTreeSet<&String> = parts
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(Map::keys)
            .collect();
        keys.into_iter()
    }

    /// As Docker's client looks: the registry's own helper, the common one, then what stands in the file.
    async fn find(&self, keys: &[String]) -> Result<Option<Login>> {
        let own = keys
            .iter()
            .find_map(|key| Some((self.config["credHelpers"][key].as_str()?, key)));
        let common = self.config["credsStore"].as_str().zip(keys.last());
        // The first key of the index is its URL, which is what a helper keeps it by.
        let common = common.map(|(helper, last)| (helper, if is_url(&keys[0]) { &keys[0] } else { last }));
        if let Some((helper, key)) = own.or(common).filter(|(helper, _)| !helper.is_empty()) {
            let found = ask(helper, key)
                .await
                .with_context(|| format!("credential helper `{}`, which {} names", program(helper), self.name))?;
            if let Some(credential) = found {
                let from = format!("credential helper `{}`", program(helper));
                return Ok(Some(login(credential, key, from)));
            }
        }
        for key in keys {
            if let Some(credential) = self.written(key)? {
                return Ok(Some(login(credential, key, self.name.clone())));
            }
        }
        Ok(None)
    }

    /// What stands in the file itself.
    fn written(&self, key: &str) -> Result<Option<DockerCredential>> {
        let alone = serde_json::json!({"auths": self.config["auths"]}).to_string();
        match get_credential_from_reader(alone.as_bytes(), key) {
            // An empty entry says that somebody logged in and a helper keeps it.
            Ok(DockerCredential::UsernamePassword(user, password)) if user.is_empty() && password.is_empty() => {
                Ok(None)
            }
            Ok(found) => Ok(Some(found)),
            Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
            Err(error) => bail!("what {} has for `{key}` cannot be used: {error}", self.name),
        }
    }
}

fn is_url(key: &str) -> bool {
    key.contains("://")
}

fn program(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

fn login(credential: DockerCredential, key: &str, from: String) -> Login {
    let server = Some(key.to_owned());
    let credentials = match credential {
        DockerCredential::IdentityToken(token) => DockerCredentials {
            identitytoken: Some(token),
            serveraddress: server,
            ..DockerCredentials::default()
        },
        DockerCredential::UsernamePassword(user, password) => DockerCredentials {
            username: Some(user),
            password: Some(password),
            serveraddress: server,
            ..DockerCredentials::default()
        },
    };
    Login { credentials, from }
}

/// Asks a credential helper; `None` where it knows nothing of this registry.
async fn ask(helper: &str, server: &str) -> Result<Option<DockerCredential>> {
    let mut child = Command::new(program(helper))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("could not be started")?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read what it is asked says so by its exit.
        let _unread = stdin.write_all(server.as_bytes()).await;
    }
    let done = tokio::time::timeout(HELPER_LIMIT, child.wait_with_output()).await;
    let output = done
        .with_context(|| format!("did not answer within {} s", HELPER_LIMIT.as_secs()))?
        .context("could not be waited for")?;
    if output.status.success() {
        return answer(&output.stdout).map(Some);
    }
    // A helper says why on its standard output; only what cannot be an answer is passed on.
    let words = said(&String::from_utf8_lossy(&output.stdout));
    if words.to_lowercase().contains("credentials not found") {
        return Ok(None);
    }
    let words = if words.contains('{') { String::new() } else { words };
    bail!("failed ({}): {words}", output.status)
}

fn answer(stdout: &[u8]) -> Result<DockerCredential> {
    let value: Value = serde_json::from_slice(stdout)
        .ok()
        .context("answered something that is no JSON")?;
    let part = |name: &str| value[name].as_str().map(str::to_owned);
    let (Some(user), Some(secret)) = (part("Username"), part("Secret")) else {
        bail!("answered without `Username` and `Secret`");
    };
    Ok(if user == "<token>" {
        DockerCredential::IdentityToken(secret)
    } else {
        DockerCredential::UsernamePassword(user, secret)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "https://index.example.com/v1/";

    fn keyring(config: &str) -> Keyring {
        Keyring {
            sources: vec![Source::of("a file".to_owned(), config).expect("JSON")],
            redactor: Redactor::default(),
            index: INDEX.to_owned(),
        }
    }

    async fn user(config: &str, reference: &str) -> Option<String> {
        let login = keyring(config).of(reference).await.expect("readable")?;
        login.credentials.username.or(login.credentials.identitytoken)
    }

    /// `auth` of `NAME:pw`.
    fn auth(name: &str) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{name}:pw"))
    }

    #[tokio::test]
    async fn a_registrys_credentials_are_found_by_host_folder_or_url() {
        let config = format!(
            r#"{{"auths": {{
                "127.0.0.1:5000": {{"auth": "{}"}},
                "127.0.0.1:5000/team": {{"auth": "{}"}},
                "https://registry.example.com/v1/": {{"auth": "{}"}},
                "{INDEX}": {{"auth": "{}"}},
                "token.example.com": {{"auth": "{}", "identitytoken": "opaque"}},
                "empty.example.com": {{}}
            }}}}"#,
            auth("host"),
            auth("folder"),
            auth("url"),
            auth("index"),
            auth("x")
        );
        let cases = [
            ("127.0.0.1:5000/other/shop:1", Some("host")),
            ("127.0.0.1:5000/team/shop:1", Some("folder")),
            ("127.0.0.1:5001/shop", None),
            ("registry.example.com/shop", Some("url")),
            ("shop:1.0", Some("index")),
            ("acme/shop:1.0", Some("index")),
            ("example.com/acme/shop:1.0", Some("index")),
            ("token.example.com/shop", Some("opaque")),
            ("empty.example.com/shop", None),
        ];
        for (reference, wanted) in cases {
            assert_eq!(user(&config, reference).await.as_deref(), wanted, "{reference}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_is_named() {
        let keyring = keyring(r#"{"credsStore": "nowhere-to-be-found"}"#);
        let error = keyring.of("127.0.0.1:1/a").await.err().expect("no such program");
        let words = format!("{error:#}");
        assert!(words.contains("docker-credential-nowhere-to-be-found"), "{words}");
    }

    #[test]
    fn a_file_that_is_no_json_is_an_error_without_its_content() {
        let error = Source::of("`config.json`".to_owned(), "{\"auths\": hunter2}").expect_err("no JSON");
        assert!(error.to_string().contains("line 1") && !error.to_string().contains("hunter2"));
    }

    #[tokio::test]
    async fn what_was_found_is_a_secret_from_then_on() {
        let config = format!(r#"{{"auths": {{"127.0.0.1:1": {{"auth": "{}"}}}}}}"#, {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode("joe:correct horse")
        });
        let keyring = keyring(&config);
        keyring.of("127.0.0.1:1/a").await.expect("readable").expect("there");
        assert!(!keyring.redactor.clean("it was correct horse").contains("correct horse"));
    }
}
