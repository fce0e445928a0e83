"""Writing the page, or finding out whether it is what the records give."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import List, Union

from gluontricks.files import write_atomic
from gluontricks.report import accounting, beside, head, runs, tables
from gluontricks.report.worth import worth
from gluontricks.results import complexity, crosschecked, registry
from gluontricks.results.account import account
from gluontricks.results.cells import sound

FILE = "index.html"
ASSETS = Path(__file__).with_name("assets")
DESCRIPTION = "Training tricks for image classifiers: published numbers, logs and measurements"


def page(results_dir: Union[str, Path]) -> str:
    """Return the page as HTML: one document that loads nothing.

    Its policy allows no request and only the one script whose hash it names, so that no text of a
    record could run.

    Raises
    ------
    IntegrityError
        If a line of the registry is no record.
    """
    records = registry.load(results_dir)
    counts = complexity.load(results_dir)
    entries = account(records, counts)
    built = tables.built_tables(records)
    body = "\n".join(
        (
            worth(built),
            accounting.account(entries),
            tables.tables(built, counts),
            beside.others(counts, crosschecked.load(results_dir)),
            accounting.values(entries),
            beside.repositories(),
            runs.runs(sound(records), len(records)),
        )
    )
    labels = head.labels_on(body)
    style, script = (
        (ASSETS / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy(script)}">
<meta name="description" content="{DESCRIPTION}">
<link rel="icon" href="data:,">
<title>gluontricks: results</title>
<style>
{style}</style>
</head>
<body>
<nav class="skips" aria-label="Skip"><a class="skip" href="#account">Skip to the account</a>
<a class="skip" href="#tables">Skip to the tables</a>
<a class="skip" href="#runs">Skip to the runs</a></nav>
<header>
{head.head(entries, sound(records))}
{head.meanings(labels)}
</header>
{head.filters(labels)}
<main>
{body}
</main>
<footer>Written by <code>gluontricks results report</code> from the records in
<code>results/runs</code>; no number on this page was typed.</footer>
<script>{script}</script>
</body>
</html>
"""


def policy(script: str) -> str:
    """Return the page's policy: no request, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def write_report(results_dir: Union[str, Path]) -> Path:
    """Write the page and return its path."""
    path = Path(results_dir) / FILE
    write_atomic(path, page(results_dir))
    return path


def is_stale(results_dir: Union[str, Path]) -> bool:
    """Return whether the page is missing or not what the records give."""
    path = Path(results_dir) / FILE
    return not path.is_file() or path.read_bytes() != page(results_dir).encode()


def stale_report(results_dir: Union[str, Path]) -> List[str]:
    """Return the name of the page if it is stale."""
    return [FILE] if is_stale(results_dir) else []


def refreshed_report(results_dir: Union[str, Path]) -> List[str]:
    """Write the page if it is stale; return its name if it was."""
    return [write_report(results_dir).name] if is_stale(results_dir) else []
