#!/usr/bin/env python3
"""Run what a published table needs: see ``--help``."""

import sys

from gluontricks.cli.reproduce import main

if __name__ == "__main__":
    sys.exit(main())
