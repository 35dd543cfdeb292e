//! How to enter a mirror that stays, in words.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::mirror::border::entrance::{Answers, OpenedPort};
use crate::mirror::names::fronts::Name;
use crate::mirror::setup::Setup;

/// The mirror's CA, in the output folder.
pub const CA_FILE: &str = "ca.pem";

/// The text for the terminal. `until` is in seconds since 1970; `ca` the file of the mirror's CA, where it has one.
pub fn words(run: &str, until: u64, ways: &[OpenedPort], ca: Option<&Path>) -> String {
    let mut text = format!("the mirror stays up until {} (run {run})\n", moment(until));
    let width = ways.iter().map(|way| inside(way).len()).max().unwrap_or(0);
    for way in ways {
        let at = match way.answers {
            Answers::Front => by_name(way, ca),
            Answers::Service => way.address(),
        };
        push(&mut text, &format!("  {:<width$}  →  {at}", inside(way)));
    }
    let rules: Vec<String> = ways
        .iter()
        .map(|way| format!("MAP {} 127.0.0.1:{}", inside(way), way.local))
        .collect();
    match ca.filter(|_| ways.iter().any(|way| way.answers == Answers::Front)) {
        Some(ca) => push(
            &mut text,
            &format!(
                "  a browser by production's names, with {} among its CAs:\n    chromium --host-resolver-rules='{}'",
                ca.display(),
                rules.join(", ")
            ),
        ),
        None if ways.is_empty() => push(&mut text, "  production publishes no TCP port, so none is open"),
        None => {}
    }
    push(&mut text, &format!("  logs:    rehearsal logs --run {run} --follow"));
    push(
        &mut text,
        &format!("  enter:   docker exec -it NAME sh, NAME of: docker ps --filter label=dev.rehearsal.run={run}"),
    );
    push(&mut text, &format!("  remove:  rehearsal down --run {run}"));
    text.trim_end().to_owned()
}

fn push(text: &mut String, line: &str) {
    // Writing into a string does not fail.
    let _written = writeln!(text, "{line}");
}

fn inside(way: &OpenedPort) -> String {
    format!("{}:{}", way.host, way.port)
}

/// `--connect-to` and not `--resolve`: the port differs, too.
fn by_name(way: &OpenedPort, ca: Option<&Path>) -> String {
    let OpenedPort { host, port, local, .. } = way;
    let trust = ca.map_or_else(String::new, |ca| format!("--cacert {} ", ca.display()));
    let scheme = if ca.is_some() { "https" } else { "http" };
    format!("curl {trust}--connect-to {host}:{port}:127.0.0.1:{local} {scheme}://{host}:{port}/")
}

/// Minutes are enough for people.
pub fn moment(seconds: u64) -> String {
    let at = i64::try_from(seconds)
        .ok()
        .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let form = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.and_then(|at| at.format(form).ok())
        .unwrap_or_else(|| "for ever".to_owned())
}

/// Where below `out` the CA lies, if the mirror answers to a name with TLS.
pub fn ca_path(names: &[Name], out: &Path) -> Option<PathBuf> {
    names.iter().any(|name| name.tls).then(|| out.join(CA_FILE))
}

/// The CA for whoever enters by production's names.
pub fn write_ca(out: &Path, setup: &Setup) -> Result<()> {
    let Some(authority) = setup.authority() else {
        return Ok(());
    };
    let file = out.join(CA_FILE);
    std::fs::create_dir_all(out)
        .and_then(|()| std::fs::write(&file, authority.pem()))
        .with_context(|| format!("`{}` could not be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(host: &str, port: u16, answers: Answers, local: u16) -> OpenedPort {
        OpenedPort {
            host: host.to_owned(),
            port,
            answers,
            leads_to: host.to_owned(),
            local,
        }
    }

    #[test]
    fn every_way_in_is_told_with_what_it_takes() {
        let ways = [
            way("web", 8080, Answers::Service, 49153),
            way("login.example.com", 443, Answers::Front, 49154),
        ];
        let text = words("abc", 1_795_392_000, &ways, Some(Path::new("out/ca.pem")));
        for wanted in [
            "until 2026-11-23 00:00 UTC (run abc)",
            "web:8080               →  http://127.0.0.1:49153",
            "curl --cacert out/ca.pem --connect-to login.example.com:443:127.0.0.1:49154 https://login.example.com:443/",
            "'MAP web:8080 127.0.0.1:49153, MAP login.example.com:443 127.0.0.1:49154'",
            "rehearsal down --run abc",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }

    #[test]
    fn a_mirror_without_ports_says_so() {
        assert!(words("abc", 0, &[], None).contains("publishes no TCP port"));
    }
}
