"""Small folders of images for tests: every class has its own colours, every image its own size."""

import io

import numpy as np
from PIL import Image

CLASSES = ("apple", "beech", "cloud")


def photograph(seed, *, size=None, tint=(0, 0, 0)):
    """A smooth random picture as uint8 RGB, brighter in the channels of ``tint``."""
    rng = np.random.default_rng(seed)
    height, width = size or rng.integers(40, 90, 2)
    coarse = rng.integers(0, 160, (6, 6, 3)) + np.array(tint)
    picture = Image.fromarray(coarse.astype(np.uint8)).resize((int(width), int(height)))
    return np.asarray(picture)


def encoded(pixels, kind="JPEG", **settings):
    """A picture as the content of a file."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **settings)
    return content.getvalue()


def write_folder(root, *, train=8, val=5, classes=CLASSES):
    """Write train/ and val/ with ``train`` and ``val`` images a class; return ``root``."""
    for split, count in (("train", train), ("val", val)):
        for number, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            tint = 90 * np.eye(3, dtype=int)[number % 3]
            for image in range(count):
                seed = 1000 * number + 100 * (split == "val") + image
                file = folder / f"{name}_{image}.jpg"
                file.write_bytes(encoded(photograph(seed, tint=tint), quality=92))
    return root
