"""The table of the cross-check, from what ``scripts/make_crosscheck.py`` measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from gluontricks.results.environment import code, hardware, software
from gluontricks.results.kept import csv_text, load_kept
from gluontricks.results.plain import plain
from gluontricks.results.words import escape

FILE, SCHEMA = "crosscheck.json", "gluontricks.crosscheck/1"
KINDS = ("loss", "gradients", "parameters", "statistics")
COLUMNS = ("kind", "name", *KINDS)


def document(rows: Sequence[Mapping[str, Any]], *, steps: int, limits: Mapping[str, float],
             day: str) -> Dict[str, Any]:  # fmt: skip
    """Return what is kept of a cross-check: the differences, and where and with what they are.

    Parameters
    ----------
    rows : sequence of mappings
        Each has ``kind``, ``name``, and a number for each of ``KINDS``.
    steps : int
        Updates that were compared.
    limits : mapping
        For each of ``KINDS``, what correct engines stay within.
    day : str
        ``YYYY-MM-DD``.
    """
    return {
        "schema": SCHEMA,
        "label": "MEASURED",
        "steps": steps,
        "limits": dict(limits),
        "day": day,
        "code": code(),
        "software": software(),
        "hardware": hardware(),
        "rows": [plain(dict(row)) for row in rows],
    }


def load(results_dir: Union[str, Path]) -> Optional[Dict[str, Any]]:
    """Return the kept cross-check; None where there is none.

    Raises
    ------
    IntegrityError
        If the file is not what the script writes.
    """

    def sound(found: Any) -> bool:
        rows = found["rows"]
        return found["schema"] == SCHEMA and all(set(row) == set(COLUMNS) for row in rows)

    return load_kept(
        Path(results_dir) / FILE, sound, what="cross-check", script="scripts/make_crosscheck.py"
    )


def render(found: Mapping[str, Any]) -> Dict[str, str]:
    """Return file name -> text of the table as Markdown and as CSV."""
    return {"crosscheck.md": to_markdown(found), "crosscheck.csv": to_csv(found)}


def to_markdown(found: Mapping[str, Any]) -> str:
    """Return the table as Markdown."""
    limits, packages, machine = found["limits"], found["software"], found["hardware"]
    lines = [
        "# The two engines in float64",
        "",
        f"| what | | {' | '.join(KINDS)} |",
        f"|:--|:--|{'--:|' * len(KINDS)}",
        *(_line(row) for row in found["rows"]),
        f"| limit | | {' | '.join(f'{limits[kind]:.0e}' for kind in KINDS)} |",
        "",
        "Largest difference of PyTorch's values from MXNet's over all arrays of a kind, over the "
        "largest absolute value in them: gradients of the first step, the rest after "
        f"{found['steps']} steps. Networks run with every trick at once; losses, optimizers and "
        "mixers on a small network. Label: MEASURED, one seed.",
        "",
        escape(
            f"gluontricks {found['code']['version']}, MXNet {_mxnet(packages)}, "
            f"PyTorch {packages['torch']}, NumPy {packages['numpy']}; {machine['cpu']}, "
            f"{machine['threads'] or machine['cores']} threads; {found['day']}."
        ),
    ]
    return "\n".join(lines) + "\n"


def to_csv(found: Mapping[str, Any]) -> str:
    """Return the table as CSV, with every digit that was measured."""
    return csv_text(COLUMNS, ([row[column] for column in COLUMNS] for row in found["rows"]))


def _line(row: Mapping[str, Any]) -> str:
    cells: List[str] = [row["kind"], escape(row["name"])]
    cells += [digits(row[kind]) for kind in KINDS]
    return "| " + " | ".join(cells) + " |"


def digits(value: Optional[float]) -> str:
    """Return a relative difference as text."""
    return "not finite" if value is None else f"{value:.1e}"


def _mxnet(packages: Mapping[str, Any]) -> str:
    return str(packages["mxnet"] or packages["mxnet-cu112"])
