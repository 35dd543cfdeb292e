//! The command line: clap types only.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use strum::VariantNames;

use crate::attest::key::KeySource;
use crate::attest::statement::is_digest;
use crate::prepare::{Asked, Spec};
use crate::publish::github::steps::Wanted;
use crate::report::ReportKind;

/// Performs a deploy on a mirror of production before production does
#[derive(Debug, Parser)]
#[command(name = "rehearsal", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What Rehearsal can do
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Rehearse the deploy and give the verdict
    Run(RunArgs),
    /// Print what a run would do, without an engine
    Plan(PlanArgs),
    /// Print production as Rehearsal reads it, in Compose's canonical form
    Config(ConfigArgs),
    /// Remove what runs left on the engine
    Down(DownArgs),
    /// Make the reports again from a record
    Report(ReportArgs),
    /// Tell GitHub what a record says, as far as the token may
    Publish(PublishArgs),
    /// Tell what a check does, what makes it fire and what to do then
    Explain(ExplainArgs),
    /// Work on production's alert rules with what a run has recorded
    Alerts(AlertsArgs),
    /// Print the JSON Schema of rehearsal.yaml
    Schema,
    /// What runs inside the mirror
    #[command(hide = true)]
    Agent(AgentArgs),
    /// Takes a run down when its gate has died
    #[command(hide = true)]
    Reap(ReapArgs),
    /// Write a first rehearsal.yaml for the Compose file of this folder, and the workflows that go with it
    Init(InitArgs),
    /// Look at this machine, and list or remove what runs have left on it
    Doctor(DoctorArgs),
    /// Record production's facts, or say what has moved since
    Lock(LockArgs),
    /// Bring a mirror of production up and leave it
    Up(UpArgs),
    /// Show the logs of a mirror that stays, or of the last run
    Logs(LogsArgs),
    /// Tell what the records of many runs say together
    History(HistoryArgs),
    /// Print, for a matrix of GitHub Actions, how a run is divided among several runners
    Shard(ShardArgs),
    /// Make one record, and one verdict, of the shards of a run
    Merge(MergeArgs),
    /// Make the pair of keys by which verdicts are signed and verified
    Keygen(KeygenArgs),
    /// Say whether a deploy may rely on a signed verdict: 0 it may, 1 refused, 3 it could not be told
    Verify(VerifyArgs),
    /// Record and serve a twin (not built yet)
    #[command(hide = true)]
    Twin(Unbuilt),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them into a folder
    Man(ManArgs),
}

/// Where production's description is taken from
#[derive(Debug, Args)]
pub struct ProductionFrom {
    /// Take what production is, and policy, from this ref of git, or from the folder of another checkout (`../base`)
    #[arg(long, value_name = "REF|DIR", env = "REHEARSAL_PRODUCTION_FROM")]
    pub production_from: Option<String>,
}

/// Which configuration and which candidate
#[derive(Debug, Args)]
pub struct What {
    /// The configuration; found upward from the working directory where absent
    #[arg(long, env = "REHEARSAL_CONFIG")]
    pub config: Option<PathBuf>,
    /// What replaces a service's release, or the images of a repository; may be given several times
    #[arg(long, value_name = "NAME=IMAGE", env = "REHEARSAL_CANDIDATE", value_delimiter = ',', value_parser = candidate)]
    pub candidate: Vec<(String, String)>,
    /// Where production's description is
    #[command(flatten)]
    pub production_from: ProductionFrom,
    /// Only this stage, suite or check; may be given several times
    #[arg(
        long,
        value_name = "STAGE|SUITE|CHECK",
        env = "REHEARSAL_ONLY",
        value_delimiter = ','
    )]
    pub only: Vec<String>,
    /// Replays a run
    #[arg(long, env = "REHEARSAL_SEED")]
    pub seed: Option<u64>,
}

impl What {
    /// As the rest of the program is told.
    pub fn asked(&self, timeout: Option<Duration>) -> Asked {
        Asked {
            config: self.config.clone(),
            candidate: self.candidate.clone(),
            production_from: self.production_from.production_from.clone(),
            only: self.only.clone(),
            shard: None,
            seed: self.seed,
            timeout,
        }
    }
}

/// Options of `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Configuration and candidate
    #[command(flatten)]
    pub what: What,
    /// Run one of several shards, as `rehearsal shard` prints them; no pass before `rehearsal merge` has all of them
    #[arg(
        long,
        value_name = "INDEX/OF[=PART,…]",
        env = "REHEARSAL_SHARD",
        conflicts_with = "only"
    )]
    pub shard: Option<Spec>,
    /// End after the first stage that failed
    #[arg(long, env = "REHEARSAL_FAIL_FAST")]
    pub fail_fast: bool,
    /// Leave the mirror up and print how to enter it; ends at the first confirmed failure, with the candidate in place
    #[arg(long, env = "REHEARSAL_KEEP")]
    pub keep: bool,
    /// Tell the end, not the way there: neither the plan nor what happens meanwhile
    #[arg(long, short, env = "REHEARSAL_QUIET")]
    pub quiet: bool,
    /// The whole run's limit, e.g. 15m; as in the configuration where absent
    #[arg(long, env = "REHEARSAL_TIMEOUT", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// The image that runs Hurl files
    #[arg(long, value_name = "IMAGE", env = "REHEARSAL_HURL_IMAGE")]
    pub hurl_image: Option<String>,
    /// How the verdict is told
    #[command(flatten)]
    pub told: Told,
}

/// How a verdict is told: the reports, what signs it, and GitHub
#[derive(Debug, Args)]
pub struct Told {
    /// Where reports are written
    #[arg(long, value_name = "DIR", env = "REHEARSAL_OUT", default_value = "rehearsal-out")]
    pub out: PathBuf,
    /// A further copy of a report: json, junit, junit-jenkins, junit-ant, summary, html or predicate
    #[arg(long, value_name = "KIND=PATH", env = "REHEARSAL_REPORT", value_delimiter = ',', value_parser = report)]
    pub report: Vec<(ReportKind, PathBuf)>,
    /// How it is told; by itself github in a job of GitHub Actions, else human
    #[arg(long, value_enum, env = "REHEARSAL_FORMAT")]
    pub format: Option<Format>,
    /// Colours
    #[arg(long, value_enum, env = "REHEARSAL_COLOR", default_value = "auto")]
    pub color: Color,
    /// Sign the verdict with this private key, whatever the verdict is; `env:NAME` for one in a variable
    #[arg(
        long,
        value_name = "FILE|env:NAME",
        env = "REHEARSAL_KEY",
        allow_hyphen_values = true,
        hide_env_values = true
    )]
    pub key: Option<KeySource>,
    /// What GitHub is told, in a job of GitHub Actions that has a token
    #[command(flatten)]
    pub github: GithubArgs,
}

/// How GitHub is told
#[derive(Debug, Args)]
pub struct GithubArgs {
    /// The name of the check run, the commit status and the comment on GitHub
    #[arg(long, value_name = "NAME", env = "REHEARSAL_CHECK_NAME", default_value = "rehearsal", value_parser = check_name)]
    pub check_name: String,
    /// The job's own check run on GitHub (`job.check_run_id`); one of our own where absent
    #[arg(long, value_name = "ID", env = "REHEARSAL_CHECK_RUN")]
    pub check_run: Option<u64>,
    /// Whose the token is: by it the comment is found again
    #[arg(
        long,
        value_name = "LOGIN",
        env = "REHEARSAL_LOGIN",
        default_value = "github-actions[bot]"
    )]
    pub login: String,
    /// The environment of GitHub in which the rehearsal is a deployment; none is made where absent
    #[arg(long, value_name = "NAME", env = "REHEARSAL_ENVIRONMENT")]
    pub environment: Option<String>,
}

impl GithubArgs {
    /// As publishing is told.
    pub fn wanted(&self) -> Wanted {
        let environment = self.environment.clone();
        Wanted {
            name: self.check_name.clone(),
            login: self.login.clone(),
            check_run: self.check_run,
            environment: environment.filter(|name| !name.is_empty()),
        }
    }
}

/// Options of `publish`
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The record, or the folder with it
    #[arg(default_value = "rehearsal-out", value_name = "DIR|FILE")]
    pub result: PathBuf,
    /// What GitHub is told
    #[command(flatten)]
    pub github: GithubArgs,
    /// Answer a custom deployment protection rule instead: the payload of its webhook
    #[arg(long, value_name = "FILE")]
    pub gate: Option<PathBuf>,
}

/// Options of `keygen`
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// The private key is written to PATH.key, the public one to PATH.pub
    #[arg(long, value_name = "PATH", default_value = "rehearsal")]
    pub out: PathBuf,
}

/// Options of `verify`. None of them is heard from the environment: what an earlier step left there must not open a gate
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// All images that are deployed, each by its digest in the registry
    #[arg(value_name = "IMAGE@DIGEST", required = true)]
    pub images: Vec<ByDigest>,
    /// The public key of the pair that signs
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The signed verdict
    #[arg(long, value_name = "FILE", default_value = "rehearsal-out/verdict.sigstore.json")]
    pub bundle: PathBuf,
    /// The lock as it is now; absent where the configuration names none
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// The configuration as it is now; found upward from the working directory where absent
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How long ago the rehearsal may have begun
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub max_age: Duration,
    /// Refuse what somebody has signed for, too: waivers, `forward_only`, `unexercised`
    #[arg(long)]
    pub strict: bool,
}

/// An image by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByDigest {
    /// `sha256:…`. The name before it decides nothing: a digest is the same everywhere.
    pub digest: String,
}

impl FromStr for ByDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digest) = text.split_once('@').unwrap_or_default();
        // Scripts give the same text to a shell.
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._-/:[]".contains(letter);
        if name.is_empty() || !name.chars().all(is_name) || !is_digest(digest) {
            return Err(format!(
                "`{text}` is not of the form IMAGE@sha256:…: deploy what was pushed by its digest, for a tag can be moved"
            ));
        }
        let digest = digest.to_owned();
        Ok(Self { digest })
    }
}

/// Options of `plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Configuration and candidate
    #[command(flatten)]
    pub what: What,
    /// The plan of one of several shards
    #[arg(long, value_name = "INDEX/OF[=PART,…]", conflicts_with = "only")]
    pub shard: Option<Spec>,
    /// As JSON instead of a tree
    #[arg(long)]
    pub json: bool,
    /// Where the last run's record lies, for how long that took
    #[arg(long, value_name = "DIR", env = "REHEARSAL_OUT", default_value = "rehearsal-out")]
    pub out: PathBuf,
}

/// Options of `config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration whose production is meant; found upward from the working directory where absent
    #[arg(long, env = "REHEARSAL_CONFIG", conflicts_with = "compose")]
    pub config: Option<PathBuf>,
    /// Where production's description is
    #[command(flatten)]
    pub production_from: ProductionFrom,
    /// Compose files instead of a configuration; may be given several times
    #[arg(long, value_name = "FILE")]
    pub compose: Vec<PathBuf>,
    /// Active profiles, with --compose
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Replaces .env, with --compose
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// As in Compose, with --compose
    #[arg(long, value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
    /// The form
    #[arg(long, value_enum, default_value = "yaml")]
    pub format: ConfigFormat,
}

/// Options of `up`
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The configuration; found upward from the working directory where absent
    #[arg(long, env = "REHEARSAL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where production's description is
    #[command(flatten)]
    pub production_from: ProductionFrom,
    /// Upgrade the mirror to this release; may be given several times
    #[arg(long, value_name = "NAME=IMAGE", env = "REHEARSAL_CANDIDATE", value_delimiter = ',', value_parser = candidate)]
    pub candidate: Vec<(String, String)>,
    /// Upgrade the mirror to the configuration's candidate
    #[arg(long)]
    pub with_candidate: bool,
    /// How long it stays, e.g. 2h; then the next run or `doctor --remove` removes it
    #[arg(long = "for", value_name = "DURATION", default_value = "8h", value_parser = duration)]
    pub stay: Duration,
    /// Where the mirror's CA is written
    #[arg(long, value_name = "DIR", env = "REHEARSAL_OUT", default_value = "rehearsal-out")]
    pub out: PathBuf,
}

/// Options of `logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Only this service
    pub service: Option<String>,
    /// The run; the mirror that this configuration keeps where absent
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Go on until the services end
    #[arg(long, short)]
    pub follow: bool,
    /// Only what was said this long ago at most, e.g. 10m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<Duration>,
    /// The configuration, for its secrets; found upward from the working directory where absent
    #[arg(long, env = "REHEARSAL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the last run's logs lie, for when no mirror lives
    #[arg(long, value_name = "DIR", env = "REHEARSAL_OUT", default_value = "rehearsal-out")]
    pub out: PathBuf,
}

/// Options of `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Remove what nobody owns
    #[arg(long)]
    pub remove: bool,
    /// The configuration; found upward from the working directory where absent
    #[arg(long, env = "REHEARSAL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the last run's record lies, for how long that took
    #[arg(long, value_name = "DIR", env = "REHEARSAL_OUT", default_value = "rehearsal-out")]
    pub out: PathBuf,
    /// The branch of GitHub on which the check should be required; the event's, else main
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// The form
    #[arg(long, value_enum, default_value = "human")]
    pub format: DoctorFormat,
}

/// Options of `down`
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Everything that no living run owns, kept mirrors of other configurations included
    #[arg(long)]
    pub all: bool,
    /// The configuration whose kept mirror goes, too; found upward from the working directory where absent
    #[arg(long, env = "REHEARSAL_CONFIG", conflicts_with_all = ["all", "run"])]
    pub config: Option<PathBuf>,
    /// Only this run
    #[arg(long, value_name = "RUN", conflicts_with = "all")]
    pub run: Option<String>,
}

/// Options of `report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The record, or the folder with it
    #[arg(default_value = "rehearsal-out", value_name = "DIR|FILE")]
    pub result: PathBuf,
    /// Where reports are written; beside the record where absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Show report.html in a browser: by $BROWSER, else xdg-open, else open
    #[arg(long)]
    pub open: bool,
    /// A further report: json, junit, junit-jenkins, junit-ant, summary, html or predicate
    #[arg(long, value_name = "KIND=PATH", value_parser = report)]
    pub report: Vec<(ReportKind, PathBuf)>,
}

/// Options of `lock`
#[derive(Debug, Args)]
pub struct LockArgs {
    /// Where facts are read: docker, docker:CONTEXT, exec:'ssh web-1' or registry; docker where absent; several add up
    #[arg(long, value_name = "[SERVICE,…=]PLACE")]
    pub from: Vec<crate::lock::take::FactSource>,
    /// Say what has moved since the lock was taken, and exit with 1 if anything has
    #[arg(long)]
    pub check: bool,
    /// The lock's file; the configuration's where absent, else production.lock
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The configuration whose production is meant; found upward from the working directory where absent
    #[arg(long, env = "REHEARSAL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where production's description is, with --check
    #[command(flatten)]
    pub production_from: ProductionFrom,
    /// The Compose project that is production, where several run on one engine
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Read this issuer's public endpoints too; the configuration's `auth.issuer` where absent
    #[arg(long, value_name = "URL")]
    pub auth_issuer: Option<String>,
    /// A company's own authority for the issuer, PEM
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// A probe of your own, kept in the lock; may be given several times
    #[arg(long, value_name = "NAME=COMMAND", value_parser = pair)]
    pub probe: Vec<(String, String)>,
    /// Run the probes that the lock's file holds, on production
    #[arg(long)]
    pub run_probes: bool,
}

/// Options of `alerts`
#[derive(Debug, Args)]
pub struct AlertsArgs {
    /// What to do with them
    #[command(subcommand)]
    pub command: AlertsCommand,
}

/// What can be done with alert rules
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Print, as a patch of the rule files, the loosest thresholds with which the alerts of must_fire tell every failure in
    /// time and are silent in control
    Suggest(SuggestArgs),
}

/// Options of `alerts suggest`
#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// The configuration; found upward from the working directory where absent
    #[arg(long, env = "REHEARSAL_CONFIG")]
    pub config: Option<PathBuf>,
    /// The folder of the run whose recordings are used
    #[arg(long, value_name = "DIR", default_value = "rehearsal-out", env = "REHEARSAL_OUT")]
    pub out: PathBuf,
}

/// Options of `explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A check, `alerts`, or a page of the manual, such as `lock` or `sign-in`; every check where absent
    pub check: Option<String>,
}

/// Options of the agent
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// What to do
    #[arg(value_enum)]
    pub role: AgentRole,
    /// Where connections are passed on to, as an entrance
    #[arg(value_name = "PORT=HOST:PORT")]
    pub passages: Vec<crate::agent::entrance::Passage>,
}

/// Options of the reaper
#[derive(Debug, Args)]
pub struct ReapArgs {
    /// The run
    pub run: String,
    /// Its lock file
    #[arg(long)]
    pub lock: PathBuf,
    /// Its output folder
    #[arg(long)]
    pub out: PathBuf,
    /// Leave the gate's session first
    #[arg(long)]
    pub detach: bool,
}

/// Options of `init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// A Compose file of production, as given to `docker compose -f`; may be given several times
    #[arg(long, value_name = "FILE")]
    pub compose: Vec<PathBuf>,
    /// What production's `.env` says
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Records, or folders in which they lie, at whatever depth
    #[arg(default_value = "rehearsal-out", value_name = "DIR|FILE")]
    pub records: Vec<PathBuf>,
    /// The form
    #[arg(long, value_enum, default_value = "human")]
    pub format: HistoryFormat,
}

/// The form of `history`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// For people
    Human,
    /// For programs
    Json,
}

/// Options of `shard`
#[derive(Debug, Args)]
pub struct ShardArgs {
    /// Configuration and candidate
    #[command(flatten)]
    pub what: What,
    /// Among how many runners; fewer where the run has fewer parts
    #[arg(long, value_name = "N")]
    pub into: NonZeroU32,
    /// Where the last run's record lies, for how long each part took
    #[arg(long, value_name = "DIR", env = "REHEARSAL_OUT", default_value = "rehearsal-out")]
    pub out: PathBuf,
}

/// Options of `merge`
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The shards' records, or folders in which they lie, at whatever depth
    #[arg(required = true, value_name = "DIR|FILE")]
    pub records: Vec<PathBuf>,
    /// How the verdict is told
    #[command(flatten)]
    pub told: Told,
}

/// Options of `completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Whose completions
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Options of `man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The page of this command; that of rehearsal itself where absent
    pub command: Option<String>,
    /// Write every page into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub out: Option<PathBuf>,
}

/// Whatever a command that is not built yet is given
#[derive(Debug, Args)]
pub struct Unbuilt {
    /// Not read
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

/// What the agent does
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AgentRole {
    /// Keeps the container alive
    Hold,
    /// Answers the gate over its standard streams
    Serve,
    /// Passes connections on into the mirror
    Entrance,
}

/// How a run is told
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// For a job of GitHub Actions
    Github,
    /// Events as JSON lines on standard output
    Json,
}

/// Colours
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Where a terminal reads
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The form of `doctor`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// For people
    Human,
    /// For programs
    Json,
}

/// The form of `config`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigFormat {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not of the form NAME=VALUE")),
    }
}

/// It stands in a mark that ends with `-->`, and is what people require.
fn check_name(text: &str) -> Result<String, String> {
    let known = |letter: char| letter.is_ascii_alphanumeric() || " ._/-".contains(letter);
    let fits = !text.trim().is_empty() && text.len() <= 60 && text.chars().all(known) && !text.contains("--");
    match fits {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` cannot be the name of a check: at most 60 letters, digits, blanks and `._/-` are allowed, and no `--`"
        )),
    }
}

fn candidate(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        None => Err(format!(
            "`{text}` does not say which service it replaces: write `--candidate SERVICE={text}`, with the service's name \
             in production's Compose file"
        )),
        Some(_) => pair(text),
    }
}

fn report(text: &str) -> Result<(ReportKind, PathBuf), String> {
    let (kind, path) = pair(text)?;
    let kind = kind.parse().map_err(|_| {
        let kinds = <ReportKind as VariantNames>::VARIANTS.join(", ");
        format!("there is no report `{kind}`: there are {kinds}")
    })?;
    Ok((kind, path.into()))
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::quantity::duration(text)
}
