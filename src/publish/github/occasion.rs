//! What a job of GitHub is about: the repository, the commit, the pull request. All from the environment and the event
//! that GitHub wrote; nothing that says where something is published comes from a record.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::api::{Api, Refusal, segment};
use super::slug::Slug;
use crate::context::Context;

/// GitHub's own address of its API.
const API: &str = "https://api.github.com";
/// GitHub's own address.
const SERVER: &str = "https://github.com";
/// An event's file is never so large.
const EVENT: u64 = 32 * 1024 * 1024;

/// What started the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A pull request, by its number.
    PullRequest(u64),
    /// The end of another workflow, which was of this repository's or a fork's commit. What that one says is data:
    /// nothing that decides is written.
    OtherWorkflow {
        /// Where the commit is from.
        head: Slug,
    },
    /// Anything else.
    Other,
}

/// Where a repository is.
#[derive(Debug, Clone)]
pub struct Home {
    /// The API's address.
    pub api: String,
    /// GitHub's address.
    pub server: String,
    /// The repository there.
    pub repository: Slug,
}

impl Home {
    /// Reads it.
    ///
    /// # Errors
    /// The environment does not say which repository.
    pub fn read(context: &Context) -> Result<Self> {
        let repository = context
            .variable("GITHUB_REPOSITORY")
            .context("GITHUB_REPOSITORY does not say which repository: set it to OWNER/NAME")?;
        Ok(Self::of(repository.parse().map_err(anyhow::Error::msg)?, context))
    }

    /// A repository of the GitHub that the environment names.
    pub fn of(repository: Slug, context: &Context) -> Self {
        let named = |name: &str, otherwise: &str| {
            context
                .variable(name)
                .unwrap_or(otherwise)
                .trim_end_matches('/')
                .to_owned()
        };
        Self {
            api: named("GITHUB_API_URL", API),
            server: named("GITHUB_SERVER_URL", SERVER),
            repository,
        }
    }

    /// Speaks to it.
    ///
    /// # Errors
    /// There is no token, or it cannot be one.
    pub fn api(&self, context: &Context) -> Result<Api> {
        let token = context.token.as_deref().context(
            "there is no token for GitHub: set REHEARSAL_GITHUB_TOKEN (or GITHUB_TOKEN) to one that may write what is wanted",
        )?;
        Api::new(&self.api, token, &self.repository)
    }
}

/// What a job is about.
#[derive(Debug, Clone)]
pub struct Occasion {
    /// Where it is published.
    pub home: Home,
    /// The commit that was rehearsed: of a pull request its head, never the merge that GitHub tries.
    pub head: String,
    /// What started the job.
    pub event: Event,
    /// The run of a workflow to which people are led.
    pub run: Option<u64>,
}

impl Occasion {
    /// Reads it.
    ///
    /// # Errors
    /// The environment does not say which repository or which commit, or says what cannot be one.
    pub fn read(context: &Context) -> Result<Self> {
        let event = event(context)?;
        let own = context.variable("GITHUB_RUN_ID").and_then(|run| run.parse().ok());
        Ok(Self {
            home: Home::read(context)?,
            head: head(&event, context)?,
            run: event["workflow_run"]["id"].as_u64().or(own),
            event: what(&event)?,
        })
    }

    /// Where people see the run.
    pub fn link(&self) -> Option<String> {
        let run = self.run?;
        Some(self.link_to(run))
    }

    /// Where people see a run of this repository.
    pub fn link_to(&self, run: u64) -> String {
        format!("{}/{}/actions/runs/{run}", self.home.server, self.home.repository)
    }

    /// The open pull request of the commit.
    pub async fn pull_request(&self, api: &Api) -> Result<Option<u64>, Refusal> {
        if let Event::PullRequest(number) = self.event {
            return Ok(Some(number));
        }
        let path = format!("/commits/{}/pulls", segment(&self.head));
        let all: Vec<PullRequest> = api.list(&path, None).await?;
        let mut ours = all.iter().filter(|one| self.is_of(one));
        Ok(ours.next().map(|one| one.number))
    }

    fn is_of(&self, one: &PullRequest) -> bool {
        let from = |wanted: &Slug| {
            let repository = one.head.repo.as_ref();
            repository.is_some_and(|repository| wanted.is(&repository.full_name))
        };
        let from = match &self.event {
            Event::OtherWorkflow { head } => from(head),
            Event::PullRequest(_) | Event::Other => true,
        };
        from && one.state == "open" && one.head.sha == self.head
    }
}

/// As far as it is read.
#[derive(Debug, Deserialize)]
struct PullRequest {
    number: u64,
    state: String,
    head: Head,
}

#[derive(Debug, Deserialize)]
struct Head {
    sha: String,
    repo: Option<Repository>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
}

fn event(context: &Context) -> Result<Value> {
    let Some(file) = context.path("GITHUB_EVENT_PATH") else {
        return Ok(Value::Null);
    };
    let shown = file.display();
    let found = std::fs::metadata(&file).with_context(|| format!("GITHUB_EVENT_PATH names `{shown}`"))?;
    ensure!(found.len() <= EVENT, "`{shown}` is too large for an event");
    let bytes = std::fs::read(&file).with_context(|| format!("`{shown}` cannot be read"))?;
    serde_json::from_slice(&bytes).with_context(|| format!("`{shown}` is no JSON"))
}

fn head(event: &Value, context: &Context) -> Result<String> {
    let told = [
        "/pull_request/head/sha",
        "/merge_group/head_sha",
        "/workflow_run/head_sha",
    ];
    let told = told.iter().find_map(|path| event.pointer(path)?.as_str());
    let head = told
        .or_else(|| context.variable("GITHUB_SHA"))
        .context("GITHUB_SHA does not say which commit was rehearsed: set it")?;
    let hexadecimal = head.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(hexadecimal && matches!(head.len(), 40 | 64), "`{head}` is no commit");
    Ok(head.to_owned())
}

/// The branch into which a change goes, or the repository's own.
pub fn base(context: &Context) -> Option<String> {
    let event = event(context).ok()?;
    let told = [
        "/pull_request/base/ref",
        "/merge_group/base_ref",
        "/repository/default_branch",
    ];
    let told = told.iter().find_map(|path| event.pointer(path)?.as_str())?;
    Some(told.trim_start_matches("refs/heads/").to_owned())
}

fn what(event: &Value) -> Result<Event> {
    if let Some(number) = event.pointer("/pull_request/number").and_then(Value::as_u64) {
        return Ok(Event::PullRequest(number));
    }
    if event["workflow_run"].is_null() {
        return Ok(Event::Other);
    }
    let head = event["workflow_run"]["head_repository"]["full_name"].as_str();
    let head = head.context("the event does not say from which repository the other workflow's commit is")?;
    let head = head.parse().map_err(anyhow::Error::msg)?;
    Ok(Event::OtherWorkflow { head })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHA: &str = "1111111111111111111111111111111111111111";

    fn context(folder: &std::path::Path, event: &Value) -> Context {
        let file = folder.join("event.json");
        std::fs::write(&file, event.to_string()).expect("the folder is ours");
        let variables = [
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_SHA", "2222222222222222222222222222222222222222"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_EVENT_PATH", file.to_str().expect("a path")),
        ];
        Context {
            environment: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            directory: folder.to_owned(),
            terminal: false,
            width: 100,
            github: true,
            token: None,
            runs: folder.to_owned(),
        }
    }

    fn read(event: &Value) -> Result<Occasion> {
        let folder = tempfile::tempdir().expect("a folder");
        Occasion::read(&context(folder.path(), event))
    }

    #[test]
    fn the_commit_is_what_the_event_is_about() {
        let cases = [
            (
                json!({"pull_request": {"number": 3, "head": {"sha": SHA}}}),
                Event::PullRequest(3),
            ),
            (json!({"merge_group": {"head_sha": SHA}}), Event::Other),
            (
                json!({"workflow_run": {"id": 9, "head_sha": SHA, "head_repository": {"full_name": "fork/shop"}}}),
                Event::OtherWorkflow {
                    head: "fork/shop".parse().expect("a slug"),
                },
            ),
        ];
        for (event, what) in cases {
            let occasion = read(&event).expect("an occasion");
            assert_eq!((occasion.head.as_str(), &occasion.event), (SHA, &what));
        }
        let push = read(&json!({})).expect("an occasion");
        assert!(push.head.starts_with("2222"));
        assert_eq!(
            push.link().as_deref(),
            Some("https://github.com/acme/shop/actions/runs/7")
        );
    }

    #[test]
    fn people_are_led_to_the_run_that_rehearsed() {
        let event = json!({"workflow_run": {"id": 9, "head_sha": SHA, "head_repository": {"full_name": "fork/shop"}}});
        assert_eq!(read(&event).expect("an occasion").run, Some(9));
    }

    #[test]
    fn what_is_no_commit_is_refused() {
        for sha in ["", "main", "../../x", &"g".repeat(40)] {
            let event = json!({"pull_request": {"number": 3, "head": {"sha": sha}}});
            assert!(read(&event).is_err(), "{sha}");
        }
    }

    #[test]
    fn the_base_is_a_branch_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let event = json!({"merge_group": {"head_sha": SHA, "base_ref": "refs/heads/release/1"}});
        assert_eq!(base(&context(folder.path(), &event)).as_deref(), Some("release/1"));
    }
}
