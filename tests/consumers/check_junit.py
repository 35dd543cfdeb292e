"""Reads our JUnit reports as their consumers do, and compares what they see with what was meant.

Called with a manifest: a JSON list of {"file", "schema" (or null), "tests", "failures", "errors", "skipped",
"names" ("classname name" of every case, in order)}.
"""

import json
import pathlib
import subprocess
import sys

import junitparser
from lxml import etree


def counted(report):
    """Counts results as a reader does who trusts no attribute."""
    sums = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    kinds = {junitparser.Failure: "failures", junitparser.Error: "errors", junitparser.Skipped: "skipped"}
    names = []
    for suite in report:
        own = dict.fromkeys(sums, 0)
        for case in suite:
            names.append(f"{case.classname} {case.name}")
            own["tests"] += 1
            for result in case.result:
                own[kinds[type(result)]] += 1
        claimed = {key: getattr(suite, key) for key in own if key != "skipped" or suite.skipped is not None}
        assert claimed == {key: own[key] for key in claimed}, f"suite {suite.name}: claims {claimed}, holds {own}"
        for key, count in own.items():
            sums[key] += count
    return sums, names


def check_junitparser(entry):
    report = junitparser.JUnitXml.fromfile(entry["file"])
    sums, names = counted(report)
    meant = {key: entry[key] for key in sums}
    assert sums == meant, f"junitparser counts {sums}, meant are {meant}"
    assert names == entry["names"], f"junitparser reads other cases: {set(names) ^ set(entry['names'])}"
    for key in sums:
        claimed = report._elem.get(key)
        assert claimed is None or int(claimed) == sums[key], f"root claims {key}={claimed}"


def check_schema(entry):
    document = etree.parse(entry["file"], etree.XMLParser(resolve_entities=False, no_network=True))
    if entry["schema"]:
        etree.XMLSchema(etree.parse(entry["schema"])).assertValid(document)


def check_junit2html(entry):
    page = pathlib.Path(entry["file"]).with_suffix(".html")
    command = [sys.executable, "-m", "junit2htmlreport", entry["file"], str(page)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, f"junit2html fails: {run.stderr}"
    assert page.stat().st_size > 1000, "junit2html renders nothing"


def main():
    for entry in json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")):
        try:
            check_schema(entry)
            check_junitparser(entry)
            if entry["render"]:
                check_junit2html(entry)
        except Exception as error:
            sys.exit(f"{entry['file']}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
