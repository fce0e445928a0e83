from __future__ import annotations

import os
import pickle
import pickletools
import random

import numpy as np
import pytest
from cifar_files import batches, binary, python2, python3

from gluontricks.data import cifar, pickles
from gluontricks.data.locations import LAYOUTS

SMALL = {"data": np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)}
SMALL.update(coarse_labels=np.array([4, 1]), fine_labels=np.array([0, 1]))
LAYOUT = LAYOUTS["cifar100"][1]


class Payload:
    """Runs ``function(*arguments)`` when it is unpickled by the standard unpickler."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def mutant(content, rng):
    """The content with a few bytes changed, deleted, repeated or cut off."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        # Most of a file is pixels: damage what surrounds them.
        place = rng.choice([rng.randrange(400), rng.randrange(len(changed))]) % len(changed)
        kind = rng.randrange(4)
        if kind == 0:
            changed[place] = rng.randrange(256)
        elif kind == 1:
            del changed[place : place + rng.randint(1, 20)]
        elif kind == 2:
            changed[place:place] = changed[place : place + rng.randint(1, 20)]
        elif rng.random() < 0.2:
            del changed[place + 1 :]
    return bytes(changed)


@pytest.mark.parametrize("write", [python2, python3], ids=["python2", "python3"])
def test_damaged_pickles_are_read_or_refused_and_nothing_else(write):
    content = write(SMALL)
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        try:
            cifar._read_pickled(mutant(content, rng), LAYOUT, 2)
        except ValueError:
            refused += 1
    assert refused > 200


def test_damaged_records_are_read_or_refused_and_nothing_else():
    content = binary(batches("cifar100", "test")[0])[: 3 * 3074]
    rng = random.Random(1)
    refused = 0
    for _ in range(300):
        try:
            labels, _ = cifar._read_binary(mutant(content, rng), LAYOUT, 3)
            cifar._check_labels(labels)
        except ValueError:
            refused += 1
    assert refused > 150


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("name", ["system", "eval", "getattr", "load"])
def test_classic_payloads_are_refused_and_not_run(tmp_path, name, protocol):
    sentinel = tmp_path / "sentinel"
    payload = {
        "system": Payload(os.system, f"touch {sentinel}"),
        "eval": Payload(eval, f"open({str(sentinel)!r}, 'w')"),
        "getattr": Payload(getattr, os, "system") if protocol >= 4 else Payload(open, sentinel),
        "load": Payload(np.load, str(sentinel), None, True),
    }[name]
    try:
        content = pickle.dumps({"data": payload}, protocol=protocol)
    except TypeError:  # modules cannot be pickled, so name the function itself
        content = b"\x80\x04cos\nsystem\n(U\x01.tR."
    with pytest.raises(pickles.RefusedError, match="not allowed"):
        pickles.read_batch(content)
    assert not sentinel.exists()


REFUSED = {
    "changes a name": b"\x80\x02cnumpy\ndtype\n}b.",
    "a large memo": b"\x80\x02}r\xff\xff\xff\x7f.",
    "a bare name": b"\x80\x02}U\x04datacnumpy\ndtype\nU\x02u1\x85Rs.",
    "other text encoding": b"\x80\x04c_codecs\nencode\n\x8c\x01a\x8c\x03hex\x86R.",
    "an attribute path": b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.",
    "a persistent name": b"\x80\x02U\x01aQ.",
    "an extension": b"\x80\x02\x82\x01.",
    "a list": b"\x80\x02].",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_no_batch_needs_is_refused(kind):
    with pytest.raises(pickles.RefusedError):
        pickles.read_batch(REFUSED[kind])


def test_a_key_that_takes_for_ever_to_hash_is_refused():
    nested = b"\x80\x02}K\x00q\x00"
    for level in range(40):
        nested += b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86q" + bytes([level + 1])
    with pytest.raises(pickles.RefusedError, match="refers"):
        pickles.read_batch(nested + b"K\x01s.")


def test_a_pickle_above_the_limit_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(pickles, "MAX_BYTES", 100)
    monkeypatch.setattr(pickletools, "genops", None)
    with pytest.raises(pickles.RefusedError, match="limit"):
        pickles.read_batch(python2(SMALL))
