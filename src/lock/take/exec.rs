//! Production on a plain server: any command that runs `sh` there, such as `ssh web-1`, gets the probes on its input.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::options::{FactSource, TakeOptions};
use crate::lock::facts::ServiceFacts;
use crate::lock::probe;

/// For a slow line and all probes.
const LIMIT: Duration = Duration::from_secs(120);
/// More than any server's packages.
const MAX_OUTPUT: u64 = 8 << 20;

/// Reads a server's facts; every service that it runs gets them.
///
/// # Errors
/// The command fails, says nothing, or nobody said which services run there.
pub(super) async fn read(
    prefix: &str,
    from: &FactSource,
    options: &TakeOptions,
) -> Result<BTreeMap<String, ServiceFacts>> {
    let services = if from.services.is_empty() {
        &options.baseline
    } else {
        &from.services
    };
    if services.is_empty() {
        bail!("which service does this server run? say it: `--from SERVICE=exec:'{prefix}'`");
    }
    let output = run(prefix, &probe::script(&options.probes)).await?;
    let facts = probe::answers(&output, &options.probes);
    ensure!(!facts.is_empty(), "`{prefix} sh -s` printed no answer to any probe");
    let service = ServiceFacts {
        image: None,
        digest: None,
        facts,
    };
    Ok(services.iter().map(|name| (name.clone(), service.clone())).collect())
}

/// The prefix is the user's own command line, so the user's own shell reads it.
async fn run(prefix: &str, script: &str) -> Result<Vec<u8>> {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{prefix} sh -s")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().context("`sh` cannot be started on this machine")?;
    match tokio::time::timeout(LIMIT, converse(child, script)).await {
        Ok(output) => output.with_context(|| format!("`{prefix} sh -s`")),
        Err(_) => bail!("`{prefix} sh -s` did not end within {} s", LIMIT.as_secs()),
    }
}

async fn converse(mut child: Child, script: &str) -> Result<Vec<u8>> {
    let (mut input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (output, errors) = (output.context("no output")?, errors.context("no standard error")?);
    let write = async {
        if let Some(mut input) = input.take() {
            // A command that ends before it has read everything tells why by its exit code.
            let _unread = input.write_all(script.as_bytes()).await;
        }
    };
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let (mut output, mut errors) = (output.take(MAX_OUTPUT), errors.take(64 << 10));
    let ((), read, _) = tokio::join!(
        write,
        output.read_to_end(&mut said),
        errors.read_to_end(&mut complained)
    );
    read?;
    let status = child.wait().await?;
    let complained = String::from_utf8_lossy(&complained);
    let last: String = complained
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    ensure!(status.success(), "it ended with {status}: {last}");
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::take::options::SourceKind;

    fn from(prefix: &str, services: &[&str]) -> FactSource {
        FactSource {
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            kind: SourceKind::Exec(prefix.to_owned()),
        }
    }

    #[tokio::test]
    async fn a_server_is_read_through_any_prefix() {
        let found = read(
            "env LC_ALL=C",
            &from("env LC_ALL=C", &["web", "idp"]),
            &TakeOptions::default(),
        )
        .await
        .expect("this machine");
        assert!(found["web"].facts.contains_key("kernel"));
        assert_eq!(found["web"], found["idp"]);
        assert_eq!(found["web"].digest, None);
    }

    #[tokio::test]
    async fn what_fails_says_its_last_words() {
        let error = read(
            "sh -c 'echo no route to host >&2; exit 255' #",
            &from("x", &["web"]),
            &TakeOptions::default(),
        )
        .await;
        assert!(format!("{:#}", error.expect_err("it fails")).contains("no route to host"));
        let silent = read("true #", &from("x", &["web"]), &TakeOptions::default())
            .await
            .expect_err("nothing");
        assert!(silent.to_string().contains("no answer to any probe"));
        let nameless = read("true", &from("x", &[]), &TakeOptions::default())
            .await
            .expect_err("nobody said");
        assert!(nameless.to_string().contains("--from SERVICE=exec:'true'"));
    }
}
