"""Renders job summaries with GitHub's own Markdown renderer: whatever the texts are, the page has the same elements.

Called with a folder: `plain.md` is what the others are compared with.
"""

import collections
import pathlib
import sys

import cmarkgfm
from cmarkgfm.cmark import Options
from lxml import html


def elements(file):
    # Unsafe on purpose: a sanitiser must have nothing to do.
    text = file.read_text(encoding="utf-8")
    page = html.fromstring(f"<div>{cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE)}</div>")
    return collections.Counter(element.tag for element in page.iter() if isinstance(element.tag, str))


def main():
    folder = pathlib.Path(sys.argv[1])
    plain = elements(folder / "plain.md")
    for file in sorted(folder.glob("*.md")):
        # Fewer is fine: a text that is empty once cleaned has no mark around it.
        more = elements(file) - plain
        if more:
            sys.exit(f"{file.name}: its texts became {dict(more)}:\n{file.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    main()
