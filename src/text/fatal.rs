//! The line of a log that says why.

const FATAL_WORDS: [&str; 15] = [
    "fatal",
    "panic",
    "error",
    "exception",
    "refused",
    "traceback",
    "cannot",
    "could not",
    "not found",
    "failed",
    "invalid",
    "denied",
    "missing",
    "unable to",
    "unsupported",
];

/// The first line that says what was fatal: of a Python traceback its last line, else the first line with a word for it.
pub fn first_fatal(lines: &[String]) -> Option<String> {
    let at = lines.iter().position(|line| is_fatal(line))?;
    // A log call that prints an exception says what was done when it happened; the exception says why.
    let traceback = lines
        .iter()
        .skip(at)
        .take(TRACEBACK_WITHIN)
        .position(|line| line.contains(TRACEBACK));
    let line = traceback
        .and_then(|after| end_of_traceback(&lines[at + after + 1..]))
        .unwrap_or_else(|| lines[at].clone());
    Some(shorten(line.trim()))
}

const TRACEBACK: &str = "Traceback (most recent call last)";
/// A traceback belongs to a fatal line when it begins at most this many lines after it.
const TRACEBACK_WITHIN: usize = 4;

fn is_fatal(line: &str) -> bool {
    let lower = line.to_lowercase();
    FATAL_WORDS.iter().any(|word| lower.contains(word))
}

/// A traceback ends at its first line that is not indented; a chained one tells its cause first.
fn end_of_traceback(lines: &[String]) -> Option<String> {
    lines
        .iter()
        .find(|line| !line.starts_with([' ', '\t']) && !line.trim().is_empty())
        .cloned()
}

fn shorten(line: &str) -> String {
    const LIMIT: usize = 300;
    if line.chars().count() <= LIMIT {
        line.to_owned()
    } else {
        line.chars().take(LIMIT).chain("…".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::first_fatal;

    fn first(text: &str) -> Option<String> {
        first_fatal(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_fatal_line_is_the_cause_and_not_its_consequences() {
        let log = "INFO up\nFATAL: SESSION_URL is not set\nERROR could not close the pool";
        assert_eq!(first(log).as_deref(), Some("FATAL: SESSION_URL is not set"));
    }

    #[test]
    fn of_a_traceback_the_exception_is_the_cause() {
        let log = "ERROR Exception on /login [GET]\nTraceback (most recent call last):\n  File \"x\"\n    call()\nHTTPError: 404 Not Found\nmore";
        assert_eq!(first(log).as_deref(), Some("HTTPError: 404 Not Found"));
    }

    #[test]
    fn a_log_without_a_fatal_line_has_no_cause() {
        assert_eq!(first("INFO up\nINFO ready"), None);
    }
}
