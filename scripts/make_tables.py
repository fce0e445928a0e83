"""Write results/tables and the README's table; with --check only say whether they are fresh."""

import sys
from pathlib import Path

from gluontricks.cli.making import main
from gluontricks.results.make import README, stale_tables, write_tables


def place(name: str) -> str:
    """Return where a file lies beside or above the results."""
    return name if name == README else f"tables/{name}"


if __name__ == "__main__":
    sys.exit(main(Path(__file__), __doc__, stale=stale_tables, write=write_tables, place=place))
