import pytest

from gluontricks.errors import DivergedError
from gluontricks.scaling import LossScaler


def test_the_scale_starts_at_2_to_the_16_and_doubles_after_2000_good_steps():
    scaler = LossScaler()
    assert scaler.scale == 65536
    assert all(scaler.update(True) for _ in range(1999))
    assert scaler.scale == 65536
    scaler.update(True)
    assert scaler.scale == 131072
    for _ in range(2000):
        scaler.update(True)
    assert scaler.scale == 262144


def test_an_overflow_halves_skips_and_starts_the_count_again():
    scaler = LossScaler()
    for _ in range(1999):
        scaler.update(True)
    assert scaler.update(False) is False
    assert (scaler.scale, scaler.skipped) == (32768, 1)
    for _ in range(1999):
        assert scaler.update(True) is True
    assert scaler.scale == 32768
    scaler.update(True)
    assert scaler.scale == 65536


def test_20_overflows_in_a_row_stop_the_run_and_19_do_not():
    scaler = LossScaler()
    for _ in range(2):
        for _ in range(19):
            scaler.update(False)
        scaler.update(True)
    for _ in range(19):
        scaler.update(False)
    with pytest.raises(DivergedError, match="overflowed 20 times in a row") as caught:
        scaler.update(False)
    assert caught.value.code == 80


def test_a_scaler_goes_on_from_its_state_as_if_it_had_never_stopped():
    events = [True] * 1500 + [False] * 3 + [True] * 2100 + [False]
    for cut in (0, 1501, 1503, 3602):
        whole, first, second = LossScaler(), LossScaler(), LossScaler()
        for event in events:
            whole.update(event)
        for event in events[:cut]:
            first.update(event)
        second.load_state({k: float(v) for k, v in first.state().items()})
        for event in events[cut:]:
            second.update(event)
        assert second.state() == whole.state()


def test_a_constant_scale_stays_whatever_happens():
    scaler = LossScaler(128.0)
    for _ in range(3):
        assert scaler.update(False) is False
    assert all(scaler.update(True) for _ in range(4001))
    assert (scaler.scale, scaler.skipped, scaler.in_a_row, scaler.good) == (128.0, 3, 0, 4001)


def test_20_overflows_of_a_constant_scale_stop_the_run_too():
    scaler = LossScaler(2.0**20)
    for _ in range(19):
        scaler.update(False)
    with pytest.raises(DivergedError, match="20 times in a row") as caught:
        scaler.update(False)
    assert "--loss-scale" in caught.value.remedy
