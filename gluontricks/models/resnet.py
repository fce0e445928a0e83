"""ImageNet's ResNets, SE-ResNets and ResNeXts, with the parameter keys of GluonCV's."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

from gluontricks.errors import UsageError
from gluontricks.models.layers import (
    ResidualBlock,
    StagedNetwork,
    basic_body,
    conv,
    global_average,
    grouped_body,
    norm,
    projection,
    relu,
    sequence,
)
from gluontricks.mxnet_shim import mx

nn = mx.gluon.nn

# Depth -> blocks of each stage; from 50 on they are bottlenecks.
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
BASIC = (64, 64, 128, 256, 512)
BOTTLENECK = (64, 256, 512, 1024, 2048)
# Output stride -> stride and dilation of each stage.
STRIDES = {
    32: ((1, 1), (2, 1), (2, 1), (2, 1)),
    16: ((1, 1), (2, 1), (2, 1), (1, 2)),
    8: ((1, 1), (2, 1), (1, 2), (1, 4)),
}
# Variant -> channels of the three convolutions' stem, None for one of 7x7; and whether shortcuts
# average before they project.
VARIANTS = {
    "b": (None, False),
    "c": (32, False),
    "d": (32, True),
    "e": (64, True),
    "s": (64, False),
}


def bottleneck_body(in_channels: int, channels: int, stride: int, *, zero: bool) -> Any:
    """Return the body of a V1 bottleneck, whose first convolution has the stride.

    The 1x1 convolutions have biases, as in GluonCV.
    """
    inner = channels // 4
    return sequence(
        [
            conv(inner, in_channels, kernel=1, stride=stride, bias=True),
            norm(inner),
            relu(),
            conv(inner, inner, kernel=3),
            norm(inner),
            relu(),
            conv(channels, inner, kernel=1, bias=True),
            norm(channels, zero=zero),
        ]
    )


def dense_excitation(channels: int) -> Any:
    """Return an SE-ResNet's two layers from means to factors, without biases."""
    inner = channels // 16
    first = nn.Dense(inner, use_bias=False, in_units=channels)
    last = nn.Dense(channels, use_bias=False, in_units=inner)
    return sequence([first, relu(), last, nn.Activation("sigmoid")])


def conv_excitation(channels: int) -> Any:
    """Return an SE-ResNeXt's two layers from means to factors, 1x1 convolutions with biases."""
    inner = channels // 16
    first = conv(inner, channels, kernel=1, bias=True)
    last = conv(channels, inner, kernel=1, bias=True)
    return sequence([first, relu(), last, nn.Activation("sigmoid")])


def stem() -> Sequence[Any]:
    """Return the layers before the first stage, which take a quarter of height and width."""
    return [conv(64, 3, kernel=7, stride=2), norm(64), relu(), nn.MaxPool2D(3, 2, 1)]


class ResNetV1(StagedNetwork):
    """A ResNet as first published, or an SE-ResNet.

    He et al., "Deep Residual Learning for Image Recognition", table 1.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}
    se : bool
        With squeeze and excitation in every block.
    classes : int
    last_gamma : bool
        Start the last batch norm of each block at zero.
    """

    def __init__(self, depth: int, *, se: bool, classes: int, last_gamma: bool = False) -> None:
        make_body = basic_body if depth < 50 else bottleneck_body

        def block(in_channels: int, channels: int, stride: int) -> ResidualBlock:
            body = make_body(in_channels, channels, stride, zero=last_gamma)
            excitation = dense_excitation(channels) if se else None
            return ResidualBlock(body, projection(in_channels, channels, stride), excitation)

        channels = BASIC if depth < 50 else BOTTLENECK
        super().__init__(stem, block, channels=channels, blocks=BLOCKS[depth], classes=classes)


class ResNeXt(StagedNetwork):
    """A ResNeXt, or an SE-ResNeXt.

    Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", table 1.

    Parameters
    ----------
    depth : {50, 101}
    cardinality : int
        Groups of each 3x3 convolution.
    width : int
        Channels of each group in the first stage; doubled with every stage.
    se : bool
        With squeeze and excitation in every block.
    classes : int
    last_gamma : bool
        Start the last batch norm of each block at zero.
    """

    def __init__(
        self,
        depth: int,
        *,
        cardinality: int,
        width: int,
        se: bool,
        classes: int,
        last_gamma: bool = False,
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
            excitation = conv_excitation(channels) if se else None
            return ResidualBlock(body, projection(in_channels, channels, stride), excitation)

        super().__init__(stem, block, channels=BOTTLENECK, blocks=BLOCKS[depth], classes=classes)


class BlockV1b(mx.gluon.HybridBlock):
    """A residual block of V1b and after: ``conv1``, ``bn1``, ``conv2`` and so on.

    Parameters
    ----------
    layers : sequence of (HybridBlock, HybridBlock)
        Convolutions with their batch norms.
    downsample : HybridBlock, optional
        The shortcut where the shape changes; the input itself otherwise.
    """

    def __init__(
        self, layers: Sequence[Tuple[Any, Any]], downsample: Optional[mx.gluon.HybridBlock]
    ) -> None:
        super().__init__()
        self.depth = len(layers)
        for index, (convolution, normalisation) in enumerate(layers, 1):
            setattr(self, f"conv{index}", convolution)
            setattr(self, f"bn{index}", normalisation)
        self.downsample = downsample

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return ``relu(shortcut(x) + layers(x))``."""
        out = x
        for index in range(1, self.depth + 1):
            out = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(out))
            if index < self.depth:
                out = F.Activation(out, act_type="relu")
        shortcut = self.downsample(x) if self.downsample else x
        return F.Activation(out + shortcut, act_type="relu")


class ResNetV1b(mx.gluon.HybridBlock):
    """A ResNet whose bottlenecks have their stride in the 3x3 convolution, and its variants.

    Variants c, d and e have three 3x3 convolutions in the stem; in d and e shortcuts average before
    they project (He et al., "Bag of Tricks for Image Classification", section 4). s is GluonCV's
    base for segmentation.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}
    variant : {'b', 'c', 'd', 'e', 's'}
    classes : int
    last_gamma : bool
        Start the last batch norm of each block at zero.
    output_stride : {32, 16, 8}
        Input pixels per pixel of the last stage. Below 32 the last stages are dilated instead of
        strided, as segmentation wants them; parameters stay the same.

    Raises
    ------
    UsageError
        If there is no such ``output_stride``.
    """

    def __init__(
        self,
        depth: int,
        *,
        variant: str,
        classes: int,
        last_gamma: bool = False,
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        if output_stride not in STRIDES:
            raise UsageError(f"an output stride of {output_stride} is unknown", "give 32, 16 or 8")
        width, self.averaging = VARIANTS[variant]
        self.basic, self.last_gamma = depth < 50, last_gamma
        before = 2 * width if width else 64
        channels = (before, *(BASIC if self.basic else BOTTLENECK)[1:])
        with self.name_scope():
            self.conv1 = deep_stem(width) if width else conv(64, 3, kernel=7, stride=2)
            self.bn1 = norm(before)
            self.relu = relu()
            self.maxpool = nn.MaxPool2D(3, 2, 1)
            for index, (blocks, how) in enumerate(zip(BLOCKS[depth], STRIDES[output_stride])):
                stage = self.stage(index + 1, blocks, channels[index : index + 2], *how)
                setattr(self, f"layer{index + 1}", stage)
            self.fc = nn.Dense(classes, in_units=channels[-1])

    def stage(
        self, number: int, blocks: int, channels: Sequence[int], stride: int, dilation: int
    ) -> Any:
        """Return the blocks of one stage; in a dilated one the first has half the dilation."""
        before, after = channels
        downsample = None
        if before != after:
            downsample = nn.HybridSequential(prefix=f"down{number}_")
            with downsample.name_scope():
                downsample.add(*shortcut(before, after, stride, averaging=self.averaging))
        stage = nn.HybridSequential(prefix=f"layers{number}_")
        with stage.name_scope():
            first = (max(1, dilation // 2), dilation)
            stage.add(BlockV1b(self.layers(before, after, stride, first), downsample))
            for _ in range(blocks - 1):
                stage.add(BlockV1b(self.layers(after, after, 1, (dilation, dilation)), None))
        return stage

    def layers(
        self, before: int, after: int, stride: int, dilations: Tuple[int, int]
    ) -> Sequence[Tuple[Any, Any]]:
        """Return the convolutions of one block with their batch norms."""
        zero = self.last_gamma
        if self.basic:
            first = conv(after, before, kernel=3, stride=stride, dilation=dilations[0])
            second = conv(after, after, kernel=3, dilation=dilations[1])
            return [(first, norm(after)), (second, norm(after, zero=zero))]
        inner = after // 4
        first = conv(inner, before, kernel=1)
        second = conv(inner, inner, kernel=3, stride=stride, dilation=dilations[0])
        third = conv(after, inner, kernel=1)
        return [(first, norm(inner)), (second, norm(inner)), (third, norm(after, zero=zero))]

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return the logits, shape (N, classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(global_average(F, x))


def deep_stem(width: int) -> Any:
    """Return three 3x3 convolutions, the first with stride 2, the last with twice the channels."""
    return sequence(
        [
            conv(width, 3, kernel=3, stride=2),
            norm(width),
            relu(),
            conv(width, width, kernel=3),
            norm(width),
            relu(),
            conv(2 * width, width, kernel=3),
        ]
    )


def shortcut(before: int, after: int, stride: int, *, averaging: bool) -> Sequence[Any]:
    """Return the layers of a shortcut where the channels change."""
    if not averaging:
        return [conv(after, before, kernel=1, stride=stride), norm(after)]
    # At stride 1 there is nothing to average, but keys count the layer.
    pool = (
        mx.gluon.contrib.nn.Identity()
        if stride == 1
        else nn.AvgPool2D(stride, stride, ceil_mode=True, count_include_pad=False)
    )
    return [pool, conv(after, before, kernel=1), norm(after)]
