//! Files that the configuration names: paths relative to it, texts, and the globs of `files`.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::file::{self, MOST_TEXT};
use crate::yaml::span::{Source, Span};

/// Reads a text file. `name` is how the user wrote it at `span`.
pub(super) fn source(path: &Path, name: &str, span: &Span) -> Result<Arc<Source>, Diagnostic> {
    let bytes = file::bytes(path, MOST_TEXT).map_err(|error| unreadable(name, &error, span))?;
    text(path, bytes).map(Arc::new)
}

/// A file's content as text. What is not UTF-8 is reported at its first wrong byte.
pub(super) fn text(path: &Path, bytes: Vec<u8>) -> Result<Source, Diagnostic> {
    let path = path.to_owned();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source {
            path,
            text: plain(text),
        }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let span = Span {
                source: Arc::new(Source { path, text }),
                range: at..at + 1,
            };
            Err(Diagnostic::at(&span, "not UTF-8 text").help("save the file as UTF-8"))
        }
    }
}

/// Without a byte order mark, lines ended as on Unix: places are counted in what is left.
fn plain(text: String) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.replace("\r\n", "\n"),
        None if text.contains("\r\n") => text.replace("\r\n", "\n"),
        None => text,
    }
}

/// The error of a file that cannot be read.
pub(super) fn unreadable(name: &str, error: &std::io::Error, span: &Span) -> Diagnostic {
    match error.kind() {
        ErrorKind::NotFound => missing(name, span),
        _ => Diagnostic::at(span, format!("`{name}` cannot be read: {error}")),
    }
}

/// The error of a path that leads nowhere.
pub(super) fn missing(name: &str, span: &Span) -> Diagnostic {
    Diagnostic::at(span, format!("`{name}` does not exist")).help("paths are relative to the file they stand in")
}

/// The same path from the root, without `.` in it. Links and `..` stay: they are the file system's business.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

/// Whether a path is a glob.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The files that a glob matches below `folder`, sorted; the folder's own name is taken as it is.
pub(super) fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let whole = match Path::new(pattern).is_absolute() {
        true => pattern.to_owned(),
        false => format!("{}/{pattern}", glob::Pattern::escape(&folder.to_string_lossy())),
    };
    let paths = glob::glob(&whole).map_err(|error| format!("is not a glob: {}", error.msg))?;
    let mut found = vec![];
    for path in paths {
        let path = path.map_err(|error| format!("cannot be expanded: {error}"))?;
        if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}
