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


def text(value: Any) -> str:
    """Return a value as text that HTML shows and does nothing with."""
    return html.escape(clean(str(value)), quote=True)


def coded(value: str) -> str:
    """Return a note with its backquoted parts as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", text(value))


def name_of(*parts: str) -> str:
    """Return an id for an element, of letters, digits and dashes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-").lower()


def tag(label: str) -> str:
    """Return a label as a small mark."""
    kind = CLASSES.get(label, "")
    return f'<span class="tag {kind}">{text(label)}</span>' if label.strip("-") else ""


def table(
    columns: Sequence[Column],
    rows: Iterable[Tuple[str, str]],
    *,
    caption: str,
    sortable: bool = True,
) -> str:
    """Return a table of rows, each attributes and cells that are HTML already."""
    heads = []
    for column in columns:
        kind = ' class="n"' if column.numeric else ""
        title = text(column.title)
        inner = f'<button type="button">{title}</button>' if sortable else title
        sort = ' aria-sort="none"' if sortable else ""
        heads.append(f'<th scope="col"{kind}{sort}>{inner}</th>')
    body = "\n".join(f"<tr{attributes}>{cells}</tr>" for attributes, cells in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}">'
        f"<table><thead><tr>{''.join(heads)}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def item(paper: str, labels: Iterable[str], name: str = "") -> str:
    """Return the attributes of a row that the filter looks at."""
    marks = "|".join(dict.fromkeys(label for label in labels if label and label != "-"))
    identity = f' id="{name}"' if name else ""
    return f'{identity} data-item data-paper="{text(paper)}" data-labels="{text(marks)}"'


def cell(content: Cell, column: Column, note_prefix: str, links: Mapping[str, str]) -> str:
    """Return one cell of a grid; ``links`` has what certain texts lead to."""
    kinds = ("n" if column.numeric else "", "grey" if content.grey else "")
    kind = " ".join(part for part in kinds if part)
    inner = tag(content.text) if column.title == "label" else text(content.text)
    if content.text in ("not run", "out of scope", "quoted from others"):
        inner = f'<span class="none">{inner}</span>'
    if column.title in links and content.text:
        inner = f'<a href="#{links[column.title]}">{inner}</a>'
    if content.note is not None:
        inner += f'<sup><a href="#{note_prefix}-{content.note}">{content.note}</a></sup>'
    runs = [f'<a href="#run-{anchor(run)}">{text(run[-6:])}</a>' for run in content.runs]
    attribute = f' class="{kind}"' if kind else ""
    if content.note is not None:
        # The footnote's number is no part of the value.
        attribute += f' data-sort="{text(content.text)}"'
    return f"<td{attribute}>{' '.join([inner, *runs]).strip()}</td>"


def notes(grid: Grid, prefix: str) -> str:
    """Return caption, footnotes and notes of a grid."""
    parts = [f'<p class="soft">{text(grid.caption)}</p>']
    if grid.footnotes:
        lines = [
            f'<li id="{prefix}-{n}">{text(note)}</li>' for n, note in enumerate(grid.footnotes, 1)
        ]
        parts.append(f'<ol class="notes">{"".join(lines)}</ol>')
    if grid.notes:
        lines = [f"<li>{coded(note)}</li>" for note in grid.notes]
        parts.append(f'<ul class="notes">{"".join(lines)}</ul>')
    return "\n".join(parts)


def definitions(pairs: Iterable[Tuple[str, str]]) -> str:
    """Return names with their values as a list."""
    inner = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return f"<dl>{inner}</dl>"
