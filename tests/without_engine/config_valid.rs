//! What the files under `config_valid` are read as.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rehearsal::config::alerts::Preset;
use rehearsal::config::directory::Secured;
use rehearsal::config::read::{self, Options};
use rehearsal::config::settings::{
    AuthChange, AuthFault, Bearer, CandidateImage, HttpCapture, Matcher, Orphans, OwnTls, RadiusServer, RequestBody,
    Rollback, Settings, SignInBy, StatusPattern, TokenRequest,
};
use rehearsal::record::alerts::Scenario;
use rehearsal::record::finding::Severity;
use serde_json::json;

fn environment() -> BTreeMap<String, String> {
    [("CANDIDATE_IMAGE", "shop:2"), ("API_KEY", "k-1")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn options(file: &str) -> Options {
    Options {
        config: Path::new("tests/config_valid").join(file),
        environment: environment(),
        ..Options::default()
    }
}

fn load(options: &Options) -> Settings {
    read::load(options).unwrap_or_else(|errors| {
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", texts.join("\n"))
    })
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn the_least_configuration_has_the_contracts_defaults() {
    let settings = load(&options("minimal.yaml"));
    assert!(settings.file.is_absolute());
    assert!(settings.production.compose[0].is_absolute());
    assert_eq!(
        settings.candidate["web"].image,
        CandidateImage::Reference("shop:2".to_owned())
    );
    assert!(settings.auth.is_none() && settings.suites.is_empty() && settings.secrets.is_empty());
    assert_eq!(settings.stages.control.within, secs(180));
    assert_eq!(settings.stages.upgrade.within, secs(120));
    assert_eq!(settings.stages.upgrade.max_downtime, secs(30));
    assert_eq!(settings.stages.rollback, Rollback::Within(secs(60)));
    assert_eq!(settings.production.max_lock_age, secs(7 * 86_400));
    assert_eq!(settings.policy.block_on, [Severity::Error]);
    assert_eq!(settings.timeout, secs(900));
}

#[test]
fn the_example_of_the_contract_is_read() {
    let settings = load(&options("contract.yaml"));
    assert_eq!(
        settings
            .suites
            .iter()
            .map(|suite| suite.name.as_str())
            .collect::<Vec<_>>(),
        ["smoke", "store", "e2e"]
    );
    assert_eq!(settings.suites[0].body.min_tests, 5);
    let login = settings.auth.expect("auth").login.expect("login");
    assert_eq!(login.expect.get, "http://web:8080/account");
    assert_eq!(login.expect.expect.status, [StatusPattern::Exact(200)]);
}

#[test]
fn production_sees_the_process_over_its_env_file() {
    let mut options = options("everything.yaml");
    options.environment.insert("REGION".to_owned(), "us".to_owned());
    let production = load(&options).production;
    assert_eq!(production.environment["REGION"], "us");
    assert_eq!(production.environment["POSTGRES_PASSWORD"], "stand-in");
    assert_eq!(production.environment["API_KEY"], "k-1");
    assert_eq!(production.compose.len(), 2);
    assert_eq!(production.profiles, ["web", "jobs"]);
}

#[test]
fn secrets_are_resolved_wherever_texts_stand_and_recorded() {
    let settings = load(&options("everything.yaml"));
    assert_eq!(settings.secrets["ALICE_PASSWORD"], "from-the-file");
    assert_eq!(settings.secrets["API_KEY"], "k-1");
    assert_eq!(settings.secrets.len(), 2);
    assert_eq!(settings.candidate["web"].env["API_KEY"].as_deref(), Some("k-1"));
    let step = &settings.suites[0].body.requests[0];
    assert_eq!(step.basic, Some(("alice".to_owned(), "from-the-file".to_owned())));
    let body = json!({"user": "alice", "password": "from-the-file", "tags": [1, 2.5, null, true], "region": "eu", "secret": {"secret": {"kept": "as it is"}}});
    assert_eq!(step.body, RequestBody::Json(body));
    let container = settings.suites[2].body.container.as_ref().expect("container");
    assert_eq!(container.env["PASSWORD"], "from-the-file");
}

#[test]
fn a_secret_of_the_process_wins_over_the_env_file() {
    let mut options = options("everything.yaml");
    options
        .environment
        .insert("ALICE_PASSWORD".to_owned(), "from-the-process".to_owned());
    assert_eq!(load(&options).secrets["ALICE_PASSWORD"], "from-the-process");
}

#[test]
fn a_candidate_is_built_and_changes_the_environment() {
    let settings = load(&options("everything.yaml"));
    let web = &settings.candidate["web"];
    let CandidateImage::Build {
        context,
        dockerfile,
        target,
        args,
    } = &web.image
    else {
        panic!("{:?}", web.image)
    };
    assert!(context.ends_with("tests/config_valid/shop") && context.is_absolute());
    assert_eq!(dockerfile.as_deref(), Some("Dockerfile.web"));
    assert_eq!(target.as_deref(), Some("release"));
    assert_eq!(args["RELEASE"], "1.10", "as written, not as a number");
    assert_eq!(args["REGION"], "eu");
    assert_eq!(web.env["DEBUG"], None);
    assert_eq!(web.env["WORKERS"].as_deref(), Some("4"));
}

#[test]
fn alert_rules_are_asked_as_production_asks_them() {
    let contract = load(&options("contract.yaml")).stages.alerts.expect("alerts");
    assert_eq!(contract.before, Some(secs(120)));
    assert_eq!(
        (contract.scrape_interval, contract.evaluation_interval),
        (secs(60), secs(60))
    );
    assert_eq!((contract.group_wait, contract.record), (secs(30), secs(20)));
    assert_eq!(
        contract.must_fire[0].scenarios,
        [Scenario::Upgrade, Scenario::AuthDown].into()
    );
    assert_eq!(contract.presets, [Preset::Blackbox, Preset::Cadvisor].into());
    let all = load(&options("everything.yaml")).stages.alerts.expect("alerts");
    assert_eq!(all.rules.len(), 2);
    assert_eq!(
        (all.before, all.group_wait, all.record),
        (Some(secs(0)), secs(0), secs(10))
    );
    let must_fire = all
        .must_fire
        .iter()
        .map(|one| (one.alert.as_str(), one.scenarios.len()));
    assert_eq!(must_fire.collect::<Vec<_>>(), [("SignInFails", 5), ("ProviderDown", 1)]);
    let scraped = ("web".to_owned(), "http://web:8080/metrics".to_owned());
    assert_eq!(
        (all.scrape.clone(), all.probe.clone()),
        (vec![scraped], vec!["http://web:8080/login".to_owned()])
    );
    assert_eq!(all.presets, [Preset::Blackbox].into());
    assert!(load(&options("minimal.yaml")).stages.alerts.is_none());
    // A ramp has a step at production's own rate, twelve that rise, and one after something has failed.
    assert_eq!(all.until_something_fails(), secs(10 * (14 + 10)));
    assert_eq!(contract.until_something_fails(), secs(0));
}

#[test]
fn requests_are_read_as_written() {
    let settings = load(&options("everything.yaml"));
    let steps = &settings.suites[0].body.requests;
    let methods: Vec<_> = steps.iter().map(|step| step.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE"]);
    let step = &steps[0];
    assert_eq!(step.query, text(&[("next", "/items?a=b"), ("page", "2")]));
    let headers = [
        ("Accept", "application/json"),
        ("X-Price", "$9"),
        ("X-Literal", "${HOME}"),
    ];
    assert_eq!(step.headers, text(&headers));
    assert!(step.follow && step.retry == Some(secs(5)));
    assert_eq!(step.expect.status, [StatusPattern::Exact(200), StatusPattern::Class(3)]);
    assert_eq!(step.expect.within, Some(Duration::from_millis(800)));
    assert_eq!(
        step.capture[1],
        ("next".to_owned(), HttpCapture::Header("Location".to_owned()))
    );
    assert_eq!(
        steps[3].body,
        RequestBody::Form(text(&[("amount", "9.90"), ("note", "{{run}}")]))
    );
    assert_eq!(steps[4].body, RequestBody::Text("amount=1".to_owned()));
}

#[test]
fn matchers_are_values_or_mappings_of_their_own_keys() {
    let settings = load(&options("everything.yaml"));
    let expect = &settings.suites[0].body.requests[0].expect;
    let shown = |path: &str| {
        let (_, matcher) = expect.json.iter().find(|(name, _)| name == path).expect(path);
        format!("{matcher:?}")
    };
    let equals = |value| format!("{:?}", Matcher::Equals(value));
    assert_eq!(shown("$.none"), equals(json!(null)));
    assert_eq!(shown("$.user"), equals(json!({"name": "alice", "roles": ["admin"]})));
    assert_eq!(shown("$.roles"), format!("{:?}", Matcher::Contains(json!("admin"))));
    assert_eq!(shown("$.error"), format!("{:?}", Matcher::Exists(false)));
    assert!(shown("$.name").starts_with("All([Matches(\"^a\"), Not(Contains("));
    assert_eq!(
        format!("{:?}", expect.headers[1].1),
        equals(json!("3")),
        "headers are texts"
    );
    assert!(matches!(&expect.body, Some(Matcher::Not(inner)) if matches!(**inner, Matcher::Matches(_))));
}

#[test]
fn commands_run_in_their_own_service_or_the_suites() {
    let settings = load(&options("everything.yaml"));
    let steps = &settings.suites[1].body.exec;
    assert_eq!((steps[0].service.as_str(), steps[1].service.as_str()), ("db", "web"));
    assert_eq!(steps[0].service_span.text(), "db");
    assert_eq!(steps[0].command[3], "");
    assert_eq!(steps[0].expect.exit, 3);
    assert_eq!(steps[0].capture, text(&[("count", r"(\d+)")]));
    assert!(
        settings.suites[1]
            .body
            .tls
            .ca
            .as_deref()
            .is_some_and(|ca| ca.contains("BEGIN CERTIFICATE"))
    );
}

#[test]
fn globs_are_expanded_in_order_and_none_twice() {
    let settings = load(&options("everything.yaml"));
    let names: Vec<_> = settings.suites[0]
        .body
        .files
        .iter()
        .filter_map(|path| path.file_name())
        .collect();
    assert_eq!(names, ["b.hurl", "a.hurl"]);
    assert!(settings.suites[3].body.files.is_empty(), "a glob may match nothing");
    assert!(settings.data.seed.expect("seed").files[0].is_absolute());
}

#[test]
fn the_login_page_may_expect_more_than_a_status() {
    let auth = load(&options("everything.yaml")).auth.expect("auth");
    assert_eq!(auth.services, ["idp", "web"]);
    assert_eq!(auth.service_spans[1].text(), "web");
    assert_eq!(auth.tls, OwnTls::EndsAtFront);
    let bodies = [auth.rotate, auth.revoke].map(|body| body.expect("a body").exec[0].service.clone());
    assert_eq!(bodies, ["idp", "idp"]);
    let login = auth.login.expect("login");
    assert_eq!(login.expect.expect.status, [StatusPattern::Exact(200)]);
    assert!(login.expect.expect.body.is_some());
    assert_eq!(login.fields.user.as_deref(), Some("login"));
}

#[test]
fn a_release_has_its_files_and_its_variables_over_productions() {
    let mut options = options("everything.yaml");
    options.environment.insert("REGION".to_owned(), "eu".to_owned());
    let release = load(&options).release.expect("release");
    let images: Vec<_> = release
        .images
        .iter()
        .map(|one| (one.repository.as_str(), one.image.as_str()))
        .collect();
    assert_eq!(images, [("registry.example.com/acme/shop", "shop:2")]);
    let variables = [("SHOP_REGION", "eu"), ("SHOP_VERSION", "2.0"), ("TOKEN", "k-1")];
    assert_eq!(release.environment.into_iter().collect::<Vec<_>>(), text(&variables));
    assert!(release.compose.iter().all(|file| file.is_absolute()) && release.compose.len() == 2);
    assert_eq!(release.orphans, Orphans::Keep);
}

#[test]
fn faults_are_asked_in_the_order_of_their_kind_and_only_where_they_are_written() {
    let asked = load(&options("everything.yaml")).stages.faults.expect("faults");
    assert_eq!(asked.auth, [AuthFault::Outage, AuthFault::Reset]);
    assert_eq!(asked.changes, [AuthChange::Rotation, AuthChange::Skew]);
    assert_eq!(load(&options("contract.yaml")).stages.faults, None);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_matter() {
    let settings = load(&options("forward_only.yaml"));
    let reason = "the schema cannot go back".to_owned();
    assert_eq!(settings.stages.rollback, Rollback::ForwardOnly(reason));
    assert_eq!(settings.candidate["web"].image, CandidateImage::Unchanged);
}

#[test]
fn the_command_line_makes_an_unset_image_harmless() {
    let mut options = options("contract.yaml");
    options.environment.remove("CANDIDATE_IMAGE");
    assert_eq!(read::load(&options).expect_err("unset").len(), 1);
    options.candidate_overrides = vec![("web".to_owned(), "shop:3".to_owned())];
    let web = load(&options).candidate.remove("web").expect("web");
    assert_eq!(web.image, CandidateImage::Reference("shop:3".to_owned()));
    assert_eq!(web.env["OIDC_CLIENT_ID"].as_deref(), Some("shop"), "the rest stays");
}

#[test]
fn the_command_line_may_name_the_only_candidate() {
    let options = Options {
        config: "tests/config_errors/59-no-candidate/rehearsal.yaml".into(),
        candidate_overrides: vec![("web".to_owned(), "shop:3".to_owned())],
        timeout: Some(secs(60)),
        ..Options::default()
    };
    let settings = load(&options);
    assert_eq!(settings.candidate.len(), 1);
    assert_eq!(settings.timeout, secs(60));
}

#[test]
fn the_configuration_is_searched_upward() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("a/b");
    fs::create_dir_all(&inner).expect("folders");
    assert_eq!(read::find(&inner), None);
    fs::write(folder.path().join("rehearsal.yaml"), "").expect("a file");
    assert_eq!(read::find(&inner), Some(folder.path().join("rehearsal.yaml")));
}

#[test]
fn a_missing_configuration_says_how_to_get_one() {
    let error = read::load(&options("none.yaml")).expect_err("missing");
    assert!(error[0].to_string().contains("`rehearsal init`"));
}

#[test]
fn production_is_what_its_env_file_says_to_compose_where_the_configuration_is_silent() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("compose.yaml", "services: {web: {image: 'shop:1'}}");
    write("prod.yaml", "services: {jobs: {image: 'shop:1', profiles: [jobs]}}");
    write(".env", "COMPOSE_FILE=compose.yaml:prod.yaml\nCOMPOSE_PROFILES=jobs\n");
    let files = |production: &str| {
        write(
            "rehearsal.yaml",
            &format!("production: {production}\ncandidate: {{web: {{image: shop:2}}}}\n"),
        );
        let options = Options {
            config: folder.path().join("rehearsal.yaml"),
            ..Options::default()
        };
        let production = load(&options).production;
        let names = production
            .compose
            .iter()
            .map(|path| path.file_name().expect("a name").to_string_lossy());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(files("{project_directory: .}"), "compose.yaml prod.yaml");
    assert_eq!(
        files("{compose: [compose.yaml, prod.yaml], profiles: [jobs]}"),
        "compose.yaml prod.yaml"
    );
    write("production.env", "COMPOSE_FILE=prod.yaml\n");
    assert_eq!(files("{env_file: production.env}"), "prod.yaml");
}

#[test]
fn a_user_signs_in_by_pages_or_by_what_else_is_said() {
    let login = |file: &str| load(&options(file)).auth.expect("auth").login.expect("login");
    assert_eq!(login("everything.yaml").by, SignInBy::Form);
    let asked = TokenRequest {
        url: "http://idp/token".to_owned(),
        client_id: "shop".to_owned(),
        ..TokenRequest::default()
    };
    let by_client = login("sign-in-by-token.yaml");
    assert_eq!(by_client.headers, text(&[("X-Tenant", "acme")]));
    let client = TokenRequest {
        client_secret: Some("k-1".to_owned()),
        scope: Some("read".to_owned()),
        ..asked.clone()
    };
    assert_eq!(by_client.by, SignInBy::Bearer(Bearer::ClientCredentials(client)));
    let by_grant = login("sign-in-by-grant.yaml");
    assert_eq!(by_grant.by, SignInBy::Bearer(Bearer::PasswordGrant(asked)));
    let given = Bearer::Token("k-1".to_owned());
    assert_eq!(login("sign-in-by-a-given-token.yaml").by, SignInBy::Bearer(given));
    let by_bind = login("sign-in-by-a-directory.yaml");
    let SignInBy::Ldap(directory) = by_bind.by else {
        panic!("{:?}", by_bind.by);
    };
    assert_eq!(directory.bind_dn, "uid=alice,ou=people,dc=example,dc=com");
    assert_eq!(
        (directory.host.as_str(), directory.port, directory.tls),
        ("idp", 389, Secured::Started)
    );
    assert_eq!(
        (directory.base, directory.attributes),
        (directory.bind_dn, vec!["mail".to_owned()])
    );
    let server = RadiusServer {
        host: "idp".to_owned(),
        port: 1812,
        shared_secret: "k-1".to_owned(),
    };
    assert_eq!(login("sign-in-by-radius.yaml").by, SignInBy::Radius(server));
}
