//! Settings: `rehearsal.yaml` as validated. Everything here is known to be well formed; reading and refusing is
//! `read.rs`'s business. Paths are absolute, durations are durations, secrets are marked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::directory::Directory;
use crate::record::check::CheckId;
use crate::record::load::Quantile;
use crate::record::step::{DataEntry, Subject};
use crate::yaml::span::Span;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration file itself, absolute.
    pub file: PathBuf,
    /// Production as it is.
    pub production: Production,
    /// Production as the working tree has it, where that is the release: its description is another's, and neither
    /// `candidate` nor `release` is given.
    pub next: Option<Next>,
    /// Service → what replaces it; at least one entry, unless only production was to be read.
    pub candidate: BTreeMap<String, Candidate>,
    /// The release, where it is more than services.
    pub release: Option<Release>,
    /// The names in `candidate`, also where only production was to be read.
    pub replaced: Vec<String>,
    /// The third-party authentication dependency, where there is one.
    pub auth: Option<Auth>,
    /// The user's suites, in the order written.
    pub suites: Vec<Suite>,
    /// What must survive the upgrade and the rollback.
    pub data: Data,
    /// Budgets and options of the stages.
    pub stages: Stages,
    /// What blocks, what is waived.
    pub policy: Policy,
    /// Every whole URL that is asked inside the mirror, where it is written in the open.
    pub addresses: Vec<Address>,
    /// The whole run's limit; reaching it is `inconclusive`.
    pub timeout: Duration,
    /// Every `{secret: NAME}` of the file that has a value, those of keys that are not used too: name → value. Redaction
    /// starts from here.
    pub secrets: BTreeMap<String, String>,
    /// Keys of the file in whose place another configuration's hold, and which say something else there.
    pub unheard: Vec<&'static str>,
}

/// A URL that is asked inside the mirror.
#[derive(Debug, Clone)]
pub struct Address {
    /// As written; may hold `{{name}}`.
    pub url: String,
    /// Where it stands.
    pub span: Span,
}

impl Settings {
    /// What runs as a suite, or as an entry of `data`.
    pub fn body(&self, subject: &Subject) -> Option<&SuiteBody> {
        match subject {
            Subject::Suite(name) => {
                let suite = self.suites.iter().find(|suite| suite.name == *name);
                suite.map(|suite| &suite.body)
            }
            Subject::Data(entry) => self.data.body(*entry),
            Subject::Rotate => self.auth.as_ref()?.rotate.as_ref(),
            Subject::Revoke => self.auth.as_ref()?.revoke.as_ref(),
        }
    }

    /// The authentication dependency's services, the product first; none where there is no such dependency.
    pub fn auth_services(&self) -> &[String] {
        self.auth.as_ref().map_or(&[], |auth| &auth.services)
    }
}

/// Production as the working tree has it.
#[derive(Debug, Clone)]
pub struct Next {
    /// The description.
    pub production: Production,
    /// Where its files are.
    pub tops: Tops,
}

/// The first folders of two trees, in which the same paths are the same files of production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tops {
    /// Where production's description comes from.
    pub there: PathBuf,
    /// The working tree.
    pub here: PathBuf,
}

/// `production:`.
#[derive(Debug, Clone)]
pub struct Production {
    /// Compose files, absolute, in merge order.
    pub compose: Vec<PathBuf>,
    /// As `docker compose --project-directory`.
    pub project_directory: Option<PathBuf>,
    /// What the project directory is called where production is, if not as here.
    pub folder_name: Option<String>,
    /// Active profiles.
    pub profiles: Vec<String>,
    /// Replaces `.env`, as `docker compose --env-file`.
    pub env_file: Option<PathBuf>,
    /// What Compose files see: the process's environment over `env_file`.
    pub environment: BTreeMap<String, String>,
    /// The lock, if the configuration names one.
    pub lock: Option<PathBuf>,
    /// Older than this is stale; default 7 days.
    pub max_lock_age: Duration,
    /// Names under which people reach production from outside its files.
    pub hosts: Vec<Host>,
    /// Where `production:` stands, for errors about the whole.
    pub span: Span,
}

/// One entry of `production.hosts`.
#[derive(Debug, Clone)]
pub struct Host {
    /// As written: scheme, name and maybe port, without a path.
    pub url: String,
    /// The service behind it.
    pub service: String,
    /// Where that is named.
    pub service_span: Span,
    /// The port on which it is asked; absent = as its files and its image say.
    pub port: Option<u16>,
    /// What the balancer sets; `None` = what it does not let through.
    pub headers: Vec<(String, Option<String>)>,
    /// Where the URL stands.
    pub span: Span,
}

impl Host {
    /// The name alone.
    pub fn name(&self) -> String {
        let url = url::Url::parse(&self.url).ok();
        url.and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// What replaces one service.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where the candidate's image comes from.
    pub image: CandidateImage,
    /// Merged by key over the service's environment; `None` removes the key.
    pub env: BTreeMap<String, Option<String>>,
    /// A Compose fragment merged over the service.
    pub compose: Option<PathBuf>,
    /// Declared needs, e.g. `postgres` → `>=14`.
    pub requires: BTreeMap<String, String>,
    /// Who names it.
    pub named_by: NamedBy,
    /// Where the entry stands; of one that only the command line names, the start of the file.
    pub span: Span,
}

/// Who names a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The file: it is a service.
    File,
    /// The command line alone: a service, or a repository.
    CommandLine,
}

/// `release:`, the release as its authors publish it.
#[derive(Debug, Clone)]
pub struct Release {
    /// Replaced by repository.
    pub images: Vec<ReleaseImage>,
    /// What production's environment says from this release on.
    pub environment: BTreeMap<String, String>,
    /// The release's own Compose files, absolute, in merge order; none = production's.
    pub compose: Vec<PathBuf>,
    /// What becomes of services that it has no more.
    pub orphans: Orphans,
    /// Where `release:` stands.
    pub span: Span,
}

/// One entry of `release.images`.
#[derive(Debug, Clone)]
pub struct ReleaseImage {
    /// Without tag or digest.
    pub repository: String,
    /// What every service runs that runs an image of it.
    pub image: String,
    /// Where the entry stands.
    pub span: Span,
}

/// What becomes of services that the release has no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Orphans {
    /// The deploy stops them.
    #[default]
    Stop,
    /// They go on running.
    Keep,
}

/// Where the candidate's image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CandidateImage {
    /// A reference the engine has or can pull.
    Reference(String),
    /// Built by the engine before the mirror comes up.
    Build {
        /// The build context, absolute.
        context: PathBuf,
        /// Relative to the context; default `Dockerfile`.
        dockerfile: Option<String>,
        /// A stage of the Dockerfile.
        target: Option<String>,
        /// Build arguments.
        args: BTreeMap<String, String>,
    },
    /// No new image: the release changes environment or Compose keys only.
    Unchanged,
}

/// `auth:`.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The product's service first, then its fronts. At least one.
    pub services: Vec<String>,
    /// Where each of them is named.
    pub service_spans: Vec<Span>,
    /// Production's own issuer URL.
    pub issuer: Option<String>,
    /// Where the issuer stands.
    pub issuer_span: Option<Span>,
    /// Whose keys the issuer shows in the mirror.
    pub signs: Signs,
    /// How the product is told to change its signing key.
    pub rotate: Option<SuiteBody>,
    /// How the product is told to take back what a sign-in gave.
    pub revoke: Option<SuiteBody>,
    /// What becomes of the product's own TLS at its front.
    pub tls: OwnTls,
    /// A company's CA, PEM (already read from the file).
    pub ca: Option<String>,
    /// How a test user signs in.
    pub login: Option<Login>,
}

/// What becomes of the product's own TLS at its front.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OwnTls {
    /// It passes as it comes, unread.
    #[default]
    PassesThrough,
    /// The front ends it, with a certificate of the run's CA, and takes the product's own as it is (`auth.tls: terminate`).
    EndsAtFront,
}

/// Whose keys the issuer shows in the mirror, and so who may sign a token that a release takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signs {
    /// The product alone, as in production.
    #[default]
    Product,
    /// The fronts, too: a key of the run's own stands behind the product's (`auth.act_as_issuer`).
    FrontsToo,
}

/// `auth.login:`, the data of the built-in sign-in check.
#[derive(Debug, Clone)]
pub struct Login {
    /// By which means.
    pub by: SignInBy,
    /// The first page of a sign-in by form, else empty; redirects are followed from here to the first form with a
    /// password field.
    pub start: String,
    /// The protected page and what it must answer.
    pub expect: LoginExpect,
    /// The test user's name.
    pub username: String,
    /// The test user's password.
    pub password: String,
    /// Form field names, where guessing them is not wanted.
    pub fields: LoginFields,
    /// Headers of each of its requests, in order.
    pub headers: Vec<(String, String)>,
    /// How the sign-in's requests trust servers.
    pub tls: Tls,
}

/// By which means a test user signs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SignInBy {
    /// Pages and forms, as in a browser.
    #[default]
    Form,
    /// HTTP Basic.
    Basic,
    /// `headers` say who it is, as a proxy in front would: a stranger comes without them.
    Header,
    /// A bearer token.
    Bearer(Bearer),
    /// A simple bind to a directory.
    Ldap(Directory),
    /// The product is asked over RADIUS, and the page by HTTP Basic.
    Radius(RadiusServer),
}

/// A RADIUS server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RadiusServer {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it shares with its clients.
    pub shared_secret: String,
}

/// Where a bearer token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearer {
    /// It is given.
    Token(String),
    /// A client asks for it in its own name.
    ClientCredentials(TokenRequest),
    /// A client asks for it with the user's name and password.
    PasswordGrant(TokenRequest),
}

/// A question to a token endpoint (RFC 6749).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRequest {
    /// The endpoint, absolute.
    pub url: String,
    /// The client's id.
    pub client_id: String,
    /// Its secret; none for a public client.
    pub client_secret: Option<String>,
    /// What is asked for.
    pub scope: Option<String>,
}

/// The page that proves a sign-in.
#[derive(Debug, Clone)]
pub struct LoginExpect {
    /// URL of the protected page.
    pub get: String,
    /// What it must answer once signed in; default status 200, no redirect followed.
    pub expect: HttpExpect,
}

/// `auth.login.fields:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginFields {
    /// Name of the user-name field.
    pub user: Option<String>,
    /// Name of the password field.
    pub password: Option<String>,
}

/// One of the user's suites.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Its key in the configuration.
    pub name: String,
    /// What it runs.
    pub body: SuiteBody,
    /// Where it stands.
    pub span: Span,
}

/// What a suite, or a `data` entry, runs: in the order `files`, `requests`, `exec`, `container`.
#[derive(Debug, Clone, Default)]
pub struct SuiteBody {
    /// Base URL for paths, and the Hurl variable `target`.
    pub target: Option<String>,
    /// Default service of `exec` steps.
    pub service: Option<String>,
    /// `Authorization: Basic` of all requests that say no other: user name, password.
    pub basic: Option<(String, String)>,
    /// How the suite's requests trust servers.
    pub tls: Tls,
    /// Hurl files, globs already expanded, absolute, in order.
    pub files: Vec<PathBuf>,
    /// Plain HTTP steps.
    pub requests: Vec<RequestStep>,
    /// Commands inside services' containers.
    pub exec: Vec<ExecStep>,
    /// A test container.
    pub container: Option<TestContainer>,
    /// Fewer tests than this is `inconclusive`; 1 unless the configuration says more.
    pub min_tests: u64,
}

/// `tls:` of a suite, or of the sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Certificates are not verified.
    #[serde(default)]
    pub insecure: bool,
    /// A further CA, PEM text (already read from the file).
    #[serde(default)]
    pub ca: Option<String>,
}

/// One HTTP step. Texts may hold `{{name}}`, filled in when the step runs.
#[derive(Debug, Clone)]
pub struct RequestStep {
    /// Unique within its suite.
    pub name: String,
    /// Upper case: `GET`, `POST`, …
    pub method: String,
    /// A path on `target`, or a URL.
    pub url: String,
    /// Query parameters, appended in order.
    pub query: Vec<(String, String)>,
    /// Request headers, in order.
    pub headers: Vec<(String, String)>,
    /// `Authorization: Basic`.
    pub basic: Option<(String, String)>,
    /// The body, if any.
    pub body: RequestBody,
    /// Redirects are followed (at most 10); default false.
    pub follow: bool,
    /// What must come back.
    pub expect: HttpExpect,
    /// Name → where its value comes from.
    pub capture: Vec<(String, HttpCapture)>,
    /// Tried again every 250 ms for this long.
    pub retry: Option<Duration>,
    /// Whether it may be sent more than once, where the step says it.
    pub repeatable: Option<bool>,
    /// Where the step stands.
    pub span: Span,
}

impl RequestStep {
    /// It may be sent to each replica of a service, and by load: what it says itself, else what only reads.
    pub fn is_repeatable(&self) -> bool {
        let reads = matches!(self.method.as_str(), "GET" | "HEAD");
        self.repeatable.unwrap_or(reads)
    }
}

/// A request's body.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum RequestBody {
    /// None.
    #[default]
    Empty,
    /// `application/json`; strings inside may hold `{{name}}`.
    Json(serde_json::Value),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// As written; the content type is the step's own header.
    Text(String),
}

/// What a response must be.
#[derive(Debug, Clone, Default)]
pub struct HttpExpect {
    /// Default: any 2xx. Empty = default.
    pub status: Vec<StatusPattern>,
    /// Header name → matcher.
    pub headers: Vec<(String, Matcher)>,
    /// JSONPath (RFC 9535) → matcher.
    pub json: Vec<(String, Matcher)>,
    /// The body as text, trimmed.
    pub body: Option<Matcher>,
    /// From the first byte sent to the last received.
    pub within: Option<Duration>,
}

/// One accepted status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// Exactly this.
    Exact(u16),
    /// `2xx` is `Class(2)`.
    Class(u8),
}

/// One expectation about a text or a JSON value.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// Equal: texts after trimming, numbers by value, no coercion between types.
    Equals(serde_json::Value),
    /// The text contains, or the JSON array or string contains.
    Contains(serde_json::Value),
    /// An unanchored regular expression, known to compile unless it holds `{{name}}`.
    Matches(String),
    /// The opposite of the inner matcher.
    Not(Box<Matcher>),
    /// `true`: something is there (null counts); `false`: nothing is.
    Exists(bool),
    /// All of them, where several are given in one mapping.
    All(Vec<Matcher>),
}

/// Where a request's capture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpCapture {
    /// First node of a JSONPath.
    Json(String),
    /// A response header.
    Header(String),
    /// A cookie that this response set, or else one of the jar's.
    Cookie(String),
    /// Group 1 of a regular expression over the body, else the whole match.
    Body(String),
}

/// One command inside a service's container.
#[derive(Debug, Clone)]
pub struct ExecStep {
    /// Unique within its suite.
    pub name: String,
    /// Argument vector.
    pub command: Vec<String>,
    /// Which service; the suite's by default (already filled in).
    pub service: String,
    /// Where that service is named, here or by the suite.
    pub service_span: Span,
    /// Fed to the command.
    pub stdin: Option<String>,
    /// What must come back.
    pub expect: ExecExpect,
    /// Name → regular expression over stdout.
    pub capture: Vec<(String, String)>,
    /// Tried again every 250 ms for this long.
    pub retry: Option<Duration>,
    /// Where the step stands.
    pub span: Span,
}

/// What a command must do.
#[derive(Debug, Clone, Default)]
pub struct ExecExpect {
    /// Default 0.
    pub exit: i64,
    /// Standard output, trimmed.
    pub stdout: Option<Matcher>,
    /// Standard error, trimmed.
    pub stderr: Option<Matcher>,
    /// Start to exit.
    pub within: Option<Duration>,
}

/// A container of the user's that holds tests.
#[derive(Debug, Clone)]
pub struct TestContainer {
    /// Its image.
    pub image: String,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Glob inside the container; absent = the exit code is one test.
    pub junit: Option<String>,
    /// Where it stands.
    pub span: Span,
}

/// `data:`.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// What production has, from files and commands of the user's, in the order in which it is restored.
    pub restore: Vec<Restore>,
    /// Runs on the baseline.
    pub seed: Option<SuiteBody>,
    /// What was seeded: on the baseline, on the candidate, after the rollback.
    pub verify: Option<SuiteBody>,
    /// Runs on the candidate before the rollback.
    pub write: Option<SuiteBody>,
    /// What was written: on the candidate, and on the baseline after the rollback.
    pub verify_write: Option<SuiteBody>,
}

/// One entry of `data.restore`.
#[derive(Debug, Clone)]
pub struct Restore {
    /// What gets it.
    pub into: Target,
    /// Where it comes from.
    pub from: Dump,
    /// The command in the service that reads it from its standard input; default: the client that its container has.
    pub through: Option<Vec<String>>,
    /// Where the entry stands.
    pub span: Span,
}

/// What is restored into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A service that is up: its own client reads the dump.
    Service(String),
    /// A volume that nothing mounts yet.
    Volume(String),
}

/// Where restored data comes from: nothing that the gate could read from production by itself.
#[derive(Debug, Clone)]
pub enum Dump {
    /// A file of this machine.
    File {
        /// Absolute.
        path: PathBuf,
        /// As written.
        name: String,
    },
    /// What a command writes to its standard output.
    Output {
        /// The program and its arguments.
        command: Vec<String>,
        /// The service of the mirror in whose container it runs.
        service: String,
        /// Where that service is named.
        service_span: Span,
    },
}

impl Target {
    /// Volumes are written `volume:NAME`.
    pub const VOLUME: &str = "volume:";

    /// The service or the volume, by its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(name) | Self::Volume(name) => name,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => f.write_str(name),
            Self::Volume(name) => write!(f, "{}{name}", Self::VOLUME),
        }
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, .. } => write!(f, "`{name}`"),
            Self::Output { command, service, .. } => write!(f, "`{}` in `{service}`", command.join(" ")),
        }
    }
}

impl Restore {
    /// The services that must be up before it can be done.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let target = match &self.into {
            Target::Service(name) => Some(name.as_str()),
            Target::Volume(_) => None,
        };
        let source = match &self.from {
            Dump::Output { service, .. } => Some(service.as_str()),
            Dump::File { .. } => None,
        };
        source.into_iter().chain(target)
    }
}

impl Data {
    /// What an entry runs, where it is given.
    pub fn body(&self, entry: DataEntry) -> Option<&SuiteBody> {
        match entry {
            DataEntry::Seed => self.seed.as_ref(),
            DataEntry::Verify => self.verify.as_ref(),
            DataEntry::Write => self.write.as_ref(),
            DataEntry::VerifyWrite | DataEntry::VerifyWriteAfter => self.verify_write.as_ref(),
        }
    }
}

/// `stages:`.
#[derive(Debug, Clone)]
pub struct Stages {
    /// Production as it is.
    pub control: Control,
    /// The upgrade.
    pub upgrade: Upgrade,
    /// The way back.
    pub rollback: Rollback,
    /// Load, where it is asked for.
    pub load: Option<Load>,
    /// Production's alert rules, where they are asked.
    pub alerts: Option<super::alerts::Alerts>,
    /// What is done to the authentication dependency; `None` = nothing.
    pub faults: Option<Faults>,
}

/// `stages.faults:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// One after the other, each once, in the order of their kind.
    pub auth: Vec<AuthFault>,
    /// What it does beside them, each once, in the order of their kind.
    pub changes: Vec<AuthChange>,
}

impl Faults {
    /// A change of keys is waited for in `control`, on the candidate and in its repeat, and four times on an untouched
    /// baseline.
    const UNTIL_KEYS_ARE_TAKEN: Duration = Duration::from_secs(600);

    /// How long it may take in all until new keys are taken.
    pub fn until_keys_are_taken(&self) -> Duration {
        match self.changes.contains(&AuthChange::Rotation) {
            true => Self::UNTIL_KEYS_ARE_TAKEN,
            false => Duration::ZERO,
        }
    }
}

/// A fault of the authentication dependency.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum AuthFault {
    /// It is down while the release starts.
    DownAtStart,
    /// It is down.
    Outage,
    /// It answers five seconds late.
    Slow,
    /// It answers 503, over LDAP `unavailable`.
    Errors,
    /// It answers 429, over LDAP `busy`.
    RateLimit,
    /// It resets connections.
    Reset,
    /// It does not show its signing keys.
    Jwks,
}

impl AuthFault {
    /// In the order of their kind.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What the authentication dependency does without failing, and a release has to bear, too.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum AuthChange {
    /// Its signing keys change.
    Rotation,
    /// Its clock is not a release's.
    Skew,
}

impl AuthChange {
    /// In the order of their kind.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// `stages.load:`.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// Requests that are due, per second.
    pub rate: f64,
    /// How long each release is asked where thresholds are absolute; default 60 s.
    pub duration: Duration,
    /// How long one measurement of both releases may take, in turns or of their capacity; default 6 min, and not under
    /// [`Load::LEAST_BUDGET`] where there is a threshold against the baseline, [`Load::LEAST_FOR_CAPACITY`] where the
    /// capacity is asked for.
    pub budget: Duration,
    /// The suite whose requests are sent; default: all suites'.
    pub mix: Option<String>,
    /// What is held against what was measured.
    pub thresholds: Thresholds,
    /// Whether it is measured how much each release bears.
    pub capacity: Capacity,
    /// Where the first threshold against the baseline stands.
    pub against_span: Option<Span>,
}

/// `stages.load.capacity:`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Capacity {
    /// It is.
    Asked,
    /// It is not.
    #[default]
    Unasked,
}

impl Load {
    /// Twelve pairs of slices of 2 s: fewer say nothing.
    pub const LEAST_BUDGET: Duration = Duration::from_secs(48);
    /// Requests a second: more is no load for one machine that runs a whole mirror beside it.
    pub const MOST_RATE: f64 = 10_000.0;
    /// Half a minute for each of four turns: a few rates.
    pub const LEAST_FOR_CAPACITY: Duration = Duration::from_secs(120);
    /// What a measurement takes beside its pairs: two restarts, and requests that warm up.
    const AROUND: Duration = Duration::from_secs(30);

    /// How long it may take in all to ask both releases at once.
    pub fn both_at_once(&self) -> Duration {
        self.in_turns() + self.until_they_break()
    }

    /// Thresholds against the baseline: in `control`, and the budget twice where it is suspect.
    fn in_turns(&self) -> Duration {
        match self.thresholds.against_baseline.is_empty() {
            true => Duration::ZERO,
            false => Self::LEAST_BUDGET + self.budget * 2 + Self::AROUND * 3,
        }
    }

    /// The capacity: a budget in `control`, and twice where it fell; the release in place begins anew after each.
    fn until_they_break(&self) -> Duration {
        match self.capacity {
            Capacity::Unasked => Duration::ZERO,
            Capacity::Asked => self.budget * 3 + Self::AROUND * 5,
        }
    }
}

/// `stages.load.thresholds:`; at least one of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thresholds {
    /// Latency at a quantile, at most.
    pub latency: BTreeMap<Quantile, Levels<Duration>>,
    /// Share of requests that are not answered well, 0 to 1, at most.
    pub error_rate: Option<Levels<f64>>,
    /// Good answers per second, at least.
    pub throughput: Option<Levels<f64>>,
    /// Slow-down of a quantile against the baseline that must be caught: 0.1 is +10 %.
    pub against_baseline: BTreeMap<Quantile, Levels<f64>>,
}

/// Two levels of one threshold; at least one of them. What is written as a plain value is `fail`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels<T> {
    /// Beyond this is a warning.
    pub warn: Option<T>,
    /// Beyond this blocks.
    pub fail: Option<T>,
}

/// `stages.control:`.
#[derive(Debug, Clone)]
pub struct Control {
    /// Until production is ready on empty volumes; default 3 min.
    pub within: Duration,
}

/// `stages.upgrade:`.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// How the candidate takes its place.
    pub strategy: Strategy,
    /// Until the candidate is ready; default 2 min.
    pub within: Duration,
    /// The longest time without a good answer; default 30 s.
    pub max_downtime: Duration,
    /// What is asked around the swap; default: what production's health check asks over HTTP, else its front page, else a
    /// connection.
    pub probe: Option<String>,
}

/// How the candidate takes the baseline's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Stop the old, start the new.
    Recreate,
}

/// `stages.rollback:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollback {
    /// Back to the baseline, ready in this time; default 60 s.
    Within(Duration),
    /// There is no way back, and this is why.
    ForwardOnly(String),
}

/// `policy:`.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Severities that block; default `error`.
    pub block_on: Vec<crate::record::finding::Severity>,
    /// Findings somebody has signed for.
    pub waive: Vec<Waiver>,
    /// Hosts outside that the mirror may reach.
    pub allow_egress: Vec<OpenHost>,
    /// Where each of them is written.
    pub allow_egress_spans: Vec<Span>,
    /// What becomes of what is sent to raw addresses outside.
    pub border: Border,
    /// What it means where a candidate that was named is what production runs.
    pub same_release: SameRelease,
    /// Candidates that no test notices, signed for.
    pub unexercised: Vec<Unexercised>,
    /// No service is more containers than this.
    pub max_replicas: u32,
}

impl Policy {
    /// Where nothing is said: enough to see what several do to each other.
    pub const MAX_REPLICAS: u32 = 2;
}

/// A host outside that the mirror may reach by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenHost {
    /// Its name, lower case.
    pub host: String,
    /// On these ports; written without one, HTTPS's and HTTP's.
    pub ports: Vec<u16>,
}

/// One entry of `policy.waive`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The check.
    pub check: CheckId,
    /// Why.
    pub reason: String,
    /// Who signed.
    pub owner: Option<String>,
    /// Last day on which it holds, `YYYY-MM-DD`.
    pub expires: Option<time::Date>,
    /// Only findings about this test: `smoke / account`.
    pub test: Option<String>,
    /// Only findings about this service.
    pub service: Option<String>,
}

/// One entry of `policy.unexercised`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unexercised {
    /// The service.
    pub service: String,
    /// Why no test notices it.
    pub reason: String,
    /// Last day on which it holds.
    pub expires: Option<time::Date>,
}

/// What becomes of what the mirror sends to raw addresses outside. No engine has both: what drops forged frames drops what
/// the agent would hear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Border {
    /// The agent refuses it and remembers who it was; who may forge frames can send single datagrams past it.
    #[default]
    Heard,
    /// It fails as where nobody is (on some engines after three seconds), and nobody hears it; no datagram leaves the
    /// engine's machine.
    Closed,
}

/// What it means where a candidate that was named is what production runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SameRelease {
    /// There was nothing to rehearse.
    #[default]
    Inconclusive,
    /// It may pass.
    Pass,
}
