//! The logs of a mirror that lives, read for whoever looks at it from outside its run.

use std::collections::HashMap;

use anyhow::Result;
use bollard::container::LogOutput;
use bollard::query_parameters as query;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::mpsc::UnboundedSender;

use super::Engine;
use super::labels::{LABEL_RUN, LABEL_SERVICE};

/// One line of a service, raw.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogLine {
    /// The engine's time, which sorts as text.
    pub stamp: String,
    /// Service.
    pub service: String,
    /// Hostile.
    pub text: String,
}

/// How long a reading of a log goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As long as the container lives.
    Follows,
    /// To the present end.
    Ends,
}

/// The containers of a run's services: id and service.
///
/// # Errors
/// The engine does not answer.
pub async fn containers(engine: &Engine, run: &str) -> Result<Vec<(String, String)>> {
    let labels = vec![format!("{LABEL_RUN}={run}"), LABEL_SERVICE.to_owned()];
    let options = query::ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([("label".to_owned(), labels)])),
        ..Default::default()
    };
    let found = engine.docker().list_containers(Some(options)).await?;
    let named = found.into_iter().filter_map(|container| {
        let service = container.labels?.get(LABEL_SERVICE)?.clone();
        Some((container.id?, service))
    });
    Ok(named.collect())
}

/// Gives every line from `since` (seconds since 1970) on to `lines`.
pub async fn read(
    engine: &Engine,
    containers: &[(String, String)],
    since: i32,
    reading: Reading,
    lines: UnboundedSender<LogLine>,
) {
    let all = containers.iter().map(|(id, service)| {
        let lines = lines.clone();
        async move {
            let options = query::LogsOptions {
                follow: reading == Reading::Follows,
                since,
                stdout: true,
                stderr: true,
                timestamps: true,
                tail: "all".into(),
                ..Default::default()
            };
            let mut stream = Box::pin(engine.docker().logs(id, Some(options)));
            while let Some(Ok(chunk)) = stream.next().await {
                // Nobody listening ends with the process.
                let _heard = lines.send(line(service, &chunk));
            }
        }
    });
    join_all(all).await;
}

fn line(service: &str, chunk: &LogOutput) -> LogLine {
    let (stamp, text) = stamped(chunk.as_ref());
    LogLine {
        stamp: stamp.to_owned(),
        service: service.to_owned(),
        text: String::from_utf8_lossy(text).trim_end_matches(['\n', '\r']).to_owned(),
    }
}

/// The engine's times are at most this long.
const STAMP_LIMIT: usize = 40;

/// The engine's time before an entry, and the entry. An entry of an engine that gives no time has none.
pub fn stamped(message: &[u8]) -> (&str, &[u8]) {
    let end = message.iter().take(STAMP_LIMIT).position(|byte| *byte == b' ');
    let stamp = end
        .and_then(|end| std::str::from_utf8(&message[..end]).ok())
        .filter(|text| is_time(text));
    stamp.map_or(("", message), |stamp| (stamp, &message[stamp.len() + 1..]))
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::stamped;

    #[test]
    fn an_entry_loses_the_engines_time_and_no_other() {
        let (early, late) = ("2026-11-22T20:00:00.000000001Z", "2026-11-22T20:00:00.000000002Z");
        let entry = format!("{early} {late} said the service\n");
        assert_eq!(
            stamped(entry.as_bytes()),
            (early, format!("{late} said the service\n").as_bytes())
        );
        assert_eq!(stamped(b"no time at all\n"), ("", &b"no time at all\n"[..]));
    }
}
