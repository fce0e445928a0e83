"""Changes of colour, exactly those of ``mxnet.gluon.data.vision.transforms`` 1.9.1.

Its peculiarities are included. The image is cut off at 0 and 255 and truncated to whole levels
after each change. All functions work in place on three planes, red, green and blue, of float32
and shape (N, pixels), with one factor per image; planes are NumPy arrays or torch tensors.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

from gluontricks.arrays import cast, clip, namespace

# Shares of red, green and blue in the luminance.
LUMINANCE = (0.299, 0.587, 0.114)
BLUE_WEIGHT = LUMINANCE[2]

# Principal components of ImageNet's colours (rows: red, green, blue), times their standard
# deviations on a scale of 0..255: Krizhevsky et al. 2012, with the constants of MXNet.
LIGHTING = (
    (-0.5675 * 55.46, 0.7192 * 4.794, 0.4009 * 1.148),
    (-0.5808 * 55.46, -0.0045 * 4.794, -0.8140 * 1.148),
    (-0.5836 * 55.46, -0.6948 * 4.794, 0.4203 * 1.148),
)


def _saturate(plane: Any) -> None:
    """Cut a plane off at 0 and 255 and truncate it to whole levels, in place."""
    clip(plane, 0, 255)
    namespace(plane).floor(plane, out=plane)


def brightness(planes: Sequence[Any], factors: Any) -> None:
    """Multiply every channel, in place."""
    for plane in planes:
        plane *= factors[:, None]
        _saturate(plane)


def contrast(planes: Sequence[Any], factors: Any) -> None:
    """Blend every channel with the mean luminance of its image, in place."""
    float64 = namespace(planes[0]).float64
    pixels = planes[0].shape[1]
    # Whole levels add up exactly in float64, in any order.
    sums = [weight * p.sum(-1, dtype=float64) for weight, p in zip(LUMINANCE, planes)]
    grey = cast((sums[0] + sums[1] + sums[2]) / pixels, "float32") * (1 - factors)
    for plane in planes:
        plane *= factors[:, None]
        plane += grey[:, None]
        _saturate(plane)


def saturation(planes: Sequence[Any], factors: Any) -> None:
    """Blend every channel with MXNet's grey, in place.

    MXNet computes the luminance in a loop that overwrites instead of adding, so that only the
    blue term is left. Runs made with it saw these images, hence ours are the same.
    """
    grey = planes[2] * (BLUE_WEIGHT * (1 - factors[:, None]))
    for plane in planes:
        plane *= factors[:, None]
        plane += grey
        _saturate(plane)


def hue(planes: Sequence[Any], factors: Any) -> None:
    """Turn the hue by ``factors`` circles; 1 changes nothing.

    Lightness and saturation stay, so the largest and smallest channel of a pixel do, and every
    new channel is ``smallest + range * ramp(hue)``. All hues here are sixths of a circle times
    the range, which avoids a division; grey pixels have range 0.
    """
    red, green, blue = planes
    module = namespace(red)
    largest = module.maximum(module.maximum(red, green), blue)
    smallest = module.minimum(module.minimum(red, green), blue)
    extent = largest - smallest
    angle = red - green + 4 * extent
    angle = module.where(largest == green, blue - red + 2 * extent, angle)
    angle = module.where(largest == red, green - blue, angle)
    turns = 6 * factors[:, None]
    centre = 3 * extent
    for plane, peak in zip(planes, (0, 2, 4)):
        # The angle is in -1..5 sixths; the turn is brought to -5..1, so that the distance from the
        # channel's peak is at most 6, where the ramp is symmetric about every multiple of 3.
        turn = (turns - peak + 5) % 6 - 5
        distance = extent * turn
        distance += angle
        module.abs(distance, out=distance)
        distance -= centre
        module.abs(distance, out=distance)
        distance -= extent
        clip(distance, 0, 255)
        module.minimum(distance, extent, out=plane)
        plane += smallest
        module.floor(plane, out=plane)


def lighting(planes: Sequence[Any], alphas: Any) -> None:
    """Add noise along the principal components of colour, in place; ``alphas`` is (N, 3)."""
    for plane, weights in zip(planes, LIGHTING):
        # Written out, so that an image's sum does not depend on how many others there are.
        first, second, third = (alphas[:, i, None] * weight for i, weight in enumerate(weights))
        plane += first + second + third
        _saturate(plane)


COLOURS: Dict[str, Callable[[Sequence[Any], Any], None]] = {
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
    "hue": hue,
    "lighting": lighting,
}
