//! Probes: named questions to a container or server, each a command that only reads and a parser of its answer.
//!
//! All of them travel in one shell script ([`script`]) and come back in one output ([`answers`]): one exec a container.
//! The script writes no file, reads no input, gives each command nine seconds and its output a limit. What comes back
//! is hostile: lines that are no answer are no answer, and a fact is one short line without control characters.

mod parse;
mod question;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::facts::{Facts, OwnProbe};

pub use question::{Kind, Parse, Probe};
pub use table::{ALL, AUTH_PRODUCTS};

use question::captured;
pub(super) use question::one_line;

/// Facts of one container: more would be somebody's joke.
const LINES: usize = 20_000;

/// The built-in probe of that name.
pub fn find(name: &str) -> Option<&'static Probe> {
    ALL.iter().find(|probe| probe.name == name)
}

/// The product that people sign in with which an image's path names: a whole word of it, or for names that are part of
/// no other word any part.
pub fn signs_in(path: &str) -> Option<&'static str> {
    let words = || path.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is = |product: &&str| match product.len() {
        // `index` is no Dex.
        ..=3 => words().any(|word| word == *product),
        _ => path.contains(*product),
    };
    AUTH_PRODUCTS.into_iter().find(is)
}

/// What a fact is a fact of; the user's own probes are asked of products.
pub fn kind(name: &str) -> Kind {
    find(name).map_or(Kind::Product, |probe| probe.kind)
}

/// The script that asks everything. It reads nothing from its input and can be given to `sh -s` or `sh -c`.
pub fn script(own: &BTreeMap<String, OwnProbe>) -> String {
    let mut script = HEAD.to_owned();
    for (at, command) in commands(own).into_iter().enumerate() {
        // Writing to a String cannot fail.
        let _written = writeln!(script, "ask {at} {}", quoted(&command.shell()));
    }
    script + "}\nall </dev/null 2>/dev/null\n"
}

/// One function around all: a shell that reads its script from a pipe must have read it before anything runs.
const HEAD: &str = r#"all() {
LC_ALL=C; export LC_ALL
PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; export PATH
limit=; timeout 9 true && limit='timeout 9'
ask() {
  printf '=%s\n' "$1"
  $limit sh -c "$2" 2>&1 </dev/null | {
    left=4000
    while [ "$left" -gt 0 ] && { IFS= read -r line || [ -n "$line" ]; }; do
      printf '|%.4000s\n' "$line"; left=$((left-1))
    done
  }
}
"#;

/// A command and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command<'a> {
    BuiltIn(&'a str),
    Own(&'a str),
}

impl Command<'_> {
    /// What the shell is given. Built-in parsers know what programs say on standard error, versions included; what
    /// a command of the user's says there is no fact.
    fn shell(self) -> String {
        match self {
            Self::BuiltIn(command) => command.to_owned(),
            Self::Own(command) => format!("{{\n{command}\n}} 2>/dev/null"),
        }
    }
}

/// Each command once, in the table's order, then the user's.
fn commands(own: &BTreeMap<String, OwnProbe>) -> Vec<Command<'_>> {
    let mut all: Vec<Command<'_>> = Vec::new();
    let built_in = ALL.iter().map(|probe| Command::BuiltIn(probe.command));
    for command in built_in.chain(own.values().map(|probe| Command::Own(&probe.command))) {
        if !all.contains(&command) {
            all.push(command);
        }
    }
    all
}

fn quoted(command: &str) -> String {
    format!("'{}'", command.replace('\'', r"'\''"))
}

/// The facts within the script's output.
pub fn answers(output: &[u8], own: &BTreeMap<String, OwnProbe>) -> Facts {
    let commands = commands(own);
    let said = sections(&String::from_utf8_lossy(output));
    let output_of = |command: Command<'_>| {
        let at = commands.iter().position(|one| *one == command)?;
        said.get(&at).map(String::as_str)
    };
    let built_in = ALL.iter().filter_map(|probe| {
        Some((
            probe.name.to_owned(),
            probe.read(output_of(Command::BuiltIn(probe.command))?)?,
        ))
    });
    let users = own
        .iter()
        .filter_map(|(name, probe)| Some((name.clone(), own_fact(probe, output_of(Command::Own(&probe.command))?)?)));
    built_in.chain(users).collect()
}

/// Command → what it printed. The first section of a number counts: a later one would be forged.
fn sections(output: &str) -> BTreeMap<usize, String> {
    let mut sections: BTreeMap<usize, String> = BTreeMap::new();
    let mut now = None;
    for line in output.lines().take(LINES) {
        if let Some(number) = line.strip_prefix('=') {
            now = number
                .trim()
                .parse()
                .ok()
                .filter(|number| !sections.contains_key(number));
            sections.extend(now.map(|number| (number, String::new())));
        } else if let (Some(line), Some(text)) = (line.strip_prefix('|'), now.and_then(|now| sections.get_mut(&now))) {
            text.push_str(line.trim_end_matches('\r'));
            text.push('\n');
        }
    }
    sections
}

fn own_fact(probe: &OwnProbe, output: &str) -> Option<String> {
    match &probe.matches {
        Some(pattern) => captured(pattern, output).and_then(|fact| one_line(&fact)),
        None => output.lines().find_map(one_line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::probe::question::FACT_LENGTH;

    fn own(command: &str, matches: Option<&str>) -> BTreeMap<String, OwnProbe> {
        let probe = OwnProbe {
            command: command.to_owned(),
            matches: matches.map(str::to_owned),
        };
        BTreeMap::from([("shop".to_owned(), probe)])
    }

    fn asked(shell: &str, own: &BTreeMap<String, OwnProbe>) -> Facts {
        let out = std::process::Command::new(shell)
            .args(["-c", &script(own)])
            .output()
            .expect("a shell");
        assert!(out.status.success());
        answers(&out.stdout, own)
    }

    #[test]
    fn names_are_unique_and_patterns_compile() {
        let mut names: Vec<_> = ALL.iter().map(|probe| probe.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for probe in ALL {
            if let Parse::Pattern(pattern) = probe.parse {
                assert!(regex::Regex::new(pattern).is_ok(), "{}", probe.name);
            }
        }
        assert!(
            AUTH_PRODUCTS
                .iter()
                .all(|name| kind(name) == Kind::Product && find(name).is_some())
        );
    }

    #[test]
    fn this_machine_answers() {
        let facts = asked("sh", &own("printf 'release 7\\nmore'", None));
        assert!(facts.contains_key("kernel") && facts.contains_key("os"), "{facts:?}");
        assert_eq!(facts.get("shop").map(String::as_str), Some("release 7"));
        let complaint = asked("sh", &own("cat /nowhere/VERSION", None));
        assert_eq!(complaint.get("shop"), None);
    }

    #[test]
    fn the_script_can_come_through_a_pipe_and_no_probe_eats_it() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let own = own("cat; echo 'it''s \"quoted\" $HOME' | cut -c1-4", None);
        let mut shell = Command::new("sh")
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        shell
            .stdin
            .take()
            .expect("piped")
            .write_all(script(&own).as_bytes())
            .expect("it reads");
        let out = shell.wait_with_output().expect("it ends");
        assert_eq!(answers(&out.stdout, &own).get("shop").map(String::as_str), Some("its"));
    }

    #[test]
    fn output_is_limited_and_forged_sections_are_not_believed() {
        let own = own("yes '=0'; printf '\\n=1\\n|forged'", Some("^(.{2})"));
        let facts = asked("sh", &own);
        assert_eq!(facts.get("shop").map(String::as_str), Some("=0"));
        let facts = answers(
            b"=0\n|6.1.0\n=0\n|9.9\nnoise\n|more\n=x\n|y\n\xff\xfe",
            &BTreeMap::new(),
        );
        assert!(!facts.values().any(|fact| fact.contains("9.9")));
    }

    #[test]
    fn facts_are_one_short_line_without_escapes() {
        let nasty = one_line("a\u{1b}[31m\n::error::b\r\n").expect("something");
        assert!(!nasty.chars().any(char::is_control));
        assert_eq!(one_line(&"x".repeat(1000)).map(|fact| fact.len()), Some(FACT_LENGTH));
        assert_eq!(one_line(" \n\t"), None);
    }

    #[test]
    fn nothing_is_written_and_nothing_is_loaded_from_the_network() {
        for probe in ALL {
            let writes = ["> /", ">>", "tee ", "curl ", "wget ", "rm ", "mktemp"];
            assert!(
                !writes.iter().any(|word| probe.command.contains(word)),
                "{}",
                probe.name
            );
        }
    }
}
