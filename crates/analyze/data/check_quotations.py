#!/usr/bin/env python3
"""Compares the quotations in algorithms.toml with the texts of the documents, word by word.

Usage: check_quotations.py DIRECTORY

DIRECTORY holds texts of RFCs, as rfc8996.txt or rfc8996.txt.gz, at any depth (Debian's doc-rfc packages, unpacked, do).
Each quotation of a document whose text is there is looked for in the section that the rule names, whitespace and page breaks
apart; the document's title and date are looked for on its first page. Ends with 1 where something is not found, and lists
the documents whose text is not there.
"""

import gzip
import re
import sys
import tomllib
from pathlib import Path


def text_of(path):
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = raw.decode("utf-8", "replace").replace("\f", "\n").splitlines()
    running = re.compile(r"\[Page \d+\]$|^RFC \d+ {2,}.* \d{4}$")
    return [line for line in lines if not running.search(line.rstrip())]


def flat(text):
    # Words broken over lines at their hyphen stay as they are written in the quotation: "CLIENT-\n HELLO" is "CLIENT-HELLO".
    return re.sub(r"(?<=\w)-\s+(?=\w)", "-", re.sub(r"\s+", " ", text)).strip()


def section(lines, number):
    """The lines of a section with its subsections; of the whole document where there is no such heading."""
    heading = re.compile(rf"^{re.escape(number)}\.? {{1,3}}\S")
    starts = [i for i, line in enumerate(lines) if heading.match(line)]
    if not starts:
        return None
    depth = number.count(".")
    other = re.compile(r"^(\d+(?:\.\d+)*)\.? {1,3}[A-Z]")
    end = len(lines)
    for i in range(starts[-1] + 1, len(lines)):
        found = other.match(lines[i])
        if found and found[1] != number and not found[1].startswith(number + ".") and found[1].count(".") <= depth:
            end = i
            break
    return lines[starts[-1]:end]


def main(directory):
    table = tomllib.loads((Path(__file__).parent / "algorithms.toml").read_text())
    files = {path.name.split(".")[0]: path for path in Path(directory).rglob("rfc*.txt*")}
    found = missing = 0
    unread = set()
    for document in table["document"]:
        path = files.get(document["id"].lower().replace(" ", ""))
        if path is None:
            unread.add(document["id"])
            continue
        lines = text_of(path)
        first_page = flat("\n".join(lines[:60]))
        year_month = re.search(r"(January|February|March|April|May|June|July|August|September|October|November|December) (\d{4})",
                               first_page)
        months = "January February March April May June July August September October November December".split()
        date = f"{year_month[2]}-{months.index(year_month[1]) + 1:02}-01"
        for what, ok in (("title", flat(document["title"]).lower() in first_page.lower()), ("date", date == document["date"])):
            found, missing = found + ok, missing + (not ok)
            if not ok:
                print(f"{document['id']}: {what} not found: {document[what]}")
        for rule in (rule for rule in table["rule"] if rule["document"] == document["id"]):
            parts = [section(lines, number.strip()) for number in rule["section"].split(",")]
            text = flat("\n".join("\n".join(part) for part in parts if part))
            for quotation in rule["says"].split("[…]"):
                ok = flat(quotation) in text
                found, missing = found + ok, missing + (not ok)
                if not ok:
                    print(f"{document['id']}, section {rule['section']}: not found: {flat(quotation)}")
    print(f"{found} found, {missing} not found; without a text here: {', '.join(sorted(unread))}")
    return 1 if missing else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
