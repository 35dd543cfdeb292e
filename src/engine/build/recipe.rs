//! A recipe as it is written, and with the run's labels as its last step.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};

use super::super::Engine;
use super::super::pull::reference::Reference;
use crate::world::model::Build;

/// A recipe, wherever it is written.
pub(super) struct Recipe {
    /// What it is called.
    pub name: String,
    text: String,
    /// Where people find it.
    place: String,
    /// What the file beside it leaves out of the context.
    ignored: Option<Vec<u8>>,
}

impl Recipe {
    /// # Errors
    /// The file cannot be read: the doing of whoever wrote the build.
    pub fn read(build: &Build) -> Result<Self> {
        if let Some(text) = &build.dockerfile_inline {
            return Ok(Self {
                name: "Dockerfile".to_owned(),
                text: text.clone(),
                place: "dockerfile_inline".to_owned(),
                ignored: None,
            });
        }
        let file = build.context.join(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
        let text = std::fs::read_to_string(&file);
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            text: text.with_context(|| format!("the recipe `{}` could not be read", file.display()))?,
            ignored: std::fs::read(file.with_file_name(format!("{name}.dockerignore"))).ok(),
            place: file.display().to_string(),
            name,
        })
    }

    /// All that BuildKit sees of the folder in which it stands.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let ignored = self.ignored.iter();
        let ignored = ignored.map(|list| (format!("{}.dockerignore", self.name), list.clone()));
        let own = (self.name.clone(), self.text.clone().into_bytes());
        ignored.chain([own]).collect()
    }

    /// The text with labels as the last step of the stage that is built.
    pub fn labelled(&self, target: Option<&str>, label: &str) -> String {
        labelled(&self.text, target, label)
    }

    /// The image of the builder that it asks for, and the line on which.
    pub fn syntax(&self) -> Option<(usize, &str)> {
        let directive = |line: &'_ str| {
            let (key, value) = line.trim().strip_prefix('#')?.split_once('=')?;
            let (key, value) = (key.trim(), value.trim());
            key.chars()
                .all(|letter| letter.is_ascii_alphabetic())
                .then_some((key.to_owned(), value.to_owned()))
        };
        let lines = self.text.lines().enumerate();
        let mut directives = lines.map_while(|(at, line)| Some((at + 1, line, directive(line)?)));
        let (at, line, _) = directives.find(|(_, _, (key, _))| key.eq_ignore_ascii_case("syntax"))?;
        Some((at, line.split_once('=')?.1.trim()))
    }

    /// Where the first document stands within it, where one does: `Dockerfile:3`.
    pub fn heredoc(&self) -> Option<String> {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_end = |word: &str, from: usize| {
            let end = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
            let end = end.strip_prefix("<<").filter(|end| !end.starts_with('<'))?;
            let end = end.trim_start_matches('-').trim_matches(['"', '\'']);
            let mut rest = lines.iter().skip(from + 1);
            (!end.is_empty() && rest.any(|line| line.trim() == end)).then_some(())
        };
        let steps = steps(&lines).into_iter().filter(|step| step.may_have_documents());
        let mut begin = steps.filter(|step| step.words().any(|word| is_end(word, step.line).is_some()));
        begin.next().map(|step| format!("{}:{}", self.place, step.line + 1))
    }

    /// The builder that it asks for cannot be had, and the way out; `None` where the step that failed and the words are
    /// of something else.
    pub fn unavailable(&self, step: &str, words: &str) -> Option<anyhow::Error> {
        let (line, image) = self.syntax()?;
        let repository = Reference::of(image).repository();
        let is_of_it = step.contains(&repository) || words.contains(&repository);
        is_of_it.then(|| {
            anyhow!(
                "{}:{line}: the builder that `# syntax={image}` asks for cannot be had: {words}; take the line out where \
                 the engine's own builder reads the recipe, or bring `{image}` to the engine before the run (`docker pull`, \
                 or `docker load`)",
                self.place
            )
        })
    }
}

/// The run's labels as a step of a recipe has them. All of them: a sweep that saw only the run's name would take a
/// living run for dead.
pub(super) fn labels(engine: &Engine) -> String {
    let all = engine.labels(&[]).into_iter().collect::<BTreeMap<_, _>>();
    let words = all.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    words.collect::<Vec<_>>().join(" ")
}

/// A value that the builder reads as it stands.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    format!("\"{escaped}\"")
}

/// The recipe with labels as the last step of the stage that is built, and as one step: any earlier, they would part
/// the layers from those of the last run, and the engine would build all of them again.
fn labelled(recipe: &str, target: Option<&str>, label: &str) -> String {
    let mut lines: Vec<&str> = recipe.lines().collect();
    let stages = stages(&lines);
    let built = target.and_then(|target| {
        let number = |stage: usize| target.parse() == Ok(stage);
        stages
            .iter()
            .enumerate()
            .find_map(|(index, stage)| (stage.is_called(target) || number(index)).then_some(index))
    });
    let next = built.and_then(|index| stages.get(index + 1));
    let step = format!("LABEL {label}");
    lines.insert(next.map_or(lines.len(), |stage| stage.line), &step);
    lines.join("\n") + "\n"
}

/// A stage of a recipe: the line on which it begins, and its name.
struct Stage {
    line: usize,
    name: Option<String>,
}

impl Stage {
    fn is_called(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

fn stages(lines: &[&str]) -> Vec<Stage> {
    steps(lines).iter().filter_map(Step::stage).collect()
}

/// A step of a recipe: the line on which it begins, and its lines as one.
struct Step {
    line: usize,
    text: String,
}

fn steps(lines: &[&str]) -> Vec<Step> {
    let (mut steps, mut text, mut begun) = (Vec::new(), String::new(), 0);
    for (number, line) in lines.iter().map(|line| line.trim()).enumerate() {
        // Neither ends a step that goes on.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if text.is_empty() {
            begun = number;
        }
        text.push_str(line.strip_suffix('\\').unwrap_or(line));
        text.push(' ');
        if !line.ends_with('\\') {
            let text = std::mem::take(&mut text);
            steps.push(Step { line: begun, text });
        }
    }
    steps
}

impl Step {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split_whitespace()
    }

    fn is(&self, name: &str) -> bool {
        self.words().next().is_some_and(|word| word.eq_ignore_ascii_case(name))
    }

    fn may_have_documents(&self) -> bool {
        ["run", "copy", "add"].iter().any(|name| self.is(name))
    }

    fn stage(&self) -> Option<Stage> {
        let mut words = self.words().skip_while(|word| !word.eq_ignore_ascii_case("as"));
        let name = words.nth(1).map(str::to_owned);
        self.is("from").then_some(Stage { line: self.line, name })
    }
}

#[cfg(test)]
mod tests {
    use super::{Recipe, labelled, quoted};

    fn written(text: &str) -> Recipe {
        Recipe {
            name: "Dockerfile".to_owned(),
            text: text.to_owned(),
            place: "Dockerfile".to_owned(),
            ignored: None,
        }
    }

    #[test]
    fn the_builder_that_a_recipe_asks_for_is_found_in_its_first_lines_alone() {
        for text in [
            "# syntax=docker/dockerfile:1\nFROM a",
            "#escape=\\\n#  Syntax = docker/dockerfile:1  \nFROM a",
        ] {
            assert_eq!(
                written(text).syntax().map(|(_, image)| image),
                Some("docker/dockerfile:1"),
                "{text}"
            );
        }
        for text in ["FROM a\n# syntax=x", "# words\n# syntax=x\nFROM a", "FROM a"] {
            assert_eq!(written(text).syntax(), None, "{text}");
        }
    }

    #[test]
    fn a_builder_that_cannot_be_had_is_told_from_all_else_that_cannot() {
        let recipe = written("# syntax=docker/dockerfile:1.7\nFROM a");
        let error = recipe.unavailable("resolve image config for docker.io/docker/dockerfile:1.7", "no route");
        let error = error.expect("it is the builder").to_string();
        for words in [
            "Dockerfile:1",
            "`# syntax=docker/dockerfile:1.7`",
            "no route",
            "docker pull",
        ] {
            assert!(error.contains(words), "{error}");
        }
        assert!(recipe.unavailable("[1/1] FROM a", "no route").is_none());
        assert!(written("FROM a").unavailable("", "docker/dockerfile").is_none());
    }

    #[test]
    fn a_document_within_a_recipe_is_found_and_what_only_looks_like_one_is_not() {
        let place = |text: &str| written(text).heredoc();
        for text in [
            "FROM a\nRUN <<EOF\necho\nEOF\n",
            "FROM a\nCOPY <<-'EOF' /x\n\tx\n\tEOF\n",
            "FROM a\nrun cat 3<<\"END\" >/x\nx\nEND",
        ] {
            assert_eq!(place(text).as_deref(), Some("Dockerfile:2"), "{text}");
        }
        for text in [
            "FROM a\nRUN echo $((1<<3))",
            "FROM a\nRUN cat <<<EOF\nEOF",
            "FROM a\nRUN sh -c \"cat <<EOF\"",
            "FROM a\nENV x=<<EOF\nEOF",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
    }

    const RECIPE: &str =
        "# FROM nothing\nfrom a AS one\nRUN select \\\n# FROM here\n  FROM there\nFROM \\\n  b\nCOPY --from=one /a /a";

    #[test]
    fn a_label_is_read_as_it_stands() {
        assert_eq!(quoted(r#"/a b/$x"\"#), r#""/a b/\$x\"\\""#);
    }

    #[test]
    fn the_label_is_the_last_step_and_no_other_line_is_touched() {
        assert_eq!(labelled(RECIPE, None, "x=y"), format!("{RECIPE}\nLABEL x=y\n"));
    }

    #[test]
    fn a_stage_that_is_named_ends_in_the_label() {
        let expected = RECIPE.replace("FROM \\\n", "LABEL x=y\nFROM \\\n") + "\n";
        for target in ["one", "ONE", "0"] {
            assert_eq!(labelled(RECIPE, Some(target), "x=y"), expected, "{target}");
        }
        for target in ["1", "another"] {
            assert_eq!(
                labelled(RECIPE, Some(target), "x=y"),
                format!("{RECIPE}\nLABEL x=y\n"),
                "{target}"
            );
        }
    }
}
