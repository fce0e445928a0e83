import inspect

import pytest

from gluontricks import errors
from gluontricks.errors import GluontricksError, UsageError, nearest, unknown

# 2 as of every command line, 64 to 78 as in sysexits.h, the others of this project.
CODES = {
    "GluontricksError": 70,
    "UsageError": 2,
    "DataError": 65,
    "DownloadError": 69,
    "OutputError": 73,
    "DiskError": 74,
    "LockedError": 75,
    "WorkerError": 76,
    "DivergedError": 80,
    "IntegrityError": 81,
}


def test_every_kind_of_error_has_its_exit_code():
    kinds = {
        name: kind.code
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, GluontricksError)
    }
    assert kinds == CODES


@pytest.mark.parametrize("name", CODES)
def test_an_error_says_cause_and_remedy(name):
    error = getattr(errors, name)("--lr is -1", "give more than 0")
    assert (error.cause, error.remedy) == ("--lr is -1", "give more than 0")
    assert str(error) == "--lr is -1; give more than 0"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("mixupp", "mixup"), ("stich-vertical", "stitch-vertical"), ("cutmx", "cutmix")],
)
def test_the_nearest_name_is_offered(typed, offered):
    text = nearest(typed, ["mixup", "cutmix", "stitch-vertical"])
    assert text.startswith(f"did you mean '{offered}'?")


def test_without_a_near_name_all_are_listed():
    assert nearest("qqq", ["b", "a"]) == "there are: a, b"


def test_an_unknown_name_is_a_usage_error_that_quotes_it():
    error = unknown("optimizer", "nagg", ["nag", "sgd"])
    assert isinstance(error, UsageError)
    assert error.cause == "unknown optimizer 'nagg'"
    assert "'nag'" in error.remedy
