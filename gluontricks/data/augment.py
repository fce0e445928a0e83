"""Whole-batch augmentation: random draws in NumPy, apart from their application to images."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple, Union

import numpy as np

from gluontricks import streams
from gluontricks.arrays import cast, like, namespace
from gluontricks.data.colour import COLOURS
from gluontricks.data.registry import IMAGENET, Channels, DatasetInfo, dataset_info
from gluontricks.errors import UsageError

# Pixels worked on at a time on a CPU: the planes and temporaries of 32 images stay in its cache.
CACHED_PIXELS = 32 * 1024


@dataclass(frozen=True)
class Augmentation:
    """Which random changes are made to training images, in this order; 0 switches one off.

    Parameters
    ----------
    flip : float
        Probability of a horizontal flip.
    brightness, contrast, saturation : float
        The factor is uniform in 1 - this .. 1 + this. Saturation is MXNet's, which blends with
        the blue part of the luminance instead of all of it and so changes the brightness too.
    hue : float
        Largest turn of the hue, as a part of the circle.
    lighting : float
        Standard deviation of the noise along the principal components of colour.
    min_scale : float
        Smallest part of an image's area that a random crop takes, which is then resized; this is
        done where images are decoded, by :mod:`gluontricks.data.crops`.
    crop_pad : int
        Zero pixels put around the image before a crop of its size is taken at random.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    lighting: float = 0.0
    crop_pad: int = 0
    min_scale: float = 0.0

    def __post_init__(self) -> None:
        for name, top in _LIMITS.items():
            value = getattr(self, name)
            if not 0 <= value <= top:
                raise UsageError(f"{name} = {value} is out of range", f"give 0 to {top}")
        if self.crop_pad != int(self.crop_pad):
            raise UsageError(f"crop_pad = {self.crop_pad} is not a whole number", "give pixels")

    @property
    def active(self) -> Tuple[str, ...]:
        """Return the names of the switches of :meth:`apply` that are on, in their order."""
        return tuple(
            f.name for f in fields(self) if f.name != "min_scale" and getattr(self, f.name)
        )

    def check_size(self, height: int, width: int) -> None:
        """Raise UsageError if a crop of this image size could hold nothing of the image."""
        if self.crop_pad >= min(height, width):
            raise UsageError(
                f"crop_pad = {self.crop_pad} is too large for images of {height} x {width}",
                f"give less than {min(height, width)}",
            )

    def draw(self, seed: int, epoch: int, count: int) -> Dict[str, np.ndarray]:
        """Return one epoch's random draws, one per image of the data set.

        Parameters
        ----------
        seed, epoch : int
            The draws are a function of these and of the image's index alone.
        count : int
            Images of the data set.

        Returns
        -------
        dict of str to ndarray, first dimension ``count``
            For each switch that is on: ``flip`` int64 0 or 1; ``brightness``, ``contrast``,
            ``saturation``, ``hue`` float32 factors; ``lighting`` float32 (count, 3); ``crop_pad``
            int64 (count, 2), the row and column of the crop in the padded image. With
            ``min_scale`` also ``resized_crop``, uint64: see
            :func:`gluontricks.data.crops.random_box`.
        """
        drawn = {n: _DRAWS[n](getattr(self, n), seed, epoch, count) for n in self.active}
        if self.min_scale:
            drawn["resized_crop"] = streams.words(seed, "augment-resized-crop", epoch, count)
        return drawn

    def apply(self, images: Any, draws: Mapping[str, Any]) -> Any:
        """Return the images changed as drawn; the input is not touched.

        Parameters
        ----------
        images : array of uint8, shape (N, H, W, 3)
            NumPy array or torch tensor.
        draws : mapping of str to array
            What :meth:`draw` returned, at the indices of these images.

        Returns
        -------
        array of uint8, shape (N, H, W, 3)
            ``images`` itself if nothing is switched on.
        """
        if not self.active:
            return images
        count, height, width = images.shape[:3]
        self.check_size(height, width)
        taken = {name: _beside(draws[name], images) for name in self.active}
        result = namespace(images).empty_like(images)
        # One launch per operation on an accelerator, pieces that fit the cache on a CPU.
        on_cpu = str(getattr(images, "device", "cpu")) == "cpu"
        step = max(1, CACHED_PIXELS // (height * width)) if on_cpu else max(1, count)
        for start in range(0, count, step):
            part = slice(start, start + step)
            result[part] = self._changed(images[part], {k: v[part] for k, v in taken.items()})
        return result

    def _changed(self, images: Any, draws: Mapping[str, Any]) -> Any:
        if "contrast" in draws and "crop_pad" in draws:
            # The mean is that of the whole image, before it is cut.
            first = {name: draws[name] for name in draws if name != "crop_pad"}
            return self._changed(self._changed(images, first), {"crop_pad": draws["crop_pad"]})
        # Moving pixels first and blanking the padding last equals flip, colour, pad, crop.
        inside = None
        shape = images.shape
        pixels = images.reshape(-1, 3)
        if "flip" in draws or "crop_pad" in draws:
            index, inside = self._sources(images, draws)
            pixels = pixels[index.reshape(-1)]
        colours = [name for name in COLOURS if name in draws]
        if not colours:
            moved = pixels.reshape(shape)
            return moved if inside is None else moved * inside[..., None]
        flat = (shape[0], shape[1] * shape[2])
        planes = [cast(pixels[:, c], "float32").reshape(flat) for c in range(3)]
        for name in colours:
            COLOURS[name](planes, draws[name])
        if inside is not None:
            for plane in planes:
                plane *= inside.reshape(flat)
        whole = [cast(plane, "uint8") for plane in planes]
        return namespace(images).stack(whole, -1).reshape(shape)

    def _sources(self, images: Any, draws: Mapping[str, Any]) -> Tuple[Any, Any]:
        """Return the index of each pixel's source, and whether that lies inside the image."""
        module = namespace(images)
        count, height, width = images.shape[:3]
        numbers, rows, columns = (like(np.arange(size), images) for size in (count, height, width))
        rows, columns = rows[None, :], columns[None, :]
        if "crop_pad" in draws:
            rows = rows + (draws["crop_pad"][:, :1] - self.crop_pad)
            columns = columns + (draws["crop_pad"][:, 1:] - self.crop_pad)
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
            :, None, :
        ]
        if "flip" in draws:
            columns = module.where(draws["flip"][:, None] > 0, width - 1 - columns, columns)
        rows, columns = module.clip(rows, 0, height - 1), module.clip(columns, 0, width - 1)
        first = (numbers[:, None] * height + rows) * width
        return first[:, :, None] + columns[:, None, :], inside if "crop_pad" in draws else None


_LIMITS = {
    "flip": 1,
    "brightness": 1,
    "contrast": 1,
    "saturation": 1,
    "hue": 1,
    "lighting": 100,
    "crop_pad": 1 << 20,
    "min_scale": 1,
}


def _draw_flip(strength: float, seed: int, epoch: int, count: int) -> np.ndarray:
    return (streams.uniforms(seed, "augment-flip", epoch, count) < strength).astype(np.int64)


def _draw_factor(name: str) -> Callable[[float, int, int, int], np.ndarray]:
    def draw(strength: float, seed: int, epoch: int, count: int) -> np.ndarray:
        drawn = streams.uniforms(seed, f"augment-{name}", epoch, count)
        return (1 - strength + 2 * strength * drawn).astype(np.float32)

    return draw


def _draw_lighting(strength: float, seed: int, epoch: int, count: int) -> np.ndarray:
    drawn = streams.normals(seed, "augment-lighting", epoch, 3 * count)
    return (strength * drawn).astype(np.float32).reshape(count, 3)


def _draw_crop(strength: int, seed: int, epoch: int, count: int) -> np.ndarray:
    drawn = streams.uniforms(seed, "augment-crop", epoch, 2 * count)
    return (drawn * (2 * strength + 1)).astype(np.int64).reshape(count, 2)


_DRAWS: Dict[str, Callable[..., np.ndarray]] = {
    "flip": _draw_flip,
    "brightness": _draw_factor("brightness"),
    "contrast": _draw_factor("contrast"),
    "saturation": _draw_factor("saturation"),
    "hue": _draw_factor("hue"),
    "lighting": _draw_lighting,
    "crop_pad": _draw_crop,
}


def _beside(values: Any, images: Any) -> Any:
    return like(values, images) if isinstance(values, np.ndarray) else values


def normalise(images: Any, mean: Sequence[float], std: Sequence[float]) -> Any:
    """Return images as the network takes them: ``(image / 255 - mean) / std``, channels first.

    Parameters
    ----------
    images : array of uint8, shape (N, H, W, 3)
        NumPy array or torch tensor.
    mean, std : three floats
        Per channel, of pixels in 0..1.

    Returns
    -------
    array of float32, shape (N, 3, H, W)
    """
    planes: List[Any] = []
    for channel in range(3):
        plane = cast(images[..., channel], "float32")
        plane *= 1 / (255 * std[channel])
        plane -= mean[channel] / std[channel]
        planes.append(plane)
    return namespace(images).stack(planes, 1)


def parse_normalization(text: str, dataset: Union[str, DatasetInfo]) -> Tuple[Channels, Channels]:
    """Return the mean and standard deviation, per channel of pixels in 0..1, that a text names.

    Parameters
    ----------
    text : str
        ``dataset`` (the training set's own), ``imagenet``, ``none`` (pixels stay in 0..1), or
        numbers ``R,G,B/R,G,B``.
    dataset : str or DatasetInfo
        The data set.

    Raises
    ------
    UsageError
        If the text is none of these, or a standard deviation is not positive.
    """
    info = dataset_info(dataset)
    named = {
        "dataset": (info.mean, info.std),
        "imagenet": IMAGENET,
        "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    }
    if text in named:
        return named[text]
    try:
        mean, std = (_channels(part) for part in text.split("/"))
        if min(std) <= 0:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"normalization '{text}' is not understood",
            "give dataset, imagenet, none, or R,G,B/R,G,B: means and positive standard deviations "
            "of pixels in 0..1",
        ) from None
    return mean, std


def _channels(text: str) -> Channels:
    red, green, blue = (float(number) for number in text.split(","))
    if not all(math.isfinite(number) for number in (red, green, blue)):
        raise ValueError
    return red, green, blue
