"""Writing every table of the results folder, or finding out which ones would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Union

from gluontricks.files import make_folder, write_atomic
from gluontricks.recipes import ABLATIONS, Ablation, published
from gluontricks.results import accounts, complexity, crosschecked, registry
from gluontricks.results.cells import FULL, REDUCED
from gluontricks.results.excerpt import readme_of, stale_readme
from gluontricks.results.rendering import render_table
from gluontricks.results.tables import build_table

ENDINGS = ("md", "csv", "tex")
README = "README.md"
ARABIC = {"I": "1", "II": "2", "III": "3", "IV": "4", "V": "5", "VI": "6", "VII": "7"}


def file_stem(ablation: Ablation) -> str:
    """Return the name of a table's files without extension: ``stitch-mixup-table-3``."""
    number = ARABIC.get(ablation.table, ablation.table)
    kind = f"table-{number}" if number.isdigit() else ablation.table
    return f"{ablation.paper}-{kind}"


def all_tables(results_dir: Union[str, Path]) -> Dict[str, str]:
    """Return file name -> text of every table: the published ones, the cross-check's, networks' costs.

    Raises
    ------
    IntegrityError
        If a line of the registry is no record, or what is kept beside it is damaged.
    """
    records = registry.load(results_dir)
    files: Dict[str, str] = {}
    for ablation in ABLATIONS.values():
        files.update(rendered(ablation, records))
    for kept in (crosschecked, complexity):
        found = kept.load(results_dir)
        files.update(kept.render(found) if found else {})
    files.update(accounts.render(records, complexity.load(results_dir)))
    return files


def rendered(ablation: Ablation, records: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """Return file name -> text of a table, and of its reduced runs where there are any."""
    values = published(ablation.paper, ablation.table)
    files: Dict[str, str] = {}
    for label, suffix in ((FULL, ""), (REDUCED, "-reduced")):
        if label == REDUCED and not build_table(ablation, records, values, label=label).lines:
            continue
        for ending, text in zip(ENDINGS, render_table(ablation, records, values, label=label)):
            files[f"{file_stem(ablation)}{suffix}.{ending}"] = text
    return files


def stale_tables(results_dir: Union[str, Path]) -> List[str]:
    """Return the names of the table files that are missing or not what the records give."""
    folder = Path(results_dir) / "tables"
    names = [
        name
        for name, text in all_tables(results_dir).items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode()
    ]
    return names + [README] * len(stale_readme(Path(results_dir), registry.load(results_dir)))


def write_tables(results_dir: Union[str, Path]) -> List[str]:
    """Write the tables that are stale and return their names."""
    stale = stale_tables(results_dir)
    if stale:
        folder = make_folder(Path(results_dir) / "tables")
        files = all_tables(results_dir)
        for name in stale:
            if name != README:
                write_atomic(folder / name, files[name])
    for text in stale_readme(Path(results_dir), registry.load(results_dir)):
        write_atomic(readme_of(Path(results_dir)), text)
    return stale
