//! Context: the only reader of environment, terminal and CI facts. Everything else is told.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use serde_json::Value;

/// Why a job of GitHub Actions has no secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// Its pull request is from a fork.
    Fork,
    /// Dependabot started it.
    Dependabot,
}

impl Withheld {
    /// For people, with the way out.
    pub fn words(self) -> &'static str {
        match self {
            Self::Fork => {
                "GitHub gives no secrets to a pull request from a fork: rehearse it with a test user that is no secret, whose \
                 password stands here as a text; the mirror is closed, and the user needs to exist nowhere else"
            }
            Self::Dependabot => {
                "GitHub gives a pull request of Dependabot none but Dependabot's own secrets: set it there too (Settings, \
                 Secrets, Dependabot), or sign in with a test user that is no secret, whose password stands here as a text"
            }
        }
    }
}

/// Holds the token for GitHub.
pub const TOKEN: &str = "REHEARSAL_GITHUB_TOKEN";

/// Facts about the process, read once at its start.
#[derive(Debug, Clone)]
pub struct Context {
    /// The process's environment; variables that are not UTF-8 are left out.
    pub environment: BTreeMap<String, String>,
    /// Where it was started.
    pub directory: PathBuf,
    /// Somebody looks at standard error.
    pub terminal: bool,
    /// Columns of that terminal.
    pub width: usize,
    /// A job of GitHub Actions.
    pub github: bool,
    /// What may speak to GitHub for whoever started this. Not in [`Context::environment`]: no configuration sees it.
    pub token: Option<String>,
    /// Where runs of this machine prove that they are alive.
    pub runs: PathBuf,
}

impl Context {
    /// Reads them.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn read() -> std::io::Result<Self> {
        let mut environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let width = environment
            .get("COLUMNS")
            .and_then(|text| text.parse().ok())
            .unwrap_or(100);
        let own = environment.remove(TOKEN);
        let mut usual = ["GITHUB_TOKEN", "GH_TOKEN"].into_iter();
        let token = own.or_else(|| usual.find_map(|name| environment.get(name).cloned()));
        let github = environment.get("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        // One folder a user: another user's files could not be locked.
        let user = rustix::process::getuid().as_raw();
        Ok(Self {
            directory: std::env::current_dir()?,
            terminal: std::io::stderr().is_terminal(),
            runs: std::env::temp_dir().join(format!("rehearsal-{user}")),
            environment,
            width,
            github,
            token: token.filter(|token| !token.is_empty()),
        })
    }

    /// The same where one variable is not known: it is a secret of ours.
    pub fn without(&self, name: &str) -> Self {
        let mut context = self.clone();
        context.environment.remove(name);
        context
    }

    /// Whether colours are wanted where nobody said.
    pub fn colour(&self) -> bool {
        let set = |name| {
            self.environment
                .get(name)
                .is_some_and(|value: &String| !value.is_empty())
        };
        (self.terminal || set("FORCE_COLOR")) && !set("NO_COLOR")
    }

    /// A variable that says something.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Why GitHub gave this job no secrets, as far as its event tells.
    pub fn withheld(&self) -> Option<Withheld> {
        if !self.github {
            return None;
        }
        if self.variable("GITHUB_ACTOR") == Some("dependabot[bot]") {
            return Some(Withheld::Dependabot);
        }
        let event = std::fs::read(self.path("GITHUB_EVENT_PATH")?).ok()?;
        let event: Value = serde_json::from_slice(&event).ok()?;
        let request = event.get("pull_request")?;
        let (head, base) = (
            request.pointer("/head/repo/full_name"),
            request.pointer("/base/repo/full_name"),
        );
        // A fork that has been deleted has no name any more.
        (base.is_some() && head != base).then_some(Withheld::Fork)
    }

    /// A path of the environment.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from)
    }
}
