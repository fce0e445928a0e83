"""Count parameters and multiply-adds of every ImageNet network; write results/complexity.json.

Also writes the layers of the ResNets that are drawn. Takes ten seconds. The tables and the
figures follow from what it writes.
"""

import argparse
import sys
from pathlib import Path

from gluontricks.cli import guarded
from gluontricks.files import make_folder, write_atomic
from gluontricks.results.complexity import FILE, to_json

RESULTS = Path(__file__).resolve().parent.parent / "results"


def main() -> int:
    """Return 0 if it is written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    return guarded(lambda: write(make_folder(options.results)), debug=False)


def write(results: Path) -> int:
    """Count and write."""
    from gluontricks.counting import complexity

    write_atomic(results / FILE, to_json(complexity()))
    print(f"wrote: {FILE}; now: python scripts/make_tables.py; python scripts/make_figures.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
