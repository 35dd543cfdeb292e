//! The file: each line that was guessed with its reason, each that nobody can know as a comment to fill in.

use std::fmt::Write as _;

use super::auth::{Auth, Login};
use super::draft::{Dotenv, Draft, Found};
use super::hosts::{Host, Hosts};
use super::release::Release;
use super::smoke::{Asks, LeftOut, Promised, Smoke, Step};

/// Lines of a file in the making.
struct Lines(String);

impl Lines {
    /// One line, so many levels in.
    fn add(&mut self, depth: usize, line: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _written = writeln!(self.0, "{:1$}{line}", "", depth * 2);
    }
}

/// The file.
pub fn yaml(draft: &Draft) -> String {
    let mut lines = Lines(String::new());
    lines.add(
        0,
        "# Written by `rehearsal init` from what files tell. Every line may be changed: `rehearsal schema` and",
    );
    lines.add(
        0,
        "# `rehearsal explain` say what there is. First `rehearsal plan`, then `rehearsal run`.",
    );
    production(draft, &mut lines);
    release(draft, &mut lines);
    if let Some(auth) = &draft.auth {
        self::auth(auth, &mut lines);
    }
    suites(&draft.smoke, &mut lines);
    unexercised(&draft.smoke, &mut lines);
    lines.0
}

fn production(draft: &Draft, lines: &mut Lines) {
    lines.add(0, "production:");
    let files: Vec<String> = draft.found.compose.iter().map(|file| scalar(file)).collect();
    match files.as_slice() {
        [file] => lines.add(1, format_args!("compose: {file}")),
        files => lines.add(1, format_args!("compose: [{}]", files.join(", "))),
    }
    env_file(&draft.found, lines);
    lines.add(
        1,
        "# What production really runs, digest by digest: take it by `rehearsal lock --from docker:CONTEXT`, then",
    );
    lines.add(1, "# lock: production.lock");
    engine_sockets(draft, lines);
    hosts(&draft.hosts, lines);
}

fn env_file(found: &Found, lines: &mut Lines) {
    if let Some(file) = &found.env_file {
        return lines.add(1, format_args!("env_file: {}", scalar(file)));
    }
    if !found.blank.is_empty() {
        let names: Vec<&str> = found.blank.iter().map(String::as_str).collect();
        lines.add(
            1,
            format_args!("# Nothing sets {} here; production does.", names.join(", ")),
        );
    }
    if found.dotenv == Dotenv::OnlyHere {
        lines.add(1, "# Git does not keep .env, so the job of a pull request has none.");
    }
    if !found.blank.is_empty() || found.dotenv == Dotenv::OnlyHere {
        lines.add(
            1,
            "# Put what production's .env says into a file that git keeps, secrets replaced:",
        );
        lines.add(1, "# env_file: production.env");
    }
}

/// One of the release is needed, another one is hardly missed.
fn engine_sockets(draft: &Draft, lines: &mut Lines) {
    if draft.engine_sockets.is_empty() {
        return;
    }
    let of_release = draft.release.services();
    for name in &draft.engine_sockets {
        lines.add(
            1,
            format_args!(
                "# `{name}` is given the engine's socket: what it starts there is no part of the mirror, and so nothing passes."
            ),
        );
    }
    lines.add(
        1,
        "# Where that does not matter, say in a further file behind those of `compose`, not-rehearsed.yaml for example:",
    );
    lines.add(1, "#   services:");
    for name in &draft.engine_sockets {
        let (entry, why) = match of_release.contains(name.as_str()) {
            true => ("volumes: !override []", "with its other volumes within the brackets"),
            false => ("profiles: [not-rehearsed]", "nothing else may depend on it then"),
        };
        lines.add(1, format_args!("#     {}: {{{entry}}} # {why}", scalar(name)));
    }
}

fn hosts(hosts: &Hosts, lines: &mut Lines) {
    let Hosts { known, shared } = hosts;
    let entry = |host: &Host| {
        let (url, service) = (scalar(&host.url), scalar(&host.service));
        format!("{url}: {{service: {service}, port: {}}} # {}", host.port, host.because)
    };
    if !known.is_empty() {
        lines.add(
            1,
            "hosts: # the names under which people reach it, with TLS by the run's own authority",
        );
        known.iter().for_each(|host| lines.add(2, entry(host)));
    }
    if !shared.is_empty() {
        lines.add(1, "# Several services answer to one of these names, by paths. The mirror's front knows no paths: take one for each.");
        if known.is_empty() {
            lines.add(1, "# hosts:");
        }
        shared
            .iter()
            .for_each(|host| lines.add(2, format_args!("# {}", entry(host))));
    }
}

fn release(draft: &Draft, lines: &mut Lines) {
    lines.add(0, "");
    let release = &draft.release;
    match release {
        Release::Built(services) => {
            lines.add(0, format_args!("# Built from this tree: {}.", some(services)));
            lines.add(0, "# What a change alters is the release, against production as the base of the pull request has it; by hand:");
            let base = draft.found.base.as_deref().unwrap_or("HEAD");
            lines.add(0, format_args!("# `rehearsal run --production-from {base}`."));
        }
        Release::Own(repositories) => {
            lines.add(0, "release:");
            lines.add(1, "images: # by repository: every service that runs it");
            for (repository, services) in repositories {
                let entry = image(repository, services, &release.variable(repository));
                lines.add(2, entry);
            }
        }
        Release::Perhaps(choices) => {
            lines.add(
                0,
                "# Which image is the release nobody could tell. With one of these, or by `--candidate SERVICE=IMAGE`:",
            );
            lines.add(0, "# release:");
            lines.add(0, "#   images:");
            for choice in choices {
                let entry = image(&choice.repository, &choice.services, "CANDIDATE_IMAGE");
                lines.add(0, format_args!("#     {entry}"));
            }
        }
    }
}

fn image(repository: &str, services: &[String], variable: &str) -> String {
    format!("{}: \"${{{variable}}}\" # {}", scalar(repository), some(services))
}

/// Names that a line of a comment holds.
const NAMED: usize = 3;

fn some(names: &[String]) -> String {
    match names {
        names if names.len() <= NAMED + 1 => names.join(", "),
        names => format!("{} and {} more", names[..NAMED].join(", "), names.len() - NAMED),
    }
}

fn auth(auth: &Auth, lines: &mut Lines) {
    lines.add(0, "");
    lines.add(
        0,
        format_args!(
            "auth: # `{}` is {}, with which people sign in",
            auth.service, auth.product
        ),
    );
    lines.add(1, format_args!("service: {}", scalar(&auth.service)));
    if let Some(issuer) = &auth.issuer {
        let because = format!("`{}` of `{}`", issuer.variable, issuer.service);
        lines.add(1, format_args!("issuer: {} # {because}", scalar(&issuer.url)));
    }
    match &auth.login {
        Some(Login {
            start,
            expect,
            username,
        }) => {
            lines.add(1, "login:");
            lines.add(2, format_args!("start: {}", scalar(start)));
            lines.add(2, format_args!("expect: {}", scalar(expect)));
            lines.add(2, format_args!("username: {}", scalar(username)));
            lines.add(2, "password: {secret: TEST_PASSWORD}");
        }
        None => {
            lines.add(1, "# The sign-in is what decides most: name a page where it begins, one that only who has signed in sees,");
            lines.add(1, "# and a test user.");
            lines.add(
                1,
                "# login: {start: URL, expect: URL, username: NAME, password: {secret: TEST_PASSWORD}}",
            );
        }
    }
}

fn suites(smoke: &Smoke, lines: &mut Lines) {
    lines.add(0, "");
    for LeftOut { service, variable } in &smoke.left_out {
        lines.add(
            0,
            format_args!("# Left out: what `{service}` is asked by its health check holds `{variable}`. By hand, with"),
        );
        lines.add(0, format_args!("# {{secret: {variable}}} in the place of its value."));
    }
    if smoke.requests.is_empty() && smoke.commands.is_empty() {
        lines.add(0, "# Nothing tells how to ask this production anything: no health check, no port. Without a suite nothing passes.");
        lines.add(
            0,
            "# suites: {smoke: {target: \"http://SERVICE:PORT\", requests: [{name: it answers, get: /}]}}",
        );
        return;
    }
    lines.add(0, "suites: # names and ports are as inside the mirror");
    if !smoke.requests.is_empty() {
        requests(smoke, lines);
    }
    if !smoke.commands.is_empty() {
        lines.add(1, "inside: # what health checks ask in the containers");
        lines.add(2, "exec:");
        smoke.commands.iter().for_each(|step| lines.add(3, request(step)));
    }
    promised(smoke, lines);
}

fn requests(smoke: &Smoke, lines: &mut Lines) {
    if let Some(file) = &smoke.openapi {
        lines.add(1, format_args!("# Some of it is what {} promises.", file.display()));
    }
    let is_front_page = |step: &Step| matches!(step.asks, Asks::FrontPage(_));
    if smoke.requests.iter().any(is_front_page) {
        lines.add(
            1,
            "# Nobody has asked production yet: narrow each front page to the status that it answers with.",
        );
    }
    lines.add(1, "smoke:");
    let is_https = |step: &Step| step.asks.url().is_some_and(|url| url.starts_with("https:"));
    if smoke.requests.iter().any(is_https) {
        lines.add(
            2,
            "tls: {insecure: true} # by a service's own name: its certificate is for another, or of its own making",
        );
    }
    lines.add(2, "requests:");
    smoke.requests.iter().for_each(|step| lines.add(3, request(step)));
}

fn request(step: &Step) -> String {
    let name = scalar(&step.name);
    match &step.asks {
        Asks::Get(url) => format!("- {{name: {name}, get: {}}}", scalar(url)),
        Asks::GetExactly(url, status) => {
            format!("- {{name: {name}, get: {}, expect: {{status: {status}}}}}", scalar(url))
        }
        Asks::FrontPage(url) => {
            format!(
                "- {{name: {name}, get: {}, expect: {{status: [2xx, 3xx, 401, 403, 404]}}}}",
                scalar(url)
            )
        }
        Asks::Command(words) => {
            let words: Vec<String> = words.iter().map(|word| scalar(word)).collect();
            let service = scalar(&step.service);
            format!(
                "- {{name: {name}, service: {service}, command: [{}]}}",
                words.join(", ")
            )
        }
    }
}

/// Requests that the user gives to the service that they are for.
fn promised(smoke: &Smoke, lines: &mut Lines) {
    let Some(Promised { file, by, steps }) = &smoke.promised else {
        return;
    };
    lines.add(
        1,
        format_args!(
            "# What {} promises one of these keeps, and nobody could tell which: {}.",
            file.display(),
            by.join(", ")
        ),
    );
    lines.add(1, "# promised:");
    lines.add(1, "#   requests:");
    steps
        .iter()
        .for_each(|step| lines.add(1, format_args!("#     {}", request(step))));
}

fn unexercised(smoke: &Smoke, lines: &mut Lines) {
    if smoke.unasked.is_empty() {
        return;
    }
    lines.add(0, "");
    let all = some(&smoke.unasked);
    lines.add(
        0,
        format_args!(
            "# Nothing above would notice if {all} stood still, and what nothing notices does not pass. Give it a step"
        ),
    );
    lines.add(
        0,
        "# (`exec` with `service:`, or a request whose answer needs it), or say until when it may be so:",
    );
    lines.add(0, "# policy:");
    lines.add(
        0,
        format_args!(
            "#   unexercised: [{{service: {}, reason: no test yet, expires: YYYY-MM-DD}}]",
            smoke.unasked[0]
        ),
    );
}

/// A value as YAML: plain where it can stand so within braces, else in JSON's quotes. `${` is written so that it is not read
/// as a variable.
pub(super) fn scalar(text: &str) -> String {
    let text = text.replace("${", "$${");
    let is_word = |symbol: char| symbol.is_ascii_alphanumeric() || "/._- =".contains(symbol);
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '.');
    let is_plain = starts_well && text.chars().all(is_word) && !text.ends_with(' ');
    let is_text = matches!(crate::yaml::tree::resolve(&text), crate::yaml::tree::Value::Str(_));
    match is_plain && is_text {
        true => text,
        false => serde_json::Value::from(text).to_string(),
    }
}
