"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# One thread: waiting threads spin, so that two test runs side by side slow each other 50-fold.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; without it the test is skipped, or fails where required."""
    required = os.environ.get("GLUONTRICKS_REQUIRE_DATA") == "1"
    folder = os.environ.get("GLUONTRICKS_DATA")
    if folder and Path(folder).is_dir():
        return Path(folder)
    reason = f"needs real data: $GLUONTRICKS_DATA is {folder!r}"
    if required:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def logs_dir() -> Path:
    """A folder of GluonCV's published logs; without it the test is skipped."""
    folder = os.environ.get("GLUONTRICKS_LOGS")
    if folder and Path(folder).is_dir():
        return Path(folder)
    pytest.skip(f"needs the authors' logs: $GLUONTRICKS_LOGS is {folder!r}")
