//! GitHub's own renderer reads our job summary: no text of a candidate becomes Markdown or HTML.

use crate::consumers;
use crate::samples;
use rehearsal::report::summary;

#[test]
fn github_renders_the_same_elements_whatever_the_texts_are() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let summary = summary::write(&samples::hostile_with(text), summary::BUDGET);
        std::fs::write(dir.path().join(name), summary).expect("the folder is ours");
    };
    write("plain.md", "x");
    samples::NASTY
        .iter()
        .enumerate()
        .for_each(|(number, nasty)| write(&format!("{number}.md"), nasty));
    consumers::renders_alike(dir.path());
}
