import math

import pytest
from gluoncv_reference import gluoncv
from hypothesis import given, settings
from hypothesis import strategies as st

from gluontricks.builders import make_rates
from gluontricks.errors import UsageError
from gluontricks.mxnet_shim import mx
from gluontricks.recipes.resolve import resolve
from gluontricks.recipes.spec import Recipe
from gluontricks.schedules import DECAYS, FORMS, Schedule, rate, rate_gluoncv, rate_table

MODES = [*DECAYS, "step"]
DECAYING = ["linear", "poly", "cosine"]


def closed_form(mode, i, m, total, lr):
    """The rate of step i as it is written down, for m warm-up steps of ``total``."""
    if i < m:
        return lr * (i + 1) / m
    t, after = i - m, total - m
    return {
        "constant": lr,
        "linear": lr * (1 - t / after),
        "poly": lr * (1 - t / after) ** 2,
        "cosine": lr * (1 + math.cos(math.pi * t / after)) / 2,
    }[mode]


@pytest.mark.parametrize("mode", DECAYS)
@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_rates_are_the_closed_forms(mode, warmup):
    for i in range(30):
        actual = rate(i, mode=mode, peak=0.4, steps=30, warmup_steps=warmup)
        assert actual == pytest.approx(closed_form(mode, i, warmup, 30, 0.4), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(MODES),
    st.integers(0, 30),
    st.integers(1, 30),
    st.floats(1e-6, 10),
)
def test_the_peak_is_reached_exactly_and_the_last_update_is_not_zero(mode, m, after, peak):
    rates = [
        rate(i, mode=mode, peak=peak, steps=m + after, warmup_steps=m, decay_steps=(m + 1,))
        for i in range(m + after)
    ]
    assert max(rates) == peak
    assert rates[m] == peak
    assert rates[-1] > 0
    assert m == 0 or rates[m - 1] == peak
    assert all(a < b for a, b in zip(rates[: m - 1], rates[1:m]))
    assert all(a >= b for a, b in zip(rates[m:-1], rates[m + 1 :]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (2, 1), (2, 0), (3, 2)])
def test_the_shortest_runs_are_defined(mode, form, steps, warmup):
    rates = [
        FORMS[form](i, mode=mode, peak=0.1, steps=steps, warmup_steps=warmup) for i in range(steps)
    ]
    assert all(0 <= r <= 0.1 for r in rates)
    if form == "exact":
        assert rates[warmup] == 0.1


def test_a_step_decays_from_the_first_update_of_its_epoch():
    schedule = Schedule("step", 1.0, decay=0.1, decay_epochs=(4, 8))
    rates = rate_table(schedule, epochs=10, steps_per_epoch=3)
    assert rates == pytest.approx([1.0] * 12 + [0.1] * 12 + [0.01] * 6)


@pytest.mark.parametrize(("origin", "full"), [("start", 4), ("warmup", 8)])
def test_step_epochs_count_from_the_start_or_from_the_end_of_warmup(origin, full):
    schedule = Schedule(
        "step", 1.0, warmup_epochs=2, decay=0.5, decay_epochs=(4,), decay_from=origin
    )
    expected = [0.25, 0.5, 0.75, 1.0] + [1.0] * full + [0.5] * (14 - full)
    assert rate_table(schedule, epochs=9, steps_per_epoch=2) == pytest.approx(expected)


def gluoncv_rates(mode, *, epochs, per_epoch, warmup, lr, decay_epochs=(), decay=0.1):
    """The rates that a trainer uses with GluonCV's schedule, built as its script builds it."""
    utils = gluoncv("gluoncv.utils")
    parts = [
        utils.LRScheduler(
            mode, base_lr=lr, target_lr=0, nepochs=epochs - warmup, iters_per_epoch=per_epoch,
            step_epoch=[e - warmup for e in decay_epochs], step_factor=decay, power=2,
        )
    ]  # fmt: skip
    if warmup:
        ramp = utils.LRScheduler(
            "linear", base_lr=0, target_lr=lr, nepochs=warmup, iters_per_epoch=per_epoch
        )
        parts.insert(0, ramp)
    weight = mx.gluon.Parameter("w", shape=(1,))
    weight.initialize(mx.init.Zero())
    optimizer = mx.optimizer.SGD(lr_scheduler=utils.LRSequential(parts))
    trainer = mx.gluon.Trainer({"w": weight}, optimizer, kvstore=None)
    used, before = [], 0.0
    for _ in range(epochs * per_epoch):
        # A gradient of -1 moves the weight by the rate itself.
        with mx.autograd.record():
            loss = -weight.data()
        loss.backward()
        trainer.step(1)
        now = float(weight.data().asscalar())
        used.append(trainer.learning_rate)
        assert now - before == pytest.approx(used[-1], abs=1e-5)
        before = now
    return used


@pytest.mark.parametrize("mode", ["constant", "linear", "poly", "cosine", "step"])
@pytest.mark.parametrize("warmup", [0, 2])
def test_the_gluoncv_form_is_what_its_schedule_gives_in_a_trainer(mode, warmup):
    options = {"decay_epochs": (4, 6), "decay": 0.1} if mode == "step" else {}
    expected = gluoncv_rates(mode, epochs=8, per_epoch=3, warmup=warmup, lr=0.4, **options)
    schedule = Schedule(mode, 0.4, form="gluoncv", warmup_epochs=warmup, **options)
    actual = rate_table(schedule, epochs=8, steps_per_epoch=3)
    assert actual == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_gluoncvs_form_ends_its_warmup_one_step_early_and_the_run_at_zero():
    rates = [rate_gluoncv(i, mode="cosine", peak=1.0, steps=20, warmup_steps=5) for i in range(20)]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[-1] == rates[-2] == pytest.approx(0.0, abs=1e-12)


def test_the_default_recipes_rates_are_those_of_the_paper():
    # 120 epochs of 195 updates (50,000 // 256), 5 of warm-up to 0.1, then half a cosine.
    recipe = resolve(Recipe(warmup_epochs=5, label_smoothing=0.1))
    rates = make_rates(recipe, 195)
    assert len(rates) == 23_400
    assert rates[0] == pytest.approx(0.1 / 975)
    assert rates[974] == rates[975] == 0.1
    assert rates[975 + 22_425 // 3] == pytest.approx(0.075)
    assert rates[-1] == pytest.approx(0.1 * (math.pi / 22_425) ** 2 / 4, rel=1e-6)
    # The mean of the whole cosine: half the peak, and half a step's share of it.
    assert sum(rates[975:]) / 22_425 == pytest.approx(0.05, rel=1e-4)


def test_the_baseline_divides_by_ten_at_30_60_and_90():
    rates = make_rates(resolve(Recipe(lr_mode="step")), 195)
    by_epoch = [rates[195 * epoch] for epoch in (0, 29, 30, 59, 60, 89, 90, 119)]
    assert by_epoch == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4])
    assert rates[30 * 195 - 1] == 0.1


@pytest.mark.parametrize("form", FORMS)
def test_an_unknown_schedule_offers_the_nearest(form):
    with pytest.raises(UsageError, match="unknown schedule 'cosin'.*did you mean 'cosine'"):
        FORMS[form](0, mode="cosin", peak=0.1, steps=10)


def test_an_unknown_form_offers_the_nearest():
    with pytest.raises(UsageError, match="unknown form of schedule 'exakt'.*'exact'"):
        rate_table(Schedule("poly", 0.1, form="exakt"), epochs=1, steps_per_epoch=1)
