"""Networks of MXNet's own zoo, whose last pooling is the mean over height and width here.

Their keys are GluonCV's. With the mean they take images of other sizes, and the same numbers come
out at the size they were made for.
"""

from __future__ import annotations

from typing import Any

from gluontricks.models.layers import Classifier, global_average
from gluontricks.mxnet_shim import mx

vision = mx.gluon.model_zoo.vision
# The last two layers of each network's features: the pooling, and what comes after it.
HEAD = 2
# An image that every one of them takes, to infer shapes from.
IMAGE = (1, 3, 96, 96)


class MobileNet(Classifier, vision.MobileNet):
    """A MobileNet (Howard et al., "MobileNets"), whose channels are all times ``multiplier``."""

    def __init__(self, multiplier: float, *, classes: int) -> None:
        super().__init__(multiplier, classes=classes)
        prepare(self)


class DenseNet(Classifier, vision.DenseNet):
    """A DenseNet-BC (Huang et al., "Densely Connected Convolutional Networks", table 1)."""

    def __init__(self, depth: int, *, classes: int) -> None:
        super().__init__(*vision.densenet.densenet_spec[depth], classes=classes)
        prepare(self)


class InceptionV3(vision.Inception3):
    """Inception-v3 (Szegedy et al., "Rethinking the Inception Architecture"), no auxiliary head."""

    def __init__(self, *, classes: int) -> None:
        super().__init__(classes=classes)
        with self.name_scope():
            self.dropout = mx.gluon.nn.Dropout(0.5)
        prepare(self)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return the logits, shape (N, classes)."""
        return self.output(self.dropout(global_average(F, self.features(x))))


def prepare(net: Any) -> None:
    """Take the old head off a network's features, and infer the shapes of its parameters."""
    net.features = net.features[:-HEAD]
    net.infer_shape(mx.nd.zeros(IMAGE))
