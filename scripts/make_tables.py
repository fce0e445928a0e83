"""Write results/tables from the registry; with --check only say whether they are fresh."""

import argparse
import sys
from pathlib import Path

from gluontricks.errors import GluontricksError
from gluontricks.results.make import README, stale_tables, write_tables

RESULTS = Path(__file__).resolve().parent.parent / "results"


def main() -> int:
    """Return 0 if the tables are written or fresh, 1 if ``--check`` finds stale ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    try:
        names = (stale_tables if options.check else write_tables)(options.results)
    except GluontricksError as error:
        print(f"error: {error.cause}\n{error.remedy}", file=sys.stderr)
        return error.code
    for name in names:
        place = name if name == README else f"tables/{name}"
        print(f"{'stale' if options.check else 'wrote'}: {place}")
    if options.check and names:
        print("run `python scripts/make_tables.py` and commit what it writes", file=sys.stderr)
    return 1 if options.check and names else 0


if __name__ == "__main__":
    sys.exit(main())
