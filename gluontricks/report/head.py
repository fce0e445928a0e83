"""The head of the page: what it is, the account as one bar, the kinds of evidence, the filter."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Sequence, Tuple

from gluontricks.recipes.external import LABEL as REPOSITORY
from gluontricks.report.html import tag, text
from gluontricks.report.papers import PAPERS
from gluontricks.results.account import Accounted, by_status, in_words
from gluontricks.results.cells import FULL, REDUCED

Record = Mapping[str, Any]
# Status -> its colour in the bar; all others are no results that could be reproduced.
TINTS: Mapping[str, str] = {
    "exact": "c2", "differs": "c1", "log agrees": "c3", "log differs": "c7",
    "measured in full": "c0", "measured reduced": "c8", "not run": "open",
}  # fmt: skip
NO_RESULT = "no result to reproduce"
EVIDENCE: Mapping[str, str] = {
    "PAPER": "printed in the paper",
    "AUTHOR-LOG": "read from a training log that the authors published",
    REPOSITORY: "stands in the authors' repository or on a leaderboard, not in the paper",
    FULL: "measured here, with the row's recipe unchanged",
    REDUCED: (
        "measured here with a smaller form of the recipe: fewer images and epochs, another "
        "network; comparable with other such runs only"
    ),
    "NOT RUN": "the row has a recipe, and nothing ran that could be compared",
}


def head(entries: Sequence[Accounted], records: Sequence[Record]) -> str:
    """Return what the page is, and the account as one bar."""
    totals = by_status(entries)
    ours = [record for record in records if record["source"] is None]
    logs = len(records) - len(ours)
    shown = merged(totals)
    others = f" ({in_words({s: n for s, n in totals.items() if s not in TINTS})})"
    bar = "".join(f'<i style="flex:{n}"{tint(name)} title="{n} {text(name)}"></i>'
                  for name, n in shown)  # fmt: skip
    keys = "".join(
        f"<li><i{tint(name)}></i>{n} {text(name + others * (name == NO_RESULT))}</li>"
        for name, n in shown
    )
    return (
        "<h1>Training tricks, measured: what became of every published number</h1>\n"
        f'<p class="lead">Five works on training image classifiers print {len(entries)} numbers. '
        "For each: what was published, what the authors' own logs say, what was measured here, "
        f"how, and whether it agrees. Made from {len(ours)} runs and {logs} logs; every number "
        "leads to where it is from.</p>\n"
        f'<div class="bar" role="img" aria-label="{text(in_words(totals))}">{bar}</div>\n'
        f'<ul class="keys">{keys}</ul>'
    )


def merged(totals: Mapping[str, int]) -> List[Tuple[str, int]]:
    """Return the parts of the bar: every status of a result, and all others as one at the end."""
    results = [(status, count) for status, count in totals.items() if status in TINTS]
    others = sum(count for status, count in totals.items() if status not in TINTS)
    return [*results, *([(NO_RESULT, others)] if others else [])]


def tint(status: str) -> str:
    """Return the class of a part of the bar."""
    return f' class="{TINTS.get(status, "mute")}"'


def meanings(labels: Sequence[str]) -> str:
    """Return what the kinds of evidence are that are on the page."""
    lines = "".join(f"<dt>{tag(label)}</dt><dd>{text(EVIDENCE[label])}</dd>" for label in labels)
    return (
        '<details class="kinds"><summary>Evidence: what the marks on the numbers mean</summary>'
        f"<dl>{lines}</dl></details>"
    )


def labels_on(body: str) -> List[str]:
    """Return the kinds of evidence that anything in a page's body has, in their order."""
    there = {mark for found in re.findall(r'data-labels="([^"]*)"', body)
             for mark in found.split("|")}  # fmt: skip
    return [label for label in EVIDENCE if label in there]


def filters(labels: Sequence[str]) -> str:
    """Return the choices that narrow the page; the script shows them."""
    return (
        '<div class="tools"><form id="filters" role="search" aria-label="Filter the page">'
        f"{choice('paper', 'Paper', tuple(PAPERS))}"
        f"{choice('label', 'Evidence', labels)}"
        '<label>Words <input id="words" type="search" autocomplete="off"></label>'
        '<button type="reset">Clear</button>'
        '<button type="button" id="theme">Light or dark</button>'
        '<output id="told" aria-live="polite"></output></form></div>'
    )


def choice(name: str, title: str, values: Sequence[str]) -> str:
    """Return a list to choose one of some values from."""
    options = "".join(f'<option value="{text(value)}">{text(value)}</option>' for value in values)
    every = '<option value="">all</option>'
    return f'<label>{title} <select id="{name}">{every}{options}</select></label>'
