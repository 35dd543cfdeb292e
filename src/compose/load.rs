//! Files into one tree, in the order Compose takes them: each file's variables, `extends`, `include`, then the file
//! over those before it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::{Fragment, LoadOptions};
use super::{merge, scalar};
use crate::compose::canonical::{self, Frame};
use crate::compose::fields::{Fields, string, string_or_list};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::env_file::{self, Format};
use crate::yaml::file;
use crate::yaml::interpolate::{Dialect, interpolate_tree, unset_in};
use crate::yaml::span::{Source, Span};
use crate::yaml::tree::{self, Entry, Node, Value};

/// Files that include or extend each other deeper than this do so in a circle.
const MAX_INCLUDES: usize = 50;

/// Default names of the first file and of the file merged over it.
const DEFAULT_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
const DEFAULT_OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The merged tree, and what the loader learned on the way.
pub(super) struct Loaded {
    pub root: Node,
    pub directory: PathBuf,
    pub name: String,
    pub environment: BTreeMap<String, String>,
    pub warnings: Vec<Diagnostic>,
    pub unset: BTreeMap<String, BTreeSet<String>>,
    pub used: BTreeMap<String, String>,
}

/// The name that these files and this environment give the project.
pub(super) fn name(options: &LoadOptions) -> Result<String, Diagnostic> {
    let files = files(options)?;
    let directory = directory(options, &files);
    project_name(options, &files, &directory, &environment(options, &directory)?)
}

/// Reads and merges all files.
pub(super) fn load(options: &LoadOptions, fragments: &[Fragment]) -> Result<Loaded, Diagnostic> {
    let files = files(options)?;
    let directory = directory(options, &files);
    let mut environment = environment(options, &directory)?;
    let name = project_name(options, &files, &directory, &environment)?;
    environment.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let mut loader = Loader {
        warnings: Vec::new(),
        unset: BTreeMap::new(),
        used: BTreeMap::new(),
        including: Vec::new(),
    };
    let world = World {
        directory: directory.clone(),
        environment: environment.clone(),
    };
    let mut root = loader.merged(&files, &world)?;
    for fragment in fragments {
        let base = parent(&fragment.path);
        let world = World {
            directory: base,
            environment: environment.clone(),
        };
        let over = loader.file(&fragment.path, &world)?;
        only_service(&over, &fragment.service)?;
        root = overlay(Some(root), over)?;
    }
    merge::settle(&mut root)?;
    canonical::default_contexts(&mut root, &directory)?;
    merge::deduplicate(&mut root);
    Ok(Loaded {
        root,
        directory,
        name,
        environment,
        warnings: loader.warnings,
        unset: loader.unset,
        used: loader.used,
    })
}

/// A fragment changes one service: another one in it is a mistake.
fn only_service(fragment: &Node, service: &str) -> Result<(), Diagnostic> {
    let services = fragment.get("services").and_then(Node::as_map).unwrap_or_default();
    match services
        .iter()
        .find(|entry| entry.key != service && !entry.key.starts_with("x-"))
    {
        Some(other) => Err(Diagnostic::at(
            &other.key_span,
            format!(
                "`{}` has no place here: this file may only change `{service}`",
                other.key
            ),
        )
        .help(format!(
            "a service that production has needs a `candidate` entry of its own; one that the release adds comes with \
                 the release's own files, whole: `release: {{compose: [{}]}}`",
            other
                .key_span
                .source
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
        ))),
        None => Ok(()),
    }
}

/// The files that a project is loaded from.
pub(super) fn files(options: &LoadOptions) -> Result<Vec<PathBuf>, Diagnostic> {
    if !options.files.is_empty() {
        return Ok(options.files.clone());
    }
    let directory = options.project_directory.clone().unwrap_or_else(|| PathBuf::from("."));
    let find = |names: [&str; 4]| {
        names
            .iter()
            .map(|name| directory.join(name))
            .find(|path| path.is_file())
    };
    let Some(first) = find(DEFAULT_FILES) else {
        return Err(Diagnostic::new(format!("no compose file in `{}`", directory.display()))
            .help(format!("one of `{}` is looked for", DEFAULT_FILES.join("`, `"))));
    };
    Ok(std::iter::once(first).chain(find(DEFAULT_OVERRIDES)).collect())
}

fn directory(options: &LoadOptions, files: &[PathBuf]) -> PathBuf {
    match &options.project_directory {
        Some(directory) => absolute(directory),
        None => files
            .first()
            .map(|file| parent(file))
            .unwrap_or_else(|| absolute(Path::new("."))),
    }
}

fn absolute(path: &Path) -> PathBuf {
    scalar::clean(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

fn parent(file: &Path) -> PathBuf {
    absolute(file)
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

/// The environment over the env files; the project directory's `.env` where none is named.
fn environment(options: &LoadOptions, directory: &Path) -> Result<BTreeMap<String, String>, Diagnostic> {
    let default = directory.join(".env");
    let files = match options.env_file.as_slice() {
        [] if default.is_file() => vec![default],
        files => files.to_vec(),
    };
    with_env_files(&options.environment, &files)
}

fn with_env_files(outer: &BTreeMap<String, String>, files: &[PathBuf]) -> Result<BTreeMap<String, String>, Diagnostic> {
    let mut found = BTreeMap::new();
    for file in files {
        let lookup = |name: &str| outer.get(name).or_else(|| found.get(name)).cloned();
        let variables = env_file::parse(open(file, None)?, Format::Dotenv, &lookup)
            .map_err(|error| env_file::without_line(&error, &file.display().to_string(), None))?;
        found.extend(variables);
    }
    found.extend(outer.clone());
    Ok(found)
}

/// Reads a file; `named` is the place that names it, for the error when it cannot be read.
pub(super) fn open(path: &Path, named: Option<&Span>) -> Result<Arc<Source>, Diagnostic> {
    match file::text(path) {
        Ok(text) => Ok(Arc::new(Source {
            path: path.to_owned(),
            text,
        })),
        Err(error) => {
            let message = format!("cannot read `{}`: {error}", path.display());
            Err(named.map_or_else(
                || Diagnostic::new(message.clone()),
                |span| Diagnostic::at(span, message.clone()),
            ))
        }
    }
}

/// What the option says, else the environment, else the last file that has a `name`, else the folder's name.
fn project_name(
    options: &LoadOptions,
    files: &[PathBuf],
    directory: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<String, Diagnostic> {
    let given = options.project_name.clone().filter(|name| !name.is_empty());
    let outer = || {
        environment
            .get("COMPOSE_PROJECT_NAME")
            .filter(|name| !name.is_empty())
            .cloned()
    };
    if let Some(name) = given.or_else(outer) {
        return if name == normalised(&name) {
            Ok(name)
        } else {
            Err(bad_name(&name, None))
        };
    }
    for file in files.iter().rev() {
        let first = tree::parse_all(open(file, None)?)?.swap_remove(0).root;
        if let Some(node) = first.get("name").filter(|node| !node.is_null()) {
            let mut node = node.clone();
            interpolate_tree(&mut node, Dialect::Compose, &|name| environment.get(name).cloned())?;
            let written = string(&node)?;
            let name = normalised(&written);
            return if name.is_empty() {
                Err(bad_name(&written, Some(&node.span)))
            } else {
                Ok(name)
            };
        }
    }
    let here = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    let folder = options.folder_name.clone().or(here).unwrap_or_default();
    let name = normalised(&folder);
    if name.is_empty() {
        Err(bad_name(&folder, None))
    } else {
        Ok(name)
    }
}

fn bad_name(name: &str, span: Option<&Span>) -> Diagnostic {
    let message = format!("`{name}` is not a valid project name");
    let error = span.map_or_else(
        || Diagnostic::new(message.clone()),
        |span| Diagnostic::at(span, message.clone()),
    );
    error.help("lower-case letters, digits, `-` and `_`, beginning with a letter or a digit")
}

fn normalised(name: &str) -> String {
    let lower = name.to_lowercase();
    let good = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let kept: String = lower.chars().filter(good).collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

/// What a file is seen from.
struct World {
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

struct Loader {
    warnings: Vec<Diagnostic>,
    unset: BTreeMap<String, BTreeSet<String>>,
    used: BTreeMap<String, String>,
    including: Vec<PathBuf>,
}

impl Loader {
    fn merged(&mut self, files: &[PathBuf], world: &World) -> Result<Node, Diagnostic> {
        let mut root = None;
        for file in files {
            let over = self.file(file, world)?;
            root = Some(overlay(root, over)?);
        }
        let mut root = root.ok_or_else(|| Diagnostic::new("no compose file was given"))?;
        merge::settle(&mut root)?;
        canonical::default_contexts(&mut root, &world.directory)?;
        Ok(root)
    }

    /// One file with what it extends and includes, its tags not yet settled.
    fn file(&mut self, path: &Path, world: &World) -> Result<Node, Diagnostic> {
        let mut merged = None;
        // Each document of a file lies over the one before it, as if it were the next file.
        for document in tree::parse_all(open(path, None)?)? {
            for entry in services(&document.root) {
                self.note_unset(&entry.key, &entry.node, world);
            }
            let mut root = self.prepared(document.root, path, world)?;
            self.extend_all(&mut root, path, world)?;
            let root = self.include_all(root, path, world)?;
            merged = Some(overlay(merged, root)?);
        }
        merged.ok_or_else(|| Diagnostic::new(format!("`{}` is empty", path.display())))
    }

    /// Which blank variables stand in what a service is made of.
    fn note_unset(&mut self, service: &str, node: &Node, world: &World) {
        let lookup = |name: &str| world.environment.get(name).cloned();
        let unset = unset_in(node, Dialect::Compose, &lookup);
        if !unset.is_empty() {
            self.unset.entry(service.to_owned()).or_default().extend(unset);
        }
    }

    /// What a service of the same file leaves blank, the one leaves blank that extends it.
    fn inherit_unset(&mut self, base: &str, chain: &[(PathBuf, String)]) {
        if let ([(_, extending)], Some(unset)) = (chain, self.unset.get(base).cloned()) {
            self.unset.entry(extending.clone()).or_default().extend(unset);
        }
    }

    /// A compose file's content, its variables filled in and its short forms gone.
    fn prepared(&mut self, mut root: Node, path: &Path, world: &World) -> Result<Node, Diagnostic> {
        if root.is_null() {
            return Err(Diagnostic::at(&root.span, format!("`{}` is empty", path.display())));
        }
        if root.as_map().is_none() {
            return Err(root.expected("a compose file: a mapping with `services`"));
        }
        let used = RefCell::new(BTreeMap::new());
        let lookup = |name: &str| {
            let value = world.environment.get(name)?;
            used.borrow_mut().insert(name.to_owned(), value.clone());
            Some(value.clone())
        };
        self.warnings
            .extend(interpolate_tree(&mut root, Dialect::Compose, &lookup)?);
        let home = world.environment.get("HOME").map(String::as_str);
        Frame {
            base: &world.directory,
            home,
            lookup: &lookup,
        }
        .file(&mut root)?;
        self.used.append(&mut used.borrow_mut());
        Ok(root)
    }

    fn extend_all(&mut self, root: &mut Node, path: &Path, world: &World) -> Result<(), Diagnostic> {
        let names: Vec<String> = services(root).iter().map(|entry| entry.key.clone()).collect();
        for name in names {
            let service = self.extended(root, &name, path, world, &mut Vec::new())?;
            if let Some(entry) = service_mut(root, &name) {
                entry.node = service;
            }
        }
        Ok(())
    }

    /// A service with what it extends beneath it.
    fn extended(
        &mut self,
        root: &Node,
        name: &str,
        path: &Path,
        world: &World,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Result<Node, Diagnostic> {
        let Some(entry) = services(root).iter().find(|entry| entry.key == name) else {
            return Err(Diagnostic::new(format!(
                "`{name}` is not a service of `{}`",
                path.display()
            )));
        };
        let Some(extends) = entry.node.entry("extends").filter(|extends| !extends.node.is_null()) else {
            return Ok(entry.node.clone());
        };
        let link = (absolute(path), name.to_owned());
        if chain.contains(&link) {
            return Err(Diagnostic::at(&extends.key_span, format!("`{name}` extends itself")));
        }
        chain.push(link);
        let base = self.extended_base(root, extends, path, world, chain)?;
        chain.pop();
        let mut service = entry.node.clone();
        if let Value::Map(entries) = &mut service.value {
            entries.retain(|entry| entry.key != "extends");
        }
        merge::merge_service(base, service)
    }

    fn extended_base(
        &mut self,
        root: &Node,
        extends: &Entry,
        path: &Path,
        world: &World,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Result<Node, Diagnostic> {
        let (file, service) = extends_target(&extends.node)?;
        let span = &extends.node.span;
        let Some(file) = file else {
            known_service(root, &service, span)?;
            self.inherit_unset(&service, chain);
            return self.extended(root, &service, path, world, chain);
        };
        let home = world.environment.get("HOME").map(String::as_str);
        let file = scalar::absolute(&file, &world.directory, home);
        let world = World {
            directory: parent(&file),
            environment: world.environment.clone(),
        };
        let written = tree::parse(open(&file, Some(span))?)?;
        let extending = chain.first().map(|(_, name)| name.clone());
        let base = services(&written).iter().find(|entry| entry.key == service);
        if let (Some(extending), Some(base)) = (extending, base) {
            self.note_unset(&extending, &base.node, &world);
        }
        let other = self.prepared(written, &file, &world)?;
        known_service(&other, &service, span)?;
        let mut base = self.extended(&other, &service, &file, &world, chain)?;
        canonical::default_context(&mut base, &world.directory)?;
        Ok(base)
    }

    /// What a file includes lies beneath it; nothing in it may be said again.
    fn include_all(&mut self, mut root: Node, path: &Path, world: &World) -> Result<Node, Diagnostic> {
        let Some(include) = root.get("include").filter(|include| !include.is_null()).cloned() else {
            return Ok(root);
        };
        if self.including.contains(&absolute(path)) || self.including.len() > MAX_INCLUDES {
            return Err(Diagnostic::at(
                &include.span,
                format!("`{}` includes itself", path.display()),
            ));
        }
        self.including.push(absolute(path));
        let items = include.as_seq().ok_or_else(|| include.expected("a list of files"))?;
        for item in items {
            let included = self.included(item, world)?;
            import(&mut root, included)?;
        }
        self.including.pop();
        Ok(root)
    }

    fn included(&mut self, item: &Node, outer: &World) -> Result<Node, Diagnostic> {
        let written = Include::read(item)?;
        let home = outer.environment.get("HOME").map(String::as_str);
        let resolve = |path: &String| scalar::absolute(path, &outer.directory, home);
        let files: Vec<PathBuf> = written.path.iter().map(resolve).collect();
        let Some(first) = files.first() else {
            return Err(Diagnostic::at(&item.span, "`include` names no file"));
        };
        if let Some(missing) = files.iter().find(|file| !file.is_file()) {
            return Err(Diagnostic::at(
                &item.span,
                format!("cannot read `{}`: no such file", missing.display()),
            ));
        }
        let directory = written
            .project_directory
            .as_ref()
            .map_or_else(|| parent(first), resolve);
        let default = directory.join(".env");
        let env_files = match written.env_file.as_slice() {
            [] if default.is_file() => vec![default],
            files => files.iter().map(resolve).collect(),
        };
        let environment = with_env_files(&outer.environment, &env_files)?;
        self.merged(&files, &World { directory, environment })
    }
}

/// One entry of `include`.
struct Include {
    path: Vec<String>,
    env_file: Vec<String>,
    project_directory: Option<String>,
}

impl Include {
    fn read(node: &Node) -> Result<Self, Diagnostic> {
        if node.as_str().is_some() {
            return Ok(Self {
                path: vec![string(node)?],
                env_file: Vec::new(),
                project_directory: None,
            });
        }
        let mut fields = Fields::of(node)?;
        let include = Self {
            path: fields.or("path", string_or_list)?,
            env_file: fields.or("env_file", string_or_list)?,
            project_directory: fields.string("project_directory")?,
        };
        fields.finish()?;
        Ok(include)
    }
}

fn extends_target(node: &Node) -> Result<(Option<String>, String), Diagnostic> {
    if node.as_str().is_some() {
        return Ok((None, string(node)?));
    }
    let mut fields = Fields::of(node)?;
    let target = (fields.string("file")?, fields.required("service")?);
    fields.finish()?;
    Ok(target)
}

fn known_service(root: &Node, name: &str, span: &Span) -> Result<(), Diagnostic> {
    let services = services(root);
    if services.iter().any(|entry| entry.key == name) {
        return Ok(());
    }
    let error = Diagnostic::at(span, format!("there is no service `{name}` to extend"));
    let near = crate::yaml::diagnostic::nearest(name, services.iter().map(|entry| entry.key.as_str()));
    Err(match near {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    })
}

fn services(root: &Node) -> &[Entry] {
    root.get("services").and_then(Node::as_map).unwrap_or_default()
}

fn service_mut<'a>(root: &'a mut Node, name: &str) -> Option<&'a mut Entry> {
    let Value::Map(sections) = &mut root.value else {
        return None;
    };
    let services = sections.iter_mut().find(|entry| entry.key == "services")?;
    let Value::Map(services) = &mut services.node.value else {
        return None;
    };
    services.iter_mut().find(|entry| entry.key == name)
}

fn overlay(base: Option<Node>, over: Node) -> Result<Node, Diagnostic> {
    let Some(mut base) = base else { return Ok(over) };
    merge::settle(&mut base)?;
    merge::merge(base, over)
}

/// Adds what an included project has. The same name twice is an error, unless both say the same.
fn import(root: &mut Node, included: Node) -> Result<(), Diagnostic> {
    let Value::Map(theirs) = included.value else {
        return Ok(());
    };
    for section in theirs {
        if !matches!(
            section.key.as_str(),
            "services" | "networks" | "volumes" | "secrets" | "configs" | "models"
        ) {
            continue;
        }
        import_section(root, section)?;
    }
    Ok(())
}

fn import_section(root: &mut Node, section: Entry) -> Result<(), Diagnostic> {
    let Value::Map(sections) = &mut root.value else {
        return Ok(());
    };
    let Some(ours) = sections
        .iter_mut()
        .find(|entry| entry.key == section.key && !entry.node.is_null())
    else {
        sections.retain(|entry| entry.key != section.key);
        sections.push(section);
        return Ok(());
    };
    let (Value::Map(ours), Value::Map(theirs)) = (&mut ours.node.value, section.node.value) else {
        return Ok(());
    };
    for entry in theirs {
        match ours.iter().find(|known| known.key == entry.key) {
            Some(known) if canonical::same(&known.node, &entry.node) => {}
            Some(known) => {
                let (line, _) = entry.key_span.line_column();
                let file = entry.key_span.source.path.display();
                return Err(Diagnostic::at(
                    &known.key_span,
                    format!("`{}` is included and written here too", known.key),
                )
                .help(format!(
                    "it comes from line {line} of `{file}`: change included things in an override file"
                )));
            }
            None => ours.push(entry),
        }
    }
    Ok(())
}
