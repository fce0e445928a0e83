"""Parts that the networks share, with the parameter keys of GluonCV's."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

from gluontricks.mxnet_shim import mx

nn = mx.gluon.nn

# Channels before a block, after it, and its stride.
MakeBlock = Callable[[int, int, int], "ResidualBlock"]


class ResidualBlock(mx.gluon.HybridBlock):
    """The sum of a body and its shortcut, rectified.

    None of its parts has a name scope of its own: their parameters are numbered through the whole
    stage, as in GluonCV's exported files.

    Parameters
    ----------
    body : HybridBlock
    downsample : HybridBlock, optional
        The shortcut where the shape changes; the input itself otherwise.
    se : HybridBlock, optional
        From the channels' means, shape (N, C, 1, 1), to the factors of the body's channels (Hu et
        al., "Squeeze-and-Excitation Networks").
    """

    def __init__(
        self,
        body: mx.gluon.HybridBlock,
        downsample: Optional[mx.gluon.HybridBlock],
        se: Optional[mx.gluon.HybridBlock] = None,
    ) -> None:
        super().__init__(prefix="")
        self.body = body
        self.se = se
        self.downsample = downsample

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return ``relu(shortcut(x) + body(x))``."""
        out = self.body(x)
        if self.se:
            factors = self.se(F.mean(out, axis=(2, 3), keepdims=True))
            out = F.broadcast_mul(out, F.reshape(factors, shape=(0, 0, 1, 1)))
        shortcut = self.downsample(x) if self.downsample else x
        return F.Activation(shortcut + out, act_type="relu")


class Classifier(mx.gluon.HybridBlock):
    """``features``, the mean over height and width, and a last layer, ``output``.

    Subclasses set the two.
    """

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return the logits, shape (N, classes)."""
        return self.output(global_average(F, self.features(x)))


class StagedNetwork(Classifier):
    """A stem, stages of residual blocks, and a last layer.

    Parameters
    ----------
    stem : callable
        Returns the layers before the first stage.
    block : callable
        Returns a block for its channels before and after, and its stride.
    channels : sequence of int
        After the stem, then after each stage.
    blocks : sequence of int
        Blocks of each stage. Every stage but the first halves the image's height and width.
    classes : int
        Outputs.
    """

    def __init__(
        self,
        stem: Callable[[], Sequence[Any]],
        block: MakeBlock,
        *,
        channels: Sequence[int],
        blocks: Sequence[int],
        classes: int,
    ) -> None:
        super().__init__()
        with self.name_scope():
            self.features = sequence(stem())
            for index, count in enumerate(blocks):
                before, after = channels[index : index + 2]
                stage = nn.HybridSequential(prefix=f"stage{index + 1}_")
                with stage.name_scope():
                    stage.add(block(before, after, 2 if index else 1))
                    stage.add(*[block(after, after, 1) for _ in range(count - 1)])
                self.features.add(stage)
            self.output = nn.Dense(classes, in_units=channels[-1])


def conv(
    channels: int,
    in_channels: int,
    *,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
    bias: bool = False,
) -> Any:
    """Return a convolution that keeps the image's size at stride 1."""
    return nn.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding=dilation * (kernel // 2),
        dilation=dilation,
        groups=groups,
        use_bias=bias,
        in_channels=in_channels,
    )


def norm(channels: int, *, zero: bool = False) -> Any:
    """Return a batch norm, whose gamma starts at 0 if ``zero``, at 1 otherwise."""
    return nn.BatchNorm(in_channels=channels, gamma_initializer="zeros" if zero else "ones")


def relu() -> Any:
    """Return a rectifier."""
    return nn.Activation("relu")


def sequence(layers: Sequence[Any]) -> Any:
    """Return the layers one after the other, without a name scope of their own."""
    block = nn.HybridSequential(prefix="")
    block.add(*layers)
    return block


def basic_body(in_channels: int, channels: int, stride: int, *, zero: bool) -> Any:
    """Return two 3x3 convolutions, the body of a basic block.

    He et al., "Deep Residual Learning for Image Recognition", section 4.2.
    """
    return sequence(
        [
            conv(channels, in_channels, kernel=3, stride=stride),
            norm(channels),
            relu(),
            conv(channels, channels, kernel=3),
            norm(channels, zero=zero),
        ]
    )


def grouped_body(
    in_channels: int, channels: int, stride: int, *, cardinality: int, width: int, zero: bool
) -> Any:
    """Return the body of a ResNeXt's block, a bottleneck around a 3x3 convolution in groups.

    Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", section 3.

    Parameters
    ----------
    in_channels, channels, stride : int
    cardinality : int
        Groups of the 3x3 convolution.
    width : int
        Channels of each group where the block has 256; in proportion elsewhere.
    zero : bool
        Start the last batch norm at zero.
    """
    inner = cardinality * (channels // 4 * width // 64)
    return sequence(
        [
            conv(inner, in_channels, kernel=1),
            norm(inner),
            relu(),
            conv(inner, inner, kernel=3, stride=stride, groups=cardinality),
            norm(inner),
            relu(),
            conv(channels, inner, kernel=1),
            norm(channels, zero=zero),
        ]
    )


def projection(in_channels: int, channels: int, stride: int) -> Optional[Any]:
    """Return the shortcut where the channels change: a 1x1 convolution and a batch norm."""
    if in_channels == channels:
        return None
    return sequence([conv(channels, in_channels, kernel=1, stride=stride), norm(channels)])


def global_average(F: Any, x: Any) -> Any:
    """Return the mean over height and width, shape (N, channels)."""
    # GlobalAvgPool2D's backward on a CPU would put every layer before it onto a slow layout.
    return F.mean(x, axis=(2, 3))


def without_dropout(net: mx.gluon.Block) -> None:
    """Let the layers of dropout drop nothing: engines draw with generators of their own."""

    def quieten(block: mx.gluon.Block) -> None:
        if isinstance(block, nn.Dropout):
            block._rate = 0

    net.apply(quieten)
