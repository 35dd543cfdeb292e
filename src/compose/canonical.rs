//! One file's short forms become long forms and its relative paths absolute, so that merging and reading know one
//! form only. Only forms that are merged are handled here; the readers accept the others as they stand.

use std::path::Path;

use crate::compose::merge::Tag;
use crate::compose::scalar::{self, absolute};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Span;
use crate::yaml::tree::{Entry, Node, Value};

/// A build without a context has the project directory. Said last, because a later file may name another.
pub(super) fn default_contexts(root: &mut Node, directory: &Path) -> Result<(), Diagnostic> {
    each(root, "services", |service| default_context(service, directory))
}

/// The same for one service.
pub(super) fn default_context(service: &mut Node, directory: &Path) -> Result<(), Diagnostic> {
    on(service, "build", |build| {
        if build.as_map().is_some() && build.get("context").is_none_or(Node::is_null) {
            let context = Node::string(directory.to_string_lossy(), build.span.clone());
            insert(build, "context", context);
        }
        Ok(())
    })
}

/// What a file's content is seen from.
pub(super) struct Frame<'a> {
    /// What its relative paths are relative to.
    pub base: &'a Path,
    /// What `~` is.
    pub home: Option<&'a str>,
    /// Values for variables that are named without one.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
}

type Done = Result<(), Diagnostic>;

impl Frame<'_> {
    /// The whole file.
    pub fn file(&self, root: &mut Node) -> Done {
        each(root, "services", |service| self.service(service))?;
        for section in ["networks", "volumes", "secrets", "configs"] {
            each(root, section, |object| on(object, "labels", to_map))?;
        }
        each(root, "secrets", |object| on(object, "file", |node| self.path(node)))?;
        each(root, "configs", |object| on(object, "file", |node| self.path(node)))?;
        each(root, "volumes", |volume| self.bound_volume(volume))
    }

    fn service(&self, service: &mut Node) -> Done {
        for key in ["labels", "annotations", "sysctls"] {
            on(service, key, to_map)?;
        }
        for key in ["dns", "dns_search", "tmpfs", "label_file", "env_file"] {
            on(service, key, to_list)?;
        }
        on(service, "environment", |node| self.environment(node))?;
        on(service, "extra_hosts", hosts)?;
        on(service, "depends_on", |node| named(node, dependency))?;
        on(service, "networks", |node| named(node, |_| Value::Null))?;
        on(service, "models", |node| named(node, |_| Value::Null))?;
        on(service, "build", |node| self.build(node))?;
        on(service, "deploy", |deploy| on(deploy, "labels", to_map))?;
        on(service, "secrets", |node| items(node, |item| field(item, "source")))?;
        on(service, "configs", |node| items(node, |item| field(item, "source")))?;
        on(service, "devices", |node| items(node, device))?;
        on(service, "gpus", gpus)?;
        on(service, "ports", ports)?;
        on(service, "volumes", |node| items(node, |item| self.mount(item)))?;
        on(service, "env_file", |node| items(node, |item| self.env_file(item)))?;
        on(service, "label_file", |node| items(node, |item| self.path(item)))?;
        on(service, "develop", |node| self.develop(node))
    }

    fn build(&self, build: &mut Node) -> Done {
        field(build, "context")?;
        on(build, "context", |node| self.context(node))?;
        on(build, "args", |node| self.environment(node))?;
        on(build, "labels", to_map)?;
        on(build, "extra_hosts", hosts)?;
        on(build, "secrets", |node| items(node, |item| field(item, "source")))?;
        on(build, "ssh", |node| {
            to_map(node)?;
            each_entry(node, |entry| match entry.node.as_str() {
                Some("") => Ok(()),
                _ => self.path(&mut entry.node),
            })
        })?;
        on(build, "additional_contexts", |node| {
            to_map(node)?;
            each_entry(node, |entry| self.context(&mut entry.node))
        })
    }

    /// A directory, unless it is a URL or another kind of reference.
    fn context(&self, node: &mut Node) -> Done {
        match node.as_str() {
            Some(text) if is_remote(text) => Ok(()),
            _ => self.path(node),
        }
    }

    fn path(&self, node: &mut Node) -> Done {
        if let Value::Str(text) = &mut node.value
            && !is_drive(text)
        {
            *text = absolute(text, self.base, self.home).to_string_lossy().into_owned();
        }
        Ok(())
    }

    fn env_file(&self, item: &mut Node) -> Done {
        field(item, "path")?;
        on(item, "path", |node| self.path(node))
    }

    fn develop(&self, develop: &mut Node) -> Done {
        on(develop, "watch", |node| {
            items(node, |item| on(item, "path", |path| self.path(path)))
        })
    }

    /// A bare name takes its value from the environment, where that has one.
    fn environment(&self, node: &mut Node) -> Done {
        to_map_or_null(node)?;
        each_entry(node, |entry| {
            if entry.node.is_null()
                && entry.node.tag.is_none()
                && let Some(value) = (self.lookup)(&entry.key)
            {
                entry.node.value = Value::Str(value);
            }
            Ok(())
        })
    }

    fn mount(&self, item: &mut Node) -> Done {
        if let Value::Str(text) = &item.value {
            let short = ShortMount::parse(text).map_err(|message| Diagnostic::at(&item.span, message))?;
            item.value = short.into_value(&item.span);
        }
        on(item, "target", |node| {
            if let Value::Str(target) = &mut node.value {
                *target = scalar::clean(Path::new(target)).to_string_lossy().into_owned();
            }
            Ok(())
        })?;
        let bind = item.get("type").and_then(Node::as_str) == Some("bind");
        if bind {
            on(item, "source", |node| self.path(node))
        } else {
            Ok(())
        }
    }

    /// A volume that is a bind mount in disguise has a path among its options.
    fn bound_volume(&self, volume: &mut Node) -> Done {
        let local = volume
            .get("driver")
            .and_then(Node::as_str)
            .is_none_or(|driver| driver == "local");
        let option = |key: &str| {
            volume
                .get("driver_opts")
                .and_then(|options| options.get(key))
                .and_then(Node::as_str)
        };
        let bound = option("o").is_some_and(|o| o.split(',').any(|word| word == "bind"));
        if local && bound {
            on(volume, "driver_opts", |o| on(o, "device", |node| self.path(node)))
        } else {
            Ok(())
        }
    }
}

fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/") || text.starts_with("service:")
}

/// Runs `change` on the value of `key`, where there is one to change.
fn on(node: &mut Node, key: &str, change: impl FnOnce(&mut Node) -> Done) -> Done {
    let Value::Map(entries) = &mut node.value else {
        return Ok(());
    };
    match entries.iter_mut().find(|entry| entry.key == key) {
        Some(entry) if !entry.node.is_null() => change(&mut entry.node),
        _ => Ok(()),
    }
}

/// Runs `change` on each member of a section, `x-…` left out.
fn each(root: &mut Node, section: &str, mut change: impl FnMut(&mut Node) -> Done) -> Done {
    on(root, section, |node| {
        each_entry(node, |entry| {
            if entry.key.starts_with("x-") {
                Ok(())
            } else {
                change(&mut entry.node)
            }
        })
    })
}

fn each_entry(node: &mut Node, change: impl FnMut(&mut Entry) -> Done) -> Done {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().try_for_each(change),
        _ => Ok(()),
    }
}

fn items(node: &mut Node, change: impl FnMut(&mut Node) -> Done) -> Done {
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().try_for_each(change),
        _ => Err(node.expected("a list")),
    }
}

pub(super) fn entry(key: impl Into<String>, node: Node) -> Entry {
    Entry {
        key: key.into(),
        key_span: node.span.clone(),
        node,
    }
}

fn insert(node: &mut Node, key: &str, value: Node) {
    if let Value::Map(entries) = &mut node.value {
        entries.retain(|entry| entry.key != key);
        entries.push(entry(key, value));
    }
}

fn map_of(pairs: impl IntoIterator<Item = (&'static str, Value)>, span: &Span) -> Value {
    let entries = pairs
        .into_iter()
        .map(|(key, value)| entry(key, Node::new(value, span.clone())));
    Value::Map(entries.collect())
}

/// `name` becomes `{key: name}`.
fn field(node: &mut Node, key: &'static str) -> Done {
    if let Value::Str(text) = &node.value {
        node.value = map_of([(key, Value::Str(text.clone()))], &node.span);
    }
    Ok(())
}

fn to_list(node: &mut Node) -> Done {
    if let Value::Str(_) = node.value {
        let item = Node {
            tag: None,
            ..node.clone()
        };
        node.value = Value::Seq(vec![item]);
    }
    Ok(())
}

/// `[a=1, b]` becomes `{a: "1", b: ""}`; values become texts.
fn to_map(node: &mut Node) -> Done {
    to_map_or_null(node)?;
    each_entry(node, |entry| {
        if entry.node.is_null() && entry.node.tag.is_none() {
            entry.node.value = Value::Str(String::new());
        }
        Ok(())
    })
}

/// The same, but a key without value keeps none.
fn to_map_or_null(node: &mut Node) -> Done {
    if let Value::Seq(items) = &node.value {
        let mut entries: Vec<Entry> = Vec::new();
        for item in items {
            let new = key_value(item)?;
            entries.retain(|known| known.key != new.key);
            entries.push(new);
        }
        node.value = Value::Map(entries);
    }
    each_entry(node, |entry| {
        if entry.node.tag.is_none() {
            entry.node.value = scalar::text(&entry.node)?.map_or(Value::Null, Value::Str);
            entry.node.raw = None;
        }
        Ok(())
    })
}

fn key_value(item: &Node) -> Result<Entry, Diagnostic> {
    let Some(text) = item.as_str() else {
        return Err(item.expected("`key=value`"));
    };
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Value::Str(value.to_owned())),
        None => (text, Value::Null),
    };
    Ok(entry(key, Node::new(value, item.span.clone())))
}

/// `[a, b]` becomes `{a: …, b: …}`.
fn named(node: &mut Node, value: impl Fn(&Span) -> Value) -> Done {
    if let Value::Seq(items) = &node.value {
        let mut entries = Vec::new();
        for item in items {
            let Some(name) = item.as_str() else {
                return Err(item.expected("a name"));
            };
            entries.push(entry(name, Node::new(value(&item.span), item.span.clone())));
        }
        node.value = Value::Map(entries);
    }
    Ok(())
}

fn dependency(span: &Span) -> Value {
    map_of(
        [
            ("condition", Value::Str("service_started".to_owned())),
            ("required", Value::Bool(true)),
        ],
        span,
    )
}

/// `["a:1.2.3.4", "b=::1"]`, or a mapping of one or several addresses: becomes a mapping of lists.
fn hosts(node: &mut Node) -> Done {
    if let Value::Seq(items) = &node.value {
        let mut entries: Vec<Entry> = Vec::new();
        for item in items {
            let (name, address) = host(item)?;
            let address = Node::string(address, item.span.clone());
            match entries.iter_mut().find(|entry| entry.key == name) {
                Some(Entry {
                    node:
                        Node {
                            value: Value::Seq(addresses),
                            ..
                        },
                    ..
                }) => addresses.push(address),
                _ => entries.push(entry(name, Node::new(Value::Seq(vec![address]), item.span.clone()))),
            }
        }
        node.value = Value::Map(entries);
    }
    each_entry(node, |entry| to_list(&mut entry.node))?;
    each_entry(node, |entry| items(&mut entry.node, unbracketed))
}

fn host(item: &Node) -> Result<(String, String), Diagnostic> {
    let pair = item
        .as_str()
        .and_then(|text| text.split_once('=').or_else(|| text.split_once(':')));
    let Some((name, address)) = pair else {
        return Err(item.expected("a host as `name=address`"));
    };
    Ok((name.trim().to_owned(), address.trim().to_owned()))
}

fn unbracketed(node: &mut Node) -> Done {
    if let Value::Str(text) = &mut node.value
        && let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
    {
        *text = inner.to_owned();
    }
    Ok(())
}

fn device(item: &mut Node) -> Done {
    let Value::Str(text) = &item.value else { return Ok(()) };
    let mut parts = text.split(':');
    let source = parts.next().unwrap_or_default().to_owned();
    let target = parts.next().unwrap_or(&source).to_owned();
    let permissions = parts.next().unwrap_or("rwm").to_owned();
    if parts.next().is_some() {
        return Err(Diagnostic::at(
            &item.span,
            format!("`{text}` has too many colons for a device"),
        ));
    }
    let pairs = [("source", source), ("target", target), ("permissions", permissions)];
    item.value = map_of(pairs.map(|(key, text)| (key, Value::Str(text))), &item.span);
    Ok(())
}

fn gpus(node: &mut Node) -> Done {
    match node.as_str() {
        Some("all") => {
            let all = map_of([("count", Value::Str("all".to_owned()))], &node.span);
            node.value = Value::Seq(vec![Node::new(all, node.span.clone())]);
            Ok(())
        }
        Some(text) => Err(Diagnostic::at(
            &node.span,
            format!("`{text}` is neither `all` nor a list of devices"),
        )),
        None => Ok(()),
    }
}

/// A volume in its short form: `[SOURCE:]TARGET[:OPTIONS]`.
#[derive(Default)]
struct ShortMount {
    source: Option<String>,
    target: String,
    options: Vec<String>,
}

impl ShortMount {
    fn parse(text: &str) -> Result<Self, String> {
        let parts = mount_parts(text);
        if parts.iter().any(String::is_empty) {
            return Err(format!("`{text}` has an empty part between its colons"));
        }
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_default();
        let Some(target) = parts.next() else {
            return Ok(Self {
                target: first,
                ..Self::default()
            });
        };
        let options = parts
            .next()
            .map(|options| options.split(',').map(str::to_owned).collect());
        if parts.next().is_some() {
            return Err(format!("`{text}` has too many colons for a volume"));
        }
        Ok(Self {
            source: Some(first),
            target,
            options: options.unwrap_or_default(),
        })
    }

    fn is_path(&self) -> bool {
        let source = self.source.as_deref().unwrap_or_default();
        source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || is_drive(source)
    }

    fn into_value(self, span: &Span) -> Value {
        let text = |text: &str| Value::Str(text.to_owned());
        let path = self.is_path();
        let kind = if path { "bind" } else { "volume" };
        let mut pairs = vec![("type", text(kind))];
        pairs.extend(self.source.as_deref().map(|source| ("source", text(source))));
        pairs.push(("target", text(&self.target)));
        let has = |word: &str| {
            self.options
                .iter()
                .rev()
                .find(|option| ["ro", "rw"].contains(&option.as_str()))
                == Some(&word.to_owned())
        };
        if has("ro") {
            pairs.push(("read_only", Value::Bool(true)));
        }
        let bind = self.bind_options(path);
        if !bind.is_empty() {
            pairs.push(("bind", map_of(bind, span)));
        }
        let nocopy = self.options.iter().any(|option| option == "nocopy");
        // Compose looks no closer at two characters.
        let tiny = self.source.is_none() && self.target.len() <= 2;
        if nocopy || !(path || tiny) {
            let options = nocopy.then_some(("nocopy", Value::Bool(true)));
            pairs.push(("volume", map_of(options, span)));
        }
        map_of(pairs, span)
    }

    fn bind_options(&self, path: bool) -> Vec<(&'static str, Value)> {
        let mut pairs = Vec::new();
        if path {
            pairs.push(("create_host_path", Value::Bool(true)));
        }
        for option in &self.options {
            match option.as_str() {
                "z" | "Z" => pairs.push(("selinux", Value::Str(option.clone()))),
                "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                    pairs.push(("propagation", Value::Str(option.clone())));
                }
                _ => {}
            }
        }
        pairs
    }
}

fn is_drive(source: &str) -> bool {
    let bytes = source.as_bytes();
    bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

/// Split at colons; one after a single letter belongs to a Windows drive, as Compose has it.
fn mount_parts(text: &str) -> Vec<String> {
    if text.len() <= 2 {
        return vec![text.to_owned()];
    }
    let mut parts = vec![String::new()];
    for c in text.chars() {
        let last = parts.len() - 1;
        let part = &mut parts[last];
        let drive = part.len() == 1 && part.starts_with(|c: char| c.is_ascii_alphabetic());
        if c == ':' && !drive {
            parts.push(String::new())
        } else {
            part.push(c)
        }
    }
    parts
}

/// Ports in their short form become one entry for each port of a range.
fn ports(node: &mut Node) -> Done {
    let Value::Seq(items) = &node.value else {
        return Err(node.expected("a list of ports"));
    };
    let mut all = Vec::new();
    for item in items {
        match (&item.value, scalar::text(item)) {
            (Value::Map(_) | Value::Null, _) => all.push(item.clone()),
            (_, Ok(Some(text))) => {
                let expanded = super::port::expand(&text).map_err(|message| Diagnostic::at(&item.span, message))?;
                all.extend(expanded.into_iter().map(|port| port.into_node(&item.span)));
            }
            _ if item.tag.as_deref() == Some(Tag::RESET) => {}
            _ => return Err(item.expected("a port")),
        }
    }
    node.value = Value::Seq(all);
    Ok(())
}

impl super::port::ShortPort {
    fn into_node(self, span: &Span) -> Node {
        let text = |text: String| Value::Str(text);
        let mut pairs = vec![("mode", text("ingress".to_owned()))];
        pairs.extend(self.host_ip.map(|address| ("host_ip", text(address))));
        pairs.push(("target", Value::Int(i64::from(self.target))));
        pairs.extend(self.published.map(|published| ("published", text(published))));
        pairs.push(("protocol", text(self.protocol)));
        Node::new(map_of(pairs, span), span.clone())
    }
}

/// Whether two trees say the same, wherever they stand and in whatever order.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Seq(a), Value::Seq(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            let in_b = |entry: &Entry| {
                b.iter()
                    .any(|other| other.key == entry.key && same(&entry.node, &other.node))
            };
            a.len() == b.len() && a.iter().all(in_b)
        }
        (Value::Null, Value::Null) => true,
        _ => a.as_text().is_some() && a.as_text() == b.as_text(),
    }
}
