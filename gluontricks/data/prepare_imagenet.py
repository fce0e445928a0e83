"""ImageNet from the official archives of ILSVRC2012: one folder for each class, train and val.

The training archive holds an archive for each class; the validation images lie in one archive,
their classes in the development kit. A class is written aside and gets its name when it is whole,
so that a process that was killed goes on with the next.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from gluontricks.data.archives import Member, members, read_members
from gluontricks.data.listing import FolderListing
from gluontricks.data.make_records import locked
from gluontricks.data.parallel import ordered
from gluontricks.data.records import Source
from gluontricks.data.registry import dataset_info
from gluontricks.errors import DataError, DiskError
from gluontricks.files import TEMPORARY, make_folder, sync_folder, write_atomic, write_error

TRAIN = "ILSVRC2012_img_train.tar"
VALIDATION = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
# Published on the download page of the challenge.
MD5 = {
    TRAIN: "1d675b47d978889d74fa0da5fadfb00e",
    VALIDATION: "29b22e2961454d5413ddabcf34fc5622",
    DEVKIT: "fa75699e90414af021442c21a62c3abf",
}
TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
META = "ILSVRC2012_devkit_t12/data/meta.mat"
CHECKED = ".checked.json"
MOST_MEMBERS = 200_000
REMEDY = "download it again from image-net.org"

CLASS_ARCHIVE = re.compile(r"(n\d{8})\.tar")
VALIDATION_IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


class Devkit(NamedTuple):
    """What the development kit tells: the classes in order, and those of the validation images."""

    wnids: Tuple[str, ...]
    validation: Tuple[str, ...]


class Target(NamedTuple):
    """A class folder to be written: which members of the archive, or the archive of the class."""

    folder: Path
    wnid: str
    images: List[Member]
    packed: List[Member]


def prepare_imagenet(
    archives: Path,
    out: Path,
    *,
    jobs: int,
    report: Callable[[str], None],
    official: bool = True,
) -> Dict[str, Any]:
    """Unpack the archives into ``out/train/<class>/`` and ``out/val/<class>/``.

    Parameters
    ----------
    archives : Path
        The folder with the three archives under their official names.
    out : Path
    jobs : int
        Processes that unpack.
    report : callable
        Is told what is going on.
    official : bool
        Check the archives' MD5 and the numbers of classes and images.

    Returns
    -------
    dict
        ``out``, and for ``train`` and ``val`` the numbers of ``images`` and ``classes`` and the
        listing's ``sha256``.

    Raises
    ------
    DataError
        If an archive is missing, damaged or not the official one.
    DiskError, OutputError, LockedError
        If the folder cannot be written, or another process writes into it.
    """
    missing = [name for name in MD5 if not (archives / name).is_file()]
    if missing:
        raise DataError(
            f"'{archives}' lacks {', '.join(missing)}",
            "download it from image-net.org (an account is needed), and name its folder with "
            "--archives",
        )
    make_folder(out)
    with locked(out):
        if official:
            check_archives(archives, out, jobs, report)
        devkit = read_devkit(archives / DEVKIT)
        unpack(archives / TRAIN, train_targets(archives / TRAIN, out, devkit), jobs, report)
        unpack(archives / VALIDATION, val_targets(archives / VALIDATION, out, devkit), jobs, report)
        return result(out, devkit, official)


def check_archives(archives: Path, out: Path, jobs: int, report: Callable[[str], None]) -> None:
    """Raise unless the archives are the official ones; note it, as it takes minutes."""
    now = {}
    for name in MD5:
        status = (archives / name).stat()
        now[name] = [status.st_size, status.st_mtime_ns]
    note = out / CHECKED
    if note.exists() and note.read_text(encoding="utf-8") == json.dumps(now):
        return
    report("checking the MD5 of the archives: this takes minutes")
    for name, found in zip(MD5, ordered(md5_of, archives, MD5, min(jobs, len(MD5)))):
        if found != MD5[name]:
            raise DataError(
                f"'{archives / name}' is not the official archive: its MD5 is {found}, "
                f"not {MD5[name]}",
                f"{REMEDY}, or give --no-checksums",
            )
    write_atomic(note, json.dumps(now))


def md5_of(folder: Path, name: str) -> str:
    """Return the MD5 of a file."""
    digest = hashlib.md5()
    with open(folder / name, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_devkit(path: Path) -> Devkit:
    """Return the classes, sorted, and the class of every validation image.

    Raises
    ------
    DataError
        If the archive does not hold them.
    """
    from scipy.io import loadmat

    try:
        found = read_members(path, (TRUTH, META))
        table = loadmat(io.BytesIO(found[META]), squeeze_me=True)["synsets"]
        # Beyond the classes the table has their superordinates.
        wnid_of = {
            int(row["ILSVRC2012_ID"]): str(row["WNID"])
            for row in np.atleast_1d(table)
            if int(row["num_children"]) == 0
        }
        truth = tuple(wnid_of[int(line)] for line in found[TRUTH].split())
    except Exception as error:  # what SciPy raises on a damaged file is not documented
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"'{path}' is no development kit: {reason}", REMEDY) from error
    wnids = tuple(sorted(wnid_of.values()))
    odd = [wnid for wnid in wnids if not re.fullmatch(r"n\d{8}", wnid)]
    if odd or len(set(wnids)) < len(wnids):
        raise DataError(
            f"'{path}' has odd or repeated classes, such as {(odd or wnids)[0]}", REMEDY
        )
    return Devkit(wnids, truth)


def train_targets(path: Path, out: Path, devkit: Devkit) -> List[Target]:
    """Return the training classes: each is an archive within the archive."""
    packed = {}
    for member in listed(path):
        name = CLASS_ARCHIVE.fullmatch(member.name)
        if name is None or name[1] in packed:
            raise odd_member(path, member)
        packed[name[1]] = member
    compare(path, "classes", set(packed), set(devkit.wnids))
    return [Target(out / "train", wnid, [], [packed[wnid]]) for wnid in devkit.wnids]


def val_targets(path: Path, out: Path, devkit: Devkit) -> List[Target]:
    """Return the validation classes with their images."""
    images: Dict[str, List[Member]] = {wnid: [] for wnid in devkit.wnids}
    seen = set()
    for member in listed(path):
        name = VALIDATION_IMAGE.fullmatch(member.name)
        number = int(name[1]) if name else 0
        if not 1 <= number <= len(devkit.validation) or number in seen:
            raise odd_member(path, member)
        seen.add(number)
        images[devkit.validation[number - 1]].append(member)
    compare(path, "images", seen, set(range(1, len(devkit.validation) + 1)))
    return [Target(out / "val", wnid, images[wnid], []) for wnid in devkit.wnids]


def listed(path: Path) -> List[Member]:
    """Return the files of an archive.

    Raises
    ------
    DataError
        If it is damaged, or holds what no archive of images needs.
    """
    source = Source(path)
    return inside(source, Member(path.name, 0, source.size()))


def inside(source: Source, archive: Member) -> List[Member]:
    """Return the files of an archive that lies in a file."""

    def read(start: int, count: int) -> bytes:
        return source.read(count, start)

    try:
        return list(members(read, archive.start, archive.end, most=MOST_MEMBERS))
    except ValueError as error:
        raise DataError(
            f"'{source.path}' ('{archive.name}') is damaged: {error}", REMEDY
        ) from error


def odd_member(path: Path, member: Member) -> DataError:
    """Return the error of a member that should not be there, or not twice."""
    return DataError(f"'{path}' holds '{member.name}', which it should not, or not twice", REMEDY)


def compare(path: Path, kind: str, found: set, wanted: set) -> None:
    """Raise unless an archive holds what the development kit names."""
    for which, names in (("lacks", wanted - found), ("adds", found - wanted)):
        if names:
            first = sorted(names)[0]
            raise DataError(
                f"'{path}' {which} {len(names)} of the {kind} of '{DEVKIT}', such as {first}",
                REMEDY,
            )


def unpack(path: Path, targets: List[Target], jobs: int, report: Callable[[str], None]) -> None:
    """Write the class folders that are not there yet."""
    left = [target for target in targets if not (target.folder / target.wnid).is_dir()]
    if not left:
        return
    part = make_folder(left[0].folder)
    needed = sum(m.end - m.start for target in left for m in (*target.images, *target.packed))
    free = shutil.disk_usage(part).free
    if needed > free:
        raise DiskError(
            f"'{path.name}' needs {needed / 2**30:.1f} GB, '{part}' has {free / 2**30:.1f}",
            "make room, or choose another folder with --out",
        )
    for number, _ in enumerate(ordered(unpack_class, Source(path), left, jobs), 1):
        if number * 10 // len(left) > (number - 1) * 10 // len(left):
            report(f"{part.name}: {len(targets) - len(left) + number} of {len(targets)} classes")


def unpack_class(source: Source, target: Target) -> None:
    """Write one class folder: aside, and renamed when all of it is on disk."""
    images = [image for archive in target.packed for image in inside(source, archive)]
    if target.packed:
        name = re.compile(target.wnid + r"_\d+\.JPEG")
        names = [image.name for image in images]
        wrong = [n for n in names if not name.fullmatch(n)]
        if wrong or len(set(names)) < len(names):
            raise odd_member(source.path, (images[names.index(wrong[0])] if wrong else images[0]))
    folder = target.folder / target.wnid
    aside = target.folder / f"{TEMPORARY}{target.wnid}"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for image in images + target.images:
            content = source.read(image.end - image.start, image.start)
            (aside / image.name).write_bytes(content)
        # One call for a thousand files, where syncing each would take most of the time.
        os.sync()
        os.replace(aside, folder)
        sync_folder(target.folder)
    except OSError as error:
        raise write_error(error, folder) from error


def result(out: Path, devkit: Devkit, official: bool) -> Dict[str, Any]:
    """Return what is on disk now.

    Raises
    ------
    DataError
        If it is not what was unpacked.
    """
    info = dataset_info("imagenet")
    report: Dict[str, Any] = {"out": str(out)}
    for split, count in (("train", info.train_size), ("val", info.test_size)):
        listing = FolderListing("imagenet", split, out / split)
        wanted = (info.classes, count) if official else (len(devkit.wnids), len(listing))
        if (len(listing.class_names), len(listing)) != wanted:
            raise DataError(
                f"'{listing.root}' holds {len(listing):,} images of {len(listing.class_names)} "
                f"classes, not {wanted[1]:,} of {wanted[0]}",
                "remove it and run the same command again",
            )
        report[split] = {
            "images": len(listing),
            "classes": len(listing.class_names),
            "sha256": listing.sha256,
        }
    return report
