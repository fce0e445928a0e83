"""The authors' logs beside the rows of published tables, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Sequence

from gluontricks.recipes import Ablation, Published
from gluontricks.recipes.gluoncv_runs import PublishedRun, published_runs
from gluontricks.recipes.spec import LogOfRow
from gluontricks.results.cells import METRICS, sound

# A log agrees with a printed value within this many points, or two printed deviations.
MARGIN = 0.2


@dataclass(frozen=True)
class Evidence:
    """One row's log: what it says, and what differs from the row."""

    about: LogOfRow
    run: PublishedRun
    record: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """Which log it is and what differs."""
        kind = "" if self.about.comparable else " (not comparable)"
        return f"{self.run.source}{kind}: {self.about.differs}"

    def value(self, metric: str) -> Optional[float]:
        """Return what the log has for a metric of its last epoch, or None."""
        return METRICS[metric].read(self.record)

    def verdict(self, metric: str, printed: Optional[Published]) -> str:
        """Return ``log agrees`` or ``log differs``; nothing where the two are not comparable."""
        value = self.value(metric)
        if value is None or printed is None or printed.number is None:
            return ""
        if not self.about.comparable or metric not in ("top1", "top5"):
            return ""
        margin = max(MARGIN, 2 * (printed.std or 0.0))
        return "log agrees" if abs(value - printed.number) <= margin else "log differs"


def evidence_of(ablation: Ablation, records: Sequence[Mapping[str, Any]]) -> Dict[str, Evidence]:
    """Return row -> its log, for the rows of a table whose log is among the records."""
    runs = {run.name: run for run in published_runs()}
    found: Dict[str, Evidence] = {}
    logs = [record for record in sound(records) if record["source"]]
    for row, about in ablation.logs.items():
        run = runs[about.run]
        record = next((r for r in logs if _is_of(r, run)), None)
        if record is not None:
            found[row] = Evidence(about, run, record)
    return found


def _is_of(record: Mapping[str, Any], run: PublishedRun) -> bool:
    """Return whether a record was made of the log of a run: the file, and its revision."""
    source = record.get("source")
    if not source or source["file"] != run.log:
        return False
    commit = str(source["origin"]).partition("@")[2]
    replaced = {other.revision for other in published_runs() if other.log == run.log} - {""}
    return commit == run.revision if run.revision else commit not in replaced
