"""``python -m gluontricks``: the command line, for whoever has no script folder on the path."""

import sys

from gluontricks.cli import main

if __name__ == "__main__":
    sys.exit(main())
