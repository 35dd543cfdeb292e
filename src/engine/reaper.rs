//! The reaper: a process outside the gate's, which takes the run down when the gate cannot do so any more.
//!
//! The gate holds the writing end of the pipe that is the reaper's standard input. It writes one byte when the run has
//! been taken down; where the pipe ends without that byte the gate has died (SIGKILL, a cancelled job, a closed
//! terminal, a bug), and the reaper removes all that bears the run's label. It lives in a session of its own and its
//! parent has gone, so that whoever kills the gate's process group, its terminal or its process tree does not reach it.
//! No container has the engine's socket.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Engine;
use super::labels::RunLabels;
use super::sweep;
use crate::context::Context;
use crate::engine::archive::THIS_PROGRAM;
use crate::engine::line::address::Address;

/// GitHub's runner kills whatever bears this at the end of a job.
const TRACKED: &str = "RUNNER_TRACKING_ID";
/// What the gate says when nothing is left to do.
const DONE: u8 = b'.';
/// A call that the gate had under way may still make something: so long must nothing be found.
const QUIET: Duration = Duration::from_secs(10);
/// An engine that is being restarted is waited for this long.
const PATIENCE: Duration = Duration::from_secs(600);
/// Pauses between two sweeps: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The gate's end of the pipe. Dropping it without [`Reaper::disarm`] sets the reaper to work.
#[derive(Debug)]
pub struct Reaper {
    pipe: ChildStdin,
}

impl Reaper {
    /// Sets a reaper to watch over this process. `lock` is the run's lock file, `out` its output folder: what a killed
    /// gate leaves there unfinished is removed, too. `engine` is where the run's objects are.
    ///
    /// # Errors
    /// The system starts no further process.
    pub fn watch_over(run: &str, lock: &Path, out: &Path, engine: Option<&Address>) -> Result<Self> {
        let mut child = again(run, lock, out)
            .arg("--detach")
            // Whatever the user's current context is by then.
            .envs(engine.map(Address::environment).unwrap_or_default())
            .stdin(Stdio::piped())
            .spawn()
            .context("the reaper could not be started")?;
        let pipe = child.stdin.take().context("the reaper has no standard input")?;
        let ended = child.wait().context("the reaper was lost")?;
        ensure!(ended.success(), "the reaper could not be started: {ended}");
        Ok(Self { pipe })
    }

    /// The run has been taken down: the reaper has nothing to do.
    pub fn disarm(mut self) {
        // A reaper that has been killed needs no telling.
        let _heard = self.pipe.write_all(&[DONE]);
    }
}

/// This program as a reaper: `rehearsal reap RUN …`.
fn again(run: &str, lock: &Path, out: &Path) -> Command {
    let mut command = Command::new(THIS_PROGRAM);
    command
        .arg0("rehearsal")
        .arg("reap")
        .arg(run)
        .arg("--lock")
        .arg(lock)
        .arg("--out")
        .arg(out);
    command.stdout(Stdio::null()).stderr(Stdio::null()).env_remove(TRACKED);
    command
}

/// The first of two processes: begins a session, leaves the pipe to a child and ends, so that the child's parent is not
/// the gate.
///
/// # Errors
/// The system starts no further process.
pub fn detach(run: &str, lock: &Path, out: &Path) -> Result<()> {
    // Refused only where this process leads a group already: it then is not the gate's.
    let _session = rustix::process::setsid();
    again(run, lock, out)
        .stdin(Stdio::inherit())
        .process_group(0)
        .spawn()
        .context("the reaper could not be started")?;
    Ok(())
}

/// Waits for the gate's end, and takes its run down unless the gate has done so.
///
/// # Errors
/// Something is left after its patience.
pub async fn reap(run: &str, lock: &Path, out: &Path, context: &Context) -> Result<()> {
    if let Ended::WellDone = tokio::task::spawn_blocking(heard).await? {
        return Ok(());
    }
    for file in [vec![lock.to_path_buf()], unfinished(out)].concat() {
        // Already gone is as good.
        let _removed = std::fs::remove_file(file);
    }
    // What else it kept on this machine; a run that is at work keeps its own.
    let _left = sweep::remove_lock_files(&context.runs);
    sweep_until_quiet(run, context).await
}

enum Ended {
    WellDone,
    ByDeath,
}

fn heard() -> Ended {
    let mut byte = [0];
    match std::io::stdin().lock().read_exact(&mut byte) {
        Ok(()) if byte == [DONE] => Ended::WellDone,
        _ => Ended::ByDeath,
    }
}

async fn sweep_until_quiet(run: &str, context: &Context) -> Result<()> {
    let (begun, mut quiet) = (Instant::now(), None::<Instant>);
    let mut pause = PAUSES.0;
    loop {
        match sweep_once(run, context).await {
            Ok(0) if quiet.get_or_insert_with(Instant::now).elapsed() >= QUIET => return Ok(()),
            Ok(0) => {}
            Ok(_) => (quiet, pause) = (None, PAUSES.0),
            Err(error) if begun.elapsed() >= PATIENCE => return Err(error),
            Err(_) => quiet = None,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// How much was found: connected anew each time, for the engine may have been restarted.
async fn sweep_once(run: &str, context: &Context) -> Result<usize> {
    let engine = Engine::connect(&Address::find(context)?, &RunLabels::of_none()).await?;
    sweep::sweep_once(&engine, run).await
}

/// Reports that were being written: they stand beside the finished ones until they are renamed.
fn unfinished(out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(out)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let part = |path: &PathBuf| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        name.starts_with('.') && name.ends_with(".part")
    };
    entries.filter(part).collect()
}
