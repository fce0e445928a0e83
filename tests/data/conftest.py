from __future__ import annotations

import pytest
from cifar_files import COUNTS, small_layouts

from gluontricks.data import locations


@pytest.fixture
def small(monkeypatch):
    """Data sets in the official forms, but with few images in each file."""
    for name in COUNTS:
        monkeypatch.setitem(locations.LAYOUTS, name, small_layouts(name))
