"""The table of data sets: what each is, without reading it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple, Union

from gluontricks.errors import unknown

Channels = Tuple[float, float, float]

SPLITS = ("train", "test")

# Mean and standard deviation of ImageNet's training images, of pixels in 0..1.
IMAGENET: Tuple[Channels, Channels] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# The superclasses of CIFAR-100 with their classes. Both lists are numbered alphabetically.
SUPERCLASSES = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}

COARSE_NAMES = tuple(sorted(SUPERCLASSES))
FINE_NAMES = tuple(sorted(" ".join(SUPERCLASSES.values()).split()))
_PARENT = {
    name: index
    for index, parent in enumerate(COARSE_NAMES)
    for name in SUPERCLASSES[parent].split()
}
FINE_TO_COARSE = tuple(_PARENT[name] for name in FINE_NAMES)


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before it is read.

    ``mean`` and ``std`` are per channel, of pixels in 0..1. ``augmentation`` holds the strengths
    that a recipe takes if it names none: the arguments of
    :class:`gluontricks.data.augment.Augmentation`. A set that is ``on_disk`` has images of any
    size, which are decoded when they are needed; 0 stands for what only its files tell.
    """

    name: str
    classes: int
    image_size: int
    mean: Channels
    std: Channels
    augmentation: Dict[str, float]
    class_names: Tuple[str, ...]
    train_size: int
    test_size: int
    on_disk: bool = False


def _cifar(name: str, class_names: Tuple[str, ...], mean: Channels, std: Channels) -> DatasetInfo:
    # Strengths of the stitch-mixup paper (section 4).
    strengths = {
        "flip": 0.5,
        "brightness": 0.4,
        "contrast": 0.0,
        "saturation": 0.4,
        "hue": 0.4,
        "lighting": 0.1,
        "crop_pad": 4,
    }
    return DatasetInfo(
        name=name,
        classes=len(class_names),
        image_size=32,
        mean=mean,
        std=std,
        augmentation=strengths,
        class_names=class_names,
        train_size=50_000,
        test_size=10_000,
    )


def _on_disk(
    name: str, *, class_names: Tuple[str, ...] = (), classes: int, train_size: int, test_size: int
) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        classes=classes,
        image_size=224,
        mean=IMAGENET[0],
        std=IMAGENET[1],
        augmentation=PRESETS["paper"],
        class_names=class_names,
        train_size=train_size,
        test_size=test_size,
        on_disk=True,
    )


# Strengths of the colour changes of ImageNet training: Bag of Tricks (section 2.1), and what
# GluonCV's script did in its stead.
PRESETS: Dict[str, Dict[str, float]] = {
    "paper": {
        "flip": 0.5,
        "brightness": 0.4,
        "contrast": 0.0,
        "saturation": 0.4,
        "hue": 0.4,
        "lighting": 0.1,
        "crop_pad": 0,
    },
    "gluoncv": {
        "flip": 0.5,
        "brightness": 0.4,
        "contrast": 0.4,
        "saturation": 0.4,
        "hue": 0.0,
        "lighting": 0.1,
        "crop_pad": 0,
    },
    "none": dict.fromkeys(
        ("flip", "brightness", "contrast", "saturation", "hue", "lighting", "crop_pad"), 0.0
    ),
}

_IMAGENETTE = (
    "n01440764 n02102040 n02979186 n03000684 n03028079 n03394916 n03417042 n03425413 n03445777 "
    "n03888257"
)
_CIFAR10_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100: Tuple[Channels, Channels] = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))

DATASETS: Dict[str, DatasetInfo] = {
    "cifar10": _cifar(
        "cifar10",
        tuple(_CIFAR10_NAMES.split()),
        (0.4914, 0.4822, 0.4465),
        (0.2023, 0.1994, 0.2010),
    ),
    "cifar100": _cifar("cifar100", FINE_NAMES, *_CIFAR100),
    "cifar100-coarse": _cifar("cifar100-coarse", COARSE_NAMES, *_CIFAR100),
    "digits": DatasetInfo(
        name="digits",
        classes=10,
        image_size=32,
        mean=(0.3046, 0.3046, 0.3046),
        std=(0.3233, 0.3233, 0.3233),
        # A mirrored digit is another sign or none, and colour says nothing about it.
        augmentation={
            "flip": 0.0,
            "brightness": 0.0,
            "contrast": 0.0,
            "saturation": 0.0,
            "hue": 0.0,
            "lighting": 0.0,
            "crop_pad": 4,
        },
        class_names=tuple("0123456789"),
        train_size=1437,
        test_size=360,
    ),
    "imagenet": _on_disk("imagenet", classes=1000, train_size=1_281_167, test_size=50_000),
    "imagenette": _on_disk(
        "imagenette",
        class_names=tuple(_IMAGENETTE.split()),
        classes=10,
        train_size=9_469,
        test_size=3_925,
    ),
    # Images of one's own, in a folder for each class.
    "folder": _on_disk("folder", classes=0, train_size=0, test_size=0),
}


def dataset_info(dataset: Union[str, DatasetInfo]) -> DatasetInfo:
    """Return the entry of the table for a name; an entry is returned as it is.

    Raises
    ------
    UsageError
        If there is no data set of that name.
    """
    if isinstance(dataset, DatasetInfo):
        return dataset
    if dataset not in DATASETS:
        raise unknown("data set", dataset, DATASETS)
    return DATASETS[dataset]
