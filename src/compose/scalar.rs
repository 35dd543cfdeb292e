//! What single values mean: scalars as Go's YAML reader types them, bytes, durations, command lines, paths.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::tree::{Node, Value};

/// The value of a scalar as Compose sees it. Its YAML reader knows more than the core schema: `0440` is octal, `0b1`
/// is binary, `1_000` is a thousand.
pub(super) fn value(node: &Node) -> Value {
    match (&node.value, &node.raw) {
        (Value::Int(_) | Value::Float(_) | Value::Str(_), Some(raw)) => retyped(raw).unwrap_or(node.value.clone()),
        _ => node.value.clone(),
    }
}

fn retyped(raw: &str) -> Option<Value> {
    if !raw.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')) {
        return None;
    }
    let plain = raw.replace('_', "");
    let (negative, digits) = match plain.strip_prefix(['+', '-']) {
        Some(digits) => (plain.starts_with('-'), digits),
        None => (false, plain.as_str()),
    };
    let (radix, digits) = radix(digits);
    if radix != 10 || plain != raw {
        let number = i64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| !digits.starts_with(['+', '-']));
        return number.map(|number| Value::Int(if negative { -number } else { number }));
    }
    None
}

fn radix(digits: &str) -> (u32, &str) {
    let lower = digits.to_ascii_lowercase();
    match lower.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') && digits[1..].chars().all(|c| c.is_digit(8)) => {
            (8, &digits[1..])
        }
        _ => (10, digits),
    }
}

/// A scalar where text is wanted and numbers are allowed: as Go prints it. Null is `None`.
pub(super) fn text(node: &Node) -> Result<Option<String>, Diagnostic> {
    Ok(match value(node) {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        // Too large for an integer: Go still counts on, without a fraction.
        Value::Float(_) if is_long_integer(node) => node.raw.clone(),
        Value::Float(value) => Some(go_float(value)),
        Value::Str(value) => Some(value),
        Value::Seq(_) | Value::Map(_) => return Err(node.expected("a single value")),
    })
}

fn is_long_integer(node: &Node) -> bool {
    node.raw.as_ref().is_some_and(|raw| raw.parse::<u64>().is_ok())
}

/// A float as Go's `%v`: shortest digits, with an exponent below -4 and from 6 on.
fn go_float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A size: a number of bytes, or text with a unit of 1024 (`64m`, `1.5GiB`).
pub(super) fn bytes(node: &Node) -> Result<i64, Diagnostic> {
    match value(node) {
        Value::Int(value) => Ok(value),
        Value::Float(value) => Ok(value as i64),
        Value::Str(text) => parse_bytes(&text).ok_or_else(|| {
            Diagnostic::at(&node.span, format!("`{text}` is not a size"))
                .help("a number with one of the units b, k, m, g, t, p: `512m`")
        }),
        _ => Err(node.expected("a size such as `512m`")),
    }
}

fn parse_bytes(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(number);
    }
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..unit_at].parse().ok()?;
    let unit = text[unit_at..]
        .strip_prefix(' ')
        .unwrap_or(&text[unit_at..])
        .to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some((number * 1024f64.powi(power)) as i64)
}

/// A time span: `1m30s`, `500ms`, `1.5h`, `2d`.
pub(super) fn duration(node: &Node) -> Result<Duration, Diagnostic> {
    let invalid = |text: &str| {
        Diagnostic::at(&node.span, format!("`{text}` is not a duration"))
            .help("numbers with one of the units us, ms, s, m, h, d: `1m30s`")
    };
    match value(node) {
        Value::Str(text) => parse_duration(&text).ok_or_else(|| invalid(&text)),
        Value::Int(0) => Ok(Duration::ZERO),
        Value::Int(number) => Err(invalid(&number.to_string())),
        _ => Err(node.expected("a duration such as `30s`")),
    }
}

/// A duration as Compose writes it, `1m30s`; `None` where the text is none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..number_end].parse().ok()?;
        rest = &rest[number_end..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += number * unit_seconds(&rest[..unit_end])?;
        rest = &rest[unit_end..];
    }
    // Counted in nanoseconds, so that 0.1 s stays 100 ms.
    let nanoseconds = (seconds * 1e9).round();
    (!text.is_empty() && nanoseconds <= u64::MAX as f64).then(|| Duration::from_nanos(nanoseconds as u64))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    })
}

/// A duration as Go prints it: `1m30s`, `1.5s`, `100ms`.
pub(super) fn go_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let fraction = |unit: f64| nanoseconds as f64 / unit;
    match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{nanoseconds}ns"),
        1_000..1_000_000 => return format!("{}µs", fraction(1e3)),
        1_000_000..1_000_000_000 => return format!("{}ms", fraction(1e6)),
        _ => {}
    }
    let whole = duration.as_secs();
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    let seconds = (whole % 60) as f64 + f64::from(duration.subsec_nanos()) / 1e9;
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Splits a command line as Compose does: quotes and backslashes, no expansion. An unquoted `;`, `&`, `|`, `<` or `>`
/// ends the command. `None` where a quote is open, or for an unquoted bracket.
pub(super) fn split_command(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = Word::default();
    let mut quote = Quote::None;
    let mut escaped = false;
    for c in line.chars() {
        if escaped {
            word.push(c);
            escaped = false;
            continue;
        }
        match (c, quote) {
            ('\\', Quote::Single) => word.push_inside(c),
            ('\\', _) => escaped = true,
            (' ' | '\t' | '\r' | '\n', Quote::None) => word.end(&mut words),
            (' ' | '\t' | '\r' | '\n', _) => word.push_inside(c),
            ('"', Quote::None) => quote = Quote::Double,
            ('"', Quote::Double) | ('\'', Quote::Single) => {
                word.begun = true;
                quote = Quote::None;
            }
            ('\'', Quote::None) => quote = Quote::Single,
            ('`', Quote::None) => {
                quote = Quote::Back;
                word.push(c);
            }
            ('`', Quote::Back) => {
                quote = Quote::None;
                word.push(c);
            }
            ('(', Quote::None) if word.text.ends_with('$') => quote = Quote::Dollar,
            ('(' | ')', Quote::None) | ('(', Quote::Dollar) => return None,
            (')', Quote::Dollar) => {
                quote = Quote::None;
                word.push(c);
            }
            (';' | '&' | '|' | '<' | '>', Quote::None) => {
                if c == '>' && word.text.starts_with(|c: char| c.is_ascii_digit()) {
                    word.begun = false;
                }
                break;
            }
            _ => word.push(c),
        }
    }
    word.end(&mut words);
    (!escaped && quote == Quote::None).then_some(words)
}

#[derive(Clone, Copy, PartialEq)]
enum Quote {
    None,
    Single,
    Double,
    Back,
    Dollar,
}

/// The word that is being read; an empty pair of quotes begins one too.
#[derive(Default)]
struct Word {
    text: String,
    begun: bool,
}

impl Word {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.begun = true;
    }

    fn push_inside(&mut self, c: char) {
        self.text.push(c);
    }

    fn end(&mut self, words: &mut Vec<String>) {
        let text = std::mem::take(&mut self.text);
        if std::mem::take(&mut self.begun) {
            words.push(text);
        }
    }
}

/// `path` as seen from `base`, without `.` and `..`; a leading `~` is `home`.
pub(super) fn absolute(path: &str, base: &Path, home: Option<&str>) -> PathBuf {
    let path = match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => path.to_owned(),
    };
    clean(&base.join(path))
}

/// Takes `.` and `..` out by their letters; symbolic links are not asked.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            Component::ParentDir if out.has_root() => {}
            part => out.push(part),
        }
    }
    if out.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_split_like_composes() {
        let split = |line: &str| split_command(line);
        let words = |list: &[&str]| Some(list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            split("a 'b c' \"d \\\" e\" f\\ g ''"),
            words(&["a", "b c", "d \" e", "f g", ""])
        );
        assert_eq!(split("echo a; b"), words(&["echo", "a"]));
        assert_eq!(split("a 'b"), None);
        assert_eq!(split(""), words(&[]));
    }

    #[test]
    fn durations_read_and_print_like_gos() {
        for (text, printed) in [
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("100ms", "100ms"),
            ("1h", "1h0m0s"),
            ("1d", "24h0m0s"),
            ("0", "0s"),
            ("1m30.5s", "1m30.5s"),
        ] {
            assert_eq!(
                parse_duration(text).map(go_duration).as_deref(),
                Some(printed),
                "{text}"
            );
        }
        for text in ["", "10", "s", "1x", "1.2.3s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, size) in [
            ("64m", 67_108_864),
            ("1.5 GiB", 1_610_612_736),
            ("12", 12),
            ("1kb", 1024),
            ("-1", -1),
        ] {
            assert_eq!(parse_bytes(text), Some(size), "{text}");
        }
        assert_eq!(parse_bytes("1x"), None);
    }

    #[test]
    fn paths_are_cleaned_by_their_letters() {
        let base = Path::new("/p/q");
        assert_eq!(absolute("./a/../b", base, None), Path::new("/p/q/b"));
        assert_eq!(absolute("../../../x", base, None), Path::new("/x"));
        assert_eq!(absolute("~/x", base, Some("/root")), Path::new("/root/x"));
        assert_eq!(absolute("/x/./y", base, None), Path::new("/x/y"));
    }
}
