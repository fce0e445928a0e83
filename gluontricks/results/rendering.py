"""A published table in every format, from the records."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from gluontricks.recipes import Ablation, Published
from gluontricks.results.cells import FULL
from gluontricks.results.formats import to_latex, to_markdown
from gluontricks.results.grids import grid
from gluontricks.results.tables import Table, build_table
from gluontricks.results.tables_csv import to_csv


class Rendered(NamedTuple):
    """One table as text in three formats."""

    markdown: str
    csv: str
    latex: str


def render_table(
    ablation: Ablation,
    records: Sequence[Mapping[str, Any]],
    published: Iterable[Published],
    *,
    label: str = FULL,
) -> Rendered:
    """Return a table in every format; the arguments are those of ``build_table``."""
    return rendered_table(build_table(ablation, records, published, label=label))


def rendered_table(table: Table) -> Rendered:
    """Return a table that is built in every format."""
    shown = grid(table)
    return Rendered(to_markdown(shown), to_csv(table), to_latex(shown))
