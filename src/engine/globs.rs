//! Globs over paths: `*`, `?` and `[a-z]` within one part, `**` across parts.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

/// A glob as files in a container are named by; `{a,b}` is either.
///
/// # Errors
/// It is not a glob.
pub fn glob(text: &str) -> Result<GlobMatcher, globset::Error> {
    let mut glob = GlobBuilder::new(text);
    glob.literal_separator(true).backslash_escape(true);
    Ok(glob.build()?.compile_matcher())
}

/// The part of a glob before its first wild card, up to a slash; the path itself where there is none.
pub fn literal_folder(glob: &str) -> String {
    match glob.find(['*', '?', '[', '{']) {
        Some(at) => glob[..at]
            .rsplit_once('/')
            .map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder })
            .to_owned(),
        None => glob.to_owned(),
    }
}

/// `.dockerignore`: the last pattern that matches decides; `!` takes back in.
pub(super) struct Ignore {
    rules: Vec<(Rule, GlobMatcher)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Out,
    In,
}

impl Ignore {
    /// Of a build context's folder; nothing is left out where it has no such file.
    pub fn read(context: &Path) -> Self {
        Self::of(&std::fs::read_to_string(context.join(".dockerignore")).unwrap_or_default())
    }

    /// As the lines of such a file.
    pub fn of(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rules = lines.filter_map(rule).collect();
        Self { rules }
    }

    /// A file below a folder that is left out may be taken back in.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|(rule, _)| *rule == Rule::In)
    }

    /// Whether a path of the context is not sent; what is below a folder that is left out is left out with it. The recipe
    /// and the file itself are always sent.
    pub fn leaves_out(&self, path: &Path) -> bool {
        let always = [".dockerignore", "Dockerfile"].map(Path::new);
        !always.contains(&path) && self.hides(path)
    }

    /// The same for a builder that is told recipe and list apart: they are paths as others are.
    pub fn hides(&self, path: &Path) -> bool {
        let is_told = |(_, glob): &&(Rule, GlobMatcher)| folders(path).any(|path| glob.is_match(path));
        let decides = self.rules.iter().rev().find(is_told);
        decides.is_some_and(|(rule, _)| *rule == Rule::Out)
    }
}

/// A path and the folders that it is in.
fn folders(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().filter(|path| !path.as_os_str().is_empty())
}

fn rule(line: &str) -> Option<(Rule, GlobMatcher)> {
    let (rule, line) = line
        .strip_prefix('!')
        .map_or((Rule::Out, line), |rest| (Rule::In, rest));
    let line = line.trim().trim_start_matches("./").trim_matches('/');
    // Docker knows no `{a,b}`.
    let line = line.replace('{', r"\{").replace('}', r"\}");
    glob(&line).ok().map(|glob| (rule, glob))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(ignore: &str, path: &str) -> bool {
        Ignore::of(ignore).leaves_out(Path::new(path))
    }

    #[test]
    fn a_pattern_leaves_out_a_path_and_what_is_below_it() {
        for (ignore, path) in [
            ("target", "target/debug/shop"),
            ("/target/", "target"),
            ("./target", "target"),
            ("*.log", "a.log"),
            ("**/*.log", "a.log"),
            ("**/*.log", "logs/b/a.log"),
            ("logs/**", "logs/b/a.log"),
            ("?.txt", "a.txt"),
            ("[ab].txt", "b.txt"),
            ("[^c].txt", "b.txt"),
            ("a{b}", "a{b}"),
            (r"a\*", "a*"),
            ("# a comment\n\n  spaced  ", "spaced"),
        ] {
            assert!(left_out(ignore, path), "{ignore:?} {path}");
        }
    }

    #[test]
    fn what_no_pattern_says_is_sent() {
        for (ignore, path) in [
            ("", "a"),
            ("*.log", "logs/a.log"),
            ("a{b,c}", "ab"),
            ("[ab].txt", "c.txt"),
            (r"a\*", "ab"),
            ("# comment", "# comment"),
            ("*", "Dockerfile"),
            ("**", ".dockerignore"),
        ] {
            assert!(!left_out(ignore, path), "{ignore:?} {path}");
        }
    }

    #[test]
    fn the_last_pattern_decides() {
        let ignore = "*\n!src\nsrc/secret";
        assert!(left_out(ignore, "README.md"));
        assert!(!left_out(ignore, "src/main.rs"));
        assert!(left_out(ignore, "src/secret/key"));
        assert!(Ignore::of(ignore).has_exceptions() && !Ignore::of("*").has_exceptions());
    }

    #[test]
    fn files_in_a_container_are_found_by_a_glob() {
        let matches = |text: &str, path: &str| glob(text).unwrap().is_match(path);
        assert!(matches("/out/*.xml", "/out/a.xml") && !matches("/out/*.xml", "/out/b/a.xml"));
        assert!(matches("/out/**/*.xml", "/out/a.xml") && matches("/out/**/*.xml", "/out/b/c/a.xml"));
        assert!(matches("/out/{a,b}.xml", "/out/b.xml") && matches("/out/[ab].xml", "/out/b.xml"));
        assert!(glob("/out/[a.xml").is_err());
    }

    #[test]
    fn the_folder_of_a_glob_ends_before_its_first_wild_card() {
        let folders = ["/out/*.xml", "/out/{a,b}.xml", "/*.xml", "/out/a.xml"].map(literal_folder);
        assert_eq!(folders, ["/out", "/out", "/", "/out/a.xml"]);
    }
}
