//! Where the engine is: `DOCKER_HOST`, else the Docker client's own context, else the first of the usual sockets that
//! answers. The order and the files are the Docker client's, so that `docker ps` and Rehearsal look at one engine.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::Digest as _;
use url::Url;

use crate::context::Context;

/// Where Docker listens when nobody says otherwise.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Ports of an engine over TCP, without and with TLS.
const PORTS: (u16, u16) = (2375, 2376);

/// An engine's address, and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Who says so, for messages: "`DOCKER_HOST`", "the Docker context `prod`", "the usual socket".
    pub named_by: String,
    /// testcontainers finds the same engine by itself.
    pub known_to_testcontainers: bool,
}

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of this machine.
    Socket(PathBuf),
    /// A port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// What proves who is who; `None` = plain.
        tls: Option<Certificates>,
    },
    /// Another machine's own engine, by that machine's SSH server.
    Ssh(Ssh),
}

/// Certificates as the Docker client keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// Holds `ca.pem`, `cert.pem` and `key.pem`; what is missing is not used.
    pub folder: PathBuf,
}

/// An SSH server with a Docker client behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// As whom; `None` = as SSH's own configuration says.
    pub user: Option<String>,
    /// Name or address, or an alias of SSH's own configuration.
    pub host: String,
    /// Port, where it is not SSH's own.
    pub port: Option<u16>,
    /// The engine's socket on that machine, where it is not the usual one.
    pub socket: Option<String>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.endpoint, self.named_by)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "tcp://{host}:{port}"),
            Self::Ssh(ssh) => write!(f, "{ssh}"),
        }
    }
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(
            f,
            "ssh://{user}{}{port}{}",
            self.host,
            self.socket.as_deref().unwrap_or_default()
        )
    }
}

impl Address {
    /// The engine that the Docker client would use here.
    ///
    /// # Errors
    /// What names it cannot be understood: the user's doing; the message says what and where.
    pub fn find(context: &Context) -> Result<Self> {
        if let Some(host) = context.variable("DOCKER_HOST") {
            let endpoint = Endpoint::parse(host, tls_of_environment(context))
                .with_context(|| format!("`DOCKER_HOST` is `{host}`, which names no engine"))?;
            return Ok(Self {
                known_to_testcontainers: endpoint.is_known_to_testcontainers(context),
                endpoint,
                named_by: "`DOCKER_HOST`".to_owned(),
            });
        }
        match current_context(context)? {
            Some(name) => Self::of_context(context, &name),
            None => Ok(Self::usual(context)),
        }
    }

    /// The engine of one of the Docker client's contexts.
    ///
    /// # Errors
    /// There is no such context, or its files cannot be understood.
    pub fn of_context(context: &Context, name: &str) -> Result<Self> {
        let folder = config_folder(context).join("contexts");
        let hash: String = sha2::Sha256::digest(name)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let file = folder.join("meta").join(&hash).join("meta.json");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("there is no Docker context `{name}` (see `docker context ls`)"))?;
        let meta: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("`{}` cannot be read", file.display()))?;
        let endpoint = &meta["Endpoints"]["docker"];
        let host = endpoint["Host"].as_str();
        let host = host.with_context(|| format!("the Docker context `{name}` names no host"))?;
        let tls = Certificates {
            folder: folder.join("tls").join(&hash).join("docker"),
        };
        let endpoint = Endpoint::parse(host, tls.folder.is_dir().then_some(tls))
            .with_context(|| format!("the Docker context `{name}` says `{host}`, which names no engine"))?;
        Ok(Self {
            endpoint,
            named_by: format!("the Docker context `{name}`"),
            known_to_testcontainers: false,
        })
    }

    /// The first of the usual sockets that somebody listens on; Docker's own where nobody does.
    fn usual(context: &Context) -> Self {
        let sockets = usual_sockets(context);
        let listens = |path: &&PathBuf| UnixStream::connect(path).is_ok();
        let there = |path: &&PathBuf| path.exists();
        let found = sockets.iter().find(listens).or_else(|| sockets.iter().find(there));
        let path = found.cloned().unwrap_or_else(|| DOCKER_SOCKET.into());
        Self {
            // The first that it tries, too.
            known_to_testcontainers: path == Path::new(DOCKER_SOCKET)
                && !context.environment.contains_key("DOCKER_HOST"),
            endpoint: Endpoint::Socket(path),
            named_by: "the usual socket".to_owned(),
        }
    }

    /// The variables that name this engine and no other, for a process that must find the same one later on.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![("DOCKER_HOST", self.endpoint.to_string())];
        if let Endpoint::Tcp { tls: Some(tls), .. } = &self.endpoint {
            all.push(("DOCKER_TLS_VERIFY", "1".to_owned()));
            all.push(("DOCKER_CERT_PATH", tls.folder.display().to_string()));
        }
        all
    }
}

impl Endpoint {
    fn parse(text: &str, tls: Option<Certificates>) -> Result<Self> {
        let text = if text.contains("://") {
            text.to_owned()
        } else {
            format!("tcp://{text}")
        };
        if let Some(path) = text.strip_prefix("unix://") {
            ensure!(
                path.starts_with('/'),
                "a socket is named by its absolute path, as in unix:///run/docker.sock"
            );
            return Ok(Self::Socket(path.into()));
        }
        let url = Url::parse(&text)?;
        // In a URL an address of IPv6 stands in brackets, elsewhere not.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        ensure!(!host.is_empty(), "it names no host");
        let tcp = |tls: Option<Certificates>, usual: u16| {
            let port = url.port().unwrap_or(usual);
            Ok(Self::Tcp {
                host: host.clone(),
                port,
                tls,
            })
        };
        match url.scheme() {
            "tcp" | "http" => {
                let usual = if tls.is_some() { PORTS.1 } else { PORTS.0 };
                tcp(tls, usual)
            }
            "https" => tcp(Some(tls.unwrap_or(Certificates { folder: PathBuf::new() })), PORTS.1),
            "ssh" => ssh(&url, host),
            other => bail!("an engine is reached by unix, tcp, http, https or ssh, and not by `{other}`"),
        }
    }

    /// testcontainers reads the environment itself. It knows neither SSH nor contexts, and would ask the C library for
    /// the address of a name, which a static program must not do.
    fn is_known_to_testcontainers(&self, context: &Context) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Tcp { host, tls: None, .. } => {
                host.parse::<IpAddr>().is_ok() && context.variable("DOCKER_TLS_VERIFY").is_none()
            }
            // It would trust the system's authorities beside the engine's own.
            Self::Tcp { tls: Some(_), .. } | Self::Ssh(_) => false,
        }
    }
}

fn ssh(url: &Url, host: String) -> Result<Endpoint> {
    ensure!(
        url.password().is_none(),
        "a password cannot stand in the address: use a key, and `ssh-agent` for its pass phrase"
    );
    // Else it would be an option for `ssh`.
    ensure!(
        !host.starts_with('-') && !url.username().starts_with('-'),
        "no host or user begins with `-`"
    );
    let socket = Some(url.path()).filter(|path| !matches!(*path, "" | "/"));
    ensure!(
        socket.is_none_or(is_plain),
        "the socket's path has characters that a shell would read"
    );
    Ok(Endpoint::Ssh(Ssh {
        user: Some(url.username()).filter(|user| !user.is_empty()).map(str::to_owned),
        host,
        port: url.port(),
        socket: socket.map(str::to_owned),
    }))
}

/// It goes through the other machine's shell.
fn is_plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
}

/// The Docker client's own folder.
fn config_folder(context: &Context) -> PathBuf {
    let home = || context.path("HOME").unwrap_or_default().join(".docker");
    let folder = context.path("DOCKER_CONFIG").unwrap_or_else(home);
    context.directory.join(folder)
}

fn tls_of_environment(context: &Context) -> Option<Certificates> {
    let folder = context.path("DOCKER_CERT_PATH");
    let wanted = context.variable("DOCKER_TLS_VERIFY").is_some() || folder.is_some();
    wanted.then(|| Certificates {
        folder: context.directory.join(folder.unwrap_or_else(|| config_folder(context))),
    })
}

/// The name of the context that the Docker client is set to; `None` = the default, which is no context.
fn current_context(context: &Context) -> Result<Option<String>> {
    let named = match context.variable("DOCKER_CONTEXT") {
        Some(name) => Some(name.to_owned()),
        None => configured_context(&config_folder(context).join("config.json"))?,
    };
    Ok(named.filter(|name| !matches!(name.as_str(), "" | "default")))
}

fn configured_context(file: &Path) -> Result<Option<String>> {
    // Without the file there is no context but the default.
    let Ok(text) = std::fs::read_to_string(file) else {
        return Ok(None);
    };
    let config: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("`{}` is not JSON", file.display()))?;
    Ok(config["currentContext"].as_str().map(str::to_owned))
}

/// Docker's, then rootless Docker's and Docker Desktop's, then Podman's.
fn usual_sockets(context: &Context) -> Vec<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let runtime = context
        .path("XDG_RUNTIME_DIR")
        .unwrap_or_else(|| format!("/run/user/{user}").into());
    let home = context.path("HOME").unwrap_or_default();
    let podman = [runtime.join("podman/podman.sock"), "/run/podman/podman.sock".into()];
    let docker = [
        DOCKER_SOCKET.into(),
        runtime.join("docker.sock"),
        home.join(".docker/run/docker.sock"),
        home.join(".docker/desktop/docker.sock"),
    ];
    docker
        .into_iter()
        .chain(podman)
        .filter(|path| path.is_absolute())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn context(home: &Path, variables: &[(&str, &str)]) -> Context {
        let mut environment: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        environment.insert("HOME".to_owned(), home.display().to_string());
        environment.insert("XDG_RUNTIME_DIR".to_owned(), home.join("runtime").display().to_string());
        Context {
            environment,
            directory: home.to_owned(),
            terminal: false,
            width: 100,
            github: false,
            token: None,
            runs: home.to_owned(),
        }
    }

    fn found(variables: &[(&str, &str)]) -> Result<Address> {
        Address::find(&context(Path::new("/nowhere"), variables))
    }

    fn place(host: &str) -> String {
        found(&[("DOCKER_HOST", host)])
            .map_or_else(|error| format!("{error:#}"), |address| address.endpoint.to_string())
    }

    #[test]
    fn an_address_is_read_as_the_docker_client_reads_it() {
        assert_eq!(place("unix:///run/my.sock"), "unix:///run/my.sock");
        assert_eq!(place("tcp://build"), "tcp://build:2375");
        assert_eq!(place("build:99"), "tcp://build:99");
        assert_eq!(place("http://[::1]:99"), "tcp://[::1]:99");
        assert_eq!(place("https://build"), "tcp://build:2376");
        assert_eq!(
            place("ssh://me@build:22/run/podman.sock"),
            "ssh://me@build:22/run/podman.sock"
        );
        assert_eq!(place("ssh://build"), "ssh://build");
    }

    #[test]
    fn what_names_no_engine_says_why() {
        assert!(place("ftp://build").contains("`DOCKER_HOST` is `ftp://build`, which names no engine"));
        assert!(place("ftp://build").contains("and not by `ftp`"));
        assert!(place("unix://docker.sock").contains("absolute path"));
        assert!(place("ssh://me:secret@build").contains("ssh-agent"));
        assert!(place("ssh://-oProxyCommand=x").contains("begins with `-`"));
        assert!(place("ssh://build/a;b").contains("a shell would read"));
    }

    #[test]
    fn tls_is_wanted_by_the_variables_that_say_so() {
        let folder = |variables: &[(&str, &str)]| match found(variables).expect("it names an engine").endpoint {
            Endpoint::Tcp { tls, port, .. } => (tls.map(|tls| tls.folder.display().to_string()), port),
            other => panic!("{other}"),
        };
        let host = ("DOCKER_HOST", "tcp://build");
        assert_eq!(folder(&[host]), (None, 2375));
        assert_eq!(
            folder(&[host, ("DOCKER_TLS_VERIFY", "1")]),
            (Some("/nowhere/.docker".to_owned()), 2376)
        );
        let both = [host, ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "certs")];
        assert_eq!(folder(&both), (Some("/nowhere/certs".to_owned()), 2376));
        assert_eq!(folder(&[host, ("DOCKER_TLS_VERIFY", "")]), (None, 2375));
    }

    #[test]
    fn the_variables_for_a_later_process_name_the_same_engine() {
        for host in [
            "unix:///run/my.sock",
            "tcp://[::1]:99",
            "https://build",
            "ssh://me@build:22/run/x.sock",
        ] {
            let first = found(&[("DOCKER_HOST", host)]).expect("it names an engine");
            let variables = first.environment();
            let pairs: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(
                found(&pairs).expect("it names an engine").endpoint.to_string(),
                first.endpoint.to_string()
            );
        }
    }

    /// A context as the Docker client writes it.
    fn write_context(home: &Path, name: &str, host: &str) -> PathBuf {
        let hash: String = sha2::Sha256::digest(name)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let folder = home.join(".docker/contexts/meta").join(&hash);
        std::fs::create_dir_all(&folder).expect("writable");
        let text = format!(
            r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        );
        std::fs::write(folder.join("meta.json"), text).expect("writable");
        home.join(".docker/contexts/tls").join(hash).join("docker")
    }

    #[test]
    fn the_current_context_counts_where_no_host_is_named() {
        let home = tempfile::tempdir().expect("a folder");
        let certificates = write_context(home.path(), "prod", "tcp://10.0.0.7:2376");
        std::fs::create_dir_all(&certificates).expect("writable");
        write_context(home.path(), "test", "ssh://build");
        std::fs::write(home.path().join(".docker/config.json"), r#"{"currentContext":"prod"}"#).expect("writable");
        let endpoint = |variables: &[(&str, &str)]| {
            Address::find(&context(home.path(), variables))
                .expect("it is there")
                .endpoint
        };
        let prod = Endpoint::Tcp {
            host: "10.0.0.7".to_owned(),
            port: 2376,
            tls: Some(Certificates { folder: certificates }),
        };
        assert_eq!(endpoint(&[]), prod);
        assert_eq!(endpoint(&[("DOCKER_CONTEXT", "test")]).to_string(), "ssh://build");
        assert_eq!(
            endpoint(&[("DOCKER_CONTEXT", "test"), ("DOCKER_HOST", "tcp://x:1")]).to_string(),
            "tcp://x:1"
        );
        let other = Address::find(&context(home.path(), &[("DOCKER_CONTEXT", "other")]));
        assert!(
            other
                .expect_err("it is not there")
                .to_string()
                .contains("no Docker context `other`")
        );
    }

    #[test]
    fn a_socket_that_somebody_listens_on_is_found() {
        let home = tempfile::tempdir().expect("a folder");
        let dead = home.path().join("runtime/docker.sock");
        let alive = home.path().join("runtime/podman/podman.sock");
        std::fs::create_dir_all(alive.parent().expect("a folder")).expect("writable");
        std::fs::write(&dead, "").expect("writable");
        let _listener = std::os::unix::net::UnixListener::bind(&alive).expect("a socket");
        let mine = |path: &PathBuf| path.starts_with(home.path());
        let sockets: Vec<PathBuf> = usual_sockets(&context(home.path(), &[]))
            .into_iter()
            .filter(mine)
            .collect();
        assert_eq!(sockets.first(), Some(&dead));
        assert_eq!(
            sockets.iter().find(|path| UnixStream::connect(path).is_ok()),
            Some(&alive)
        );
    }
}
