import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gluontricks import streams

MASK = (1 << 64) - 1
SEEDS = st.integers(0, 2**63 - 1)
STREAMS = st.text(max_size=20)
EPOCHS = st.integers(0, 2**32)


def philox(counter, key):
    """Philox4x64-10 by its definition (Salmon et al., Parallel Random Numbers, SC 2011)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * 0xD2E7470EE14C6C93, c2 * 0xCA5A826395121157
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & MASK, (p0 >> 64) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return c0, c1, c2, c3


def test_the_reference_gives_the_published_known_answer():
    # Random123's kat_vectors, philox4x64 10 rounds, counter and key all zero.
    assert philox((0, 0, 0, 0), (0, 0)) == (
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    )


@pytest.mark.parametrize(
    ("seed", "stream", "epoch"), [(0, "order", 0), (7, "mixing", 119), (2**63 - 1, "", 2**40)]
)
def test_words_are_philox_of_seed_stream_and_epoch(seed, stream, epoch):
    name = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")
    # NumPy counts before it draws, so the first block is number 1.
    expected = [w for block in (1, 2) for w in philox((block, 0, 0, epoch), (seed, name))]
    assert streams.words(seed, stream, epoch, 8).tolist() == expected


def test_words_of_published_runs_stay_what_they_are():
    # Computed with the reference above; a change would orphan every checkpoint and record.
    expected = [0x7873C5A19CDC6F1A, 0x14492B8727F1D376]
    assert streams.words(0, "order", 0, 2).tolist() == expected


@settings(max_examples=20, deadline=None)
@given(SEEDS, STREAMS, EPOCHS, st.integers(0, 20), st.integers(0, 20))
def test_a_draw_does_not_depend_on_how_many_are_made(seed, stream, epoch, count, more):
    few = streams.words(seed, stream, epoch, count)
    many = streams.words(seed, stream, epoch, count + more)
    np.testing.assert_array_equal(few, many[:count])


def test_a_draw_does_not_depend_on_what_was_drawn_before():
    first = streams.uniforms(3, "a", 2, 5)
    streams.uniforms(3, "b", 2, 1000)
    np.random.default_rng(0).random(10)
    np.testing.assert_array_equal(streams.uniforms(3, "a", 2, 5), first)


def test_seeds_streams_and_epochs_give_unrelated_words():
    base = streams.normals(1, "a", 1, 4000)
    for other in [(2, "a", 1), (1, "b", 1), (1, "a", 2)]:
        correlation = np.corrcoef(base, streams.normals(*other, 4000))[0, 1]
        assert abs(correlation) < 5 / np.sqrt(4000)


@settings(max_examples=20, deadline=None)
@given(SEEDS, STREAMS, EPOCHS)
def test_uniforms_lie_in_the_open_interval(seed, stream, epoch):
    u = streams.uniforms(seed, stream, epoch, 100)
    assert ((u > 0) & (u < 1)).all()


@pytest.mark.parametrize("word", [0, MASK])
def test_the_extreme_words_give_neither_0_nor_1_nor_infinity(monkeypatch, word):
    monkeypatch.setattr(streams, "words", lambda *_: np.array([word], dtype=np.uint64))
    assert 0 < streams.uniforms(0, "a", 0, 1)[0] < 1
    assert np.isfinite(streams.normals(0, "a", 0, 1)[0])


def test_uniforms_and_normals_follow_their_distributions():
    assert stats.kstest(streams.uniforms(0, "ks", 0, 20_000), "uniform").pvalue > 1e-3
    assert stats.kstest(streams.normals(0, "ks", 1, 20_000), "norm").pvalue > 1e-3


@settings(max_examples=20, deadline=None)
@given(SEEDS, EPOCHS, st.integers(0, 200))
def test_permutation_is_one(seed, epoch, count):
    order = streams.permutation(seed, "order", epoch, count)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))


def test_every_order_of_three_is_as_likely():
    orders = [tuple(streams.permutation(0, "order", epoch, 3)) for epoch in range(3000)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-3


def test_operator_seeds_fit_31_bits_and_change_with_the_step():
    seeds = [streams.operator_seed(5, step) for step in range(200)]
    assert len(set(seeds)) == 200
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert max(seeds) > 2**30
