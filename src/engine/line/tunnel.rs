//! An engine behind SSH: the machine's own `ssh` runs `docker system dial-stdio` over there, as the Docker client does,
//! so that keys, agents, jump hosts and known hosts are those of SSH's own configuration. Each connection is one `ssh`.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::{ChildStderr, Command};

use crate::engine::line::address::Ssh;

/// `ssh` says why it gives up, and then ends.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// More than this nobody reads.
const MOST_WORDS: u64 = 4096;

/// What `ssh` has to say in the end.
pub(super) struct End(ChildStderr);

/// Starts an `ssh` and returns our end of its standard streams. It ends when they do.
pub(super) fn open(target: &Ssh) -> io::Result<(UnixStream, End)> {
    let (ours, its) = std::os::unix::net::UnixStream::pair()?;
    let its = OwnedFd::from(its);
    let mut command = Command::new("ssh");
    command
        .args(arguments(target))
        .stdin(Stdio::from(its.try_clone()?))
        .stdout(Stdio::from(its))
        .stderr(Stdio::piped())
        // A key press that interrupts the gate must leave it the line for taking down.
        .process_group(0);
    let mut child = command.spawn().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("`ssh` cannot be started ({error}): install OpenSSH's client"),
        )
    })?;
    // The child's ends of the pair are closed here, so that its death ends our stream.
    drop(command);
    let words = child
        .stderr
        .take()
        .ok_or_else(|| io::Error::other("`ssh` has no standard error"))?;
    // Somebody has to wait for it.
    tokio::spawn(async move { child.wait().await });
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, End(words)))
}

fn arguments(target: &Ssh) -> Vec<String> {
    // Nobody is there to be asked for a password; and who takes our line for dead must say so.
    let options = ["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15"];
    let mut all: Vec<String> = vec!["-T".to_owned()];
    all.extend(
        options
            .iter()
            .flat_map(|option| ["-o".to_owned(), (*option).to_owned()]),
    );
    all.extend(target.user.iter().flat_map(|user| ["-l".to_owned(), user.clone()]));
    all.extend(target.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
    all.extend(["--", target.host.as_str(), "docker"].map(str::to_owned));
    all.extend(
        target
            .socket
            .iter()
            .flat_map(|socket| ["--host".to_owned(), format!("unix://{socket}")]),
    );
    all.extend(["system", "dial-stdio"].map(str::to_owned));
    all
}

impl End {
    /// Why nothing came back: the words of `ssh` or of the program over there, where there are any.
    pub(super) async fn why(self, error: io::Error) -> io::Error {
        let mut said = Vec::new();
        // What was said by then is what there is.
        let _end = tokio::time::timeout(LAST_WORDS, self.0.take(MOST_WORDS).read_to_end(&mut said)).await;
        let said = String::from_utf8_lossy(&said);
        let said: Vec<&str> = said.split_whitespace().collect();
        if said.is_empty() {
            error
        } else {
            io::Error::other(said.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_called_as_the_docker_client_calls_it() {
        let target = Ssh {
            user: Some("me".to_owned()),
            host: "build".to_owned(),
            port: Some(2222),
            socket: Some("/run/podman/podman.sock".to_owned()),
        };
        let line = arguments(&target).join(" ");
        let end = "-l me -p 2222 -- build docker --host unix:///run/podman/podman.sock system dial-stdio";
        assert!(line.ends_with(end), "{line}");
    }
}
