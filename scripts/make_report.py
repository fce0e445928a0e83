"""Write results/index.html from the records; with --check only say whether it is fresh."""

import argparse
import sys
from pathlib import Path

from gluontricks.errors import GluontricksError
from gluontricks.report.make import FILE, is_stale, write_report

RESULTS = Path(__file__).resolve().parent.parent / "results"


def main() -> int:
    """Return 0 if the page is written or fresh, 1 if ``--check`` finds it stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    try:
        stale = is_stale(options.results)
        if stale and not options.check:
            write_report(options.results)
    except GluontricksError as error:
        print(f"error: {error.cause}\n{error.remedy}", file=sys.stderr)
        return error.code
    if stale:
        print(f"{'stale' if options.check else 'wrote'}: {FILE}")
    if options.check and stale:
        print("run `python scripts/make_report.py` and commit what it writes", file=sys.stderr)
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
