//! The line of a log that says why.

use std::sync::LazyLock;

use regex::Regex;

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
/// What its writer calls a warning or less explains only where nothing else does. Time, process and client are left out.
pub fn first_fatal(lines: &[String]) -> Option<String> {
    let at = lines
        .iter()
        .position(|line| is_fatal(line) && !is_mild(line))
        .or_else(|| lines.iter().position(|line| is_fatal(line)))?;
    // A log call that prints an exception says what was done when it happened; the exception says why.
    let traceback = lines
        .iter()
        .skip(at)
        .take(TRACEBACK_WITHIN)
        .position(|line| line.contains(TRACEBACK));
    let line = traceback
        .and_then(|after| end_of_traceback(&lines[at + after + 1..]))
        .unwrap_or_else(|| lines[at].clone());
    Some(shorten(message(&line)))
}

/// The last words of a process that has ended: why, where nothing in its log sounds fatal.
pub fn last_words(lines: &[String]) -> Option<String> {
    let last = lines.iter().rev().find(|line| !line.trim().is_empty())?;
    Some(shorten(message(last)))
}

static LEVEL: LazyLock<Regex> = LazyLock::new(|| {
    let mild = "warn|warning|note|notice|info|debug|trace";
    let grave = "err|error|fatal|crit|critical|panic|alert|emerg|emergency";
    // In brackets, as a value, before a colon, or in capitals: as writers of logs mark it, and not in a sentence.
    let marked = |words: &str| format!(r"\[(?:\w+:)?(?:{words})\]|\blevel\W{{1,3}}(?:{words})\b|\b(?:{words}):");
    let capitals = |words: &str| words.to_uppercase();
    let (mild_capitals, grave_capitals) = (capitals(mild), capitals(grave));
    let (mild, grave) = (marked(mild), marked(grave));
    let pattern =
        format!(r"(?P<mild>(?i:{mild})|\b(?:{mild_capitals})\b)|(?P<grave>(?i:{grave})|\b(?:{grave_capitals})\b)");
    Regex::new(&pattern).expect("a pattern of ours")
});

/// Its writer calls it a warning, or less: the first level that it names.
fn is_mild(line: &str) -> bool {
    LEVEL.captures(line).is_some_and(|found| found.name("mild").is_some())
}

static STAMP: LazyLock<Regex> = LazyLock::new(|| {
    let time = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d\b))?";
    let month = "[A-Z][a-z]{2}";
    let dates = [
        format!(r"\d{{4}}[-/]\d\d[-/]\d\d[T ] ?{time}"),
        format!(r"(?:{month} )?{month} +\d+ {time}(?: \d{{4}})?"),
        format!(r"\d{{1,2}}[-/]{month}[-/]\d{{4}}[: ]{time}"),
        time.to_owned(),
        // The directory's own: seconds in hexadecimal, a thread.
        r"[0-9a-f]{8}(?:\.[0-9a-f]{8})? 0x[0-9a-f]+".to_owned(),
        // A process, or a process and a thread.
        r"(?:pid |client )?\d+(?::tid \d+)?\]".to_owned(),
        r"\d+ \[".to_owned(),
    ];
    Regex::new(&format!(r"^[\[(]?(?:{})[\])]?[:,]?\s*", dates.join("|"))).expect("a pattern of ours")
});

static PEER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\[(?:pid|client|tid) [^\]]*\]\s*|,? ?\bclient: [^,\s]+|\b\d+#\d+: (?:\*\d+ )?";
    Regex::new(pattern).expect("a pattern of ours")
});

/// What a line says, without when, by which process and for whom: those differ from run to run.
fn message(line: &str) -> String {
    let line = PEER.replace_all(line.trim(), "").into_owned();
    let mut rest = line.as_str();
    while let Some(stamp) = STAMP.find(rest).filter(|stamp| stamp.end() < rest.len()) {
        let bracket = stamp.as_str().trim_end().ends_with('[');
        rest = &rest[if bracket {
            stamp.as_str().trim_end().len() - 1
        } else {
            stamp.end()
        }..];
    }
    rest.trim().to_owned()
}

const TRACEBACK: &str = "Traceback (most recent call last)";
/// A traceback belongs to a fatal line when it begins at most this many lines after it.
const TRACEBACK_WITHIN: usize = 4;

fn is_fatal(line: &str) -> bool {
    let lower = line.to_lowercase();
    FATAL_WORDS.iter().any(|word| lower.contains(word))
}

/// A traceback ends at its first line that is not indented; a chained one tells its cause first. What the other stream said
/// may stand within it: then more of it follows.
fn end_of_traceback(lines: &[String]) -> Option<String> {
    let is_indented = |line: &String| line.starts_with([' ', '\t']);
    let goes_on = |at: usize| lines.get(at + 1).is_some_and(is_indented);
    let ends = || {
        let numbered = lines.iter().enumerate();
        numbered.filter(|(_, line)| !is_indented(line) && !line.trim().is_empty())
    };
    let end = ends().find(|(at, _)| !goes_on(*at)).or_else(|| ends().next());
    end.map(|(_, line)| line.clone())
}

fn shorten(line: String) -> String {
    const LIMIT: usize = 300;
    if line.chars().count() <= LIMIT {
        line
    } else {
        line.chars().take(LIMIT).chain("…".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{first_fatal, last_words};

    fn first(text: &str) -> Option<String> {
        first_fatal(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_another_stream_says_within_a_traceback_is_not_its_end() {
        let text = "Traceback (most recent call last):\n  File \"/app/app.py\", line 141, in <module>\nround begins\n    \
                    if broken:\nRuntimeError: cannot read crontab\nround begins\n";
        assert_eq!(first(text).as_deref(), Some("RuntimeError: cannot read crontab"));
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
    fn an_error_explains_before_a_warning_and_a_warning_before_nothing() {
        let warning = "2026-11-29  5:48:20 0 [Warning] Could not increase number of max_open_files to more than 1024";
        let error = "2026-11-29  5:48:21 0 [ERROR] InnoDB: Unsupported redo log format";
        assert_eq!(
            first(&format!("{warning}\n{error}")).as_deref(),
            Some("[ERROR] InnoDB: Unsupported redo log format")
        );
        assert_eq!(
            first(warning).as_deref(),
            Some("[Warning] Could not increase number of max_open_files to more than 1024")
        );
        for mild in [
            "WARNING: no table found",
            "level=warn msg=\"connection refused\"",
            "INFO retry failed",
        ] {
            let log = format!("{mild}\nthe cache cannot be opened");
            assert_eq!(first(&log).as_deref(), Some("the cache cannot be opened"), "{mild}");
        }
        // A word in a sentence is no level.
        let log = "the warning lamp failed\nERROR later";
        assert_eq!(first(log).as_deref(), Some("the warning lamp failed"));
    }

    #[test]
    fn time_process_and_client_are_left_out_of_a_cause() {
        for (line, says) in [
            (
                "[Sun Nov 29 05:48:20.123456 2026] [php:error] [pid 17:tid 140] [client 10.0.0.7:4242] PHP Fatal error: x",
                "[php:error] PHP Fatal error: x",
            ),
            (
                "2026/11/29 05:48:20 [error] 7#7: *1 connect() failed, client: 10.0.0.7, server: _",
                "[error] connect() failed, server: _",
            ),
            (
                "2026-11-29 05:48:20.123 UTC [57] FATAL:  role \"app\" does not exist, which failed",
                "FATAL:  role \"app\" does not exist, which failed",
            ),
            ("[29-Nov-2026 05:48:20 UTC] PHP Fatal error:  x", "PHP Fatal error:  x"),
            (
                "692a8b3c.1a2b3c4d 0x7f00aa conn=1003 op=0 unsupported extended operation",
                "conn=1003 op=0 unsupported extended operation",
            ),
            ("Nov 29 05:48:20 web app: cannot start", "web app: cannot start"),
            (
                "[2026-11-29 05:48:20 +0000] [9] [ERROR] worker failed",
                "[ERROR] worker failed",
            ),
            ("time 12:00:01 failed", "time 12:00:01 failed"),
        ] {
            assert_eq!(first(line).as_deref(), Some(says), "{line}");
        }
    }

    #[test]
    fn the_last_words_are_the_last_that_were_said() {
        let log = ["starting", "MAIL_HOST must be set", ""].map(str::to_owned);
        assert_eq!(last_words(&log).as_deref(), Some("MAIL_HOST must be set"));
        assert_eq!(last_words(&[]), None);
    }

    #[test]
    fn a_log_without_a_fatal_line_has_no_cause() {
        assert_eq!(first("INFO up\nINFO ready"), None);
    }
}
