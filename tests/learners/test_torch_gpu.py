"""The PyTorch engine on a GPU: run with ``make test-all`` where there is one."""

import time

import numpy as np
import pytest
import small_run
from small_run import IMAGES, batches, teacher_of

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU"),
]


def learner_of(rate=0.01, **changes):
    return small_run.learner_of("torch", rate, **{"device": "cuda", **changes})


def assert_near(one, other, tolerance):
    for key, value in one.arrays.items():
        largest = max(np.abs(value).max(), 1e-3)
        np.testing.assert_allclose(
            other.arrays[key], value, rtol=0, atol=tolerance * largest, err_msg=key
        )


@pytest.mark.parametrize("optimizer", ["nag", "adam"])
def test_recorded_steps_on_a_gpu_are_those_of_the_cpu(optimizer):
    rate = 0.01 if optimizer == "nag" else 1e-3
    cpu, gpu = (
        learner_of(rate, device=device, optimizer=optimizer, dtype="float64", teacher=teacher_of())
        for device in ("cpu", "cuda")
    )
    for learner in (cpu, gpu):
        for batch in batches(mixup_type="stitch-vertical")[:5]:
            learner.step(batch)
    np.testing.assert_allclose(gpu.losses(), cpu.losses(), rtol=1e-6)
    assert_near(cpu.state(), gpu.state(), 1e-6)
    np.testing.assert_allclose(gpu.predict(IMAGES), cpu.predict(IMAGES), rtol=1e-5, atol=1e-6)


def test_a_deterministic_run_goes_on_bit_for_bit():
    learner = learner_of(deterministic=True)
    for batch in batches()[:4]:
        learner.step(batch)
        if batch.step == 1:
            kept = learner.state()
    fresh = learner_of(deterministic=True)
    fresh.load_state(kept)
    for batch in batches()[2:4]:
        fresh.step(batch)
    small_run.assert_same_state(fresh.state(), learner.state())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_learns_like_float32(dtype):
    losses = {}
    for name in ("float32", dtype):
        learner = learner_of(dtype=name)
        for batch in batches(mixup_type="none")[: small_run.STEPS]:
            learner.step(batch)
        losses[name] = learner.losses()
    np.testing.assert_allclose(losses[dtype][0], losses["float32"][0], rtol=1e-2)
    assert losses[dtype][-3:].mean() < losses[dtype][:3].mean()


def test_the_processor_does_not_wait_for_a_step():
    learner = learner_of(model="resnet56_v1")
    for batch in batches()[:3]:
        learner.step(batch)
    learner.losses()
    started = time.perf_counter()
    for batch in batches()[3:12]:
        learner.step(batch)
    handed_over = time.perf_counter() - started
    learner.losses()
    assert handed_over < 0.9 * (time.perf_counter() - started)
