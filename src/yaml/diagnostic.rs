//! Errors that point into a file: what is wrong, where, and the way out.
//!
//! ```text
//! error: unknown key `enviroment`
//!  --> compose.yaml:4:5
//!   |
//! 4 |     enviroment: {A: b}
//!   |     ^^^^^^^^^^
//!   |
//!   = help: did you mean `environment`?
//! ```

use std::fmt;
use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::yaml::span::Span;

/// One mistake in a configuration file, with its place and its remedy.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// What is wrong: a lower-case fragment, values in backticks.
    pub message: String,
    /// Where; `None` for what has no place in a file, such as a file that is not there.
    pub span: Option<Span>,
    /// A remark under the marked text.
    pub label: Option<String>,
    /// The way out.
    pub help: Option<String>,
    /// The variable that must be set and is not, where that is what is wrong.
    pub required: Option<String>,
}

impl Diagnostic {
    /// A mistake that has no place in a file.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            label: None,
            help: None,
            required: None,
        }
    }

    /// A mistake at a place in a file.
    pub fn at(span: &Span, message: impl Into<String>) -> Self {
        Self {
            span: Some(span.clone()),
            ..Self::new(message)
        }
    }

    /// Adds the way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a remark under the marked text.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// A key that nobody knows, with the nearest one that is known.
    pub fn unknown_key<'a>(span: &Span, key: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let error = Self::at(span, format!("unknown key `{key}`"));
        match nearest(key, known) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    /// The place as `file:line:column`, where there is one.
    pub fn place(&self) -> Option<String> {
        let span = self.span.as_ref()?;
        let (line, column) = span.line_column();
        Some(format!("{}:{line}:{column}", display_path(&span.source.path)))
    }

    fn render(&self) -> String {
        let title = sanitised(&self.message);
        let label = self.label.as_deref().map(sanitised);
        let help = self.help.as_deref().map(sanitised);
        let place = self.span.as_ref().map(Shown::of);
        let mut group = Group::with_title(Level::ERROR.primary_title(title));
        if let Some(place) = &place {
            let mut mark = AnnotationKind::Primary.span(place.range.clone());
            if let Some(label) = label {
                mark = mark.label(label);
            }
            group = group.element(Snippet::source(&place.text).path(&place.path).annotation(mark));
        }
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help));
        }
        Renderer::plain().render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl std::error::Error for Diagnostic {}

/// A span made fit for the renderer: text without control characters, a range that shows.
struct Shown {
    path: String,
    text: String,
    range: Range<usize>,
}

impl Shown {
    fn of(span: &Span) -> Self {
        let text = sanitised_in_place(&span.source.text);
        let range = visible(&text, span.range.clone());
        Self {
            path: display_path(&span.source.path),
            text,
            range,
        }
    }
}

/// Only the first line of a range, and never nothing, so that there is something to underline.
fn visible(text: &str, range: Range<usize>) -> Range<usize> {
    let start = floor_boundary(text, range.start);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = floor_boundary(text, range.end).clamp(start, line_end);
    if end > start {
        return start..end;
    }
    let next = text[start..].chars().next().map_or(0, char::len_utf8);
    start..start + next
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn display_path(path: &Path) -> String {
    sanitised(&path.display().to_string())
}

/// Whether a character could act on a terminal or reorder what it shows.
fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text for a message: what acts on a terminal becomes its escaped form.
fn sanitised(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => clean.push(c),
            c if is_hostile(c) => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    clean
}

/// Text for a snippet: of the same length in bytes, because spans point into it.
fn sanitised_in_place(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) && !matches!(c, '\n' | '\t') {
            clean.extend(std::iter::repeat_n('?', c.len_utf8()));
        } else {
            clean.push(c);
        }
    }
    clean
}

/// The known word that `word` was probably meant to be, or none when nothing is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = word.chars().count().div_ceil(3);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance in which two neighbours that changed places count once.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::yaml::span::Source;

    fn span(text: &str, range: Range<usize>) -> Span {
        let source = Source {
            path: PathBuf::from("compose.yaml"),
            text: text.to_owned(),
        };
        Span {
            source: Arc::new(source),
            range,
        }
    }

    #[test]
    fn report_shows_file_line_column_and_the_nearest_key() {
        let span = span("services:\n  web:\n    enviroment: {}\n", 21..31);
        let error = Diagnostic::unknown_key(&span, "enviroment", ["image", "environment"]);
        let report = error.to_string();
        assert!(report.starts_with("error: unknown key `enviroment`\n"), "{report}");
        assert!(report.contains("--> compose.yaml:3:5"), "{report}");
        assert!(report.contains("did you mean `environment`?"), "{report}");
        assert!(!report.contains('\u{1b}'));
    }

    #[test]
    fn control_characters_of_the_file_do_not_reach_the_terminal() {
        let span = span("a: \"\u{1b}]0;x\u{7}\u{9b}1m\u{202e}\"\n", 3..5);
        let error = Diagnostic::at(&span, "bad `\u{1b}[31m`").label("\u{7}").help("\u{9b}");
        let report = error.to_string();
        assert!(report.chars().all(|c| c == '\n' || !is_hostile(c)), "{report:?}");
    }

    #[test]
    fn a_range_beyond_the_text_is_shown_at_its_end() {
        assert!(
            Diagnostic::at(&span("a: b", 4..9), "x")
                .to_string()
                .contains("compose.yaml:1:5")
        );
        assert!(Diagnostic::at(&span("", 0..0), "x").to_string().contains("error: x"));
    }

    #[test]
    fn nearest_finds_swapped_letters_and_refuses_strangers() {
        assert_eq!(nearest("hostnmae", ["hostname", "image"]), Some("hostname"));
        assert_eq!(nearest("colour", ["image", "ports"]), None);
    }
}
