"""Pieces of HTML. Every text goes through ``text``, so that nothing of a record does anything."""

from __future__ import annotations

import html
import re
from typing import Any, Iterable, Mapping, Sequence, Tuple

from gluontricks.results.formats import anchor
from gluontricks.results.grids import Cell, Column, Grid
from gluontricks.results.words import clean

CLASSES: Mapping[str, str] = {
    "MEASURED-FULL": "full", "MEASURED-REDUCED": "part", "AUTHOR-LOG": "log",
}  # fmt: skip
# Columns of sentences, which may take several lines.
LONG = ("protocol",)
NOTHING_MEASURED = ("not run", "out of scope", "quoted from others")


def text(value: Any) -> str:
    """Return a value as text that HTML shows and does nothing with."""
    return html.escape(clean(str(value)), quote=True)


def coded(value: str) -> str:
    """Return a note with its backquoted parts as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", text(value))


def name_of(*parts: str) -> str:
    """Return an id for an element, of letters, digits and dashes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-").lower()


def run_name(run: Any) -> str:
    """Return the id of a run's element."""
    return f"run-{anchor(str(run))}"


def tag(label: str) -> str:
    """Return a label as a small mark."""
    kind = CLASSES.get(label, "")
    return f'<span class="tag {kind}">{text(label)}</span>' if label.strip("-") else ""


def link(target: str, inner: str) -> str:
    """Return a link to an element of the page; ``inner`` is HTML already."""
    return f'<a href="#{target}">{inner}</a>'


def table(
    columns: Sequence[Column], rows: Iterable[Tuple[str, str]], *, caption: str, kind: str = ""
) -> str:
    """Return a table of rows, each attributes and cells that are HTML already.

    The script makes its headings buttons that sort it, and lets the keyboard reach a box that
    scrolls.
    """
    heads = "".join(
        f'<th scope="col"{" class=n" * column.numeric}>{text(column.title)}</th>'
        for column in columns
    )
    body = "\n".join(f"<tr{attributes}>{cells}</tr>" for attributes, cells in rows)
    style = f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll" data-name="{text(caption)}">'
        f"<table{style}><thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def item(kind: str, paper: str, labels: Iterable[str], name: str = "") -> str:
    """Return the attributes of what the filter looks at: a ``value``, a ``row`` or a ``run``."""
    marks = "|".join(dict.fromkeys(label for label in labels if label and label != "-"))
    identity = f' id="{name}"' if name else ""
    return f'{identity} data-item="{kind}" data-paper="{text(paper)}" data-labels="{text(marks)}"'


def row_of(cells: Sequence[str], columns: Sequence[Column]) -> str:
    """Return the cells of a row, HTML already; the first one is the row's heading."""
    parts = []
    for place, (inner, column) in enumerate(zip(cells, columns)):
        kind = " class=n" if column.numeric else ""
        parts.append(f"<td{kind}>{inner}</td>" if place else f'<th scope="row"{kind}>{inner}</th>')
    return "".join(parts)


def cell(
    content: Cell,
    column: Column,
    note_prefix: str,
    *,
    target: str = "",
    runs: str = "",
    first: bool = False,
) -> str:
    """Return one cell of a grid: ``target`` is what its text leads to, ``runs`` stands below it."""
    kinds = ("n" * column.numeric, "grey" * content.grey, "long" * (column.title in LONG))
    kind = " ".join(part for part in kinds if part)
    inner = tag(content.text) if column.title == "label" else text(content.text)
    if content.text in NOTHING_MEASURED:
        inner = f'<span class="none">{inner}</span>'
    if target and content.text:
        inner = link(target, inner)
    if content.note is not None:
        inner += f"<sup>{link(f'{note_prefix}-{content.note}', str(content.note))}</sup>"
    attribute = f' class="{kind}"' if kind else ""
    if content.note is not None or runs:
        # Neither a footnote's number nor a seed is part of the value.
        attribute += f' data-sort="{text(content.text)}"'
    if first:
        return f'<th scope="row"{attribute}>{inner}{runs}</th>'
    return f"<td{attribute}>{inner}{runs}</td>"


def notes(grid: Grid, prefix: str) -> str:
    """Return caption, footnotes and notes of a grid."""
    parts = [f'<p class="soft">{text(grid.caption)}</p>']
    if grid.footnotes:
        lines = [
            f'<li id="{prefix}-{n}">{text(note)}</li>' for n, note in enumerate(grid.footnotes, 1)
        ]
        parts.append(f'<ol class="notes">{"".join(lines)}</ol>')
    return "\n".join([*parts, *([listed(grid.notes)] if grid.notes else [])])


def listed(sentences: Iterable[str]) -> str:
    """Return notes as a list; backquotes mark code."""
    lines = "".join(f"<li>{coded(sentence)}</li>" for sentence in sentences)
    return f'<ul class="notes">{lines}</ul>'


def definitions(pairs: Iterable[Tuple[str, str]]) -> str:
    """Return names with their values as a list."""
    inner = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return f"<dl>{inner}</dl>"
