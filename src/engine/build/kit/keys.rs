//! Keys of SSH for the time of a build. What is named by its socket is an agent that runs; a key in a file is given to an
//! agent of this machine's OpenSSH, so that we never read it, and no step of the build can.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::text::harmless::one_line;
use crate::world::model::Build;

/// Takes the key at its first argument, says where it is held, and holds it until nobody keeps its input open. From its
/// input a key is taken whatever rights its file has.
const HOLD: &str = r#"ssh-add -q - <"$0" && echo "$SSH_AUTH_SOCK" && exec cat"#;
/// An agent holds a key within this time.
const HELD_WITHIN: Duration = Duration::from_secs(10);
/// What is done with a key that cannot be held here.
const BY_AN_AGENT: &str = "give the key to an agent (`ssh-add`) and say `default`";

/// The agents that a build may ask, until this is dropped.
pub(super) struct Keys {
    /// Identity → socket.
    pub sockets: BTreeMap<String, PathBuf>,
    _agents: Vec<Child>,
}

impl Keys {
    /// # Errors
    /// A path is neither an agent's socket nor a key that an agent takes: where it is written, why, the way out.
    pub async fn of(build: &Build) -> Result<Self> {
        let (mut sockets, mut agents) = (BTreeMap::new(), Vec::new());
        for (id, path) in &build.ssh {
            let socket = match is_agent(path).map_err(|why| anyhow!("{}{why}", at(build)))? {
                true => path.clone(),
                false => {
                    let held = hold(path).await;
                    let why = || format!("{}build.ssh names `{}`", at(build), path.display());
                    let (agent, socket) = held.with_context(why)?;
                    agents.push(agent);
                    socket
                }
            };
            sockets.insert(id.clone(), socket);
        }
        Ok(Self {
            sockets,
            _agents: agents,
        })
    }
}

/// Where the build is written, as the beginning of a message.
fn at(build: &Build) -> String {
    match build.place.as_str() {
        "" => String::new(),
        place => format!("{place}: "),
    }
}

/// An agent's socket, or else a file.
fn is_agent(path: &Path) -> Result<bool, String> {
    if path.as_os_str().is_empty() {
        let why = "build.ssh asks for this machine's SSH agent, and SSH_AUTH_SOCK names none: start one (`ssh-agent`)";
        return Err(why.to_owned());
    }
    match std::fs::metadata(path) {
        Ok(facts) if facts.is_file() => Ok(false),
        Ok(facts) if facts.file_type().is_socket() => Ok(true),
        Ok(_) => Err(format!(
            "build.ssh names `{}`, which is neither an agent's socket nor a key; {BY_AN_AGENT}",
            path.display()
        )),
        Err(error) => Err(format!(
            "build.ssh names `{}`, which cannot be read ({error}): put the key there, or {BY_AN_AGENT}",
            path.display()
        )),
    }
}

/// An agent of ours with that key alone, and its socket.
async fn hold(key: &Path) -> Result<(Child, PathBuf)> {
    let mut agent = Command::new("ssh-agent")
        // Steps of the build speak to it: none may have it load a library of this machine's.
        .args(["-P", "none", "sh", "-c", HOLD])
        .arg(key)
        // Nobody is there to be asked for a passphrase.
        .env("SSH_ASKPASS", "false")
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("there is no `ssh-agent` to hold it: install OpenSSH's client, or {BY_AN_AGENT}"))?;
    let socket = tokio::time::timeout(HELD_WITHIN, said(&mut agent)).await;
    let socket = socket.unwrap_or_else(|_| Err(anyhow!("ssh-add does not end")))?;
    Ok((agent, socket))
}

/// The socket that it says once the key is held.
async fn said(agent: &mut Child) -> Result<PathBuf> {
    let stdout = agent.stdout.as_mut().context("it has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await?;
    match line.trim() {
        "" => {
            let mut words = String::new();
            let stderr = agent.stderr.take().context("it has no output")?;
            stderr.take(4_096).read_to_string(&mut words).await?;
            Err(anyhow!(
                "no agent takes it as a key ({}); where it has a passphrase, {BY_AN_AGENT}",
                one_line(&words)
            ))
        }
        socket => Ok(PathBuf::from(socket)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(path: &Path) -> Build {
        Build {
            ssh: [("default".to_owned(), path.to_path_buf())].into(),
            place: "compose.yaml:3:5".to_owned(),
            ..Build::default()
        }
    }

    /// A key without a passphrase, or with one.
    fn key(folder: &Path, passphrase: &str) -> PathBuf {
        let path = folder.join(format!("key{passphrase}"));
        let mut command = std::process::Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(&path);
        assert!(command.status().expect("OpenSSH's client is installed").success());
        path
    }

    fn listed(socket: &Path) -> String {
        let mut command = std::process::Command::new("ssh-add");
        let listed = command.arg("-L").env("SSH_AUTH_SOCK", socket).output();
        String::from_utf8_lossy(&listed.expect("OpenSSH's client is installed").stdout).into_owned()
    }

    #[tokio::test]
    async fn a_key_in_a_file_is_held_by_an_agent_and_an_agents_socket_is_taken_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = key(folder.path(), "");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, open).expect("it is ours");
        let keys = Keys::of(&build(&path)).await.expect("it is a key");
        let socket = &keys.sockets["default"];
        let public = std::fs::read_to_string(path.with_extension("pub")).expect("there");
        let material = public.split(' ').nth(1).expect("a key");
        assert!(listed(socket).contains(material), "{}", listed(socket));
        let again = Keys::of(&build(socket)).await.expect("it is an agent");
        assert_eq!(again.sockets, keys.sockets);
        assert!(again._agents.is_empty());
    }

    #[tokio::test]
    async fn what_is_no_key_is_named_with_its_place_and_the_way_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().join("text");
        std::fs::write(&text, "no key\n").expect("written");
        let missing = folder.path().join("missing");
        for (path, words) in [
            (text, "no agent takes it as a key"),
            (key(folder.path(), "open sesame"), "where it has a passphrase"),
            (missing, "cannot be read (No such file"),
            (folder.path().to_path_buf(), "neither an agent's socket nor a key"),
            (PathBuf::new(), "SSH_AUTH_SOCK names none"),
        ] {
            let error = Keys::of(&build(&path)).await.err().expect(words);
            let error = format!("{error:#}");
            assert!(
                error.starts_with("compose.yaml:3:5: build.ssh") && error.contains(words),
                "{error}"
            );
        }
    }
}
