import subprocess
import sys

import pytest

from gluontricks.errors import UsageError
from gluontricks.models import MODELS, canonical_name, input_size, list_models, takes_size
from gluontricks.models.names import CIFAR, IMAGENET

# CIFAR's depths of which ImageNet has a network of the same name.
SHARED = ("resnet50_v1", "resnet152_v1")


def test_names_are_known_without_loading_mxnet():
    code = (
        "import sys; from gluontricks.models import list_models, canonical_name, takes_size; "
        "canonical_name('cifar_resnet20_v1'); takes_size('resnet50_v1d', 224); "
        "sys.exit(any(m.split('.')[0] == 'mxnet' for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_listed_name_is_canonical():
    assert list_models() == sorted(MODELS) == sorted([*CIFAR, *IMAGENET])
    for name in MODELS:
        assert canonical_name(name) == name
        assert takes_size(name, input_size(name))


@pytest.mark.parametrize("name", CIFAR)
def test_cifar_networks_may_carry_gluoncvs_prefix_and_take_32_pixels_only(name):
    assert canonical_name("cifar_" + name) == name
    assert input_size(name) == 32
    assert not takes_size(name, 31)
    assert not takes_size(name, 64)


@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet_networks_have_224_pixels_but_for_inception_and_take_others(name):
    assert input_size(name) == (299 if name == "inceptionv3" else 224)
    for size in (96, 128, 160, 224, 299, 320):
        assert takes_size(name, size)
    assert not takes_size(name, 31)


@pytest.mark.parametrize("name", SHARED)
def test_without_cifar_a_name_of_both_is_imagenets(name):
    assert canonical_name(name) == name
    assert canonical_name("cifar_" + name) == "cifar_" + name
    assert (input_size(name), input_size("cifar_" + name)) == (224, 32)


@pytest.mark.parametrize(
    "name", ["resnet8_v1", "resnet164_v1", "resnext29_1x1d", "resnext29_4x16d"]
)
def test_other_members_of_a_family_are_names_too(name):
    assert canonical_name("cifar_" + name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "cifar_", "resnet2_v1", "resnet57_v1", "resnet056_v1", "resnet56", "resnet56_v2",
        "resnext29_0x4d", "resnext29_32x0d", "resnext50_4x32d", "resnext29_9999x4d",
        "cifar_cifar_resnet20_v1", "resnet20_v1\n", "resnet20_v1b", "resnet50_v1f",
        "cifar_resnet18_v1", "cifar_resnet50_v1b", "cifar_mobilenet1.0", "se_resnet50_v1b",
        "mobilenet1", "densenet122", "inceptionv3\n",
    ],
)  # fmt: skip
def test_other_names_are_refused(name):
    with pytest.raises(UsageError, match="unknown model"):
        canonical_name(name)


def test_a_misspelt_name_is_answered_with_the_nearest_and_the_families():
    with pytest.raises(UsageError) as caught:
        canonical_name("cifar_resnet65_v1")
    assert "'cifar_resnet65_v1'" in caught.value.cause
    assert "did you mean 'resnet56_v1'?" in caught.value.remedy
    assert "resnext29_<cardinality>x<width>d" in caught.value.remedy
