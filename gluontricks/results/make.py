"""Writing every table of the results folder, or finding out which ones would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Union

from gluontricks.files import make_folder, write_atomic
from gluontricks.recipes import ABLATIONS, Ablation, published
from gluontricks.results import accounts, complexity, crosschecked, registry
from gluontricks.results.cells import FULL, REDUCED
from gluontricks.results.excerpt import readme_of, with_excerpt
from gluontricks.results.rendering import rendered_table
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
    """Return file name -> text of every table: published ones, cross-check, networks' costs.

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
        table = build_table(ablation, records, values, label=label)
        if table.lines:
            texts = zip(ENDINGS, rendered_table(table))
            files.update({f"{file_stem(ablation)}{suffix}.{end}": text for end, text in texts})
    return files


def stale_files(results_dir: Union[str, Path]) -> Dict[str, str]:
    """Return name -> text of every table, and of the README, that is not what the records give."""
    results = Path(results_dir)
    files = all_tables(results)
    readme = readme_of(results)
    if readme.is_file():
        old = readme.read_text(encoding="utf-8")
        files[README] = with_excerpt(old, registry.load(results))
    return {name: text for name, text in files.items() if not is_fresh(place(results, name), text)}


def is_fresh(path: Path, text: str) -> bool:
    """Return whether a file holds just that text."""
    return path.is_file() and path.read_bytes() == text.encode()


def place(results_dir: Path, name: str) -> Path:
    """Return where the file of a name lies."""
    return readme_of(results_dir) if name == README else results_dir / "tables" / name


def stale_tables(results_dir: Union[str, Path]) -> List[str]:
    """Return the names of the files that are missing or not what the records give."""
    return list(stale_files(results_dir))


def write_tables(results_dir: Union[str, Path]) -> List[str]:
    """Write the files that are stale and return their names."""
    stale = stale_files(results_dir)
    if stale:
        make_folder(Path(results_dir) / "tables")
    for name, text in stale.items():
        write_atomic(place(Path(results_dir), name), text)
    return list(stale)
