"""The networks, by name. Asking for names loads no framework; building a network does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from gluontricks.errors import UsageError
from gluontricks.models.names import NAMES as MODELS
from gluontricks.models.names import (
    canonical_name,
    describe,
    input_size,
    list_models,
    takes_size,
)

if TYPE_CHECKING:
    from gluontricks.mxnet_shim import mx

__all__ = ["MODELS", "canonical_name", "get_model", "input_size", "list_models", "takes_size"]


def get_model(
    name: str, *, classes: int, last_gamma: bool = False, output_stride: int = 32
) -> mx.gluon.HybridBlock:
    """Return a new network, its weights not yet set.

    Parameters
    ----------
    name : str
        A name of :func:`list_models`, or another member of one of CIFAR's families.
    classes : int
        Outputs of the network, 1 or more.
    last_gamma : bool
        Start the last batch norm of each residual block at zero, so that every block starts as
        its shortcut (He et al., "Bag of Tricks for Image Classification", section 3.1).
    output_stride : {32, 16, 8}
        Input pixels per pixel of the last stage, for ResNets from V1b on. Below 32 the last stages
        are dilated instead of strided, as segmentation wants them; parameters stay the same.

    Returns
    -------
    HybridBlock
        Takes images (N, 3, H, W) and returns logits (N, classes). The shapes of all parameters
        are known. Set them with :func:`gluontricks.models.weights.initialize` or
        :func:`gluontricks.models.weights.load_parameters`.

    Raises
    ------
    UsageError
        If there is no such network, ``classes`` is less than 1, or the network has no residual
        blocks for ``last_gamma`` or no such ``output_stride``.
    """
    network = describe(name)
    if classes < 1:
        raise UsageError(
            f"a network needs at least one class, got {classes}", "give the number of classes"
        )
    options: Dict[str, Any] = {**network.options, "classes": classes}
    if network.residual:
        options["last_gamma"] = last_gamma
    elif last_gamma:
        raise UsageError(
            f"--last-gamma would have no effect on '{name}', which has no residual blocks",
            "leave it out, or choose a ResNet or ResNeXt",
        )
    if network.dilatable:
        options["output_stride"] = output_stride
    elif output_stride != 32:
        raise UsageError(
            f"an output stride of {output_stride} would have no effect on '{name}'",
            "choose a ResNet from v1b on, such as 'resnet50_v1s'",
        )
    return _builder(network.family)(**options)


def _builder(family: str) -> Any:
    """Return the class of a family's networks."""
    from gluontricks.models import resnet, resnet_cifar, zoo

    return {
        "cifar_v1": resnet_cifar.CifarResNetV1,
        "cifar_resnext": resnet_cifar.CifarResNeXt,
        "v1": resnet.ResNetV1,
        "v1b": resnet.ResNetV1b,
        "resnext": resnet.ResNeXt,
        "mobilenet": zoo.MobileNet,
        "densenet": zoo.DenseNet,
        "inception": zoo.InceptionV3,
    }[family]
