from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluontricks.data import DATASETS, load_split
from gluontricks.data.augment import Augmentation, normalise, parse_normalization
from gluontricks.data.colour import LIGHTING
from gluontricks.data.registry import IMAGENET
from gluontricks.errors import UsageError

FULL = Augmentation(**{**DATASETS["cifar100"].augmentation, "contrast": 0.4})
COLOURS = ("brightness", "contrast", "saturation", "hue", "lighting")


@pytest.fixture(scope="module")
def images(data_dir):
    """Real photographs."""
    return load_split("cifar10", "test", data_dir=data_dir).images[:200]


@pytest.fixture(scope="module")
def noise():
    """Images of every kind of pixel: random, grey, black, white, pure colours."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 12, 10, 3)).astype(np.uint8)
    pixels[:5] = pixels[:5, ..., :1]
    pixels[5:15] = rng.integers(0, 2, (10, 12, 10, 3)) * 255
    return pixels


def levels(ours, reference):
    return np.abs(np.asarray(ours).astype(int) - np.asarray(reference).astype(int)).max()


@pytest.fixture(scope="module")
def mx():
    if importlib.util.find_spec("mxnet") is None:
        pytest.skip("needs MXNet")
    from gluontricks.mxnet_shim import mx

    return mx


def mxnet_colour(mx, name, image, draw):
    """What MXNet makes of one image with this factor, or these alphas."""
    array = mx.nd.array(image, dtype="uint8")
    if name == "lighting":
        return mx.nd.image.adjust_lighting(array, alpha=tuple(map(float, draw))).asnumpy()
    function = getattr(mx.nd.image, f"random_{name}")
    return function(array, float(draw), float(draw)).asnumpy()


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("kind", ["photographs", "noise"])
def test_colour_operations_are_mxnets_to_one_level(request, mx, name, kind):
    pixels = request.getfixturevalue("images" if kind == "photographs" else "noise")
    switch = Augmentation(**{name: 25 if name == "lighting" else 0.4})
    draws = switch.draw(3, 0, len(pixels))
    ours = switch.apply(pixels, draws)
    theirs = [mxnet_colour(mx, name, *pair) for pair in zip(pixels, draws[name])]
    assert levels(ours, pixels) > 10
    assert levels(ours, theirs) <= 1


def test_a_whole_turn_of_the_hue_changes_nothing(noise):
    switch = Augmentation(hue=0.4)
    for factor in (0.0, 1.0, 2.0):
        draws = {"hue": np.full(len(noise), factor, np.float32)}
        np.testing.assert_array_equal(switch.apply(noise, draws), noise)
    third = {"hue": np.full(len(noise), 4 / 3, np.float32)}
    # A third of a circle carries red to green, green to blue, blue to red.
    assert levels(switch.apply(noise, third), noise[..., [2, 0, 1]]) <= 1


def test_factor_one_and_alpha_zero_change_nothing(noise):
    for name in ("brightness", "contrast", "saturation"):
        draws = {name: np.ones(len(noise), np.float32)}
        np.testing.assert_array_equal(Augmentation(**{name: 0.4}).apply(noise, draws), noise)
    draws = {"lighting": np.zeros((len(noise), 3), np.float32)}
    np.testing.assert_array_equal(Augmentation(lighting=0.1).apply(noise, draws), noise)


def test_lighting_components_are_those_of_alexnet():
    # Eigenvalues of ImageNet's colour covariance and an orthonormal basis.
    deviations = np.linalg.norm(LIGHTING, axis=0)
    np.testing.assert_allclose(deviations, [55.46, 4.794, 1.148], rtol=2e-3)
    basis = np.array(LIGHTING) / deviations
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=2e-3)


def test_flips_are_flips(noise):
    draws = {"flip": np.arange(len(noise)) % 2}
    flipped = Augmentation(flip=0.5).apply(noise, draws)
    np.testing.assert_array_equal(flipped[::2], noise[::2])
    np.testing.assert_array_equal(flipped[1::2], noise[1::2, :, ::-1])


def test_crops_come_from_the_zero_padded_flipped_image(noise):
    switch = Augmentation(flip=0.5, crop_pad=4)
    draws = switch.draw(1, 2, len(noise))
    cropped = switch.apply(noise, draws)
    for image, flip, (row, column), crop in zip(noise, draws["flip"], draws["crop_pad"], cropped):
        padded = np.pad(image[:, ::-1] if flip else image, ((4, 4), (4, 4), (0, 0)))
        np.testing.assert_array_equal(crop, padded[row : row + 12, column : column + 10])


def test_the_padding_stays_black_under_every_colour_operation(noise):
    draws = FULL.draw(0, 0, len(noise))
    draws["crop_pad"][:] = 0
    result = FULL.apply(noise, draws)
    assert (result[:, :4] == 0).all()
    assert (result[:, :, :4] == 0).all()
    assert result[:, 4:, 4:].any()


def test_all_switches_together_are_each_in_turn(noise):
    draws = FULL.draw(5, 1, len(noise))
    expected = noise
    for name in FULL.active:
        switch = Augmentation(**{name: getattr(FULL, name)})
        expected = switch.apply(expected, {name: draws[name]})
    np.testing.assert_array_equal(FULL.apply(noise, draws), expected)


def test_nothing_on_returns_the_images_themselves(noise):
    nothing = Augmentation()
    assert nothing.draw(0, 0, 10) == {}
    assert nothing.apply(noise, {}) is noise


def test_inputs_are_not_changed_and_the_result_is_not_a_view(noise):
    draws = FULL.draw(0, 0, len(noise))
    before = noise.copy(), {name: values.copy() for name, values in draws.items()}
    result = FULL.apply(noise, draws)
    result[:] = 7
    np.testing.assert_array_equal(noise, before[0])
    for name, values in draws.items():
        np.testing.assert_array_equal(values, before[1][name])


def test_torch_and_numpy_agree(noise):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(noise.copy())
    draws = FULL.draw(2, 0, len(noise))
    ours, theirs = FULL.apply(noise, draws), FULL.apply(tensor, draws)
    assert theirs.dtype == torch.uint8
    assert levels(ours, theirs) <= 1
    np.testing.assert_array_equal(tensor.numpy(), noise)
    ready = {name: torch.from_numpy(values) for name, values in draws.items()}
    assert torch.equal(FULL.apply(tensor, ready), theirs)
    np.testing.assert_allclose(
        normalise(tensor, *IMAGENET).numpy(), normalise(noise, *IMAGENET), rtol=0, atol=1e-6
    )


def test_the_size_of_the_batch_does_not_matter(noise):
    many = np.concatenate([noise] * 8)
    draws = FULL.draw(2, 0, len(many))
    together = FULL.apply(many, draws)
    for index in (0, 100, 319):
        alone = {name: values[index : index + 1] for name, values in draws.items()}
        np.testing.assert_array_equal(
            FULL.apply(many[index : index + 1], alone)[0], together[index]
        )
    assert FULL.apply(many[:0], {name: values[:0] for name, values in draws.items()}).size == 0


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 300),
    count=st.integers(1, 50),
    more=st.integers(0, 50),
)
def test_draws_depend_on_seed_epoch_and_index_alone(seed, epoch, count, more):
    few = FULL.draw(seed, epoch, count)
    FULL.draw(seed, epoch + 1, 3)
    many = FULL.draw(seed, epoch, count + more)
    # A switch is drawn the same whether others are on or not.
    alone = Augmentation(hue=FULL.hue).draw(seed, epoch, count)
    np.testing.assert_array_equal(alone["hue"], few["hue"])
    assert tuple(few) == FULL.active
    for name, values in few.items():
        assert len(values) == count
        np.testing.assert_array_equal(values, many[name][:count])


@settings(max_examples=25, deadline=None)
@given(
    flip=st.sampled_from([0, 0.5, 1]),
    colour=st.floats(0, 1),
    hue=st.floats(0, 1),
    lighting=st.floats(0, 100),
    crop_pad=st.integers(0, 4),
    size=st.tuples(st.integers(0, 3), st.integers(5, 9), st.integers(5, 9)),
)
def test_any_strength_gives_images_of_the_same_shape(flip, colour, hue, lighting, crop_pad, size):
    switch = Augmentation(flip, colour, colour, colour, hue, lighting, crop_pad)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    result = switch.apply(pixels, switch.draw(0, 0, len(pixels)))
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8


def test_draws_have_the_stated_distributions():
    count = 40_000
    draws = FULL.draw(11, 3, count)
    error = count**-0.5
    assert abs(draws["flip"].mean() - 0.5) < 5 * 0.5 * error
    for name in ("brightness", "saturation", "hue"):
        factors = draws[name]
        assert factors.dtype == np.float32
        assert 0.6 <= factors.min() < 0.601
        assert 1.399 < factors.max() <= 1.4 + 1e-6
        assert abs(factors.mean() - 1) < 5 * 0.8 / 12**0.5 * error
    assert abs(draws["lighting"].mean()) < 5 * 0.1 * error
    np.testing.assert_allclose(draws["lighting"].std(axis=0), 0.1, rtol=0.03)
    counts = np.bincount(draws["crop_pad"] @ [9, 1], minlength=81)
    assert counts.shape == (81,)
    # Chi-square with 80 degrees of freedom, five standard deviations.
    expected = count / 81
    assert ((counts - expected) ** 2 / expected).sum() < 80 + 5 * 160**0.5
    together = np.column_stack([values.reshape(count, -1) for values in draws.values()])
    correlation = np.corrcoef(together.T) - np.eye(together.shape[1])
    assert np.abs(correlation).max() < 5 * error


WRONG = [
    {"flip": 1.1},
    {"flip": -0.1},
    {"brightness": -0.1},
    {"saturation": float("nan")},
    {"hue": float("inf")},
    {"lighting": -1},
    {"crop_pad": -1},
    {"crop_pad": 1.5},
]


@pytest.mark.parametrize("strengths", WRONG, ids=str)
def test_strengths_out_of_range_are_refused_with_the_value(strengths):
    (name, value), *_ = strengths.items()
    with pytest.raises(UsageError, match=name) as caught:
        Augmentation(**strengths)
    assert str(value) in caught.value.cause


def test_a_crop_that_could_miss_the_image_is_refused(noise):
    switch = Augmentation(crop_pad=10)
    switch.check_size(32, 11)
    with pytest.raises(UsageError, match="too large for images of 12 x 10"):
        switch.apply(noise, switch.draw(0, 0, len(noise)))


def test_normalisation_is_mxnets(mx, noise):
    ours = normalise(noise, *IMAGENET)
    assert ours.dtype == np.float32
    assert ours.shape == (40, 3, 12, 10)
    tensor = mx.nd.image.to_tensor(mx.nd.array(noise, dtype="uint8"))
    theirs = mx.nd.image.normalize(tensor, *IMAGENET).asnumpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


def test_normalised_training_images_have_mean_0_and_deviation_1():
    train = load_split("digits", "train")
    info = DATASETS["digits"]
    planes = normalise(train.images, info.mean, info.std)
    np.testing.assert_allclose(planes.mean((0, 2, 3), dtype=np.float64), 0, atol=2e-4)
    np.testing.assert_allclose(planes.std((0, 2, 3), dtype=np.float64), 1, atol=2e-4)


def test_normalisations_are_named_or_given():
    info = DATASETS["cifar100"]
    assert parse_normalization("dataset", "cifar100") == (info.mean, info.std)
    assert parse_normalization("dataset", info) == (info.mean, info.std)
    assert parse_normalization("imagenet", "digits") == IMAGENET
    assert parse_normalization("none", "digits") == ((0, 0, 0), (1, 1, 1))
    assert parse_normalization(".5,.4,.3/1,2,3", "digits") == ((0.5, 0.4, 0.3), (1, 2, 3))


@pytest.mark.parametrize(
    "text", ["", "cifar", "1,2,3", "1,2/1,2", "1,2,3/0,1,1", "1,2,3/1,1,-1", "1,2,nan/1,1,1", "a/b"]
)
def test_other_normalisations_are_refused(text):
    with pytest.raises(UsageError, match="not understood"):
        parse_normalization(text, "cifar10")
