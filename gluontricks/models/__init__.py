"""The networks, by name. Asking for names loads no framework; building a network does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluontricks.models.names import NAMES as MODELS
from gluontricks.models.names import canonical_name, input_size, list_models

if TYPE_CHECKING:
    from gluontricks.mxnet_shim import mx

__all__ = ["MODELS", "canonical_name", "get_model", "input_size", "list_models"]


def get_model(name: str, *, classes: int, last_gamma: bool = False) -> mx.gluon.HybridBlock:
    """Return a new network, its weights not yet set.

    Parameters
    ----------
    name : str
        A name of :func:`list_models`, or another member of one of those families;
        ``cifar_`` may stand before it.
    classes : int
        Outputs of the network, 1 or more.
    last_gamma : bool
        Start the last batch norm of each residual block at zero, so that every block starts as
        its shortcut (He et al., "Bag of Tricks for Image Classification", section 3.1).

    Returns
    -------
    HybridBlock
        Takes images (N, 3, H, W) and returns logits (N, classes). The shapes of all parameters
        are known. Set them with :func:`gluontricks.models.weights.initialize` or
        :func:`gluontricks.models.weights.load_parameters`.

    Raises
    ------
    UsageError
        If there is no such network, or ``classes`` is less than 1.
    """
    from gluontricks.models.resnet_cifar import build

    return build(canonical_name(name), classes=classes, last_gamma=last_gamma)
