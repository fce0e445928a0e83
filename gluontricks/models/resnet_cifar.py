"""CIFAR ResNets and ResNeXts, with the structure and the parameter keys of GluonCV's."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

from gluontricks.errors import UsageError, unknown
from gluontricks.models.names import NAMES, resnet_depth, resnext_shape
from gluontricks.mxnet_shim import mx

nn = mx.gluon.nn


class ResidualBlock(mx.gluon.HybridBlock):
    """The sum of a body and its shortcut, rectified.

    Neither has a name scope of its own: their parameters are numbered through the whole stage, as
    in GluonCV's exported files.

    Parameters
    ----------
    body : HybridBlock
    downsample : HybridBlock, optional
        The shortcut where the shape changes; the input itself otherwise.
    """

    def __init__(
        self, body: mx.gluon.HybridBlock, downsample: Optional[mx.gluon.HybridBlock]
    ) -> None:
        super().__init__(prefix="")
        self.body = body
        self.downsample = downsample

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return ``relu(shortcut(x) + body(x))``."""
        out = self.body(x)
        shortcut = self.downsample(x) if self.downsample else x
        return F.Activation(shortcut + out, act_type="relu")


def conv(channels: int, in_channels: int, *, kernel: int, stride: int = 1, groups: int = 1) -> Any:
    """Return a convolution without bias that keeps the image's size at stride 1."""
    return nn.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding=kernel // 2,
        groups=groups,
        use_bias=False,
        in_channels=in_channels,
    )


def norm(channels: int, *, zero: bool = False) -> Any:
    """Return a batch norm, whose gamma starts at 0 if ``zero``, at 1 otherwise."""
    return nn.BatchNorm(in_channels=channels, gamma_initializer="zeros" if zero else "ones")


def sequence(layers: Sequence[Any]) -> Any:
    """Return the layers one after the other, without a name scope of their own."""
    block = nn.HybridSequential(prefix="")
    block.add(*layers)
    return block


def basic_block(in_channels: int, channels: int, *, stride: int, zero: bool) -> ResidualBlock:
    """Return two 3x3 convolutions with a shortcut, projected where the channels change.

    He et al., "Deep Residual Learning for Image Recognition", section 4.2; the paper's own CIFAR
    networks pad the shortcut with zeros, GluonCV's project it.
    """
    body = sequence(
        [
            conv(channels, in_channels, kernel=3, stride=stride),
            norm(channels),
            nn.Activation("relu"),
            conv(channels, channels, kernel=3),
            norm(channels, zero=zero),
        ]
    )
    if in_channels == channels:
        return ResidualBlock(body, None)
    return ResidualBlock(body, projection(in_channels, channels, stride=stride))


def projection(in_channels: int, channels: int, *, stride: int) -> Any:
    """Return the shortcut that changes the shape: a 1x1 convolution and a batch norm."""
    return sequence([conv(channels, in_channels, kernel=1, stride=stride), norm(channels)])


class CifarResNetV1(mx.gluon.HybridBlock):
    """A CIFAR ResNet of depth 6n+2: three stages of n basic blocks with 16, 32 and 64 channels.

    There is no ReLU between the first batch norm and the first block, as in GluonCV.

    Parameters
    ----------
    blocks : int
        n, the blocks of each stage.
    classes : int
        Outputs.
    last_gamma : bool
        Start the last batch norm of each block at zero.
    """

    def __init__(self, blocks: int, *, classes: int, last_gamma: bool = False) -> None:
        super().__init__()

        def block(in_channels: int, channels: int, stride: int) -> ResidualBlock:
            return basic_block(in_channels, channels, stride=stride, zero=last_gamma)

        with self.name_scope():
            self.features = sequence([conv(16, 3, kernel=3), norm(16)])
            add_stages(self.features, block, channels=(16, 16, 32, 64), blocks=blocks)
            self.output = nn.Dense(classes, in_units=64)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return the logits, shape (N, classes)."""
        return self.output(global_average(F, self.features(x)))


class CifarResNeXt(mx.gluon.HybridBlock):
    """A ResNeXt-29: three stages of three bottleneck blocks with 256, 512 and 1024 channels.

    Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", section 5.2.

    Parameters
    ----------
    cardinality : int
        Groups of each 3x3 convolution.
    width : int
        Channels of each group in the first stage; doubled with every stage.
    classes : int
        Outputs.
    last_gamma : bool
        Start the last batch norm of each block at zero.
    """

    def __init__(
        self, cardinality: int, width: int, *, classes: int, last_gamma: bool = False
    ) -> None:
        super().__init__()

        def block(in_channels: int, channels: int, stride: int) -> ResidualBlock:
            inner = cardinality * (channels // 4 * width // 64)
            body = sequence(
                [
                    conv(inner, in_channels, kernel=1),
                    norm(inner),
                    nn.Activation("relu"),
                    conv(inner, inner, kernel=3, stride=stride, groups=cardinality),
                    norm(inner),
                    nn.Activation("relu"),
                    conv(channels, inner, kernel=1),
                    norm(channels, zero=last_gamma),
                ]
            )
            changes = in_channels != channels
            shortcut = projection(in_channels, channels, stride=stride) if changes else None
            return ResidualBlock(body, shortcut)

        with self.name_scope():
            self.features = sequence([conv(64, 3, kernel=3), norm(64), nn.Activation("relu")])
            add_stages(self.features, block, channels=(64, 256, 512, 1024), blocks=3)
            self.output = nn.Dense(classes, in_units=1024)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return the logits, shape (N, classes)."""
        return self.output(global_average(F, self.features(x)))


def add_stages(
    features: Any,
    block: Callable[[int, int, int], ResidualBlock],
    *,
    channels: Sequence[int],
    blocks: int,
) -> None:
    """Add one stage of ``blocks`` blocks per pair of neighbours in ``channels``.

    Every stage but the first halves the image's height and width.
    """
    for index, (before, after) in enumerate(zip(channels, channels[1:])):
        stage = nn.HybridSequential(prefix=f"stage{index + 1}_")
        with stage.name_scope():
            stage.add(block(before, after, 2 if index else 1))
            for _ in range(blocks - 1):
                stage.add(block(after, after, 1))
        features.add(stage)


def global_average(F: Any, x: Any) -> Any:
    """Return the mean over height and width, shape (N, channels)."""
    # GlobalAvgPool2D's backward on a CPU would put every layer before it onto a slow layout.
    return F.mean(x, axis=(2, 3))


def build(name: str, *, classes: int, last_gamma: bool) -> mx.gluon.HybridBlock:
    """Return the network of a canonical name (:func:`gluontricks.models.get_model`)."""
    if classes < 1:
        raise UsageError(
            f"a network needs at least one class, got {classes}", "give the number of classes"
        )
    depth, shape = resnet_depth(name), resnext_shape(name)
    if depth is not None:
        return CifarResNetV1((depth - 2) // 6, classes=classes, last_gamma=last_gamma)
    if shape is not None:
        return CifarResNeXt(*shape, classes=classes, last_gamma=last_gamma)
    raise unknown("model", name, NAMES)
