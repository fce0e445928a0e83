"""Write results/index.html from the records; with --check only say whether it is fresh."""

import sys
from pathlib import Path

from gluontricks.cli.making import main
from gluontricks.report.make import refreshed_report, stale_report

if __name__ == "__main__":
    sys.exit(main(Path(__file__), __doc__, stale=stale_report, write=refreshed_report))
