"""Write results/figures; with --check only say whether they are fresh."""

import argparse
import sys
from pathlib import Path

from gluontricks.cli import guarded
from gluontricks.figures.canvas import MATPLOTLIB
from gluontricks.figures.make import FOLDER, compares_svg, stale_figures, write_figures

RESULTS = Path(__file__).resolve().parent.parent / "results"


def main() -> int:
    """Return 0 if the figures are written or fresh, 1 if ``--check`` finds stale ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    return guarded(lambda: make(options.results, check=options.check), debug=False)


def make(results: Path, *, check: bool) -> int:
    """Write, or compare, and tell."""
    names = (stale_figures if check else write_figures)(results)
    for name in names:
        print(f"{'stale' if check else 'wrote'}: {FOLDER}/{name}")
    if check and not compares_svg():
        print(f"only data were compared: pictures are those of matplotlib {MATPLOTLIB}")
    if check and names:
        print("run `python scripts/make_figures.py` and commit what it writes", file=sys.stderr)
    return 1 if check and names else 0


if __name__ == "__main__":
    sys.exit(main())
