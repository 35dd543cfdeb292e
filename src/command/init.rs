//! `rehearsal init`: writes a first configuration for the Compose file of this folder, and the workflows that go with it.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::common::{self, context, refuse, shown};
use crate::cli::InitArgs;
use crate::compose::{self, LoadOptions, Project};
use crate::context::Context;
use crate::init::{Choice, Dotenv, Draft, Found, Login, Release, Replaced, Repository, Secrets, Seen, workflow};
use crate::prepare::{self, Asked};
use crate::record::exit_code::ExitCode;
use crate::report::terminal::say;
use crate::text::redact::Redactor;
use crate::world::from_compose;
use crate::world::model::World;
use crate::yaml::diagnostic::Diagnostic;

/// Whoever the umask lets.
const MODE: u32 = 0o666;
/// What is written.
const CONFIG: &str = "rehearsal.yaml";

/// From the command line to the exit code.
///
/// # Errors
/// A file cannot be written: the machine's doing.
pub fn init(args: &InitArgs) -> Result<ExitCode> {
    let context = context()?;
    let (options, project) = match found(args, &context) {
        Ok(found) => found,
        Err(error) => return Ok(refuse(&[error])),
    };
    let world = match from_compose::world(&project) {
        Ok(world) => world,
        Err(error) => return Ok(refuse(&[error])),
    };
    let mut release = Release::of(&world, repository(&context.directory).as_ref());
    let asks = !args.yes && std::io::stdin().is_terminal();
    if asks {
        release = ask_release(release, &mut std::io::stdin().lock())?;
    }
    let named = |path: &PathBuf| path.to_string_lossy().into_owned();
    let files: Vec<String> = options.files.iter().map(|file| relative(file, &context)).collect();
    let found = Found {
        env_file: args.env_file.as_ref().map(named),
        blank: project.unset.values().flatten().cloned().collect(),
        dotenv: dotenv(&project.directory),
        base: base(&context.directory, &files),
        compose: files,
    };
    let seen = Seen {
        world: &world,
        secrets: &secrets(&project, &options),
        folder: &context.directory,
    };
    let mut draft = Draft::of(&seen, found, release);
    if let Some(auth) = draft.auth.as_mut().filter(|_| asks) {
        auth.login = ask_login(&mut std::io::stdin().lock())?;
    }
    write_new(&context.directory.join(CONFIG), &crate::init::yaml(&draft))?;
    workflows(&draft, &context)?;
    Ok(checked(&draft, &context))
}

/// What Compose was given for production, and what that says.
fn found(args: &InitArgs, context: &Context) -> Result<(LoadOptions, Project), Diagnostic> {
    let folder = &context.directory;
    if folder.join(CONFIG).exists() {
        let error = Diagnostic::new(format!("there is a `{CONFIG}` here already"));
        return Err(error.help("change it by hand (`rehearsal schema` says what there is), or move it away first"));
    }
    let absolute = |file: &PathBuf| folder.join(file);
    let mut options = LoadOptions {
        files: args.compose.iter().map(absolute).collect(),
        project_directory: args.compose.is_empty().then(|| folder.clone()),
        env_file: args.env_file.iter().map(absolute).collect(),
        environment: context.environment.clone(),
        ..LoadOptions::default()
    };
    options.files = compose::files(&options).map_err(|error| {
        error.help("production is described by one: go to its folder, or name it by `--compose FILE`")
    })?;
    let project = compose::load(&options)?;
    Ok((options, project))
}

/// A file as the configuration names it.
fn relative(file: &Path, context: &Context) -> String {
    let file = file.strip_prefix(&context.directory).unwrap_or(file);
    file.to_string_lossy().into_owned()
}

/// Where values stand that must not be written down. Where production cannot be read with anything else in their place, the
/// values themselves are looked for.
fn secrets(project: &Project, options: &LoadOptions) -> Secrets {
    let suspects = Secrets::suspects(project.environment.iter().chain(&project.used));
    for replaced in [Replaced::All, Replaced::ButNumbers] {
        let stand_ins = Secrets::stand_ins(&suspects, replaced);
        let mut options = options.clone();
        options.environment.extend(stand_ins.clone());
        if let Ok(world) = compose::load(&options).and_then(|project| from_compose::world(&project)) {
            return Secrets::seen_in(world, stand_ins, suspects);
        }
    }
    let used = Secrets::suspects(&project.used);
    Secrets::seen_in(World::default(), BTreeMap::new(), used)
}

/// Where git says that the repository came from; without git, nowhere.
fn repository(folder: &Path) -> Option<Repository> {
    Repository::of_remote(&git(folder, &["config", "--get", "remote.origin.url"])?)
}

/// The branch that the remote calls its own, else the current one, where it has any of production's files: with what a change is
/// compared.
fn base(folder: &Path, files: &[String]) -> Option<String> {
    let named = |name| git(folder, &["symbolic-ref", "--quiet", "--short", name]);
    let names = [
        named("refs/remotes/origin/HEAD"),
        named("HEAD"),
        Some("HEAD".to_owned()),
    ];
    let has = |name: &String, file: &String| git(folder, &["cat-file", "-e", &format!("{name}:./{file}")]).is_some();
    let mut names = names.into_iter().flatten();
    names.find(|name| files.iter().any(|file| has(name, file)))
}

fn dotenv(folder: &Path) -> Dotenv {
    let says = |words: &[&str]| git(folder, words).is_some();
    let is_only_here = || says(&["rev-parse"]) && !says(&["ls-files", "--error-unmatch", ".env"]);
    match folder.join(".env").is_file() && is_only_here() {
        true => Dotenv::OnlyHere,
        false => Dotenv::Alike,
    }
}

/// What git says; nothing where it says no, or is not there.
fn git(folder: &Path, words: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(words);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What no file tells. An empty answer takes the likeliest.
fn ask_release(release: Release, person: &mut impl BufRead) -> Result<Release> {
    let Release::Perhaps(choices) = &release else {
        return Ok(release);
    };
    if choices.is_empty() {
        return Ok(release);
    }
    let likely = match release.likeliest() {
        [likely] => Some(likely),
        _ => None,
    };
    let all: Vec<&str> = choices.iter().map(|choice| choice.repository.as_str()).collect();
    let empty = likely.map_or("nobody knows", |likely| &likely.repository);
    let answer = answer(
        &format!("Whose image is the release, of {}? [{empty}]", all.join(", ")),
        person,
    )?;
    let is_meant = |choice: &&Choice| choice.repository == answer || choice.services.contains(&answer);
    let likely = likely.filter(|_| answer.is_empty());
    Ok(choices
        .iter()
        .find(is_meant)
        .or(likely)
        .map_or(release.clone(), Release::chosen))
}

fn ask_login(person: &mut impl BufRead) -> Result<Option<Login>> {
    let start = answer(
        "Where does the sign-in begin, as inside the mirror (http://web:8080/login)? [later]",
        person,
    )?;
    if start.is_empty() {
        return Ok(None);
    }
    let expect = answer("Which page does only see who has signed in?", person)?;
    let username = answer(
        "Which test user? The password is TEST_PASSWORD of the environment.",
        person,
    )?;
    let is_whole = !expect.is_empty() && !username.is_empty();
    Ok(is_whole.then_some(Login {
        start,
        expect,
        username,
    }))
}

fn answer(question: &str, person: &mut impl BufRead) -> Result<String> {
    say(question);
    let mut line = String::new();
    person
        .read_line(&mut line)
        .context("nobody can be asked: use `--yes`")?;
    Ok(line.trim().to_owned())
}

/// Never over what is there.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let told = || format!("`{}` could not be written", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(told)?;
    }
    common::write_new(path, text, MODE).with_context(told)?;
    say(format!("wrote {}", shown(path.display(), &Redactor::default())));
    Ok(())
}

/// Beside a repository alone; those that are there stay as they are.
fn workflows(draft: &Draft, context: &Context) -> Result<()> {
    let Some(root) = context
        .directory
        .ancestors()
        .find(|folder| folder.join(".git").exists())
    else {
        return Ok(());
    };
    let (folder, below) = (root.join(".github/workflows"), context.directory.strip_prefix(root)?);
    let lock = match context.directory.join("production.lock").exists() {
        true => workflow::Lock::Taken,
        false => workflow::Lock::Missing,
    };
    let both = [
        ("rehearsal.yml", workflow::rehearsal(draft, below)),
        ("production-lock.yml", workflow::lock(below, lock)),
    ];
    for (name, text) in both {
        let path = folder.join(name);
        match path.exists() {
            true => say(format!(
                "{} is there already, and stays as it is",
                shown(path.display(), &Redactor::default())
            )),
            false => write_new(&path, &text)?,
        }
    }
    Ok(())
}

/// Whether what comes next can be planned, and what that is.
fn checked(draft: &Draft, context: &Context) -> ExitCode {
    let mut context = context.clone();
    for variable in draft.variables() {
        let value = context.environment.entry(variable);
        value.or_insert_with(|| "to-be-named".to_owned());
    }
    let base = draft
        .found
        .base
        .clone()
        .filter(|_| matches!(draft.release, Release::Built(_)));
    let asked = Asked {
        candidate: match base {
            Some(_) => Vec::new(),
            None => draft.release.stand_ins(),
        },
        production_from: base.clone(),
        ..Asked::of(Some(&context.directory.join(CONFIG)))
    };
    if let Err(errors) = prepare::prepare(&asked, &context) {
        say("this is still to be mended before it can run:");
        return refuse(&errors);
    }
    say(next(draft, base));
    ExitCode::Pass
}

fn next(draft: &Draft, base: Option<String>) -> String {
    let (first, before, after) = match &draft.release {
        Release::Built(_) => {
            let files = draft.found.compose.join(", ");
            let first = base.is_none().then(|| format!("commit {files}; then, with a change, "));
            let base = base.unwrap_or_else(|| "HEAD".to_owned());
            (first, String::new(), format!(" --production-from {base}"))
        }
        Release::Own(_) => (None, draft.release.variables().join("=… ") + "=… ", String::new()),
        Release::Perhaps(_) => (None, String::new(), " --candidate SERVICE=IMAGE".to_owned()),
    };
    let first = first.unwrap_or_default();
    format!("next: {first}`{before}rehearsal plan{after}`, then `{before}rehearsal run{after}`")
}
