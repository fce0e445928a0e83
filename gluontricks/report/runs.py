"""Every run on the page: its facts, all its hyper-parameters, and its epochs."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence

from gluontricks.report.html import definitions, item, row_of, run_name, table, tag, text
from gluontricks.results.facts import facts, settings
from gluontricks.results.grids import Column, number
from gluontricks.results.records import label_of

Record = Mapping[str, Any]
# Key of an epoch -> heading, and decimals.
EPOCH = (("lr", "rate", 5), ("loss", "loss", 3), ("top1", "top-1, %", 2), ("top5", "top-5, %", 2),
         ("seconds", "seconds", 1))  # fmt: skip


def runs(records: Sequence[Record], there: int) -> str:
    """Return every valid record of those there are: ours first, then the logs."""
    ours = [record for record in records if record["source"] is None]
    logs = [record for record in records if record["source"] is not None]
    parts = ['<h2 id="runs">Runs</h2>',
             '<p class="soft">What each number was made of. Records are chained by hashes; '
             "<code>gluontricks results verify</code> checks them. "
             '<span class="printed">Only runs that were open are printed.</span></p>']  # fmt: skip
    if there > len(records):
        invalid = f"{there - len(records)} records are not valid and are left out."
        parts.append(f'<p class="soft">{invalid}</p>')
    for kind, found in (("Runs made here", ours), ("The authors' logs", logs)):
        parts.append(f"<section data-group><h3>{kind}</h3>")
        parts += [one_run(record) for record in found]
        parts.append("</section>")
    return "\n".join(parts)


def one_run(record: Record) -> str:
    """Return one record: what ran, on what, with which result."""
    label = label_of(record)
    paper = (record["rows"] or [""])[0].partition("/")[0]
    paper = paper or ("bag-of-tricks" if record["source"] is not None else "")
    name = record["recipe"] or (record["source"] or {}).get("file")
    metrics = record["metrics"] or {}
    seed = (record["seed"] or {}).get("root")
    shown_seed = "" if seed is None else f" seed {seed}"
    top1 = "" if metrics.get("top1") is None else f": top-1 {metrics['top1']:.2f} %"
    reason = "" if record["status"] in ("completed", None) else f": {record['status']}"
    summary = f"{tag(label)} {text(name)}{shown_seed}{top1}{text(reason)}"
    attributes = item("run", paper, [label], run_name(record["run_id"]))
    known = definitions(facts(record, whole=True))
    inner = known if record["source"] is not None else known + hyperparameters(record) + log(record)
    return f'<details class="run"{attributes}><summary>{summary}</summary>{inner}</details>'


def hyperparameters(record: Record) -> str:
    """Return every field of a run's recipe in a closed list."""
    found = settings(record)
    if not found:
        return '<p class="soft">Hyper-parameters: not recorded.</p>'
    title = f"All {len(found)} hyper-parameters"
    return f"<details><summary>{title}</summary>{definitions(found)}</details>"


def log(record: Record) -> str:
    """Return the epochs of a run as a table in a closed list."""
    epochs: Sequence[Mapping[str, Any]] = record["epochs"] or ()
    if not epochs:
        return '<p class="soft">Log by epoch: not recorded.</p>'
    columns = (Column("epoch", True), *(Column(title, True) for _, title, _ in EPOCH))
    rows = [("", row_of(epoch_cells(epoch), columns)) for epoch in epochs]
    title = f"Log: {len(epochs)} epochs"
    return f"<details><summary>{title}</summary>{table(columns, rows, caption=title)}</details>"


def epoch_cells(epoch: Mapping[str, Any]) -> List[str]:
    """Return the numbers of one epoch, counted from 1."""
    return [str(epoch["epoch"] + 1), *(number(epoch.get(key), n) for key, _, n in EPOCH)]
