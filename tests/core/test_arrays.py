import numpy as np
import pytest

from gluontricks.arrays import cast, clip, like, namespace


@pytest.fixture(params=["numpy", "torch"])
def make(request):
    """The function that makes an array of each kind."""
    if request.param == "numpy":
        return np.asarray
    torch = pytest.importorskip("torch")
    return lambda values: torch.from_numpy(np.array(values))


def test_namespace_is_the_module_of_the_array(make):
    array = make(np.arange(3))
    assert namespace(array).__name__ == type(array).__module__
    assert type(namespace(array).zeros_like(array)) is type(array)


def test_like_makes_the_same_kind_with_the_same_values(make):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    result = like(values, make(np.zeros(1)))
    assert type(result) is type(make(values))
    np.testing.assert_array_equal(np.asarray(result), values)


def test_like_takes_views_that_run_backwards(make):
    reverse = np.arange(4)[::-1]
    np.testing.assert_array_equal(np.asarray(like(reverse, make(np.zeros(1)))), [3, 2, 1, 0])


def test_a_tensor_made_by_like_shares_no_memory_with_its_source():
    torch = pytest.importorskip("torch")
    values = np.zeros(3)
    like(values, torch.zeros(1))[0] = 1
    assert not values.any()


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
def test_cast_changes_the_type_and_not_the_values(make, dtype):
    result = cast(make(np.array([0, 1, 200], dtype=np.int64)), dtype)
    assert str(result.dtype).endswith(dtype)
    assert result.tolist() == [0, 1, 200]


def test_clip_cuts_off_in_place_at_the_same_values_every_time(make):
    for _ in range(2):
        array = make(np.array([[-3, 0, 7], [254.5, 255, 300]], np.float32))
        clip(array, 0, 255)
        np.testing.assert_array_equal(np.asarray(array), [[0, 0, 7], [254.5, 255, 255]])
