//! A server that stands for GitHub: it judges each request by GitHub's own description of it (`description.json`, see
//! `cut.py`), answers from there, and remembers what it was told. What the description does not know it does not do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

/// What may call.
pub const TOKEN: &str = "ghs_0123456789abcdefghij";
/// The repository that is there.
pub const REPOSITORY: &str = "acme/shop";

/// A request that the description allows.
#[derive(Debug, Clone)]
pub struct Called {
    pub method: String,
    pub path: String,
    pub body: Value,
}

/// What it answers out of turn.
#[derive(Debug, Clone)]
pub struct Instead {
    pub method: &'static str,
    /// A part of the path.
    pub path: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    /// How often.
    pub times: usize,
}

/// What GitHub holds.
#[derive(Debug, Default)]
pub struct State {
    pub called: Vec<Called>,
    pub instead: Vec<Instead>,
    pub check_runs: Vec<Value>,
    /// Of all check runs: its number beside each.
    pub annotations: Vec<(u64, Value)>,
    pub comments: Vec<Value>,
    pub statuses: Vec<Value>,
    pub deployments: Vec<Value>,
    pub deployment_statuses: Vec<Value>,
    pub pulls: Vec<Value>,
    pub rules: Vec<Value>,
    pub protection: Option<Value>,
    /// Requests and answers that are not as described.
    wrong: Vec<String>,
    last: u64,
}

/// The server; it ends with the test.
pub struct Github {
    address: SocketAddr,
    base: &'static str,
    state: Arc<Mutex<State>>,
    _runtime: tokio::runtime::Runtime,
}

impl Github {
    /// As `api.github.com` is.
    pub fn new() -> Self {
        Self::below("")
    }

    /// As GitHub Enterprise Server is, whose API has a path of its own.
    pub fn below(base: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            last: 1000,
            ..State::default()
        }));
        runtime.spawn(serve(listener, base, state.clone()));
        Self {
            address,
            base,
            state,
            _runtime: runtime,
        }
    }

    /// What `GITHUB_API_URL` says.
    pub fn api(&self) -> String {
        format!("http://{}{}", self.address, self.base)
    }

    /// What it holds.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test has failed while it looked")
    }

    /// Requests of a method, to paths with this in them.
    pub fn called(&self, method: &str, path: &str) -> Vec<Called> {
        let state = self.state();
        let all = state.called.iter();
        all.filter(|one| one.method == method && one.path.contains(path))
            .cloned()
            .collect()
    }

    /// All that writes.
    pub fn written(&self) -> usize {
        self.state().called.iter().filter(|one| one.method != "GET").count()
    }

    /// Everything was as GitHub describes it.
    pub fn is_as_described(&self) {
        let state = self.state();
        assert!(state.wrong.is_empty(), "{:#?}", state.wrong);
    }
}

async fn serve(listener: tokio::net::TcpListener, base: &'static str, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let service = service_fn(move |request| answered(request, base, state.clone()));
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

type Answer = (u16, Vec<(&'static str, &'static str)>, Value);

async fn answered(
    request: Request<Incoming>,
    base: &'static str,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let bearer = head.headers.get("authorization").and_then(|value| value.to_str().ok());
    let allowed = bearer == Some(&format!("Bearer {TOKEN}"));
    let (path, query) = (
        head.uri.path().to_owned(),
        head.uri.query().unwrap_or_default().to_owned(),
    );
    let mut state = state.lock().expect("no test has failed while it looked");
    let (status, headers, answer) = match (allowed, path.strip_prefix(base)) {
        (true, Some(path)) => state.answer(head.method.as_str(), path, &query, &body),
        (false, _) => (401, Vec::new(), json!({"message": "Bad credentials"})),
        (true, None) => state.is_wrong(format!("{path} is not below {base}")),
    };
    let text = if answer.is_null() {
        String::new()
    } else {
        answer.to_string()
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(text)).expect("a response"))
}

/// Why GitHub would refuse a request; nothing where it would not.
pub fn refusal(method: &str, path: &str, body: &Value) -> Option<String> {
    match call(method, path) {
        Some((call, _)) => misfit(call, body),
        None => Some("it is not described".to_owned()),
    }
}

/// GitHub's description, cut down.
fn description() -> &'static Value {
    static DESCRIPTION: OnceLock<Value> = OnceLock::new();
    DESCRIPTION.get_or_init(|| serde_json::from_str(include_str!("description.json")).expect("the description is JSON"))
}

/// What is not as a schema of the description has it.
fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut whole = schema.clone();
    whole["$defs"] = description()["$defs"].clone();
    let validator = jsonschema::validator_for(&whole).expect("a schema");
    let told = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    validator.iter_errors(value).map(told).collect()
}

/// The call of the description that this is, with what stands in the places of its path.
fn call(method: &str, path: &str) -> Option<(&'static Value, Vec<String>)> {
    let parts: Vec<&str> = path.split('/').collect();
    description()["calls"].as_array()?.iter().find_map(|call| {
        let wanted: Vec<&str> = call["path"].as_str()?.split('/').collect();
        let fits = |(part, wanted): (&&str, &&str)| part == wanted || (wanted.starts_with('{') && !part.is_empty());
        let whole = call["method"] == method && parts.len() == wanted.len() && parts.iter().zip(&wanted).all(fits);
        let places = parts.iter().zip(&wanted).filter(|(_, wanted)| wanted.starts_with('{'));
        let decoded = places.map(|(part, _)| decoded(part));
        whole.then(|| (call, decoded.collect()))
    })
}

fn decoded(part: &str) -> String {
    let pair = format!("x={}", part.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

impl State {
    fn is_wrong(&mut self, why: String) -> Answer {
        self.wrong.push(why.clone());
        (500, Vec::new(), json!({"message": why}))
    }

    fn answer(&mut self, method: &str, path: &str, query: &str, body: &[u8]) -> Answer {
        let Some((call, places)) = call(method, path) else {
            return self.is_wrong(format!("{method} {path} is not described"));
        };
        let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let known = call["query"].as_array().cloned().unwrap_or_default();
        if let Some((name, _)) = query.iter().find(|(name, _)| !known.contains(&json!(name))) {
            return self.is_wrong(format!("{method} {path} has no parameter {name}"));
        }
        let body: Value = match body {
            [] => Value::Null,
            text => serde_json::from_slice(text).unwrap_or_else(|error| json!({"no JSON": error.to_string()})),
        };
        if let Some(why) = misfit(call, &body) {
            return self.is_wrong(format!("{method} {path}: {why} in {body}"));
        }
        self.called.push(Called {
            method: method.to_owned(),
            path: path.to_owned(),
            body: body.clone(),
        });
        if let Some(instead) = self.instead(method, path) {
            return instead;
        }
        if format!("{}/{}", places[0], places[1]) != REPOSITORY {
            return not_found();
        }
        let answer = self.done(call, &places[2..], &query, &body);
        self.judged(call, answer)
    }

    fn instead(&mut self, method: &str, path: &str) -> Option<Answer> {
        let mut all = self.instead.iter_mut();
        let one = all.find(|one| one.times > 0 && one.method == method && path.contains(one.path))?;
        one.times -= 1;
        let message = json!({"message": format!("said {}", one.status)});
        Some((one.status, one.headers.clone(), message))
    }

    /// An answer that is not as described proves nothing.
    fn judged(&mut self, call: &Value, answer: Answer) -> Answer {
        let (status, _, value) = &answer;
        let described = &call["answers"][status.to_string()];
        if *status < 300 && described["schema"].is_object() {
            let errors = errors(&described["schema"], value);
            if !errors.is_empty() {
                return self.is_wrong(format!("the answer to {}: {errors:?}", call["path"]));
            }
        }
        answer
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn done(&mut self, call: &'static Value, places: &[String], query: &[(String, String)], body: &Value) -> Answer {
        let path = call["path"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches("/repos/{owner}/{repo}");
        let method = call["method"].as_str().unwrap_or_default();
        let place = places.first().map(String::as_str).unwrap_or_default();
        match (method, path) {
            ("POST", "/check-runs") => self.new_check_run(call, body),
            ("PATCH", "/check-runs/{check_run_id}") => self.changed_check_run(place, body),
            ("GET", "/check-runs/{check_run_id}/annotations") => self.annotations_of(place, query),
            ("GET", "/commits/{ref}/check-runs") => {
                let name = value(query, "check_name");
                let own =
                    |one: &&Value| one["head_sha"] == place && Some(one["name"].as_str().unwrap_or_default()) == name;
                let runs: Vec<Value> = self.check_runs.iter().filter(own).cloned().collect();
                (
                    200,
                    Vec::new(),
                    json!({"total_count": runs.len(), "check_runs": page(&runs, query)}),
                )
            }
            ("POST", "/statuses/{sha}") => {
                let made = self.made(call, "201", body, &[("sha", json!(place))]);
                self.statuses.insert(0, made.clone());
                (201, Vec::new(), made)
            }
            ("GET", "/commits/{ref}/statuses") => listed(&self.statuses, query),
            ("GET", "/commits/{commit_sha}/pulls") => listed(&self.pulls, query),
            ("GET", "/issues/{issue_number}/comments") => {
                let of = format!("/issues/{place}");
                let own = |one: &&Value| one["issue_url"].as_str().is_some_and(|url| url.ends_with(&of));
                let all: Vec<Value> = self.comments.iter().filter(own).cloned().collect();
                listed(&all, query)
            }
            ("POST", "/issues/{issue_number}/comments") => self.new_comment(call, place, body),
            ("PATCH", "/issues/comments/{comment_id}") => changed(&mut self.comments, place, body),
            ("GET", "/deployments") => {
                let fits = |one: &Value, name: &str| value(query, name).is_none_or(|wanted| one[name] == wanted);
                let own = |one: &&Value| ["sha", "task", "environment"].iter().all(|name| fits(one, name));
                let all: Vec<Value> = self.deployments.iter().filter(own).cloned().collect();
                listed(&all, query)
            }
            ("POST", "/deployments") => self.new_deployment(call, body),
            ("GET", "/deployments/{deployment_id}/statuses") => listed(&self.deployment_statuses, query),
            ("POST", "/deployments/{deployment_id}/statuses") => {
                let made = self.made(call, "201", body, &[]);
                self.deployment_statuses.insert(0, made.clone());
                (201, Vec::new(), made)
            }
            ("POST", "/actions/runs/{run_id}/deployment_protection_rule") => (204, Vec::new(), Value::Null),
            ("GET", "/rules/branches/{branch}") => listed(&self.rules, query),
            ("GET", "/branches/{branch}/protection/required_status_checks") => match &self.protection {
                Some(protection) => (200, Vec::new(), protection.clone()),
                None => not_found(),
            },
            _ => self.is_wrong(format!("{method} {path} is not done here")),
        }
    }

    /// The example of the description, with what the request said.
    fn made(&mut self, call: &Value, status: &str, body: &Value, more: &[(&str, Value)]) -> Value {
        let mut made = call["answers"][status]["example"].clone();
        made["id"] = json!(self.next());
        for (name, value) in body
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "output")
        {
            made[name] = value.clone();
        }
        for (name, value) in more {
            made[*name] = value.clone();
        }
        made
    }

    fn new_check_run(&mut self, call: &Value, body: &Value) -> Answer {
        let made = self.made(call, "201", body, &[]);
        let id = made["id"].as_u64().unwrap_or_default();
        self.check_runs.push(made);
        self.put_output(id, body);
        found(&self.check_runs, &id.to_string())
    }

    fn changed_check_run(&mut self, place: &str, body: &Value) -> Answer {
        if let Some(run) = self.check_runs.iter_mut().find(|one| is(one, place)) {
            for name in ["status", "conclusion", "name", "external_id", "details_url"] {
                if !body[name].is_null() {
                    run[name] = body[name].clone();
                }
            }
            self.put_output(place.parse().unwrap_or_default(), body);
        }
        found(&self.check_runs, place)
    }

    /// GitHub adds annotations to those that are there.
    fn put_output(&mut self, id: u64, body: &Value) {
        let output = &body["output"];
        for one in output["annotations"].as_array().into_iter().flatten() {
            let mut there = one.clone();
            there["blob_href"] = "https://github.com/acme/shop/blob/x".into();
            for column in ["start_column", "end_column", "raw_details"] {
                if there[column].is_null() {
                    there[column] = Value::Null;
                }
            }
            self.annotations.push((id, there));
        }
        let count = self.annotations.iter().filter(|(of, _)| *of == id).count();
        if let Some(run) = self.check_runs.iter_mut().find(|one| one["id"] == id) {
            run["output"] = json!({
                "title": output["title"], "summary": output["summary"], "text": output["text"],
                "annotations_count": count, "annotations_url": "https://api.github.com/annotations",
            });
        }
    }

    fn annotations_of(&self, place: &str, query: &[(String, String)]) -> Answer {
        if !self.check_runs.iter().any(|one| is(one, place)) {
            return not_found();
        }
        let own = self.annotations.iter().filter(|(id, _)| id.to_string() == place);
        listed(&own.map(|(_, one)| one.clone()).collect::<Vec<_>>(), query)
    }

    /// A check run that somebody else made, such as that of a job.
    pub fn add_check_run(&mut self, id: u64) {
        let (call, _) = call("POST", "/repos/acme/shop/check-runs").expect("it is described");
        let mut run = call["answers"]["201"]["example"].clone();
        (run["id"], run["status"], run["conclusion"]) = (json!(id), json!("in_progress"), Value::Null);
        self.check_runs.push(run);
    }

    fn new_comment(&mut self, call: &Value, issue: &str, body: &Value) -> Answer {
        let url = format!("https://api.github.com/repos/{REPOSITORY}/issues/{issue}");
        let mut made = self.made(call, "201", body, &[("issue_url", json!(url))]);
        made["user"]["login"] = "github-actions[bot]".into();
        self.comments.push(made.clone());
        (201, Vec::new(), made)
    }

    /// A comment of somebody.
    pub fn add_comment(&mut self, issue: u64, login: &str, body: &str) {
        let path = format!("/repos/acme/shop/issues/{issue}/comments");
        let (call, _) = call("POST", &path).expect("it is described");
        let (_, _, _) = self.new_comment(call, &issue.to_string(), &json!({"body": body}));
        if let Some(made) = self.comments.last_mut() {
            made["user"]["login"] = login.into();
        }
    }

    /// GitHub finds a commit by its name, and no ref of a merge queue.
    fn new_deployment(&mut self, call: &Value, body: &Value) -> Answer {
        let reference = body["ref"].as_str().unwrap_or_default();
        if reference.contains("gh-readonly-queue") {
            return (422, Vec::new(), json!({"message": "No ref found"}));
        }
        let made = self.made(call, "201", body, &[("sha", json!(reference))]);
        self.deployments.insert(0, made.clone());
        (201, Vec::new(), made)
    }

    /// An open pull request.
    pub fn add_pull(&mut self, number: u64, head: &str, from: &str) {
        let (call, _) = call("GET", "/repos/acme/shop/commits/x/pulls").expect("it is described");
        let mut pull = call["answers"]["200"]["example"][0].clone();
        (pull["number"], pull["state"]) = (json!(number), json!("open"));
        pull["head"]["sha"] = json!(head);
        pull["head"]["repo"]["full_name"] = json!(from);
        // The example's teams lack what the schema wants of them.
        pull["requested_teams"] = json!([]);
        self.pulls.push(pull);
    }

    /// A rule that requires these checks.
    pub fn require(&mut self, checks: &[&str]) {
        let checks: Vec<Value> = checks.iter().map(|check| json!({"context": check})).collect();
        self.rules.push(json!({
            "type": "required_status_checks", "ruleset_source_type": "Repository", "ruleset_source": REPOSITORY, "ruleset_id": 1,
            "parameters": {"required_status_checks": checks, "strict_required_status_checks_policy": false},
        }));
    }
}

/// What of a request is not as described.
fn misfit(call: &Value, body: &Value) -> Option<String> {
    if call["body"].is_null() {
        return (!body.is_null()).then(|| "it takes no body".to_owned());
    }
    let errors = errors(&call["body"], body);
    if !errors.is_empty() {
        return Some(errors.join("; "));
    }
    // The description says this of a check run in words.
    let completed = body["status"] == "completed" && body["conclusion"].is_null();
    completed.then(|| "completed without a conclusion".to_owned())
}

fn not_found() -> Answer {
    (404, Vec::new(), json!({"message": "Not Found"}))
}

fn value<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = query.iter().filter(|(one, _)| one == name);
    values.next().map(|(_, value)| value.as_str())
}

fn page(all: &[Value], query: &[(String, String)]) -> Vec<Value> {
    let number = |name: &str, otherwise| {
        value(query, name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(otherwise)
    };
    let (size, page) = (number("per_page", 30), number("page", 1usize));
    all.iter().skip(size * (page - 1)).take(size).cloned().collect()
}

fn listed(all: &[Value], query: &[(String, String)]) -> Answer {
    (200, Vec::new(), json!(page(all, query)))
}

fn found(all: &[Value], id: &str) -> Answer {
    let mut all = all.iter();
    all.find(|one| is(one, id))
        .map_or_else(not_found, |one| (200, Vec::new(), one.clone()))
}

fn is(one: &Value, id: &str) -> bool {
    one["id"].as_u64() == id.parse().ok()
}

fn changed(all: &mut [Value], id: &str, body: &Value) -> Answer {
    let Some(one) = all.iter_mut().find(|one| is(one, id)) else {
        return not_found();
    };
    for (name, value) in body.as_object().into_iter().flatten() {
        one[name] = value.clone();
    }
    (200, Vec::new(), one.clone())
}
