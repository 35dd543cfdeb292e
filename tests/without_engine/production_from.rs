//! Production's description from a ref of git or another checkout: what a change says of production does not hold for
//! the change itself.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::driver::{self, end};
use crate::in_workflow::git;
use rehearsal::context::Context;
use rehearsal::prepare::{self, Asked, Prepared};
use rehearsal::yaml::diagnostic::Diagnostic;
use tempfile::TempDir;

const CONFIG: &str = "
production: {compose: compose.yaml}
candidate:
  web: {image: \"shop:2\"}
suites:
  smoke: {target: \"http://web:8080\", requests: [{name: one, get: /}]}
";
const COMPOSE: &str = "
services:
  web: {image: \"shop:1\"}
";
const WAIVED: &str = "policy: {waive: [{check: openapi-breaking, reason: it is fine}]}\n";

/// A repository of git with a checkout, `shop`, in a folder of its own.
struct Repository {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

impl Repository {
    /// With these files, on the branch `main`.
    fn with(files: &[(&str, &str)]) -> Self {
        let repository = Self {
            folder: tempfile::tempdir().expect("a folder"),
            environment: [("PATH", std::env::var("PATH").expect("a PATH"))]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        };
        std::fs::create_dir(repository.checkout()).expect("the folder is ours");
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.write(files);
        repository.commit();
        repository
    }

    /// A production and what wants to replace it.
    fn shop() -> Self {
        Self::with(&[("rehearsal.yaml", CONFIG), ("compose.yaml", COMPOSE)])
    }

    fn checkout(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let file = self.checkout().join(name);
            std::fs::create_dir_all(file.parent().expect("in a folder")).expect("the folder is ours");
            std::fs::write(file, text).expect("the folder is ours");
        }
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=x"]);
    }

    /// The change under test: a branch with these files.
    fn change(&self, files: &[(&str, &str)]) {
        self.git(&["checkout", "--quiet", "-b", "change"]);
        self.write(files);
        self.commit();
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.checkout(), arguments)
    }

    fn commit_of(&self, reference: &str) -> String {
        self.git(&["rev-parse", reference])
    }

    fn context(&self) -> Context {
        Context {
            environment: self.environment.clone(),
            directory: self.checkout(),
            terminal: false,
            width: 100,
            github: false,
            token: None,
            runs: self.runs(),
        }
    }

    fn runs(&self) -> PathBuf {
        self.folder.path().join("runs")
    }

    fn prepare_config(&self, config: &str, from: &str) -> Result<Prepared, Vec<Diagnostic>> {
        let asked = Asked {
            production_from: Some(from.to_owned()),
            ..Asked::of(Some(&self.checkout().join(config)))
        };
        prepare::prepare(&asked, &self.context())
    }

    fn prepare(&self, from: &str) -> Prepared {
        self.prepare_config("rehearsal.yaml", from)
            .unwrap_or_else(|errors| panic!("{from} is refused: {errors:?}"))
    }

    /// The first mistake, as it is shown.
    fn refused(&self, from: &str) -> String {
        match self.prepare_config("rehearsal.yaml", from) {
            Ok(_) => panic!("`{from}` is not refused"),
            Err(errors) => errors[0].to_string(),
        }
    }

    /// What is left of exported trees.
    fn left(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.runs()).into_iter().flatten();
        entries.map(|entry| entry.expect("readable").path()).collect()
    }
}

fn image(prepared: &Prepared, service: &str) -> String {
    prepared.world.services[service].image.clone()
}

fn notes(prepared: &Prepared) -> String {
    prepared.plan.notes.join("\n")
}

#[test]
fn a_ref_says_what_production_is_and_the_working_tree_the_rest() {
    let repository = Repository::shop();
    let config = CONFIG.replace("shop:2", "shop:3") + "policy: {allow_egress: [evil.example.com]}\n";
    repository.change(&[
        ("rehearsal.yaml", &config),
        ("compose.yaml", &COMPOSE.replace("shop:1", "shop:9")),
    ]);
    let prepared = repository.prepare("main");
    assert_eq!(image(&prepared, "web"), "shop:1");
    assert_eq!(prepared.candidate.services["web"].image, "shop:3");
    assert!(prepared.settings.policy.allow_egress.is_empty());
    assert_eq!(prepared.settings.suites.len(), 1);

    let commit = repository.commit_of("main");
    let said = prepared.plan.production.clone().expect("it is said");
    assert_eq!(said.statement, format!("production as of main ({})", &commit[..7]));
    assert_eq!((said.from.as_str(), said.commit), ("main", Some(commit)));
    assert!(
        prepared.plan.to_text().contains(&said.statement),
        "{}",
        prepared.plan.to_text()
    );
}

#[test]
fn a_change_does_not_waive_its_own_failure() {
    let repository = Repository::shop();
    repository.change(&[("rehearsal.yaml", &format!("{CONFIG}{WAIVED}"))]);
    assert!(repository.prepare("main").settings.policy.waive.is_empty());
    assert_eq!(repository.prepare("change").settings.policy.waive.len(), 1);
}

#[test]
fn a_waiver_of_the_base_holds_whatever_the_change_says() {
    let repository = Repository::with(&[
        ("rehearsal.yaml", &format!("{CONFIG}{WAIVED}")),
        ("compose.yaml", COMPOSE),
    ]);
    repository.change(&[("rehearsal.yaml", CONFIG)]);
    assert_eq!(repository.prepare("main").settings.policy.waive.len(), 1);
}

#[test]
fn every_file_that_the_base_names_is_the_bases() {
    let compose = "
services:
  web:
    image: \"shop:${VERSION}\"
    env_file: web.env
    configs: [greeting]
    volumes: [\"./conf:/conf\", \"./motd:/etc/motd\"]
    build: {context: web}
configs: {greeting: {file: greeting.txt}}
";
    let files = |word: &str| {
        [
            ("compose.yaml", compose.to_owned()),
            ("production.env", format!("VERSION={word}\n")),
            ("web.env", format!("WORD={word}\n")),
            ("greeting.txt", word.to_owned()),
            ("conf/a", word.to_owned()),
            ("motd", word.to_owned()),
            ("web/Dockerfile", format!("FROM {word}\n")),
        ]
    };
    let config = CONFIG.replace("compose.yaml}", "compose.yaml, env_file: production.env}");
    let repository = Repository::with(&[("rehearsal.yaml", &config), (".gitattributes", "* export-ignore\n")]);
    let write = |word| {
        let files = files(word);
        repository.write(&files.each_ref().map(|(name, text)| (*name, text.as_str())));
    };
    write("base");
    repository.commit();
    repository.change(&[]);
    write("changed");
    let prepared = repository.prepare("main");
    let web = &prepared.world.services["web"];
    assert_eq!(web.env["WORD"].as_deref(), Some("base"));
    assert!(web.image.ends_with("shop:base"), "{}", web.image);
    let inside: BTreeMap<&str, &[u8]> = web
        .files
        .iter()
        .map(|file| (file.target.as_str(), &file.content[..]))
        .collect();
    assert_eq!((inside["/greeting"], inside["/etc/motd"]), (&b"base"[..], &b"base"[..]));
    let context = &web.build.as_ref().expect("it is built").context;
    assert_eq!(
        std::fs::read_to_string(context.join("Dockerfile")).expect("it is there"),
        "FROM base\n"
    );
    let folder = web.mounts.iter().find_map(|mount| match &mount.source {
        rehearsal::world::model::Source::Host(folder) => Some(&folder.root),
        _ => None,
    });
    let bound = folder.expect("it is mounted").join("a");
    assert_eq!(std::fs::read_to_string(bound).expect("it is there"), "base");
    // Compose names the project after the folder.
    let project = prepared
        .elsewhere
        .as_ref()
        .map(|elsewhere| elsewhere.called(&context.display().to_string()));
    assert_eq!(project.as_deref(), Some("main:web"));
    assert_eq!(context.parent().and_then(Path::file_name), Some("shop".as_ref()));
}

#[test]
fn what_was_exported_goes_with_the_run() {
    let repository = Repository::shop();
    let prepared = repository.prepare("main");
    assert!(!repository.left().is_empty());
    drop(prepared);
    assert_eq!(repository.left(), Vec::<PathBuf>::new());
    repository.refused("mian");
    repository.write(&[("rehearsal.yaml", "nonsense: 1\n")]);
    repository.refused("main");
    assert_eq!(repository.left(), Vec::<PathBuf>::new());
}

#[test]
fn what_a_killed_run_exported_goes_with_the_next_sweep() {
    let repository = Repository::shop();
    let prepared = repository.prepare("main");
    let dead = repository.runs().join("from-dead");
    std::fs::create_dir_all(dead.join("shop")).expect("the folder is ours");
    std::fs::write(repository.runs().join("from-dead.run"), "").expect("the folder is ours");
    assert_eq!(
        rehearsal::engine::sweep::remove_lock_files(&repository.runs()),
        Vec::<PathBuf>::new()
    );
    assert!(!dead.exists());
    // That of a run at work stays.
    let context = prepared.settings.production.compose[0].clone();
    assert!(context.is_file());
}

#[test]
fn mistakes_of_the_base_are_shown_where_they_stand_there() {
    let repository = Repository::with(&[
        ("deploy/rehearsal.yaml", CONFIG),
        (
            "deploy/compose.yaml",
            "services:\n  web:\n    image: shop:1\n    prots: [80]\n",
        ),
    ]);
    let refused = |from: &str| {
        let refused = repository.prepare_config("deploy/rehearsal.yaml", from);
        refused.err().expect("it is refused")[0].to_string()
    };
    assert!(
        refused("main").contains("main:deploy/compose.yaml:4:5"),
        "{}",
        refused("main")
    );
    let commit = repository.commit_of("main");
    let place = format!("{}:deploy/compose.yaml:4:5", &commit[..7]);
    assert!(refused(&commit).contains(&place), "{}", refused(&commit));

    repository.write(&[(
        "deploy/rehearsal.yaml",
        "production: {compose: gone.yaml}\npolicy: {bock_on: [error]}\n",
    )]);
    repository.commit();
    repository.write(&[("deploy/rehearsal.yaml", CONFIG)]);
    let errors = refused("main");
    assert!(errors.contains("main:deploy/rehearsal.yaml:2:10"), "{errors}");
}

#[test]
fn a_mistake_in_the_working_tree_is_one_whatever_the_base_says() {
    let repository = Repository::shop();
    repository.change(&[("rehearsal.yaml", &format!("{CONFIG}policy: {{wave: []}}\n"))]);
    let refused = repository.refused("main");
    assert!(
        refused.contains("unknown key `wave`") && !refused.contains("main:"),
        "{refused}"
    );
}

#[test]
fn the_base_need_not_know_what_only_the_change_says() {
    let base = "production: {compose: compose.yaml}\nsuites: {old: {target: \"${GONE}\"}}\nnonsense: 1\n";
    let repository = Repository::with(&[("rehearsal.yaml", base), ("compose.yaml", COMPOSE)]);
    repository.change(&[("rehearsal.yaml", CONFIG)]);
    assert_eq!(image(&repository.prepare("main"), "web"), "shop:1");
}

#[test]
fn variables_and_secrets_of_the_base_are_not_the_changes() {
    let config = CONFIG.replace("compose.yaml}", "compose.yaml, env_file: production.env}")
        + "auth: {service: web, login: {start: \"http://web/\", expect: \"http://web/\", username: a, password: {secret: WORD}}}\n";
    let compose = COMPOSE.replace("shop:1", "shop:${VERSION}-${NEW:-none}");
    let base = "VERSION=1\nWORD=password-of-the-base\n";
    let repository = Repository::with(&[
        ("rehearsal.yaml", &config),
        ("compose.yaml", &compose),
        ("production.env", base),
    ]);
    let config = config.replace("get: /", "get: \"/${NEW}\"");
    let changed = "VERSION=2\nWORD=another-password\nNEW=page\n";
    repository.change(&[("rehearsal.yaml", &config), ("production.env", changed)]);
    let prepared = repository.prepare("main");
    assert_eq!(image(&prepared, "web"), "shop:1-none");
    // What the mirror's production was given is what a test knows; what only the change has is seen by the change.
    let login = prepared.settings.auth.as_ref().and_then(|auth| auth.login.as_ref());
    assert_eq!(login.expect("it signs in").password, "password-of-the-base");
    assert_eq!(prepared.settings.secrets["WORD"], "password-of-the-base");
    assert_eq!(prepared.settings.suites[0].body.requests[0].url, "/page");
}

#[test]
fn files_that_are_named_by_the_working_directory_are_the_bases_too() {
    let compose = COMPOSE.replace("\"shop:1\"", "\"shop:1\", volumes: [\"${PWD}/motd:/etc/motd\"]");
    let mut repository = Repository::with(&[("rehearsal.yaml", CONFIG), ("compose.yaml", &compose), ("motd", "base")]);
    let here = std::fs::canonicalize(repository.checkout()).expect("it is there");
    repository
        .environment
        .insert("PWD".to_owned(), here.display().to_string());
    let config = CONFIG.replace("image: \"shop:2\"", "build: {context: \"${PWD}/new\"}");
    repository.change(&[
        ("rehearsal.yaml", &config),
        ("motd", "changed"),
        ("new/Dockerfile", "FROM x\n"),
    ]);
    let prepared = repository.prepare("main");
    assert_eq!(prepared.world.services["web"].files[0].content, b"base");
    let build = prepared.candidate.services["web"].build.as_ref();
    assert_eq!(build.expect("it is built").context, here.join("new"));
}

#[test]
fn what_a_change_says_of_production_and_is_not_heard_is_said() {
    let base = CONFIG.replace("compose.yaml}", "compose.yaml, profiles: []}") + "auth: {service: web}\n";
    let repository = Repository::with(&[("rehearsal.yaml", &base), ("compose.yaml", COMPOSE)]);
    let waits = |repository: &Repository| {
        let notes = repository.prepare("main").plan.notes;
        notes.into_iter().find(|note| note.contains("once it is merged"))
    };
    repository.change(&[("x", "x")]);
    assert_eq!(waits(&repository), None);
    repository.write(&[(
        "rehearsal.yaml",
        &format!("{CONFIG}{WAIVED}auth: {{service: web, issuer: \"http://a/\"}}\n"),
    )]);
    let said = "what the working tree says of `production`, `policy`, `auth.issuer` holds once it is merged: here that of \
                main does";
    assert_eq!(waits(&repository).as_deref(), Some(said));
}

#[test]
fn which_product_signs_in_says_the_base_and_how_says_the_working_tree() {
    let compose = format!("{COMPOSE}  idp: {{image: \"idp:1\"}}\n  other: {{image: \"other:1\"}}\n");
    let login = "login: {start: \"http://web/\", expect: \"http://web/\", username: a, password: b}";
    let base = format!("{CONFIG}auth: {{service: idp, issuer: \"https://login.example.com/\"}}\n");
    let repository = Repository::with(&[("rehearsal.yaml", &base), ("compose.yaml", &compose)]);
    let auth = |repository: &Repository| {
        let auth = repository.prepare("main").settings.auth.expect("there is one");
        (auth.services, auth.issuer, auth.login.is_some())
    };
    let idp = (vec!["idp".to_owned()], Some("https://login.example.com/".to_owned()));
    repository.change(&[(
        "rehearsal.yaml",
        &format!("{CONFIG}auth: {{service: other, {login}}}\n"),
    )]);
    assert_eq!(auth(&repository), (idp.0.clone(), idp.1.clone(), true));
    repository.write(&[("rehearsal.yaml", CONFIG)]);
    assert_eq!(auth(&repository), (idp.0, idp.1, false));

    // Where the base knows of none there is nothing to hide.
    let repository = Repository::with(&[("rehearsal.yaml", CONFIG), ("compose.yaml", &compose)]);
    repository.change(&[(
        "rehearsal.yaml",
        &format!("{CONFIG}auth: {{service: other, {login}}}\n"),
    )]);
    assert_eq!(auth(&repository), (vec!["other".to_owned()], None, true));
}

#[test]
fn where_the_base_has_no_configuration_yet_the_working_trees_names_its_files_and_that_is_said() {
    let repository = Repository::with(&[("compose.yaml", COMPOSE)]);
    repository.change(&[("rehearsal.yaml", &format!("{CONFIG}{WAIVED}"))]);
    let prepared = repository.prepare("main");
    assert_eq!(prepared.settings.policy.waive.len(), 1);
    let short = repository.commit_of("main")[..7].to_owned();
    let said = prepared.plan.production.as_ref().expect("it is said").statement.clone();
    assert_eq!(
        said,
        format!(
            "production as the files of main ({short}) say: it has no `rehearsal.yaml` yet, and the working tree's names them"
        )
    );
    assert!(notes(&prepared).contains("warning: main"), "{}", notes(&prepared));
    assert!(
        prepared
            .elsewhere
            .as_ref()
            .is_some_and(|elsewhere| elsewhere.warning.is_some())
    );
}

#[test]
fn a_change_that_brings_the_configuration_is_compared_with_the_files_that_the_base_has() {
    let compose = COMPOSE.replace("shop:1", "shop:${VERSION}");
    let repository = Repository::with(&[("compose.yaml", &compose), (".gitignore", ".env\n")]);
    let config = "
production: {compose: [compose.yaml, more.yaml], lock: production.lock}
suites: {smoke: {target: \"http://web:8080\", requests: [{name: one, get: /}]}}
";
    repository.change(&[
        ("rehearsal.yaml", config),
        ("compose.yaml", &compose.replace("shop:", "new:")),
        ("more.yaml", "services: {web: {environment: {MORE: \"1\"}}}\n"),
        (".env", "VERSION=7\n"),
    ]);
    repository.write(&[("production.lock", "version: 1\n")]);
    let prepared = repository.prepare("main");
    assert_eq!(image(&prepared, "web"), "shop:7");
    assert!(!prepared.world.services["web"].env.contains_key("MORE"));
    assert_eq!(prepared.candidate.services["web"].image, "new:7");
    assert!(prepared.candidate.services["web"].env.contains_key("MORE"));
    let said = notes(&prepared);
    for wanted in [
        "for want of them there, `production.lock`, `.env`",
        "no part of production there: `more.yaml`",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
    assert!(!said.contains("once it is merged"), "{said}");
    // The same without a change.
    repository.write(&[("compose.yaml", &compose)]);
    std::fs::remove_file(repository.checkout().join("more.yaml")).expect("it is ours");
    let config = config.replace("[compose.yaml, more.yaml]", "compose.yaml");
    repository.write(&[("rehearsal.yaml", &config)]);
    assert!(repository.prepare("main").alters_nothing());
}

#[test]
fn a_secret_that_both_trees_have_is_no_change_of_a_service_that_changes_otherwise() {
    let compose = "services: {web: {image: \"shop:1\", secrets: [key]}}\nsecrets: {key: {file: key.txt}}\n";
    let config = CONFIG.replace("candidate:\n  web: {image: \"shop:2\"}\n", "");
    let repository = Repository::with(&[("rehearsal.yaml", &config), ("compose.yaml", compose), ("key.txt", "k")]);
    repository.change(&[("compose.yaml", &compose.replace("shop:1", "shop:2"))]);
    let text = repository.prepare("main").plan.to_text();
    assert!(text.contains("change     web  image shop:1 → shop:2\n"), "{text}");
    repository.write(&[("key.txt", "another")]);
    let text = repository.prepare("main").plan.to_text();
    assert!(text.contains("/run/secrets/key"), "{text}");
}

#[test]
fn a_base_with_nothing_that_describes_production_is_told_where_nothing_else_says_what_is_released() {
    let repository = Repository::with(&[("x", "x")]);
    let config = CONFIG.replace("candidate:\n  web: {image: \"shop:2\"}\n", "");
    repository.change(&[("rehearsal.yaml", &config), ("compose.yaml", COMPOSE)]);
    let Err(errors) = repository.prepare_config("rehearsal.yaml", "main") else {
        panic!("there is nothing to compare with")
    };
    let said: String = errors.iter().map(ToString::to_string).collect();
    assert!(said.contains("there is no candidate"), "{said}");
    assert!(
        said.contains("none of the Compose files that the working tree's names"),
        "{said}"
    );
}

#[test]
fn a_configuration_that_a_change_adds_further_down_does_not_hide_the_bases() {
    let repository = Repository::with(&[
        ("rehearsal.yaml", &CONFIG.replace("compose.yaml", "shop/compose.yaml")),
        ("shop/compose.yaml", COMPOSE),
    ]);
    repository.change(&[("shop/rehearsal.yaml", &format!("{CONFIG}{WAIVED}"))]);
    let prepared = repository.prepare_config("shop/rehearsal.yaml", "main");
    let prepared = prepared.unwrap_or_else(|errors| panic!("{errors:?}"));
    assert!(prepared.settings.policy.waive.is_empty(), "{}", notes(&prepared));
}

#[test]
fn what_is_no_ref_is_refused_with_what_to_do() {
    let repository = Repository::shop();
    repository.git(&["update-ref", "refs/remotes/origin/release", "main"]);
    repository.write(&[("base/rehearsal.yaml", &format!("{CONFIG}{WAIVED}"))]);
    for (from, wanted) in [
        ("mian", "did you mean `main`?"),
        ("release", "did you mean `origin/release`?"),
        (
            "zzz",
            "`git fetch --depth=1 origin zzz:refs/remotes/origin/zzz` brings it as `origin/zzz`",
        ),
        (
            "0123456789012345678901234567890123456789",
            "`git fetch --depth=1 origin 0123456789012345678901234567890123456789`",
        ),
        ("--upload-pack=touch pwned", "names neither a ref of git nor a folder"),
        ("-", "names neither a ref of git nor a folder"),
        ("", "names neither a ref of git nor a folder"),
        ("main change", "git knows no `main change` here"),
        ("main..main", "git knows no `main..main` here"),
        ("main:compose.yaml", "git knows no `main:compose.yaml` here"),
        ("base", "for the folder of that name write `./base`"),
        // A folder of the change itself says nothing of production.
        ("./base", "is of the same checkout"),
        (".", "is of the same checkout"),
        ("../nowhere", "there is no such folder"),
    ] {
        let refused = repository.refused(from);
        assert!(refused.contains(wanted), "{from}: {refused}");
    }
    assert!(!repository.checkout().join("pwned").exists());
}

#[test]
fn a_shallow_checkout_says_how_the_commit_is_fetched() {
    let repository = Repository::shop();
    let base = repository.commit_of("main");
    repository.change(&[("x", "x")]);
    let clone = repository.folder.path().join("clone");
    let source = format!("file://{}", repository.checkout().display());
    let clone_to = clone.to_str().expect("a path of ours");
    git(
        repository.folder.path(),
        &["clone", "--quiet", "--depth=1", "--branch=change", &source, clone_to],
    );
    let asked = |from: &str| {
        let asked = Asked {
            production_from: Some(from.to_owned()),
            ..Asked::of(Some(&clone.join("rehearsal.yaml")))
        };
        let context = Context {
            directory: clone.clone(),
            ..repository.context()
        };
        prepare::prepare(&asked, &context)
    };
    let refused = asked(&base).err().expect("it is not here")[0].to_string();
    let way = format!("only the newest commits are here: `git fetch --depth=1 origin {base}` brings it");
    assert!(refused.contains(&way), "{refused}");
    git(&clone, &["fetch", "--quiet", "--depth=1", "origin", &base]);
    assert_eq!(
        image(&asked(&base).unwrap_or_else(|errors| panic!("{errors:?}")), "web"),
        "shop:1"
    );
}

#[test]
fn without_git_a_ref_is_refused_and_another_checkout_is_read() {
    let mut repository = Repository::shop();
    repository.change(&[("compose.yaml", &COMPOSE.replace("shop:1", "shop:9"))]);
    let base = repository.folder.path().join("base");
    git(
        &repository.checkout(),
        &["worktree", "add", "--quiet", base.to_str().expect("ours"), "main"],
    );
    let commit = repository.commit_of("main")[..7].to_owned();
    let said = |repository: &Repository| {
        let prepared = repository.prepare("../base");
        assert_eq!(image(&prepared, "web"), "shop:1");
        prepared.plan.production.expect("it is said").statement
    };
    assert_eq!(said(&repository), format!("production as of ../base ({commit})"));
    repository.environment = [("PATH".to_owned(), "/nowhere".to_owned())].into();
    assert_eq!(said(&repository), "production as of ../base");
    let refused = repository.refused("main");
    assert!(
        refused.contains("`git` was not found") && refused.contains("install git"),
        "{refused}"
    );
}

#[test]
fn links_that_lead_out_of_the_tree_are_left_out_and_said() {
    let repository = Repository::with(&[("rehearsal.yaml", CONFIG), ("compose.yaml", COMPOSE)]);
    let secret = repository.folder.path().join("secret.env");
    std::fs::write(&secret, "TOKEN=1\n").expect("the folder is ours");
    std::fs::create_dir_all(repository.checkout().join("a/b/c")).expect("the folder is ours");
    let links = [
        ("absolute", secret.to_str().expect("a path of ours")),
        ("upward", "../secret.env"),
        ("nowhere", "gone"),
        ("inside", "compose.yaml"),
        // Lexically it stays inside; as the file system goes it does not.
        ("a/b/c/top", "../../.."),
        ("by-way", "a/b/c/top/../../secret.env"),
    ];
    for (name, target) in links {
        symlink(target, repository.checkout().join(name)).expect("the folder is ours");
    }
    repository.commit();
    let prepared = repository.prepare("main");
    let top = prepared.settings.production.compose[0]
        .parent()
        .expect("in a folder")
        .to_owned();
    let is_there = |name: &str| std::fs::symlink_metadata(top.join(name)).is_ok();
    let there: Vec<bool> = links.iter().map(|(name, _)| is_there(name)).collect();
    assert_eq!(there, [false, false, false, true, true, false]);
    assert!(notes(&prepared).contains("`main:absolute`, "), "{}", notes(&prepared));

    // Named by production, it is refused.
    repository.write(&[(
        "rehearsal.yaml",
        &CONFIG.replace("compose.yaml}", "compose.yaml, env_file: absolute}"),
    )]);
    repository.commit();
    let refused = repository.refused("main");
    assert!(
        refused.contains("`absolute` does not exist") && refused.contains("main:rehearsal.yaml:2:"),
        "{refused}"
    );
}

#[test]
fn what_the_tree_does_not_hold_is_said() {
    let repository = Repository::shop();
    let pointer = "version https://git-lfs.example/spec/v1\noid sha256:00\nsize 12345\n";
    repository.write(&[("dump.sql", pointer)]);
    repository.git(&["add", "--all"]);
    let commit = repository.commit_of("main");
    repository.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{commit},library"),
    ]);
    repository.git(&["commit", "--quiet", "--message=x"]);
    let said = notes(&repository.prepare("main"));
    assert!(said.contains("`main:library`: is a submodule"), "{said}");
    assert!(said.contains("`main:dump.sql`: is kept by Git LFS"), "{said}");
}

#[test]
fn no_path_of_a_hostile_tree_leaves_its_folder() {
    for name in ["..", ".git", "a/../../b"] {
        let repository = Repository::shop();
        let file = repository.git(&["hash-object", "-w", "compose.yaml"]);
        let bytes: Vec<u8> = (0..file.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&file[at..at + 2], 16).expect("hex"))
            .collect();
        let tree = repository.checkout().join("tree");
        std::fs::write(&tree, [format!("100644 {name}\0").as_bytes(), &bytes].concat()).expect("the folder is ours");
        let tree = repository.git(&["hash-object", "-w", "-t", "tree", "--literally", "tree"]);
        let commit = repository.git(&["commit-tree", &tree, "-m", "x"]);
        let refused = repository.refused(&commit);
        assert!(refused.contains("no checkout has such a path"), "{name}: {refused}");
        assert_eq!(repository.left(), Vec::<PathBuf>::new());
    }
}

#[test]
fn variables_of_git_and_filters_of_the_repository_have_no_say() {
    let mut repository = Repository::shop();
    let other = Repository::with(&[
        ("rehearsal.yaml", CONFIG),
        ("compose.yaml", &COMPOSE.replace("shop:1", "shop:66")),
    ]);
    let elsewhere = other.checkout().join(".git").display().to_string();
    repository.environment.insert("GIT_DIR".to_owned(), elsewhere);
    repository.git(&["config", "filter.forge.smudge", "sed s/shop:1/shop:66/"]);
    repository.change(&[(".gitattributes", "* filter=forge\n")]);
    let forged = repository.commit_of("change");
    repository.write(&[("compose.yaml", &COMPOSE.replace("shop:1", "shop:66"))]);
    repository.commit();
    repository.git(&[
        "replace",
        &repository.commit_of("main"),
        &repository.commit_of("change"),
    ]);
    assert_eq!(image(&repository.prepare("main"), "web"), "shop:1");
    assert_eq!(image(&repository.prepare(&forged), "web"), "shop:1");
}

/// The binary, in this repository's checkout.
fn command(repository: &Repository, arguments: &[&str]) -> driver::Ended {
    let mut command = driver::without_engine(arguments);
    command
        .current_dir(repository.checkout())
        .env("TMPDIR", repository.folder.path());
    end(command)
}

#[test]
fn config_prints_what_the_working_tree_would_where_nothing_differs() {
    let compose = COMPOSE.replace("\"shop:1\"", "\"shop:1\", volumes: [\"./conf:/conf\"], build: web");
    let repository = Repository::with(&[
        ("rehearsal.yaml", CONFIG),
        ("compose.yaml", &compose),
        ("conf/a", ""),
        ("web/Dockerfile", "FROM x\n"),
    ]);
    let own = command(&repository, &["config"]);
    let from = command(&repository, &["config", "--production-from", "main"]);
    assert_eq!(
        (own.code, from.code),
        (Some(0), Some(0)),
        "{}{}",
        own.stderr,
        from.stderr
    );
    assert!(own.stdout.contains("shop/web"), "{}", own.stdout);
    assert_eq!(from.stdout, own.stdout);
}

#[test]
fn the_plan_and_the_record_say_whose_production_it_is() {
    let repository = Repository::shop();
    repository.change(&[("compose.yaml", &COMPOSE.replace("shop:1", "shop:9"))]);
    let plan = command(&repository, &["plan", "--production-from", "main"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stdout.contains("\n  production as of main ("), "{}", plan.stdout);
    assert!(plan.stdout.contains("baseline   web  shop:1"), "{}", plan.stdout);
    let again = command(&repository, &["plan", "--production-from", "main"]);
    assert_eq!(again.stdout, plan.stdout);

    let run = command(&repository, &["run", "--production-from", "main", "--out", "out"]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let read = |name: &str| std::fs::read_to_string(repository.checkout().join("out").join(name)).expect(name);
    for name in ["plan.json", "result.json", "summary.md", "junit.xml", "report.html"] {
        assert!(read(name).contains("production as of main ("), "{name}: {}", read(name));
    }
    assert!(
        run.stderr.contains("from       production as of main ("),
        "{}",
        run.stderr
    );
    let refused = command(
        &repository,
        &["run", "--production-from=--upload-pack=x", "--out", "out"],
    );
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn a_lock_is_checked_against_the_bases_production_and_never_taken_into_it() {
    let repository = Repository::shop();
    let taken = command(&repository, &["lock", "--production-from", "main"]);
    assert_eq!(taken.code, Some(2), "{}", taken.stderr);
    assert!(taken.stderr.contains("--check"), "{}", taken.stderr);
    repository.write(&[(
        "rehearsal.yaml",
        &CONFIG.replace("compose.yaml}", "compose.yaml, lock: production.lock}"),
    )]);
    repository.write(&[("production.lock", "version: 7\n")]);
    repository.commit();
    repository.change(&[("production.lock", "version: 8\n")]);
    let checked = command(&repository, &["lock", "--check", "--production-from", "main"]);
    assert_eq!(checked.code, Some(3), "{}", checked.stderr);
    assert!(checked.stderr.contains("main:production.lock:1:"), "{}", checked.stderr);
}

#[test]
fn explain_tells_whose_production_it_is() {
    let told = end(driver::without_engine(&["explain", "production-from"]));
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert!(told.stdout.starts_with("production-from: "), "{}", told.stdout);
}

/// Production and its tests, and no word of a release.
const WITHOUT_RELEASE: &str = "
production: {compose: compose.yaml, env_file: production.env}
suites:
  smoke: {target: \"http://web:8080\", requests: [{name: one, get: /}]}
";
const WHOLE: &str = "
services:
  web:
    image: \"shop:${VERSION}\"
    volumes: [\"./conf:/conf\", \"./motd:/etc/motd\", \"./data:/data\"]
    configs: [greeting]
    networks: [front]
  built: {build: {context: built}}
  db: {image: \"db:1\"}
configs: {greeting: {file: greeting.txt}}
networks: {front: }
";

fn whole() -> Repository {
    Repository::with(&[
        ("rehearsal.yaml", WITHOUT_RELEASE),
        ("compose.yaml", WHOLE),
        ("production.env", "VERSION=1\n"),
        ("conf/a", "a"),
        ("motd", "hello"),
        ("greeting.txt", "good morning"),
        ("built/Dockerfile", "FROM x\n"),
    ])
}

fn candidates(prepared: &Prepared) -> Vec<&str> {
    prepared.candidate.services.keys().map(String::as_str).collect()
}

#[test]
fn a_change_that_alters_nothing_that_runs_passes_without_an_engine_and_says_so() {
    let repository = whole();
    repository.change(&[
        ("README.md", "words"),
        ("rehearsal.yaml", &WITHOUT_RELEASE.replace("name: one", "name: two")),
    ]);
    let base = repository.folder.path().join("base");
    let worktree = base.to_str().expect("a path of ours");
    git(
        &repository.checkout(),
        &["worktree", "add", "--quiet", worktree, "main"],
    );
    for from in ["main", "../base"] {
        let run = command(&repository, &["run", "--production-from", from, "--out", "out"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let record = std::fs::read_to_string(repository.checkout().join("out/result.json")).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        assert_eq!(record["verdict"], "pass");
        assert_eq!(record["cause"], "this change alters nothing that runs");
        assert_eq!(record["stages"][0]["status"], "skipped", "{record}");
        std::fs::remove_dir_all(repository.checkout().join("out")).expect("ours");
    }
    // Without a base there is nothing to compare with.
    assert_eq!(command(&repository, &["run", "--out", "out"]).code, Some(2));
}

#[test]
fn nothing_altered_is_no_pass_where_the_lock_cannot_be_used() {
    let repository = whole();
    let config = WITHOUT_RELEASE.replace("production.env}", "production.env, lock: gone.lock}");
    repository.write(&[("rehearsal.yaml", &config)]);
    repository.commit();
    let run = command(&repository, &["run", "--production-from", "main", "--out", "out"]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
}

#[test]
fn what_differs_between_production_and_the_working_trees_production_is_the_candidate() {
    let image = WHOLE.replace("db:1", "db:2");
    let label = WHOLE.replace("\"db:1\"}", "\"db:1\", labels: {a: b}}");
    let port = WHOLE.replace("\"db:1\"}", "\"db:1\", ports: [\"1:1\"]}");
    let data = WHOLE.replace("./data:", "./data2:");
    let network = WHOLE.replace("front: }", "front: {labels: {a: b}}}");
    let more = WHOLE.replace("  db:", "  more: {image: \"more:1\"}\n  db:");
    for (file, text, wanted) in [
        ("compose.yaml", image.as_str(), &["db"][..]),
        ("compose.yaml", &label, &["db"]),
        ("compose.yaml", &port, &["db"]),
        // Neither folder is in the tree, and production's has data.
        ("compose.yaml", &data, &["web"]),
        ("compose.yaml", &network, &["built", "db", "web"]),
        ("compose.yaml", &more, &["more"]),
        ("production.env", "VERSION=2\n", &["web"]),
        ("conf/a", "b", &["web"]),
        ("conf/b", "", &["web"]),
        ("motd", "good bye", &["web"]),
        ("greeting.txt", "good evening", &["web"]),
        ("built/Dockerfile", "FROM y\n", &["built"]),
        ("built/more", "", &["built"]),
    ] {
        let repository = whole();
        repository.change(&[(file, text)]);
        let prepared = repository.prepare("main");
        assert_eq!(candidates(&prepared), wanted, "{file}: {text}");
        assert!(!prepared.alters_nothing());
        assert!(prepared.candidate.other_project.is_none());
    }
    let repository = whole();
    repository.change(&[("production.env", "VERSION=2\n")]);
    let prepared = repository.prepare("main");
    assert_eq!(image_of(&prepared), ("shop:1".to_owned(), "shop:2".to_owned()));
    repository.write(&[("compose.yaml", &WHOLE.replace("  db: {image: \"db:1\"}\n", ""))]);
    let removed = repository.prepare("main").candidate.removed;
    assert_eq!(removed.iter().map(String::as_str).collect::<Vec<_>>(), ["db"]);
}

#[test]
fn folders_that_a_change_leaves_alone_go_on_where_production_has_written() {
    let repository = whole();
    repository.change(&[("production.env", "VERSION=2\n"), ("conf/a", "b")]);
    let prepared = repository.prepare("main");
    let source = |services: &BTreeMap<String, rehearsal::world::model::Service>, target: &str| {
        let mut mounts = services["web"].mounts.iter();
        mounts
            .find(|mount| mount.target == target)
            .expect("it is mounted")
            .source
            .clone()
    };
    let (own, new) = (&prepared.world.services, &prepared.candidate.services);
    assert_eq!(source(new, "/data"), source(own, "/data"));
    assert_ne!(source(new, "/conf"), source(own, "/conf"));
}

#[test]
fn what_cannot_be_seen_to_be_the_same_is_not_nothing() {
    let named = |compose: &str| {
        let repository = whole();
        repository.change(&[("compose.yaml", compose)]);
        repository.prepare("main")
    };
    // Another project than production: it would start on empty volumes.
    let other = named(&format!("name: other\n{WHOLE}"));
    assert!(!other.alters_nothing() && other.candidate.other_project.is_some());

    // What a link leads to, and sources of a build that only another builder reads.
    let contexts = "{lib: lib, far: 'https://example.com/far.git'}";
    let compose = WHOLE.replace(
        "{context: built}",
        &format!("{{context: built, additional_contexts: {contexts}}}"),
    );
    let repository = Repository::with(&[
        ("rehearsal.yaml", WITHOUT_RELEASE),
        ("compose.yaml", &compose),
        ("production.env", "VERSION=1\n"),
        ("real/a", "a"),
        ("motd", "hello"),
        ("greeting.txt", "good morning"),
        ("built/Dockerfile", "FROM x\n"),
        ("lib/a", "a"),
    ]);
    symlink("real", repository.checkout().join("conf")).expect("the folder is ours");
    repository.commit();
    assert_eq!(candidates(&repository.prepare("main")), ["built"]);
    repository.change(&[("real/a", "b")]);
    assert_eq!(candidates(&repository.prepare("main")), ["built", "web"]);

    // Of a folder beside the context it is known.
    let seen = compose.replace(", far: 'https://example.com/far.git'", "");
    repository.write(&[("compose.yaml", &seen)]);
    repository.commit();
    assert!(repository.prepare("change").alters_nothing());
    repository.write(&[("lib/a", "b")]);
    assert_eq!(candidates(&repository.prepare("change")), ["built"]);
}

#[test]
fn a_file_that_production_uses_in_other_ways_than_by_a_mount_is_not_nothing() {
    let compose = "
name: shop
services:
  web:
    image: \"shop:1\"
    security_opt: [\"seccomp:./profile.json\"]
  db:
    image: \"db:1\"
    volumes: [\"conf:/conf\"]
volumes:
  conf: {driver: local, driver_opts: {type: none, o: bind, device: ./conf}}
";
    for (file, wanted) in [("conf/a", &["db"][..]), ("profile.json", &["web"])] {
        let repository = Repository::with(&[
            ("rehearsal.yaml", WITHOUT_RELEASE),
            ("compose.yaml", compose),
            ("production.env", "VERSION=1\n"),
            ("conf/a", "a"),
            ("profile.json", "{}"),
        ]);
        repository.change(&[("README.md", "words")]);
        assert!(repository.prepare("main").alters_nothing());
        repository.write(&[(file, "{\"a\": 1}")]);
        let prepared = repository.prepare("main");
        assert_eq!(candidates(&prepared), wanted, "{file}");
    }
}

fn image_of(prepared: &Prepared) -> (String, String) {
    let new = prepared.candidate.services["web"].image.clone();
    (image(prepared, "web"), new)
}
