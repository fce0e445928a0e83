"""CIFAR ResNets and ResNeXts, with the structure and the parameter keys of GluonCV's."""

from __future__ import annotations

from gluontricks.models.layers import (
    ResidualBlock,
    StagedNetwork,
    basic_body,
    conv,
    grouped_body,
    norm,
    projection,
    relu,
)


class CifarResNetV1(StagedNetwork):
    """A CIFAR ResNet of depth 6n+2: three stages of n basic blocks with 16, 32 and 64 channels.

    He et al., "Deep Residual Learning for Image Recognition", section 4.2; the paper's own pad
    the shortcut with zeros, GluonCV's project it. There is no ReLU between the first batch norm
    and the first block, as in GluonCV.

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
        def block(in_channels: int, channels: int, stride: int) -> ResidualBlock:
            body = basic_body(in_channels, channels, stride, zero=last_gamma)
            return ResidualBlock(body, projection(in_channels, channels, stride))

        super().__init__(
            lambda: [conv(16, 3, kernel=3), norm(16)],
            block,
            channels=(16, 16, 32, 64),
            blocks=(blocks, blocks, blocks),
            classes=classes,
        )


class CifarResNeXt(StagedNetwork):
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
        def block(in_channels: int, channels: int, stride: int) -> ResidualBlock:
            body = grouped_body(
                in_channels,
                channels,
                stride,
                cardinality=cardinality,
                width=width,
                zero=last_gamma,
            )
            return ResidualBlock(body, projection(in_channels, channels, stride))

        super().__init__(
            lambda: [conv(64, 3, kernel=3), norm(64), relu()],
            block,
            channels=(64, 256, 512, 1024),
            blocks=(3, 3, 3),
            classes=classes,
        )
