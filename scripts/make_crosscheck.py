"""Compare the engines on every network, loss, optimizer and mixer; write results/crosscheck.json.

Takes about ten minutes; the tables follow from what it writes. Start it with OMP_NUM_THREADS=1:
with two threads, sums in another order take the gradients of the deepest networks to the limit.
"""

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path

from gluontricks.cli import guarded
from gluontricks.crosscheck import LIMITS, cases, crosscheck
from gluontricks.errors import IntegrityError
from gluontricks.files import make_folder, write_atomic
from gluontricks.results.crosschecked import FILE, document
from gluontricks.results.make import write_tables
from gluontricks.threads import set_threads

RESULTS = Path(__file__).resolve().parent.parent / "results"


def main() -> int:
    """Return 0 if the engines agree on everything, 81 if not; both are written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5, help="updates to compare (5)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    return guarded(lambda: compare(options.steps, make_folder(options.results)), debug=False)


def compare(steps: int, results: Path) -> int:
    """Compare case by case, telling each; write what came out."""
    set_threads()
    rows, apart = [], []
    for case in cases():
        found = crosscheck(case.recipe, steps=steps, size=case.size)
        rows.append({"kind": case.kind, "name": case.name, **found._asdict()})
        apart += [] if found.agree else [case.name]
        values = "  ".join(f"{kind} {value:.1e}" for kind, value in found._asdict().items())
        print(f"{case.kind:<9}  {case.name:<22}  {values}", flush=True)
    day = datetime.now(timezone.utc).date().isoformat()
    kept = document(rows, steps=steps, limits=LIMITS._asdict(), day=day)
    write_atomic(results / FILE, json.dumps(kept, indent=1) + "\n")
    for name in (FILE, *(f"tables/{name}" for name in write_tables(results))):
        print(f"wrote: {name}")
    if apart:
        raise IntegrityError(
            f"the engines disagree on {', '.join(apart)}", "report it with this output"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
