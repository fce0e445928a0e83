"""Parameters and multiply-adds beside the printed ones, from what make_complexity.py counted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from gluontricks.recipes import Published, cifar10_resnets, published
from gluontricks.recipes.derived import rounded
from gluontricks.results.kept import csv_text, load_kept
from gluontricks.results.words import escape

FILE, SCHEMA = "complexity.json", "gluontricks.complexity/1"
COLUMNS = ("model", "size", "params", "running", "macs")
# Printed metric -> what it is of ours, its unit and how the unit is written.
COSTS: Mapping[str, Tuple[str, int, str]] = {
    "params": ("params", 1, ""),
    "params_M": ("params", 10**6, "M"),
    "flops_G": ("macs", 10**9, "G"),
}
TITLES: Mapping[str, str] = {"params_M": "parameters", "flops_G": "FLOPs"}
PAPER = "bag-of-tricks"
CAPTIONS = {
    "1": "computational costs of various networks",
    "5": "ResNet-50 and its tweaks: parameters and computational costs",
}
MEANING = (
    "FLOPs are multiply-adds of convolutions and fully connected layers for one image; parameters "
    "are without running statistics. A printed value is exact if ours rounds to it."
)
NOTES: Mapping[str, Tuple[str, ...]] = {
    "1": ("The paper prints two values for ResNet-50: 3.9 G here and 3.8 G in Table 5.",),
    "5": (
        "The paper prints two values for ResNet-50: 3.8 G here and 3.9 G in Table 1.",
        "25 M are the parameters cut off after the millions.",
    ),
}


def document(
    networks: Sequence[Mapping[str, Any]], layers: Mapping[str, Any], *, classes: int
) -> Dict[str, Any]:
    """Return what is kept: the cost of each network, and the layers of those that are drawn.

    Parameters
    ----------
    networks : sequence of mappings
        Each has the keys of ``COLUMNS``; ``size`` is the image's height and width.
    layers : mapping
        Network -> its layers as JSON values.
    classes : int
        Outputs of all networks.
    """
    rows = [{name: row[name] for name in COLUMNS} for row in networks]
    return {"schema": SCHEMA, "classes": classes, "networks": rows, "layers": dict(layers)}


def to_json(found: Mapping[str, Any]) -> str:
    """Return a document as text with one network, or one layer, in a line."""
    networks = _listed(found["networks"], " ")
    layers = [
        f"  {json.dumps(name)}: {_listed(rows, '   ')}" for name, rows in found["layers"].items()
    ]
    return (
        f'{{\n "schema": {json.dumps(found["schema"])},\n "classes": {found["classes"]},\n'
        f' "networks": {networks},\n "layers": {{\n' + ",\n".join(layers) + "\n }\n}\n"
    )


def _listed(rows: Sequence[Any], indent: str) -> str:
    return "[\n" + ",\n".join(f"{indent} {json.dumps(row)}" for row in rows) + f"\n{indent}]"


def load(results_dir: Union[str, Path]) -> Optional[Dict[str, Any]]:
    """Return what was counted; None where there is nothing.

    Raises
    ------
    IntegrityError
        If the file is not what the script writes.
    """

    def sound(found: Any) -> bool:
        rows, whole = found["networks"], found["schema"] == SCHEMA
        return (
            whole and isinstance(found["layers"], dict) and all(tuple(r) == COLUMNS for r in rows)
        )

    return load_kept(
        Path(results_dir) / FILE,
        sound,
        what="table of networks' costs",
        script="scripts/make_complexity.py",
    )


@dataclass(frozen=True)
class Cost:
    """One printed cost beside ours: the exact count, it in the printed unit, and the status."""

    printed: Published
    count: Optional[int]

    @property
    def unit(self) -> Tuple[int, str]:
        """The unit as a number and as a letter."""
        _, size, letter = COSTS[self.printed.metric]
        return size, letter

    @property
    def status(self) -> str:
        """``exact`` if ours rounds to the printed digits, else ``differs``."""
        if self.count is None:
            return "not implemented"
        digits = Decimal(self.printed.value.replace(",", ""))
        ours = rounded(Decimal(self.count) / self.unit[0], digits)
        return "exact" if ours == digits else "differs"

    @property
    def ours(self) -> str:
        """Ours in the printed unit, with three decimals."""
        if self.count is None:
            return ""
        return f"{Decimal(self.count) / self.unit[0]:.3f}"


def cost_of(value: Published, found: Mapping[str, Any]) -> Optional[Cost]:
    """Return the cost of a printed one's network as counted here; None if it is no cost."""
    if value.metric not in COSTS:
        return None
    if value.paper == cifar10_resnets.PAPER:
        count = cifar10_resnets.count_of(value.row, value.model)
        if count is not None:
            return Cost(value, count)
    counted = {row["model"]: row for row in found.get("networks", ())}
    return Cost(value, counted.get(value.model, {}).get(COSTS[value.metric][0]))


def costs(found: Mapping[str, Any], table: str) -> List[Cost]:
    """Return every printed cost of a table of Bag of Tricks, in the paper's order."""
    of_table = [cost_of(value, found) for value in published(PAPER, table)]
    return [cost for cost in of_table if cost is not None]


def render(found: Mapping[str, Any]) -> Dict[str, str]:
    """Return file name -> text of the tables of costs."""
    files = {"networks.md": all_networks(found), "networks.csv": networks_csv(found)}
    for table in CAPTIONS:
        values = costs(found, table)
        files[f"{PAPER}-table-{table}-costs.md"] = to_markdown(table, values)
        files[f"{PAPER}-table-{table}-costs.csv"] = tocsv_text(values)
    return files


def to_markdown(table: str, values: Sequence[Cost]) -> str:
    """Return a table of costs as Markdown."""
    metrics = [metric for metric in COSTS if any(v.printed.metric == metric for v in values)]
    heading = ["row", "network"]
    for metric in metrics:
        heading += [f"{TITLES[metric]}, published", f"{TITLES[metric]}, ours", "status"]
    lines: Dict[str, List[str]] = {}
    for value in values:
        row = [escape(value.printed.row), f"`{value.printed.model}`"]
        cells = lines.setdefault(value.printed.row, row)
        letter = value.unit[1]
        ours = f"{value.ours} {letter}" if value.ours else ""
        cells += [f"{value.printed.value} {letter}", ours, value.status]
    align = [":--", ":--", *["--:", "--:", ":--"] * len(metrics)]
    text = [f"# {PAPER}, Table {table}: {CAPTIONS[table]}", ""]
    text += ["| " + " | ".join(row) + " |" for row in (heading, align, *lines.values())]
    text += ["", MEANING, "", *(f"- {note}" for note in NOTES[table])]
    return "\n".join(text) + "\n"


def tocsv_text(values: Sequence[Cost]) -> str:
    """Return a table of costs as CSV, with every digit of ours."""
    columns = ("id", "paper", "table", "row", "model", "metric", "published", "ours", "status")
    rows = [
        (v.printed.id, v.printed.paper, v.printed.table, v.printed.row, v.printed.model,
         v.printed.metric, v.printed.value, "" if v.count is None else v.count, v.status)
        for v in values
    ]  # fmt: skip
    return csv_text(columns, rows)


def all_networks(found: Mapping[str, Any]) -> str:
    """Return the costs of all networks as Markdown."""
    text = [
        f"# Networks with {found['classes']} outputs",
        "",
        "| network | image | parameters | running statistics | multiply-adds |",
        "|:--|--:|--:|--:|--:|",
    ]
    for row in found["networks"]:
        text.append(
            f"| `{row['model']}` | {row['size']} | {row['params']:,} | {row['running']:,} | "
            f"{row['macs'] / 1e9:.3f} G |"
        )
    return "\n".join([*text, "", MEANING.split(". ")[0] + "."]) + "\n"


def networks_csv(found: Mapping[str, Any]) -> str:
    """Return the costs of all networks as CSV."""
    return csv_text(COLUMNS, [[row[name] for name in COLUMNS] for row in found["networks"]])
