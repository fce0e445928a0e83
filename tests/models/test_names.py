import subprocess
import sys

import pytest

from gluontricks.errors import UsageError
from gluontricks.models import MODELS, canonical_name, input_size, list_models


def test_names_are_known_without_loading_mxnet():
    code = (
        "import sys; from gluontricks.models import list_models, canonical_name, input_size; "
        "canonical_name('cifar_resnet20_v1'); "
        "sys.exit(any(m.split('.')[0] == 'mxnet' for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_listed_name_is_canonical_and_may_carry_gluoncvs_prefix():
    assert list_models() == sorted(MODELS)
    for name in MODELS:
        assert canonical_name(name) == canonical_name("cifar_" + name) == name
        assert input_size(name) == 32


@pytest.mark.parametrize(
    "name", ["resnet8_v1", "resnet164_v1", "resnext29_1x1d", "resnext29_4x16d"]
)
def test_other_members_of_a_family_are_names_too(name):
    assert canonical_name("cifar_" + name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "cifar_", "resnet2_v1", "resnet57_v1", "resnet056_v1", "resnet56", "resnet56_v2",
        "resnext29_0x4d", "resnext29_32x0d", "resnext50_32x4d", "resnext29_9999x4d",
        "cifar_cifar_resnet20_v1", "resnet20_v1\n",
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
