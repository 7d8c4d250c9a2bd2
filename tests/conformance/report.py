# SPDX-License-Identifier: Apache-2.0
"""The page about a run of the conformance tests, and the comparison of a run with the page."""

import collections
import re

import verdict

SOURCES = ("debian", "wheel")

HEAD = """\
<!-- Made by tests/conformance/run.py --write; the test compares. -->
# ONNX's backend test cases, served

Every case of {debian} and of the Python package {wheel}, served over HTTP by
`mlosd` with the plugin's ONNX Runtime {version}, and run in process by the same file of that library.
[README.md](README.md) says what is compared with what.
"""

MEANINGS = {
    verdict.PASSED: "as JSON and as binary bit for bit what the library gives in process, and within "
                    "ONNX's tolerances of the data set",
    verdict.BINARY_ONLY: "the same, but the protocol has no JSON form of its halves (FP16, BF16)",
    verdict.RANDOM: "draws random numbers: every run is another; datatypes and shapes are right, and "
                    "with a seed every bit",
    verdict.DEVIATES: "bit for bit what the library gives in process, which is not what the data set "
                      "expects",
    verdict.NOT_RUN: "the library fails in process; the daemon answers with its error",
    verdict.NOT_LOADED: "the library refuses the model in process; the daemon says so when it loads",
    verdict.NOT_REPRESENTABLE: "an input or output that the protocol has no word for; the daemon "
                               "says so when it loads",
    verdict.NOT_SERVED: "the library runs it in process and the plugin refuses it",
    verdict.FAILED: "a fault of ours",
}


def row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def counts_table(results):
    counts = collections.Counter((case.source, outcome) for case, outcome, _ in results)
    lines = [row(["outcome", *SOURCES, "what it means"]), row(["---"] * 4)]
    for outcome in verdict.OUTCOMES:
        found = [counts[source, outcome] for source in SOURCES]
        if any(found):
            lines.append(row([outcome, *found, MEANINGS[outcome]]))
    totals = [sum(case.source == source for case, _, _ in results) for source in SOURCES]
    lines.append(row(["all", *totals, ""]))
    return lines


def entry(case, reason):
    return f"- {case.source} `{case.name}`" + (f": {escaped(reason)}" if reason else "")


def escaped(text):
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)


def markdown(results, version, sources):
    lines = [HEAD.format(version=version, **sources), *counts_table(results)]
    for outcome in verdict.OUTCOMES:
        entries = [entry(case, reason) for case, found, reason in results if found == outcome]
        if outcome != verdict.PASSED and entries:
            lines += ["", f"## {outcome[0].upper()}{outcome[1:]}", "", *entries]
    return "\n".join(lines) + "\n"


def verdicts(page):
    """From a page: outcome and reason of each case that it names, and its table's rows."""
    found, rows, outcome = {}, [], None
    titles = {f"{outcome[0].upper()}{outcome[1:]}": outcome for outcome in verdict.OUTCOMES}
    for line in page.splitlines():
        if line.startswith("## "):
            outcome = titles.get(line[3:])
        elif line.startswith("| "):
            rows.append(line)
        elif match := re.match(r"- (\w+) `([^`]+)`(.*)", line):
            found[match.group(1, 2)] = outcome, match.group(3)
    return found, rows


def as_on_page(expected, result):
    """A result, but what a locale of the system lets pass counts as on the page: README.md."""
    case, outcome, _ = result
    wanted, reason = expected.get((case.source, case.name), (verdict.PASSED, ""))
    if outcome == verdict.PASSED and wanted == verdict.NOT_LOADED and "locale" in reason:
        return case, wanted, reason
    return result


def compare(page, results, whole):
    """What a run found otherwise than the page says; a whole run must have its counts as well."""
    expected, rows = verdicts(page)
    faults = []
    results = [as_on_page(expected, result) for result in results]
    for case, outcome, reason in results:
        wanted, _ = expected.get((case.source, case.name), (verdict.PASSED, ""))
        if outcome != wanted or outcome == verdict.FAILED:
            faults.append(f"{case.source} {case.name}: {outcome}{': ' if reason else ''}{reason} "
                          f"(the page says: {wanted})")
    if whole and rows != counts_table(results):
        faults += ["the counts are now:", *counts_table(results)]
    return faults
