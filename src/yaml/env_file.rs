//! Env files: the dotenv format as `docker compose --env-file` reads it, and `format: raw`.

use std::sync::Arc;

use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::interpolate::{Dialect, interpolate};
use crate::yaml::span::{Source, Span};

/// Longer than any environment can be; lines that double each other would otherwise fill the memory.
const MAX_VALUE: usize = 1 << 20;

/// How a service's env file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Quotes, escapes, comments, `export`, interpolation.
    #[default]
    Dotenv,
    /// `KEY=VALUE` lines in which the value is what stands there.
    Raw,
}

/// The variables of an env file in their order; a name given twice has its last value.
pub type Variables = Vec<(String, String)>;

/// Reads an env file. `lookup` knows what is set outside it: such variables win inside `${…}`, and a
/// line with a bare name takes its value from there, or sets nothing.
pub fn parse(
    source: Arc<Source>,
    format: Format,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Variables, Diagnostic> {
    let reader = Reader {
        source: &source,
        at: bom_length(&source.text),
        lookup,
        variables: vec![],
    };
    match format {
        Format::Dotenv => reader.dotenv(),
        Format::Raw => reader.raw(),
    }
}

/// The same mistake without the line and without what the message quotes of it: either may hold a secret. It stands at the
/// place that names the file, where there is one.
pub fn without_line(error: &Diagnostic, file: &str, named: Option<&Span>) -> Diagnostic {
    let (line, column) = error.span.as_ref().map_or((1, 1), Span::line_column);
    let message = format!("line {line} of `{file}` cannot be read, from column {column} on");
    let hidden = named.map_or_else(
        || Diagnostic::new(message.clone()),
        |span| Diagnostic::at(span, message.clone()),
    );
    hidden.help("see to its quotes, its `${…}` and the name before the `=`; it is not shown, as it may hold a secret")
}

fn bom_length(text: &str) -> usize {
    if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    at: usize,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    variables: Variables,
}

/// What follows a name.
enum Declared {
    Value,
    /// A bare name: its value comes from outside.
    Inherited,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.source.text[self.at..]
    }

    fn error(&self, start: usize, length: usize, message: impl Into<String>) -> Diagnostic {
        let span = Span {
            source: self.source.clone(),
            range: start..start + length,
        };
        Diagnostic::at(&span, message)
    }

    fn set(&mut self, name: String, value: String) {
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            Some(variable) => variable.1 = value,
            None => self.variables.push((name, value)),
        }
    }

    fn dotenv(mut self) -> Result<Variables, Diagnostic> {
        while self.skip_to_statement() {
            let (name, declared) = self.name()?;
            match declared {
                Declared::Inherited => {
                    if let Some(value) = (self.lookup)(&name) {
                        self.set(name, value);
                    }
                }
                Declared::Value => {
                    let value = self.value()?;
                    self.set(name, value);
                }
            }
        }
        Ok(self.variables)
    }

    /// Passes blank lines and comments; whether anything follows them.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return !trimmed.is_empty();
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn name(&mut self) -> Result<(String, Declared), Diagnostic> {
        self.skip_export();
        let (start, rest) = (self.at, self.rest());
        for (offset, c) in rest.char_indices() {
            match c {
                '=' | ':' => return self.declared(start, offset, Declared::Value),
                '\n' => return self.declared(start, offset, Declared::Inherited),
                '_' | '.' | '-' | '[' | ']' => {}
                c if c.is_alphanumeric() || c.is_whitespace() => {}
                c => {
                    let message = format!("`{c}` cannot stand in a variable's name");
                    return Err(self.error(start + offset, c.len_utf8(), message));
                }
            }
        }
        self.declared(start, rest.len(), Declared::Inherited)
    }

    fn skip_export(&mut self) {
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix("export")
            && after.starts_with(char::is_whitespace)
        {
            self.at += rest.len() - after.trim_start().len();
        }
    }

    fn declared(&mut self, start: usize, length: usize, declared: Declared) -> Result<(String, Declared), Diagnostic> {
        let name = self.source.text[start..start + length].trim_end();
        if name.is_empty() {
            return Err(self.error(start, 1, "a value without a variable's name"));
        }
        if name.contains(char::is_whitespace) {
            return Err(self.error(start, length, format!("the name `{name}` contains a space")));
        }
        self.at = (start + length + 1).min(self.source.text.len());
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_blank).len();
        Ok((name.to_owned(), declared))
    }

    fn value(&mut self) -> Result<String, Diagnostic> {
        match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            _ => self.unquoted(),
        }
    }

    fn unquoted(&mut self) -> Result<String, Diagnostic> {
        let (start, rest) = (self.at, self.rest());
        let line = rest.split('\n').next().unwrap_or_default();
        self.at = (start + line.len() + 1).min(self.source.text.len());
        let value = line.split(" #").next().unwrap_or_default().trim_end();
        self.expanded(value, start, line.len())
    }

    fn quoted(&mut self, quote: char) -> Result<String, Diagnostic> {
        let (start, rest) = (self.at, self.rest());
        let mut value = String::new();
        let mut escaped = false;
        for (offset, c) in rest.char_indices().skip(1) {
            match c {
                '\\' if !escaped => escaped = true,
                c if c == quote && !escaped => {
                    self.at = start + offset + 1;
                    return match quote {
                        '"' => self.expanded(&unescaped(&value), start, offset + 1),
                        _ => Ok(value),
                    };
                }
                c => {
                    if escaped && c != quote {
                        value.push('\\');
                    }
                    escaped = false;
                    value.push(c);
                }
            }
        }
        let line = rest.split('\n').next().unwrap_or_default();
        Err(self.error(start, line.len(), format!("the quote {quote} is not closed")))
    }

    fn expanded(&self, value: &str, start: usize, length: usize) -> Result<String, Diagnostic> {
        let own = |name: &str| {
            let known = self.variables.iter().find(|(known, _)| known == name);
            known.map(|(_, value)| value.clone())
        };
        let lookup = |name: &str| (self.lookup)(name).or_else(|| own(name));
        let text = interpolate(value, Dialect::Compose, &lookup)
            .map(|done| done.text)
            .map_err(|message| self.error(start, length, message))?;
        if text.len() > MAX_VALUE {
            return Err(self.error(start, length, "this value is longer than 1 MiB"));
        }
        Ok(text)
    }

    fn raw(mut self) -> Result<Variables, Diagnostic> {
        let mut start = self.at;
        for line in self.rest().split('\n') {
            self.raw_line(line.strip_suffix('\r').unwrap_or(line), start)?;
            start += line.len() + 1;
        }
        Ok(self.variables)
    }

    fn raw_line(&mut self, line: &str, start: usize) -> Result<(), Diagnostic> {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, (self.lookup)(line)),
        };
        if name.is_empty() {
            return Err(self.error(start, line.len(), "a value without a variable's name"));
        }
        if name.contains(char::is_whitespace) {
            return Err(self.error(start, line.len(), format!("the name `{name}` contains a space")));
        }
        if let Some(value) = value {
            self.set(name.to_owned(), value);
        }
        Ok(())
    }
}

/// A space that does not end the line.
fn is_blank(c: char) -> bool {
    c != '\n' && c.is_whitespace()
}

/// The escapes of a double-quoted value. `\$` becomes `$$`, which interpolation makes a `$` again.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = escape(&rest[at + 1..], &mut out);
    }
    out.push_str(rest);
    out
}

/// Writes what the escape after a backslash means, returns what follows it.
fn escape<'t>(after: &'t str, out: &mut String) -> &'t str {
    let simple = match after.chars().next() {
        Some('a') => "\u{7}",
        Some('b') => "\u{8}",
        Some('c') => "\\c",
        Some('f') => "\u{c}",
        Some('n') => "\n",
        Some('r') => "\r",
        Some('t') => "\t",
        Some('v') => "\u{b}",
        Some('$') => "$$",
        Some('"') => "\"",
        Some('\\') => "\\",
        Some('0') => return octal(after, out),
        _ => {
            out.push('\\');
            return after;
        }
    };
    out.push_str(simple);
    &after[1..]
}

/// `\0NNN`: a byte in octal; anything shorter stays as it is.
fn octal<'t>(after: &'t str, out: &mut String) -> &'t str {
    let digits = after.get(1..4).filter(|digits| digits.chars().all(|c| c.is_digit(8)));
    match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
        Some(byte) => {
            out.push(char::from(byte));
            &after[4..]
        }
        None => {
            out.push_str("\\0");
            &after[1..]
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn outside(name: &str) -> Option<String> {
        (name == "OUTSIDE").then(|| "outer".to_owned())
    }

    fn read(text: &str, format: Format) -> Result<Variables, Diagnostic> {
        let source = Source {
            path: PathBuf::from(".env"),
            text: text.to_owned(),
        };
        parse(Arc::new(source), format, &outside)
    }

    fn dotenv(text: &str) -> Variables {
        read(text, Format::Dotenv).expect(text)
    }

    fn one(text: &str) -> String {
        dotenv(text).pop().expect(text).1
    }

    #[test]
    fn values_lose_comments_and_outer_spaces_only() {
        assert_eq!(one("A=b c   # comment"), "b c");
        assert_eq!(one("A=b#c"), "b#c");
        assert_eq!(one("A =  b  "), "b");
        assert_eq!(one("A: yaml style"), "yaml style");
        assert_eq!(one("export A=b"), "b");
        assert_eq!(one("A="), "");
        assert_eq!(one("A=b\r\n"), "b");
        assert_eq!(one("\u{feff}A=b"), "b");
    }

    #[test]
    fn quotes_keep_lines_and_only_double_ones_expand() {
        assert_eq!(one(r"A='it\'s'"), "it's");
        assert_eq!(one("A='$B \\n #' # comment"), "$B \\n #");
        assert_eq!(
            one("A=\"x\\ny\\tz \\$B \\\"q\\\" # in\" # out"),
            "x\ny\tz $B \"q\" # in"
        );
        assert_eq!(one("A=\"two\nlines\""), "two\nlines");
    }

    #[test]
    fn variables_see_the_outside_first_and_then_earlier_lines() {
        assert_eq!(one("A=1\nB=${A}-$OUTSIDE-${NONE:-x}"), "1-outer-x");
        assert_eq!(one("OUTSIDE=inner\nB=$OUTSIDE"), "outer");
        assert_eq!(dotenv("OUTSIDE\nNONE\n"), [("OUTSIDE".to_owned(), "outer".to_owned())]);
    }

    #[test]
    fn errors_have_a_line_and_a_column() {
        let report = read("A=1\nB=\"x\n", Format::Dotenv)
            .expect_err("open quote")
            .to_string();
        assert!(report.contains(".env:2:3"), "{report}");
        assert!(read("A B=1", Format::Dotenv).is_err());
        assert!(read("A%=1", Format::Dotenv).is_err());
        assert!(read("=1", Format::Dotenv).is_err());
    }

    #[test]
    fn raw_values_are_what_stands_there() {
        let text = "# comment\n A='$B' # kept \nOUTSIDE\nNONE\n";
        let expected =
            [("A", "'$B' # kept "), ("OUTSIDE", "outer")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(text, Format::Raw).expect("raw"), expected);
    }
}
