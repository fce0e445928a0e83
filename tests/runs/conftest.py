"""Runs that several tests look at: each is trained once."""

import pytest
from running import command, tiny


@pytest.fixture(scope="session")
def teacher_run(tmp_path_factory):
    """A finished run of a network that can teach the tiny recipe."""
    folder = tmp_path_factory.mktemp("teachers") / "teacher"
    tiny(folder, "--model", "resnet14_v1", "--num-epochs", "1", "--quiet")
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A finished run on all digits: 22 updates an epoch, 3 epochs."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    done = command(
        "train", "--dataset", "digits", "--model", "resnet8_v1", "--batch-size", "64",
        "--num-epochs", "3", "--warmup-epochs", "0", "--out", folder, "--quiet",
    )  # fmt: skip
    assert done.code == 0, done.err
    return folder
