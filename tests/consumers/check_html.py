"""Looks at reports in a real browser.

Called with the browser and a folder. Pages `plain-…` are what the elements of pages `hostile-…` are compared with. Every
other page is held against axe's rules, one `every-way-…` in each way in which pages are looked at; against itself without
its style; and against a small telephone's width. No page may ask for anything or run anything.
"""

import collections
import pathlib
import shutil
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

NARROW = {"width": 320, "height": 640}
WIDE = {"width": 1100, "height": 800}
WAYS = {
    "light": ("light", "screen", WIDE),
    "dark": ("dark", "screen", WIDE),
    "narrow": ("dark", "screen", NARROW),
    "print": ("light", "print", WIDE),
    "print of a dark screen": ("dark", "print", WIDE),
}

problems = []


def wrong(file, what):
    problems.append(f"{file.name}: {what}")


class Look:
    """A page that is open, and what it did."""

    def __init__(self, browser, file):
        self.file, self.asked = file, []
        self.page = browser.new_page(viewport=WIDE)
        self.page.on("dialog", lambda dialog: (wrong(file, f"a dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: wrong(file, f"a script ran: {error}"))
        self.page.on("console", lambda line: wrong(file, f"the console says: {line.text}"))
        self.page.route("**/*", self.route)
        self.page.goto(file.as_uri())

    def route(self, route):
        url = route.request.url
        self.asked.append(url)
        if url == self.file.as_uri():
            route.continue_()
        else:
            route.abort()

    def words(self):
        self.page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        return self.page.evaluate("document.body.innerText").split()

    def close(self):
        if self.asked != [self.file.as_uri()]:
            wrong(self.file, f"asked for {self.asked}")
        self.page.close()


def audited(look):
    page = look.page
    ways = WAYS if look.file.name.startswith("every-way-") else ["light"]
    for way in ways:
        scheme, media, size = WAYS[way]
        page.emulate_media(color_scheme=scheme, media=media)
        page.set_viewport_size(size)
        results = Axe().run(page)
        if results.violations_count:
            wrong(look.file, f"{way}: {results.generate_report()}")
    page.emulate_media(media="screen", color_scheme="light")
    page.set_viewport_size(NARROW)
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > NARROW["width"]:
        wrong(look.file, f"{width} px are needed where {NARROW['width']} are there")


def by_keyboard(look):
    look.page.keyboard.press("Tab")
    first = "[document.activeElement.textContent, document.activeElement.getBoundingClientRect().left >= 0]"
    focused = look.page.evaluate(first)
    if focused != ["Skip to the findings", True]:
        wrong(look.file, f"the first stop of the keyboard is {focused}")
    look.page.keyboard.press("Enter")
    if not look.page.url.endswith("#findings"):
        wrong(look.file, f"the skip link leads to {look.page.url}")


def without_style(look):
    styled = look.words()
    look.page.evaluate("document.querySelectorAll('style').forEach(style => style.remove())")
    if look.page.evaluate("document.styleSheets.length") or look.words() != styled or len(styled) < 100:
        wrong(look.file, "another text without its style")


class Elements:
    """How many of each element there are at most, and which attributes."""

    def __init__(self):
        self.tags, self.attributes = collections.Counter(), set()

    def of(look):
        found = Elements()
        every = "[...document.querySelectorAll('*')]"
        found.tags.update(look.page.evaluate(f"{every}.map(element => element.localName)"))
        found.attributes.update(look.page.evaluate(f"{every}.flatMap(element => element.getAttributeNames())"))
        return found

    def take_in(self, other):
        self.tags |= other.tags
        self.attributes |= other.attributes


def inert(look, plain):
    found = Elements.of(look)
    more, strange = found.tags - plain.tags, found.attributes - plain.attributes
    if more or strange:
        wrong(look.file, f"its texts became {dict(more)} {strange}")


def looked_at(look, plain):
    if look.file.name.startswith("plain-"):
        plain.take_in(Elements.of(look))
    elif look.file.name.startswith("hostile-"):
        inert(look, plain)
    else:
        by_keyboard(look)
        audited(look)
        without_style(look)


def main():
    program, folder = shutil.which(sys.argv[1]), pathlib.Path(sys.argv[2])
    files = sorted(folder.glob("*.html"), key=lambda file: (not file.name.startswith("plain-"), file.name))
    plain = Elements()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for file in files:
            look = Look(browser, file)
            looked_at(look, plain)
            look.close()
        browser.close()
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
