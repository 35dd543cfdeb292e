//! promtool: Prometheus' own evaluator, run as a program. What it says is read, never guessed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::process::{Child, Command};

use super::composed::{Input, RULE, RULES_FILE};

/// One run takes a tenth of a second; a large one seconds.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks whether it is done.
const PAUSE: Duration = Duration::from_millis(5);
/// Bytes of its words that are read.
const MOST_SAID: u64 = 16 << 20;
/// Bytes of its words that are shown.
const MOST_SHOWN: usize = 600;

/// promtool, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promtool {
    program: PathBuf,
    /// As it says itself: `2.42.0`.
    pub version: String,
}

/// What promtool makes of an input.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The rules that fire: number, and the second in which the condition began to hold.
    Fired(BTreeMap<usize, f64>),
    /// Rules that it could not evaluate: name, and why.
    Refused(BTreeMap<String, String>),
}

/// promtool could not be asked.
#[derive(Debug, Error)]
pub enum Failure {
    /// There is none.
    #[error(
        "`{}` cannot be run: {error}; install promtool where the path finds it (Debian's package `prometheus` has it)",
        program.display()
    )]
    Missing {
        /// What was tried.
        program: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It took too long.
    #[error("promtool was not done after {} s", LIMIT.as_secs())]
    Slow,
    /// It says something else.
    #[error("promtool says what cannot be read: {0}")]
    Unread(String),
    /// Its input cannot be written.
    #[error("promtool's input cannot be written: {0}")]
    Folder(#[from] std::io::Error),
}

impl Promtool {
    /// The one on the path. No configuration names another: it would be a program of the change's, run on this machine.
    ///
    /// # Errors
    /// It cannot be run, or is something else.
    pub async fn find() -> Result<Self, Failure> {
        Self::at(Path::new("promtool")).await
    }

    async fn at(program: &Path) -> Result<Self, Failure> {
        let program = program.to_owned();
        let Ran { text, .. } = run(&program, Path::new("."), &["--version"]).await?;
        let version = text.strip_prefix("promtool, version ");
        let version = version.and_then(|rest| rest.split([' ', '\n']).next());
        match version {
            Some(version) => Ok(Self {
                program,
                version: version.to_owned(),
            }),
            None => Err(Failure::Unread(shown(&text))),
        }
    }

    /// Whether it takes a rule file; if not, its words.
    ///
    /// # Errors
    /// It could not be asked.
    pub async fn check(&self, file: &Path) -> Result<Result<(), String>, Failure> {
        let name = file.to_string_lossy();
        let ran = run(&self.program, Path::new("."), &["check", "rules", &name]).await?;
        Ok(match ran.success {
            true => Ok(()),
            false => Err(shown(&ran.text)),
        })
    }

    /// Evaluates an input.
    ///
    /// # Errors
    /// It could not be asked, or its answer cannot be read.
    pub async fn ask(&self, input: &Input) -> Result<Answer, Failure> {
        let folder = folder()?;
        write(&folder.0, input)?;
        let ran = run(&self.program, &folder.0, &["test", "rules", TEST_FILE]).await?;
        answer(&ran.text, ran.success)
    }
}

const TEST_FILE: &str = "test.json";

fn write(folder: &Path, input: &Input) -> std::io::Result<()> {
    std::fs::write(folder.join(RULES_FILE), &input.rules)?;
    std::fs::write(folder.join(TEST_FILE), &input.test)
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody can be told; the system clears its own folder for such things.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn folder() -> std::io::Result<Folder> {
    let mut random = [0_u8; 12];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = std::env::temp_dir().join(format!("rehearsal-promtool-{name}"));
    // Production's rules, and what was recorded of it, are nobody else's.
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(Folder(path))
}

/// What a run of it said, and whether it was content.
struct Ran {
    text: String,
    success: bool,
}

/// Versions differ in which stream they use: both go into one file, which is read as far as it may be long. It knows the path
/// and nothing else of our environment, and ends with whoever waits for it.
async fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Result<Ran, Failure> {
    let said = self::folder()?;
    let path = said.0.join("said");
    let file = File::create(&path)?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command.stderr(file.try_clone()?).stdout(file).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| Failure::Missing {
        program: program.to_owned(),
        error,
    })?;
    let status = wait(&mut child).await?;
    let mut text = Vec::new();
    File::open(&path)?.take(MOST_SAID).read_to_end(&mut text)?;
    Ok(Ran {
        text: String::from_utf8_lossy(&text).into_owned(),
        success: status.success(),
    })
}

/// By the machine's clock: a program knows nothing of a clock that a test has stopped.
async fn wait(child: &mut Child) -> Result<ExitStatus, Failure> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if begun.elapsed() > LIMIT {
            child.kill().await?;
            return Err(Failure::Slow);
        }
        let pause = tokio::task::spawn_blocking(|| std::thread::sleep(PAUSE));
        pause.await.map_err(|error| Failure::Unread(error.to_string()))?;
    }
}

fn shown(text: &str) -> String {
    let mut end = text.len().min(MOST_SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let words: Vec<&str> = text[..end].split_whitespace().collect();
    words.join(" ")
}

fn answer(text: &str, success: bool) -> Result<Answer, Failure> {
    let refused: BTreeMap<String, String> = text.lines().filter_map(refused).collect();
    if !refused.is_empty() {
        return Ok(Answer::Refused(refused));
    }
    let got = text.lines().find_map(|line| line.trim_start().strip_prefix("got:"));
    match (got, success) {
        // Nothing was expected, and nothing came.
        (None, true) => Ok(Answer::Fired(BTreeMap::new())),
        (Some(got), false) => fired(got.trim())
            .map(Answer::Fired)
            .ok_or_else(|| Failure::Unread(shown(text))),
        (None, false) | (Some(_), true) => Err(Failure::Unread(shown(text))),
    }
}

/// `rule: NAME, time: 15s, err: WORDS`.
fn refused(line: &str) -> Option<(String, String)> {
    let rest = line.trim_start().strip_prefix("rule: ")?;
    let (before, why) = rest.split_once(", err: ")?;
    let (name, _) = before.rsplit_once(", time: ")?;
    Some((name.to_owned(), shown(why)))
}

/// `{rehearsal_rule="3"} 1.95E+02, {…} …`. No label in it is anybody's but ours.
fn fired(text: &str) -> Option<BTreeMap<usize, f64>> {
    let samples = text.split(", ").map(|sample| {
        let (labels, value) = sample.split_once(' ')?;
        let number = labels.strip_prefix('{')?.strip_prefix(RULE)?.strip_prefix("=\"")?;
        Some((number.strip_suffix("\"}")?.parse().ok()?, value.parse().ok()?))
    });
    samples.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_rule_by_rule() {
        let text = "Unit Testing:  test.json\n  FAILED:\n    expr: \"min\", time: 10m,\n        exp: nil\n        \
                    got: {rehearsal_rule=\"0\"} 3.45E+02, {rehearsal_rule=\"12\"} 3.15E+02\n";
        let fired = BTreeMap::from([(0, 345.0), (12, 315.0)]);
        assert_eq!(answer(text, false).expect("an answer"), Answer::Fired(fired));
        let none = answer("Unit Testing:  test.json\n  SUCCESS\n", true);
        assert_eq!(none.expect("an answer"), Answer::Fired(BTreeMap::new()));
    }

    #[test]
    fn what_cannot_be_read_is_no_answer() {
        let cases = [
            ("  FAILED:\n    parse error\n", false),
            ("  FAILED:\n        got: {a=\"0\"} 1\n", false),
            ("  FAILED:\n        got: {rehearsal_rule=\"0\"} 1E\n", false),
            ("        got: {rehearsal_rule=\"0\"} 1\n", true),
        ];
        for (text, success) in cases {
            assert!(matches!(answer(text, success), Err(Failure::Unread(_))), "{text}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_evaluated_is_named_with_the_reason() {
        let text = "  FAILED:\n    rule: A, time: 15s, err: found duplicate series for the match group\n";
        let refused = BTreeMap::from([("A".to_owned(), "found duplicate series for the match group".to_owned())]);
        assert_eq!(answer(text, false).expect("an answer"), Answer::Refused(refused));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named_with_the_way_out() {
        let missing = Promtool::at(Path::new("/nowhere/promtool")).await.expect_err("none");
        assert!(missing.to_string().contains("`prometheus`"), "{missing}");
    }
}
