//! An engine that keeps an empty network: Docker's before 28.1 lose count now and then (moby issues 17217, 42119, 43286),
//! and nobody can make one do so. So the real engine stands behind a line on which this one answer is another.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::docker::docker;
use crate::driver::{end, folder, rehearsal};
use crate::slot::Alone;

/// An engine's words where it has lost count.
const REFUSAL: &str = r#"{"message":"error while removing network: network x id 0 has active endpoints"}"#;

/// This machine's engine, but that it lets no network go.
fn keeps_networks() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(|| serve(client));
        }
    });
    address
}

/// One request a connection: whoever asks hears that it is closed.
fn serve(mut client: TcpStream) -> Option<()> {
    let head = head(&mut client)?;
    if head.starts_with("DELETE ") && head.contains("/networks/") {
        let length = REFUSAL.len();
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close";
        return write!(client, "{answer}\r\nContent-Length: {length}\r\n\r\n{REFUSAL}").ok();
    }
    let mut engine = UnixStream::connect("/var/run/docker.sock").unwrap();
    let closing = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    engine.write_all(closing.as_bytes()).ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, engine.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ended = std::io::copy(&mut engine, &mut client);
    client.shutdown(std::net::Shutdown::Both).ok()
}

fn head(client: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// A network of a run whose process has gone, and its lock file.
fn left_network(test: &str) -> (String, std::path::PathBuf) {
    let run = format!("kept{test}{}", std::process::id());
    let lock = folder(&format!("miscounted/{test}")).join("dead.run");
    let (bears, runs_out) = (format!("dev.rehearsal.run={run}"), "dev.rehearsal.deadline=1");
    docker(&[
        "network",
        "create",
        "--label",
        &bears,
        "--label",
        runs_out,
        &format!("{run}-net"),
    ]);
    (run, lock)
}

fn networks_of(run: &str) -> String {
    let bears = format!("label=dev.rehearsal.run={run}");
    docker(&["network", "ls", "--filter", &bears, "--format", "{{.Name}}"])
}

fn rehearsal_there(words: &[&str], out: &Path) -> Command {
    let mut command = rehearsal(words);
    command
        .env("DOCKER_HOST", format!("tcp://{}", keeps_networks()))
        .env("TMPDIR", out);
    command
}

#[test]
fn an_empty_network_that_the_engine_keeps_is_told_and_fails_nobody() {
    // Any run would sweep it.
    let _alone = Alone::wait();
    let (run, lock) = left_network("down");
    let temporary = lock.parent().unwrap();
    let kept = end(rehearsal_there(&["down", "--run", &run], temporary));
    assert_eq!(kept.code, Some(0), "{}", kept.stderr);
    let words = format!("empty network `{run}-net` stays");
    assert!(kept.stderr.contains(&words), "{}", kept.stderr);
    assert_eq!(networks_of(&run), format!("{run}-net"));

    let gone = end(rehearsal(&["down", "--run", &run]));
    assert_eq!(
        (gone.code, networks_of(&run)),
        (Some(0), String::new()),
        "{}",
        gone.stderr
    );
    assert!(!gone.stderr.contains("stays"), "{}", gone.stderr);
}

#[test]
fn a_reaper_does_not_go_on_for_ever_about_it() {
    let _alone = Alone::wait();
    let (run, lock) = left_network("reap");
    let temporary = lock.parent().unwrap();
    let (lock, out) = (lock.to_str().unwrap(), temporary.to_str().unwrap());
    let mut reaper = rehearsal_there(&["reap", &run, "--lock", lock, "--out", out], temporary);
    // Its gate has died: nobody holds the other end.
    let ended = reaper.stdin(Stdio::null()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(networks_of(&run), format!("{run}-net"));
    docker(&["network", "rm", &format!("{run}-net")]);
}
