//! `data.restore`: what production has, from files of the user's or from commands in the mirror.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::super::dump::{self, Packing};
use super::super::grammar;
use super::super::settings::{Dump, Restore, Target};
use super::fields::{Fields, Reader};
use super::files;
use super::structure::is_secret;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::{Entry, Node};

pub(super) fn all(data: &Fields) -> Vec<Restore> {
    let all = data.entries("restore").iter().map(|entry| one(data.reader, entry));
    let (volumes, services): (Vec<Restore>, Vec<Restore>) =
        all.partition(|restore| matches!(restore.into, Target::Volume(_)));
    // A service is started on volumes that have been filled.
    volumes.into_iter().chain(services).collect()
}

fn one(reader: &Reader, entry: &Entry) -> Restore {
    let into = target(reader, entry);
    let (from, through) = match entry.node.as_map() {
        Some(_) if !is_secret(&entry.node) => described(&reader.fields(&entry.node, &grammar::RESTORE), &into),
        _ => (file(reader, &entry.node), None),
    };
    Restore {
        into,
        from,
        through,
        span: entry.key_span.clone(),
    }
}

fn target(reader: &Reader, entry: &Entry) -> Target {
    let target = match entry.key.strip_prefix(Target::VOLUME) {
        Some(name) => Target::Volume(name.trim().to_owned()),
        None => Target::Service(entry.key.clone()),
    };
    if target.name().trim().is_empty() {
        let error = Diagnostic::at(&entry.key_span, "this names neither a service nor a volume");
        reader.refuse(error.help("write a service's name, or `volume:NAME`"));
    }
    target
}

fn described(fields: &Fields, into: &Target) -> (Dump, Option<Vec<String>>) {
    let through = fields.get("through").map(|_| fields.texts("through"));
    if let (Some(node), Target::Volume(_)) = (fields.get("through"), into) {
        let error = Diagnostic::at(&node.span, "nothing runs in a volume that could read it");
        fields
            .reader
            .refuse(error.help("take `through` out: a volume gets the archive's files"));
    }
    let command = fields.texts("command");
    let service = service(fields, into);
    match fields.get("file") {
        Some(node) => (file(fields.reader, node), through),
        None => (
            Dump::Output {
                command,
                service_span: fields.get("service").unwrap_or(fields.node).span.clone(),
                service,
            },
            through,
        ),
    }
}

/// In whose container the command runs.
fn service(fields: &Fields, into: &Target) -> String {
    let named = fields.filled("service");
    let reader = fields.reader;
    match (named, into, fields.get("file"), fields.get("service")) {
        (Some(_), _, Some(_), Some(node)) => {
            let error = Diagnostic::at(&node.span, "a file needs no service: it is read on this machine");
            reader.refuse(error.help("take `service` out"));
            String::new()
        }
        (Some(name), ..) => name,
        (None, Target::Service(name), ..) => name.clone(),
        (None, Target::Volume(_), None, _) => {
            let error = Diagnostic::at(&fields.node.span, "this lacks `service`: where does the command run?");
            reader.refuse(error.help("name a service of production that does not mount the volume"));
            String::new()
        }
        (None, ..) => String::new(),
    }
}

/// A file that is there, can be read and says something. It is read when it is restored, once for each mirror.
fn file(reader: &Reader, node: &Node) -> Dump {
    let (path, name) = (reader.path(node), reader.text(node));
    if !reader.is_blank(node) {
        match looked_at(&path, &name) {
            Ok(()) => {}
            Err(Wrong::Missing) => reader.refuse(files::missing(&name, &node.span)),
            Err(Wrong::Said(what, help)) => reader.refuse_value(node, &what, help),
        }
    }
    Dump::File {
        path: files::absolute(&path),
        name,
    }
}

enum Wrong {
    Missing,
    Said(String, &'static str),
}

fn looked_at(path: &Path, name: &str) -> Result<(), Wrong> {
    let said = |what: &str, help| Wrong::Said(what.to_owned(), help);
    // Before it is opened: to open a pipe is to wait for its writer.
    let facts = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if facts.is_dir() {
        return Err(said(
            "is a folder, not a file",
            "name a file in it, or an archive of it",
        ));
    }
    if !facts.is_file() {
        let help = "it is read once for each mirror of a run: write it to a file first";
        return Err(said("is not a regular file", help));
    }
    let mut head = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let read = file.take(dump::HEAD as u64).read_to_end(&mut head);
    read.map_err(|error| unreadable(&error))?;
    if head.is_empty() {
        return Err(said("is empty", "an empty dump restores nothing: write it again"));
    }
    packed_as_named(&head, name)
}

fn unreadable(error: &std::io::Error) -> Wrong {
    match error.kind() {
        std::io::ErrorKind::NotFound => Wrong::Missing,
        _ => Wrong::Said(
            format!("cannot be read: {error}"),
            "let the user that runs this read it",
        ),
    }
}

fn packed_as_named(head: &[u8], name: &str) -> Result<(), Wrong> {
    let help = "pack it with gzip or zstd, or not at all";
    match (dump::packing(head), dump::packing_by_name(name)) {
        (Err(packer), _) => Err(Wrong::Said(format!("is packed by {packer}, which is not read"), help)),
        (Ok(found), Some(named)) if found != named => {
            let what = match named {
                Packing::Gzip => "gzip",
                Packing::Zstd | Packing::Plain => "zstd",
            };
            Err(Wrong::Said(
                format!("is not what {what} writes, as its name says"),
                help,
            ))
        }
        (Ok(_), _) => Ok(()),
    }
}
