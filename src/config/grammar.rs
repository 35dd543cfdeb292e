//! The grammar of `rehearsal.yaml`: every key, what may stand there and what it means, as one table.
//!
//! The reader refuses by it ([`super::read`]) and the JSON Schema is printed from it ([`super::schema`]), so the two
//! cannot drift apart. What a value *means* (does this path exist, does this expression compile) is the reader's.

use strum::VariantNames;

use crate::record::check::CheckId;
use Shape::*;

/// What may stand at a place of the file.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A string, or a number or boolean taken as it is written; or `{secret: NAME}`.
    Text,
    /// The same, or null.
    TextOrNull,
    /// A string that cannot be a secret, because it is needed to find secrets.
    Word,
    /// `true` or `false`.
    Bool,
    /// A whole number from 1.
    Count,
    /// A whole number.
    Whole,
    /// Longer than nothing.
    Duration,
    /// May be `0s`.
    DurationOrZero,
    /// `200/s`.
    Rate,
    /// `0.1%`.
    Percent,
    /// `+10%`.
    Change,
    /// `2026-12-31`.
    Date,
    /// `200` or `2xx`.
    Status,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any value; a mapping `{secret: NAME}` anywhere inside, with a string for its name, stands for the secret.
    Json,
    /// What a text is compared with.
    TextMatcher,
    /// What a JSON value is compared with.
    JsonMatcher,
    /// A list, maybe empty.
    List(&'static Shape),
    /// A list with something in it.
    Filled(&'static Shape),
    /// One, or a list with something in it.
    OneOrMore(&'static Shape),
    /// A mapping whose keys are the user's.
    Named(&'static Shape),
    /// A mapping whose keys are ours.
    Keys(&'static Mapping),
    /// A text, or else a mapping.
    TextOr(&'static Mapping),
    /// One of these words, or else a mapping.
    ChoiceOr(&'static [&'static str], &'static Mapping),
    /// A quantity, or else a mapping.
    QuantityOr(&'static Shape, &'static Mapping),
}

/// A mapping whose keys are known.
#[derive(Debug)]
pub struct Mapping {
    /// A unique word; the definition's name in the JSON Schema.
    pub name: &'static str,
    /// How messages call it: "unknown key `x` in a request".
    pub title: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its keys, in the order of the contract.
    pub keys: &'static [Key],
    /// What holds between the keys.
    pub rules: &'static [Rule],
}

/// One known key.
#[derive(Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What may stand there.
    pub shape: Shape,
    /// Whether it must stand there.
    pub required: bool,
    /// What it means.
    pub about: &'static str,
}

/// What holds between the keys of a mapping.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// One of these and no other.
    ExactlyOne(&'static [&'static str]),
    /// One of these or none.
    AtMostOne(&'static [&'static str]),
    /// Any of these.
    AtLeastOne(&'static [&'static str]),
    /// Where the first is not given, each of these.
    Unless(&'static str, &'static [&'static str]),
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key {
        name,
        shape,
        required: false,
        about,
    }
}

const fn required(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key {
        name,
        shape,
        required: true,
        about,
    }
}

impl Mapping {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// When a key of [`NOT_BUILT`] is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Whenever it stands there.
    Given,
    /// With this word, alone or among others.
    Says(&'static str),
}

/// What is valid, but not built yet: mapping, key, and when. Such a key is refused, never ignored, because a gate that
/// skips what it was asked to do is open. **To lift a refusal, delete its line.**
pub const NOT_BUILT: &[(&str, &str, When)] = &[
    ("production", "kubernetes", When::Given),
    ("auth", "twin", When::Given),
    ("upgrade", "strategy", When::Says("rolling")),
];

/// Whether `key` of `mapping` is refused wherever it stands.
pub fn is_not_built(mapping: &Mapping, key: &str) -> bool {
    NOT_BUILT.contains(&(mapping.name, key, When::Given))
}

/// The ids of the built-in checks, which `policy.waive` names.
pub const CHECKS: &[&str] = <CheckId as VariantNames>::VARIANTS;

/// The methods of a request, as its keys.
pub const METHODS: &[&str] = &["get", "head", "post", "put", "patch", "delete"];

/// The whole file.
pub static FILE: Mapping = Mapping {
    name: "file",
    title: "the file",
    about: "What Rehearsal does before a deploy: production, what replaces it, and what must hold.",
    keys: &[
        required("production", Keys(&PRODUCTION), "What runs today."),
        key(
            "candidate",
            Named(&Keys(&CANDIDATE)),
            "Service → what replaces it; `--candidate web=IMAGE` overrides.",
        ),
        key(
            "release",
            Keys(&RELEASE),
            "What people's releases are, beside or instead of `candidate`: images, variables, whole Compose files.",
        ),
        key(
            "auth",
            Keys(&AUTH),
            "The third-party authentication dependency; omit it where there is none.",
        ),
        key("suites", Named(&Keys(&SUITE)), "Your tests, run in the order written."),
        key("data", Keys(&DATA), "What must survive the upgrade and the rollback."),
        key(
            "stages",
            Keys(&STAGES),
            "Budgets and options; control, upgrade and rollback always run.",
        ),
        key(
            "policy",
            Keys(&POLICY),
            "What blocks and what is waived; in a pull request as its base says (`--production-from`).",
        ),
        key(
            "timeout",
            Duration,
            "The whole run's limit; default 15m, and what load takes beside both releases, keys to be taken, and `ramp` and `memory` of `alerts`; reaching it is inconclusive.",
        ),
    ],
    rules: &[],
};

/// `production`.
pub static PRODUCTION: Mapping = Mapping {
    name: "production",
    title: "`production`",
    about: "What runs today: Compose files and their environment. A pull request's is its base's (`--production-from`).",
    keys: &[
        key(
            "compose",
            OneOrMore(&Text),
            "Compose file or files, as given to `docker compose -f`; read unmodified. Default: `COMPOSE_FILE` of the env file.",
        ),
        key("project_directory", Text, "As `docker compose --project-directory`."),
        key(
            "profiles",
            List(&Text),
            "Active profiles; default: `COMPOSE_PROFILES` of the env file.",
        ),
        key(
            "env_file",
            Word,
            "What production's `.env` says, read and used as by `docker compose --env-file`, and by services that name `.env` themselves.",
        ),
        key("lock", Text, "Dated facts read from production."),
        key("max_lock_age", Duration, "An older lock is stale; default 7d."),
        key(
            "hosts",
            Named(&Keys(&HOST)),
            "URL → who answers there: names under which people reach production from outside the Compose file.",
        ),
        key("kubernetes", Filled(&Text), "Rendered Kubernetes manifests."),
    ],
    rules: &[Rule::AtMostOne(&["compose", "kubernetes"])],
};

/// One entry of `production.hosts`.
pub static HOST: Mapping = Mapping {
    name: "host",
    title: "a host",
    about: "A name under which people reach production, as production's load balancer serves it; the run's CA signs for it.",
    keys: &[
        required("service", Text, "The service that stands behind it."),
        key(
            "port",
            Count,
            "Its port for plain HTTP; default: as its files and its image say.",
        ),
        key(
            "headers",
            Named(&TextOrNull),
            "What the balancer sets, over X-Forwarded-Proto, -Host, -Port and -For of an https name; null: not at all.",
        ),
    ],
    rules: &[],
};

/// One entry of `candidate`.
pub static CANDIDATE: Mapping = Mapping {
    name: "candidate",
    title: "a candidate",
    about: "What replaces one service of production.",
    keys: &[
        key("image", Text, "The image that wants to replace the service's."),
        key("build", Keys(&BUILD), "Builds that image first."),
        key(
            "env",
            Named(&TextOrNull),
            "What the release changes in the environment: merged by key, null removes.",
        ),
        key("compose", Text, "A Compose fragment merged over the service."),
        key(
            "requires",
            Named(&Text),
            "Declared needs, such as `{postgres: \">=14\"}`.",
        ),
    ],
    rules: &[Rule::AtMostOne(&["image", "build"])],
};

/// `release`.
pub static RELEASE: Mapping = Mapping {
    name: "release",
    title: "`release`",
    about: "The release as its authors publish it. What differs between production's model and the release's is the candidate.",
    keys: &[
        key(
            "images",
            Named(&Text),
            "Repository, without tag or digest → the image that replaces it in every service that runs it.",
        ),
        key(
            "env",
            Named(&Text),
            "What production's `.env` says from this release on, also to services that name it: over production's variables, and over `env_file`.",
        ),
        key("env_file", Text, "The same as a file: over production's variables."),
        key(
            "compose",
            OneOrMore(&Text),
            "The release's own Compose files, whole: services added, changed, gone. Paths and the project's name count from production's project directory. Default: `COMPOSE_FILE` of its variables, else production's.",
        ),
        key(
            "orphans",
            Choice(&["stop", "keep"]),
            "What becomes of services that the release has no more; default stop.",
        ),
    ],
    rules: &[Rule::AtLeastOne(&["images", "env", "env_file", "compose"])],
};

/// `build` of a candidate.
pub static BUILD: Mapping = Mapping {
    name: "build",
    title: "`build`",
    about: "How the candidate's image is built.",
    keys: &[
        required("context", Text, "The folder that is sent to the engine."),
        key("dockerfile", Text, "Relative to the context; default `Dockerfile`."),
        key("target", Text, "A stage of the Dockerfile."),
        key("args", Named(&Text), "Build arguments."),
    ],
    rules: &[],
};

/// `auth`.
pub static AUTH: Mapping = Mapping {
    name: "auth",
    title: "`auth`",
    about: "The third-party authentication dependency.",
    keys: &[
        key(
            "service",
            OneOrMore(&Text),
            "Its service; of a list, the product first, then its fronts.",
        ),
        key(
            "twin",
            Text,
            "A recorded profile, for a product that cannot run in a container.",
        ),
        key("issuer", Text, "Production's own issuer URL."),
        key(
            "act_as_issuer",
            Bool,
            "In the mirror a key of the run's own stands behind the issuer's, for tokens that only an issuer can sign; default false.",
        ),
        key(
            "rotate",
            TextOr(&SUITE),
            "How the product is told to change its signing key, for `rotation`: a Hurl file or a suite's body.",
        ),
        key(
            "revoke",
            TextOr(&SUITE),
            "How the product is told to take back what a sign-in gave, its token as `{{token}}`: a Hurl file or a suite's body. The \
             user can sign in again then.",
        ),
        key(
            "tls",
            Choice(&["pass-through", "terminate"]),
            "The product's own TLS: it passes the front as it comes (`pass-through`, the default), or the front ends it \
             (`terminate`) with a certificate of the run's CA and takes the product's as it is, so that calls are seen.",
        ),
        key("ca", Text, "A company's CA, trusted for the gate's own requests."),
        key("login", Keys(&LOGIN), "How a test user signs in."),
    ],
    rules: &[Rule::ExactlyOne(&["service", "twin"])],
};

/// `auth.login`.
pub static LOGIN: Mapping = Mapping {
    name: "login",
    title: "`login`",
    about: "How a test user signs in, for the built-in check `auth-login`.",
    keys: &[
        key(
            "as",
            ChoiceOr(&["form", "basic", "header", "ldap", "radius"], &LOGIN_AS),
            "By which means: `form` (the default), `basic`, `header` (`headers` say who it is), `bearer`, `ldap` (a simple bind), \
             or `radius` (the product is asked over RADIUS, then the page by HTTP Basic).",
        ),
        key(
            "start",
            Text,
            "The first page of a sign-in by form; redirects are followed to the first form with a password field.",
        ),
        required(
            "expect",
            TextOr(&PROTECTED_PAGE),
            "The page that only a signed-in user gets; by `ldap` the URL of the entry (RFC 4516): `ldap://HOST/DN?ATTRIBUTES?SCOPE?FILTER`. \
             It is found, and has a value of each attribute, for who has bound there alone.",
        ),
        key("username", Text, "The test user's name."),
        key("password", Text, "The test user's password."),
        key(
            "bind_dn",
            Text,
            "By `ldap`: the name that binds, `{{username}}` in it, as in `uid={{username}},ou=people,dc=example,dc=com`; default the user's \
             name as it is.",
        ),
        key(
            "start_tls",
            Bool,
            "By `ldap`: the connection is turned to TLS before anything else is said; default false.",
        ),
        key("headers", Named(&Text), "Headers of each of its requests."),
        key("radius", Keys(&RADIUS), "Whom `as: radius` asks."),
        key(
            "fields",
            Keys(&LOGIN_FIELDS),
            "Names of the form's fields, where guessing them is not wanted.",
        ),
        key("tls", Keys(&TLS), "How its requests trust servers."),
    ],
    rules: &[Rule::Unless("as", &["start", "username", "password"])],
};

/// `auth.login.radius`.
pub static RADIUS: Mapping = Mapping {
    name: "radius",
    title: "`login.radius`",
    about: "A RADIUS server, and what it shares with its clients.",
    keys: &[
        required(
            "shared_secret",
            Text,
            "The secret that the server shares with the address that the mirror's requests come from.",
        ),
        key(
            "server",
            Text,
            "`HOST` or `HOST:PORT`; default: the first of `auth.service`, at port 1812.",
        ),
    ],
    rules: &[],
};

/// `auth.login.expect`, the long form.
pub static PROTECTED_PAGE: Mapping = Mapping {
    name: "protected-page",
    title: "`login.expect`",
    about: "The page that only a signed-in user gets.",
    keys: &[
        required("get", Text, "Its URL."),
        key("expect", Keys(&HTTP_EXPECT), "What it answers; default status 200."),
    ],
    rules: &[],
};

/// `auth.login.as`, where it is not a word.
pub static LOGIN_AS: Mapping = Mapping {
    name: "login-as",
    title: "`login.as`",
    about: "A sign-in without pages.",
    keys: &[required("bearer", Keys(&BEARER), "By a bearer token.")],
    rules: &[],
};

/// `auth.login.as.bearer`.
pub static BEARER: Mapping = Mapping {
    name: "bearer",
    title: "`bearer`",
    about: "Where the token comes from.",
    keys: &[
        key("token", Text, "The token itself."),
        key(
            "client_credentials",
            Keys(&TOKEN_REQUEST),
            "It is asked for in the name of a client.",
        ),
        key(
            "password_grant",
            Keys(&TOKEN_REQUEST),
            "It is asked for with `username` and `password`.",
        ),
    ],
    rules: &[Rule::ExactlyOne(&["token", "client_credentials", "password_grant"])],
};

/// A question to a token endpoint.
pub static TOKEN_REQUEST: Mapping = Mapping {
    name: "token-request",
    title: "a token request",
    about: "A question to a token endpoint (RFC 6749).",
    keys: &[
        required("url", Text, "The token endpoint."),
        required("client_id", Text, "The client's id."),
        key(
            "client_secret",
            Text,
            "Its secret, sent by HTTP Basic; without one the id stands in the form.",
        ),
        key("scope", Text, "What is asked for."),
    ],
    rules: &[],
};

/// `auth.login.fields`.
pub static LOGIN_FIELDS: Mapping = Mapping {
    name: "login-fields",
    title: "`login.fields`",
    about: "Names of the form's fields.",
    keys: &[
        key("user", Text, "The field of the user's name."),
        key("password", Text, "The field of the password."),
    ],
    rules: &[],
};

/// A suite, and an entry of `data`.
pub static SUITE: Mapping = Mapping {
    name: "suite",
    title: "a suite",
    about: "Tests, run inside the mirror in the order `files`, `requests`, `exec`, `container`.",
    keys: &[
        key(
            "target",
            Text,
            "Base URL, by the names of the mirror; what a request's path is appended to.",
        ),
        key("service", Text, "The service whose container runs `exec` steps."),
        key(
            "basic",
            Keys(&BASIC),
            "`Authorization: Basic` of requests and Hurl files, where they say no other.",
        ),
        key(
            "tls",
            Keys(&TLS),
            "How requests trust servers; the run's own CA is always trusted.",
        ),
        key(
            "files",
            List(&Text),
            "Hurl files; globs such as `smoke/*.hurl` are expanded.",
        ),
        key(
            "requests",
            List(&Keys(&REQUEST)),
            "HTTP steps, in order, with one cookie jar.",
        ),
        key("exec", List(&Keys(&EXEC)), "Commands inside a service's container."),
        key("container", Keys(&CONTAINER), "A container of yours that holds tests."),
        key("min_tests", Count, "Fewer tests than this is inconclusive; default 1."),
    ],
    rules: &[Rule::AtLeastOne(&["files", "requests", "exec", "container"])],
};

/// `tls` of a suite, or of the sign-in.
pub static TLS: Mapping = Mapping {
    name: "tls",
    title: "`tls`",
    about: "How requests trust servers.",
    keys: &[
        key("insecure", Bool, "Certificates are not verified."),
        key("ca", Text, "A PEM file with a further CA."),
    ],
    rules: &[],
};

/// An entry of `requests`.
pub static REQUEST: Mapping = Mapping {
    name: "request",
    title: "a request",
    about: "One HTTP step.",
    keys: &[
        required("name", Text, "Unique within its suite."),
        key("get", Text, "GET: a path on `target`, or a URL."),
        key("head", Text, "HEAD: a path on `target`, or a URL."),
        key("post", Text, "POST: a path on `target`, or a URL."),
        key("put", Text, "PUT: a path on `target`, or a URL."),
        key("patch", Text, "PATCH: a path on `target`, or a URL."),
        key("delete", Text, "DELETE: a path on `target`, or a URL."),
        key("query", Named(&Text), "Query parameters, appended in order."),
        key("headers", Named(&Text), "Request headers."),
        key("basic", Keys(&BASIC), "`Authorization: Basic`."),
        key("json", Json, "The body, as `application/json`."),
        key(
            "form",
            Named(&Text),
            "The body, as `application/x-www-form-urlencoded`.",
        ),
        key("body", Text, "The body, as written."),
        key("follow", Bool, "Whether redirects are followed; default false."),
        key("expect", Keys(&HTTP_EXPECT), "What must come back."),
        key(
            "capture",
            Named(&Keys(&HTTP_CAPTURE)),
            "Name → where its value comes from; used later as `{{name}}`.",
        ),
        key("retry", Keys(&RETRY), "For what is eventually true."),
        key(
            "repeatable",
            Bool,
            "Whether it may be sent more than once: to each replica of a service, and by load; default: only a GET or HEAD.",
        ),
    ],
    rules: &[Rule::ExactlyOne(METHODS), Rule::AtMostOne(&["json", "form", "body"])],
};

/// `basic` of a request, or of a suite.
pub static BASIC: Mapping = Mapping {
    name: "basic",
    title: "`basic`",
    about: "`Authorization: Basic`.",
    keys: &[
        required("username", Text, "The user's name."),
        required("password", Text, "The password."),
    ],
    rules: &[],
};

/// `expect` of a request.
pub static HTTP_EXPECT: Mapping = Mapping {
    name: "http-expect",
    title: "`expect`",
    about: "What a response must be.",
    keys: &[
        key(
            "status",
            OneOrMore(&Status),
            "A number, a class such as `2xx`, or a list; default 2xx.",
        ),
        key(
            "headers",
            Named(&TextMatcher),
            "Header → what it must be; names without regard to case.",
        ),
        key("json", Named(&JsonMatcher), "JSONPath (RFC 9535) → what it must be."),
        key("body", TextMatcher, "The body as text, trimmed."),
        key("within", Duration, "From the first byte sent to the last received."),
    ],
    rules: &[],
};

/// One entry of a request's `capture`.
pub static HTTP_CAPTURE: Mapping = Mapping {
    name: "http-capture",
    title: "a capture",
    about: "Where a captured value comes from.",
    keys: &[
        key("json", Text, "The first node of a JSONPath."),
        key("header", Text, "A response header."),
        key("cookie", Text, "A cookie."),
        key(
            "body",
            Text,
            "Group 1 of a regular expression over the body, else its whole match.",
        ),
    ],
    rules: &[Rule::ExactlyOne(&["json", "header", "cookie", "body"])],
};

/// `retry` of a step.
pub static RETRY: Mapping = Mapping {
    name: "retry",
    title: "`retry`",
    about: "The step is tried again every 250 ms.",
    keys: &[required("for", Duration, "For this long.")],
    rules: &[],
};

/// An entry of `exec`.
pub static EXEC: Mapping = Mapping {
    name: "exec",
    title: "an `exec` step",
    about: "One command inside a service's container, as its own user and without a terminal.",
    keys: &[
        required("name", Text, "Unique within its suite."),
        required("command", Filled(&Text), "The program and its arguments."),
        key("service", Text, "Default: the suite's."),
        key("stdin", Text, "Fed to the command."),
        key("expect", Keys(&EXEC_EXPECT), "What must come back."),
        key(
            "capture",
            Named(&Keys(&EXEC_CAPTURE)),
            "Name → where its value comes from; used later as `{{name}}`.",
        ),
        key("retry", Keys(&RETRY), "For what is eventually true."),
    ],
    rules: &[],
};

/// `expect` of an `exec` step.
pub static EXEC_EXPECT: Mapping = Mapping {
    name: "exec-expect",
    title: "`expect`",
    about: "What a command must do.",
    keys: &[
        key("exit", Whole, "Its exit code; default 0."),
        key("stdout", TextMatcher, "Standard output, trimmed."),
        key("stderr", TextMatcher, "Standard error, trimmed."),
        key("within", Duration, "From start to exit."),
    ],
    rules: &[],
};

/// One entry of an `exec` step's `capture`.
pub static EXEC_CAPTURE: Mapping = Mapping {
    name: "exec-capture",
    title: "a capture",
    about: "Where a captured value comes from.",
    keys: &[required(
        "stdout",
        Text,
        "Group 1 of a regular expression over standard output, else its whole match.",
    )],
    rules: &[],
};

/// `container` of a suite.
pub static CONTAINER: Mapping = Mapping {
    name: "container",
    title: "`container`",
    about: "A container of yours that holds tests.",
    keys: &[
        required("image", Text, "Its image."),
        key("command", Filled(&Text), "Replaces the image's command."),
        key("entrypoint", Filled(&Text), "Replaces the image's entry point."),
        key("env", Named(&Text), "Environment."),
        key(
            "junit",
            Text,
            "JUnit files inside the container, a glob; without it the exit code is one test.",
        ),
    ],
    rules: &[],
};

/// `data`.
pub static DATA: Mapping = Mapping {
    name: "data",
    title: "`data`",
    about: "What must survive the upgrade and the rollback; each a Hurl file or a suite's body.",
    keys: &[
        key(
            "restore",
            Named(&TextOr(&RESTORE)),
            "What production has, before `seed`: a service or `volume:NAME` → a file, or where else it comes from.",
        ),
        key("seed", TextOr(&SUITE), "Runs on the baseline."),
        key(
            "verify",
            TextOr(&SUITE),
            "What was seeded: on the baseline, on the candidate, after the rollback.",
        ),
        key("write", TextOr(&SUITE), "Runs on the candidate, before the rollback."),
        key(
            "verify_write",
            TextOr(&SUITE),
            "What was written: on the candidate, and on the baseline after the rollback.",
        ),
    ],
    rules: &[],
};

/// An entry of `data.restore` that is more than a file.
pub static RESTORE: Mapping = Mapping {
    name: "restore",
    title: "an entry of `data.restore`",
    about: "Data like production's: a file of yours, or what a command in the mirror writes. Never read from production.",
    keys: &[
        key(
            "file",
            Text,
            "The dump: SQL, pg_dump's or mongodump's archive, for a volume a tar; as it is, or packed by gzip or zstd.",
        ),
        key("command", Filled(&Text), "Writes it to its standard output."),
        key(
            "service",
            Text,
            "In whose container that command runs; default: the service it goes to.",
        ),
        key(
            "through",
            Filled(&Text),
            "The command in the service that reads it from its standard input; default: psql, pg_restore, mariadb, mysql or \
             mongorestore, whichever reads it.",
        ),
    ],
    rules: &[Rule::ExactlyOne(&["file", "command"])],
};

/// `stages`.
pub static STAGES: Mapping = Mapping {
    name: "stages",
    title: "`stages`",
    about: "Budgets and options of the stages.",
    keys: &[
        key(
            "control",
            Keys(&CONTROL),
            "Production as it is comes up on empty volumes.",
        ),
        key("upgrade", Keys(&UPGRADE), "The candidate takes the baseline's place."),
        key("rollback", Keys(&ROLLBACK), "The way back."),
        key("faults", Keys(&FAULTS), "What is done to the auth dependency."),
        key("load", Keys(&LOAD), "Open-loop load and its thresholds."),
        key("alerts", Keys(&ALERTS), "Production's own alert rules."),
    ],
    rules: &[],
};

/// `stages.control`.
pub static CONTROL: Mapping = Mapping {
    name: "control",
    title: "`control`",
    about: "Production as it is comes up on empty volumes.",
    keys: &[key("within", Duration, "Until production is ready; default 3m.")],
    rules: &[],
};

/// `stages.upgrade`.
pub static UPGRADE: Mapping = Mapping {
    name: "upgrade",
    title: "`upgrade`",
    about: "How the candidate takes the baseline's place.",
    keys: &[
        key(
            "strategy",
            Choice(&["recreate", "rolling"]),
            "Default `recreate`; `rolling` runs two replicas, one after the other.",
        ),
        key("within", Duration, "Until the candidate is ready; default 2m."),
        key(
            "max_downtime",
            DurationOrZero,
            "The longest time without a good answer; default 30s, more blocks.",
        ),
        key(
            "probe",
            Text,
            "URL asked while the swap goes on; default: the first GET of the first suite that needs no capture.",
        ),
    ],
    rules: &[],
};

/// `stages.rollback`.
pub static ROLLBACK: Mapping = Mapping {
    name: "rollback",
    title: "`rollback`",
    about: "The way back to the baseline.",
    keys: &[
        key("within", Duration, "Until the baseline is ready again; default 60s."),
        key("forward_only", Text, "Why there is no way back; shown in every report."),
    ],
    rules: &[Rule::AtMostOne(&["within", "forward_only"])],
};

/// `stages.faults`.
pub static FAULTS: Mapping = Mapping {
    name: "faults",
    title: "`faults`",
    about: "What is done to the auth dependency, on production's release and on the candidate alike.",
    keys: &[required(
        "auth",
        Filled(&Choice(FAULTS_OF_AUTH)),
        "Faults, one after the other: it is down while the release starts, down, 5 s late, answers 503, answers 429, \
         resets connections, shows no keys; or what it does in health: it changes its signing keys, its clock is not the \
         release's.",
    )],
    rules: &[],
};

/// What can be done to the auth dependency.
const FAULTS_OF_AUTH: &[&str] = &[
    "down-at-start",
    "outage",
    "slow",
    "errors",
    "rate-limit",
    "reset",
    "jwks",
    "rotation",
    "skew",
];

/// `stages.load`.
pub static LOAD: Mapping = Mapping {
    name: "load",
    title: "`load`",
    about: "Requests at production's rate, on each release, whatever became of the earlier ones.",
    keys: &[
        required("rate", Rate, "Requests that are due, as `200/s`."),
        key(
            "duration",
            Duration,
            "For how long each release is asked where thresholds are absolute; default 60s.",
        ),
        key(
            "budget",
            Duration,
            "How long one measurement against the baseline may take, from 48s, with `capacity` from 2m; default 6m.",
        ),
        key(
            "mix",
            Text,
            "The suite whose requests are sent: GET and HEAD, and steps that say `repeatable`; default: every suite.",
        ),
        key(
            "capacity",
            Bool,
            "Whether to raise the rate on each release until it breaks, and to compare; default false.",
        ),
        required("thresholds", Keys(&THRESHOLDS), "What blocks, and what warns."),
    ],
    rules: &[],
};

/// `stages.load.thresholds`.
pub static THRESHOLDS: Mapping = Mapping {
    name: "thresholds",
    title: "`thresholds`",
    about: "More than this, or less than a `throughput`, blocks; `{warn: …, fail: …}` says two levels.",
    keys: &[
        key("p50", MOST_TIME, "Half of the answers come within this."),
        key("p90", MOST_TIME, "90 of 100 answers come within this."),
        key("p95", MOST_TIME, "95 of 100 answers come within this."),
        key("p99", MOST_TIME, "99 of 100 answers come within this."),
        key("p99.9", MOST_TIME, "999 of 1000 answers come within this."),
        key(
            "error_rate",
            QuantityOr(&Percent, &SHARE_LEVELS),
            "Share of requests that are not answered as their step expects.",
        ),
        key(
            "throughput",
            QuantityOr(&Rate, &RATE_LEVELS),
            "Good answers per second, at least.",
        ),
        key("p50_vs_baseline", MOST_CHANGE, "The median against the baseline's."),
        key("p90_vs_baseline", MOST_CHANGE, "p90 against the baseline's."),
        key(
            "p95_vs_baseline",
            MOST_CHANGE,
            "p95 against the baseline's, on the same machine in the same run: the slow-down that must be caught.",
        ),
        key("p99_vs_baseline", MOST_CHANGE, "p99 against the baseline's."),
        key("p99.9_vs_baseline", MOST_CHANGE, "p99.9 against the baseline's."),
    ],
    rules: &[Rule::AtLeastOne(THRESHOLD_KEYS)],
};

const THRESHOLD_KEYS: &[&str] = &[
    "p50",
    "p90",
    "p95",
    "p99",
    "p99.9",
    "error_rate",
    "throughput",
    "p50_vs_baseline",
    "p90_vs_baseline",
    "p95_vs_baseline",
    "p99_vs_baseline",
    "p99.9_vs_baseline",
];

const MOST_TIME: Shape = QuantityOr(&Duration, &TIME_LEVELS);
const MOST_CHANGE: Shape = QuantityOr(&Change, &CHANGE_LEVELS);

/// Two levels of a latency.
pub static TIME_LEVELS: Mapping = Mapping {
    name: "time-levels",
    title: "a threshold",
    about: "Two levels of one threshold.",
    keys: &[
        key("warn", Duration, "Longer is a warning."),
        key("fail", Duration, "Longer blocks."),
    ],
    rules: &[Rule::AtLeastOne(LEVELS)],
};

/// Two levels of a share.
pub static SHARE_LEVELS: Mapping = Mapping {
    name: "share-levels",
    title: "a threshold",
    about: "Two levels of one threshold.",
    keys: &[
        key("warn", Percent, "More is a warning."),
        key("fail", Percent, "More blocks."),
    ],
    rules: &[Rule::AtLeastOne(LEVELS)],
};

/// Two levels of a rate.
pub static RATE_LEVELS: Mapping = Mapping {
    name: "rate-levels",
    title: "a threshold",
    about: "Two levels of one threshold.",
    keys: &[
        key("warn", Rate, "Less is a warning."),
        key("fail", Rate, "Less blocks."),
    ],
    rules: &[Rule::AtLeastOne(LEVELS)],
};

/// Two levels of a change.
pub static CHANGE_LEVELS: Mapping = Mapping {
    name: "change-levels",
    title: "a threshold",
    about: "Two levels of one threshold.",
    keys: &[
        key("warn", Change, "A slow-down that is worth a warning."),
        key("fail", Change, "A slow-down that must be caught."),
    ],
    rules: &[Rule::AtLeastOne(LEVELS)],
};

const LEVELS: &[&str] = &["warn", "fail"];

/// `stages.alerts`.
pub static ALERTS: Mapping = Mapping {
    name: "alerts",
    title: "`alerts`",
    about: "Production's own alert rules, evaluated while a failure is injected.",
    keys: &[
        required(
            "rules",
            OneOrMore(&Text),
            "Production's own Prometheus rule files, as they are.",
        ),
        key(
            "must_fire",
            List(&TextOr(&MUST_FIRE)),
            "Alerts that must fire in every scenario in which a user's request fails.",
        ),
        key(
            "before",
            DurationOrZero,
            "At the latest so long after the first failed request of a user; `0s`: before it. Default: at all.",
        ),
        key(
            "scenarios",
            Filled(&Choice(&["upgrade", "auth-down", "auth-slow", "ramp", "memory"])),
            "The failures that are made; default: `upgrade`, and `auth-down` where there is an `auth`.",
        ),
        key("metrics", Keys(&METRICS), "What production's Prometheus would scrape."),
        key(
            "scrape_interval",
            Duration,
            "As in production's Prometheus; default 1m, which is Prometheus' own.",
        ),
        key(
            "evaluation_interval",
            Duration,
            "As in production's Prometheus, for groups that say none; default 1m, which is Prometheus' own.",
        ),
        key(
            "group_wait",
            DurationOrZero,
            "As in production's Alertmanager; default 30s, which is its own.",
        ),
        key(
            "record",
            Duration,
            "How long each scenario is recorded, of `ramp` each step of the rate, of `memory` a sixth of the way to where it is full; default 20s.",
        ),
    ],
    rules: &[],
};

/// An entry of `stages.alerts.must_fire` that is more than a name.
pub static MUST_FIRE: Mapping = Mapping {
    name: "must-fire",
    title: "an entry of `must_fire`",
    about: "An alert that must fire in some scenarios.",
    keys: &[
        required("alert", Text, "Its name."),
        required(
            "in",
            Filled(&Choice(&["upgrade", "auth-down", "auth-slow", "ramp", "memory"])),
            "The scenarios.",
        ),
    ],
    rules: &[],
};

/// `stages.alerts.metrics`.
pub static METRICS: Mapping = Mapping {
    name: "metrics",
    title: "`metrics`",
    about: "What production's Prometheus would scrape.",
    keys: &[
        key(
            "scrape",
            Named(&Text),
            "What services and exporters export: job → URL, as seen inside the mirror.",
        ),
        key(
            "probe",
            List(&Text),
            "URLs that are asked as by a blackbox exporter; default: the sign-in's start, and `upgrade.probe`.",
        ),
        key(
            "preset",
            List(&Choice(&["blackbox", "cadvisor"])),
            "Exporters whose names are given to what is seen of the mirror; default both.",
        ),
    ],
    rules: &[],
};

/// `policy`.
pub static POLICY: Mapping = Mapping {
    name: "policy",
    title: "`policy`",
    about: "What blocks and what is waived.",
    keys: &[
        key(
            "block_on",
            Filled(&Choice(&["error", "warn", "info"])),
            "Severities that block; default `[error]`.",
        ),
        key("waive", List(&Keys(&WAIVER)), "Findings somebody has signed for."),
        key(
            "same_release",
            Choice(&["inconclusive", "pass"]),
            "What it means where a candidate that was named is what production runs; default inconclusive.",
        ),
        key(
            "unexercised",
            List(&Keys(&UNEXERCISED)),
            "Candidates that no test notices when they are stopped, signed for; each stands in the first line.",
        ),
        key(
            "max_replicas",
            Count,
            "A service of which production runs several is as many containers here, and no more than this; default 2.",
        ),
        key(
            "allow_egress",
            List(&Text),
            "Hosts outside that the mirror may reach, by name: `host` (ports 443 and 80) or `host:port`.",
        ),
        key(
            "border",
            Choice(&["heard", "closed"]),
            "Raw addresses outside: `heard`, refused by the agent, which remembers who sought them (the default); or \
             `closed`, as where nobody is, and unheard, so that forged frames do not leave the engine's machine either.",
        ),
    ],
    rules: &[],
};

/// An entry of `policy.waive`.
pub static WAIVER: Mapping = Mapping {
    name: "waiver",
    title: "a waiver",
    about: "A finding somebody has signed for.",
    keys: &[
        required("check", Choice(CHECKS), "Id of the check."),
        required("reason", Text, "Why."),
        key("owner", Text, "Who signed."),
        key("expires", Date, "The last day on which it holds."),
        key(
            "test",
            Text,
            "Only findings about this test, as in reports: `smoke / account`.",
        ),
        key("service", Text, "Only findings about this service."),
    ],
    rules: &[],
};

/// An entry of `policy.unexercised`.
pub static UNEXERCISED: Mapping = Mapping {
    name: "unexercised",
    title: "an entry of `unexercised`",
    about: "A candidate that no test notices when it is stopped.",
    keys: &[
        required("service", Text, "The service."),
        required("reason", Text, "Why no test does."),
        key("expires", Date, "The last day on which it holds."),
    ],
    rules: &[],
};

/// What a text is compared with, where it is not the text itself.
pub static TEXT_MATCHER: Mapping = Mapping {
    name: "text-matcher",
    title: "a matcher",
    about: "What a text is compared with; of several keys, all must hold.",
    keys: &[
        key("contains", Text, "A part of it."),
        key("matches", Text, "An unanchored regular expression."),
        key("not", TextMatcher, "The opposite."),
        key("exists", Bool, "Whether anything is there."),
    ],
    rules: &[Rule::AtLeastOne(MATCHER_KEYS)],
};

/// What a JSON value is compared with, where it is not the value itself.
pub static JSON_MATCHER: Mapping = Mapping {
    name: "json-matcher",
    title: "a matcher",
    about: "What a JSON value is compared with; of several keys, all must hold.",
    keys: &[
        key("contains", Json, "A part of the string, or an element of the array."),
        key("matches", Text, "An unanchored regular expression."),
        key("not", JsonMatcher, "The opposite."),
        key("exists", Bool, "Whether anything is there; null is something."),
    ],
    rules: &[Rule::AtLeastOne(MATCHER_KEYS)],
};

/// The keys of a matcher.
pub const MATCHER_KEYS: &[&str] = &["contains", "matches", "not", "exists"];

/// In place of any text.
pub static SECRET: Mapping = Mapping {
    name: "secret",
    title: "a secret",
    about: "A value that appears in no log or report: from the process's environment, else from `production.env_file`.",
    keys: &[required("secret", Word, "The variable's name.")],
    rules: &[],
};

/// Every mapping of the grammar, the file's own first.
pub static MAPPINGS: &[&Mapping] = &[
    &FILE,
    &PRODUCTION,
    &HOST,
    &CANDIDATE,
    &RELEASE,
    &BUILD,
    &AUTH,
    &LOGIN,
    &LOGIN_AS,
    &BEARER,
    &TOKEN_REQUEST,
    &PROTECTED_PAGE,
    &RADIUS,
    &LOGIN_FIELDS,
    &SUITE,
    &TLS,
    &REQUEST,
    &BASIC,
    &HTTP_EXPECT,
    &HTTP_CAPTURE,
    &RETRY,
    &EXEC,
    &EXEC_EXPECT,
    &EXEC_CAPTURE,
    &CONTAINER,
    &DATA,
    &RESTORE,
    &STAGES,
    &CONTROL,
    &UPGRADE,
    &ROLLBACK,
    &FAULTS,
    &LOAD,
    &THRESHOLDS,
    &TIME_LEVELS,
    &SHARE_LEVELS,
    &RATE_LEVELS,
    &CHANGE_LEVELS,
    &ALERTS,
    &MUST_FIRE,
    &METRICS,
    &POLICY,
    &WAIVER,
    &UNEXERCISED,
    &TEXT_MATCHER,
    &JSON_MATCHER,
    &SECRET,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn mappings_and_their_keys_are_named_once() {
        let names: BTreeSet<_> = MAPPINGS.iter().map(|mapping| mapping.name).collect();
        assert_eq!(names.len(), MAPPINGS.len());
        for mapping in MAPPINGS {
            let keys: BTreeSet<_> = mapping.keys.iter().map(|key| key.name).collect();
            assert_eq!(keys.len(), mapping.keys.len(), "{}", mapping.name);
        }
    }

    #[test]
    fn what_is_not_built_names_real_keys() {
        for (name, key, _) in NOT_BUILT {
            let mapping = MAPPINGS.iter().find(|mapping| mapping.name == *name).expect(name);
            assert!(mapping.key(key).is_some(), "{name}.{key}");
        }
    }

    #[test]
    fn rules_name_real_keys() {
        for mapping in MAPPINGS {
            for rule in mapping.rules {
                let (Rule::ExactlyOne(keys) | Rule::AtMostOne(keys) | Rule::AtLeastOne(keys) | Rule::Unless(_, keys)) =
                    rule;
                assert!(keys.iter().all(|key| mapping.key(key).is_some()), "{}", mapping.name);
            }
        }
    }
}
