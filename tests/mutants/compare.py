"""Compares the changes that no test saw with those that are accepted.

compare.py ACCEPTED MISSED FILE...: only entries of FILE... are looked at. An entry of ACCEPTED is a line
`FILE: CHANGE # REASON`; places are left out of both, because they move.
"""

import re
import sys
from collections import Counter


def accepted(lines: list[str], files: list[str]) -> Counter[str]:
    entries: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        change, hash_mark, reason = line.partition(" # ")
        if not hash_mark or not reason.strip():
            sys.exit(f"accepted:{number}: an entry needs its reason after ` # `")
        if change.split(":")[0] in files:
            entries[change.strip()] += 1
    return entries


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        known = accepted(file.read().splitlines(), sys.argv[3:])
    with open(sys.argv[2], encoding="utf-8") as file:
        missed = Counter(re.sub(r"^([^:]+):\d+:\d+:", r"\1:", line) for line in file.read().splitlines())
    for change in (missed - known).elements():
        print(f"no test sees this: {change}")
    for change in (known - missed).elements():
        print(f"a test sees this, or it is gone; take it out of tests/mutants/accepted: {change}")
    if missed != known:
        sys.exit(1)
    print(f"every change was seen but {missed.total()}, which are accepted")


main()
