//! The run's CA in the trust of every container, without a change to production's configuration: the files in which an
//! image keeps the CAs that it trusts get one more. Looked up once for each image, through the archive API alone, so
//! that images without a shell and remote engines are served as well.
//!
//! Found are the system's bundles, the files that the usual variables name, OpenSSL's directory, Java's stores and
//! Python's `certifi`. Node trusts none of those: where an image has Node it gets `NODE_EXTRA_CA_CERTS`, the only
//! variable that is ever set.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use bollard::models::ContainerCreateBody;
use futures_util::future::join_all;

use super::authority::Authority;
use super::keystore;
use crate::engine::Engine;
use crate::engine::image_files::ImageFiles;
use crate::world::model::{FileInside, Service};

/// Where systems keep all CAs in one file: Debian and Alpine, Red Hat (twice), SUSE, Alpine and BSD.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// OpenSSL's directory of CAs.
const DIRECTORY: &str = "/etc/ssl/certs";
/// Variables that name a file of CAs.
const FILE_VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    NODE_VARIABLE,
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
];
const NODE_VARIABLE: &str = "NODE_EXTRA_CA_CERTS";
/// Where Java keeps its own, absolute or below `JAVA_HOME`.
const KEYSTORES: [&str; 2] = ["/etc/ssl/certs/java/cacerts", "/etc/pki/java/cacerts"];
const BELOW_JAVA_HOME: [&str; 2] = ["lib/security/cacerts", "jre/lib/security/cacerts"];
/// Where virtual environments of Python usually are.
const ENVIRONMENTS: [&str; 4] = ["/opt/venv", "/venv", "/app/.venv", "/app/venv"];
/// No store of CAs is larger.
const LARGEST: usize = 8 * 1024 * 1024;

/// What has to be put into a container so that it trusts the run's CA.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Complete files, at the paths behind all links.
    pub files: Vec<FileInside>,
    /// The value of `NODE_EXTRA_CA_CERTS`, where Node needs it.
    pub node: Option<String>,
}

impl Trust {
    /// Sets the one variable that Node needs.
    pub(crate) fn tell_node(&self, body: &mut ContainerCreateBody) {
        if let (Some(path), Some(env)) = (&self.node, body.env.as_mut()) {
            env.push(format!("NODE_EXTRA_CA_CERTS={path}"));
        }
    }
}

/// What decides which files count: the same image with the same of these has the same trust.
pub(crate) type Key = (String, Vec<(String, Option<String>)>);

/// The key of a service.
pub(crate) fn key_of(service: &Service) -> Key {
    let tells = |name: &str| {
        FILE_VARIABLES.contains(&name) || ["SSL_CERT_DIR", "JAVA_HOME", "VIRTUAL_ENV", "PATH"].contains(&name)
    };
    let env = service
        .env
        .iter()
        .filter(|(name, _)| tells(name))
        .map(|(name, value)| (name.clone(), value.clone()));
    (service.image.clone(), env.collect())
}

/// Looks into an image, by a container of it that is never started.
///
/// # Errors
/// The engine cannot make a container of the image.
pub(crate) async fn look(engine: &Engine, name: &str, key: &Key, authority: &Authority) -> Result<Trust> {
    let (image, env) = key;
    let look = Look {
        files: ImageFiles::open(engine, name, image, env).await?,
    };
    let trust = look.trust(authority).await;
    look.files.close().await;
    Ok(trust)
}

/// A file of production's that holds CAs, with the run's own behind them; any other is as it was.
pub fn in_own_file(file: &FileInside, service: &Service, authority: &Authority) -> FileInside {
    let named = |name: &str| {
        service
            .env
            .get(name)
            .is_some_and(|value| value.as_ref() == Some(&file.target))
    };
    let counts = BUNDLES.contains(&file.target.as_str()) || FILE_VARIABLES.iter().any(|name| named(name));
    let content = counts.then(|| with_pem(&file.content, authority)).flatten();
    FileInside {
        content: content.unwrap_or_else(|| file.content.clone()),
        ..file.clone()
    }
}

/// A bundle with one certificate more; `None` for what is no bundle.
fn with_pem(content: &[u8], authority: &Authority) -> Option<Vec<u8>> {
    let marker = b"-----BEGIN ";
    let is_bundle = content.is_empty() || content.windows(marker.len()).any(|window| window == marker);
    let pem = format!("\n# Rehearsal: this run's own CA\n{}", authority.pem());
    is_bundle.then(|| [content, pem.as_bytes()].concat())
}

struct Look<'a> {
    files: ImageFiles<'a>,
}

impl Look<'_> {
    async fn trust(&self, authority: &Authority) -> Trust {
        let (bundles, stores, node) = tokio::join!(self.bundles(authority), self.stores(authority), self.has_node());
        let mut files = bundles;
        if files.is_empty() {
            files.insert(BUNDLES[0].to_owned(), file(BUNDLES[0], authority.pem().into_bytes()));
        }
        files.extend(stores);
        let directories = [
            Some(DIRECTORY),
            self.files.env().get("SSL_CERT_DIR").map(String::as_str),
        ];
        for directory in directories
            .into_iter()
            .flatten()
            .flat_map(|list| list.split(':'))
            .filter(|path| path.starts_with('/'))
        {
            let path = format!("{}/{}", directory.trim_end_matches('/'), authority.hashed_name());
            files.insert(path.clone(), file(&path, authority.pem().into_bytes()));
        }
        let wants = node && !self.files.env().contains_key(NODE_VARIABLE);
        Trust {
            files: files.into_values().collect(),
            node: wants.then(|| format!("{DIRECTORY}/{}", authority.hashed_name())),
        }
    }

    /// Every bundle that is there, once, by the path behind its links.
    async fn bundles(&self, authority: &Authority) -> BTreeMap<String, FileInside> {
        let named = FILE_VARIABLES
            .iter()
            .filter_map(|name| self.files.env().get(*name))
            .filter(|path| path.starts_with('/'));
        let mut paths: BTreeSet<String> = BUNDLES
            .iter()
            .map(|path| (*path).to_owned())
            .chain(named.cloned())
            .collect();
        paths.extend(self.certifi().await);
        self.each(paths, |content| with_pem(content, authority)).await
    }

    async fn stores(&self, authority: &Authority) -> BTreeMap<String, FileInside> {
        let home = self
            .files
            .env()
            .get("JAVA_HOME")
            .map(|home| home.trim_end_matches('/').to_owned());
        let below = home
            .iter()
            .flat_map(|home| BELOW_JAVA_HOME.iter().map(move |path| format!("{home}/{path}")));
        let paths = KEYSTORES.iter().map(|path| (*path).to_owned()).chain(below).collect();
        self.each(paths, |content| keystore::with_ca(content, authority.der()))
            .await
    }

    async fn each(
        &self,
        paths: BTreeSet<String>,
        with_ca: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> BTreeMap<String, FileInside> {
        let found = join_all(paths.into_iter().map(|path| self.files.read(path, LARGEST))).await;
        let changed = found.into_iter().flatten().filter_map(|file| {
            let content = with_ca(&file.content)?;
            Some((file.target.clone(), FileInside { content, ..file }))
        });
        changed.collect()
    }

    async fn has_node(&self) -> bool {
        if self.files.env().contains_key("NODE_VERSION") {
            return true;
        }
        let asked = ["/usr/bin/node", "/usr/local/bin/node"].map(|path| self.files.has(path));
        join_all(asked).await.contains(&true)
    }

    /// Where Python's `certifi` may have its own bundle: Debian's, and below each prefix that has a Python.
    async fn certifi(&self) -> Vec<String> {
        let path = self.files.env().get("PATH").map(String::as_str).unwrap_or_default();
        let mut prefixes: BTreeSet<&str> = path
            .split(':')
            .filter_map(|folder| folder.strip_suffix("/bin"))
            .collect();
        prefixes.extend(self.files.env().get("VIRTUAL_ENV").map(String::as_str));
        prefixes.extend(ENVIRONMENTS);
        let below = join_all(prefixes.into_iter().map(|prefix| async move {
            let version = self.python_version(prefix).await?;
            Some(format!("{prefix}/lib/{version}/site-packages/certifi/cacert.pem"))
        }));
        let debian = "/usr/lib/python3/dist-packages/certifi/cacert.pem".to_owned();
        below.await.into_iter().flatten().chain([debian]).collect()
    }

    /// `python3.11`, read off the links behind `bin/python3`.
    async fn python_version(&self, prefix: &str) -> Option<String> {
        let is_version = |name: &str| {
            let minor = name.strip_prefix("python3.");
            minor.is_some_and(|minor| minor.parse::<u32>().is_ok())
        };
        self.files.linked(format!("{prefix}/bin/python3"), is_version).await
    }
}

fn file(path: &str, content: Vec<u8>) -> FileInside {
    FileInside {
        target: path.to_owned(),
        content,
        mode: 0o644,
        uid: 0,
        gid: 0,
        origin: None,
        bound: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::names::authority::TlsProfile;

    #[test]
    fn a_bundle_of_productions_own_gets_the_ca_and_another_file_does_not() {
        let authority = Authority::new("run", TlsProfile::default()).unwrap();
        let mut service = Service::default();
        service
            .env
            .insert("REQUESTS_CA_BUNDLE".to_owned(), Some("/run/company.pem".to_owned()));
        let pem = "-----BEGIN CERTIFICATE-----\n".to_owned().into_bytes();
        let own = in_own_file(&file("/run/company.pem", pem.clone()), &service, &authority);
        assert!(String::from_utf8(own.content).unwrap().ends_with(&authority.pem()));
        let other = in_own_file(&file("/run/server.pem", pem.clone()), &service, &authority);
        assert_eq!(other.content, pem);
    }
}
