#!/usr/bin/env python3
"""Train on ImageNet with GluonCV's flags: see ``--help``."""

import sys

from gluontricks.cli.imagenet import main

if __name__ == "__main__":
    sys.exit(main())
