"""Whether what lies beside the registry is what its records name: predictions and teachers."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from gluontricks.data import dataset_info, load_split
from gluontricks.data.disk import open_pair
from gluontricks.errors import DataError, GluontricksError
from gluontricks.files import sha256_bytes
from gluontricks.results.cells import sound
from gluontricks.results.chains import Finding

FOLDER = "predictions"
# Records hold percentages of counts; a different count of a million images differs by 1e-4.
TOLERANCE = 1e-6

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Checked:
    """What checking found, and how many files were whole, absent, and compared with the data."""

    findings: Tuple[Finding, ...]
    whole: int
    absent: int
    with_data: int


@dataclass(frozen=True)
class Answers:
    """A run's answer to every test image, and the right ones."""

    predicted: np.ndarray
    labels: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Which answers are right, a bool for each image."""
        return self.predicted == self.labels


def read_answers(results_dir: Path, record: Record) -> Optional[Answers]:
    """Return the stored predictions of a run; None where they are not in this clone.

    Raises
    ------
    ValueError
        If the file is not what the record names.
    """
    path = results_dir / FOLDER / f"{record['run_id']}.npz"
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if sha256_bytes(content) != (record["metrics"] or {}).get("predictions_sha256"):
        raise ValueError("it is not the file that the record names")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return Answers(arrays["predicted"], arrays["labels"])
    except zipfile.BadZipFile as error:
        raise ValueError("it holds no arrays") from error


def check(records: Sequence[Record], results_dir: Path, data_dir: Optional[Path] = None) -> Checked:
    """Check every stored prediction: its hash, its accuracy, and its labels where the data are.

    Parameters
    ----------
    records : sequence of mappings
    results_dir : Path
    data_dir : Path, optional
        Folder of the data sets.

    Raises
    ------
    DataError
        If a ``data_dir`` is named and is no folder.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise DataError(f"there is no folder '{data_dir}'", "name that of the data sets")
    findings: List[Finding] = []
    whole = absent = with_data = 0
    truths: Dict[str, Optional[np.ndarray]] = {}
    for record in sound(records):
        if (record["metrics"] or {}).get("predictions_sha256") is None:
            continue
        name = f"{FOLDER}/{record['run_id']}.npz"
        try:
            answers = read_answers(results_dir, record)
            if answers is None:
                absent += 1
                continue
            dataset = str(record["data"]["name"])
            if dataset not in truths:
                truths[dataset] = test_labels(dataset, data_dir)
            problem = wrong(answers, record, truths[dataset])
        except (ValueError, KeyError, OSError) as error:
            problem = str(error)
        else:
            with_data += truths[dataset] is not None
        whole += not problem
        findings += [Finding(name, None, problem)] if problem else []
    findings += teachers(results_dir)
    findings += without_record(records, results_dir)
    return Checked(tuple(findings), whole, absent, with_data)


def wrong(answers: Answers, record: Record, truth: Optional[np.ndarray]) -> str:
    """Return how stored predictions contradict their record or the data; nothing if they do not."""
    top1 = 100 * float(np.mean(answers.right))
    said = record["metrics"]["top1"]
    if said is None or abs(top1 - said) > TOLERANCE:
        return f"its top-1 is {top1:.4f}, the record's {said}"
    if truth is not None and not np.array_equal(truth, answers.labels):
        return "its labels are not those of the test images"
    return ""


def test_labels(dataset: str, data_dir: Optional[Path]) -> Optional[np.ndarray]:
    """Return the labels of a data set's test images; None where the data are not here."""
    try:
        info = dataset_info(dataset)
        if info.on_disk:
            return np.asarray(open_pair(info, data_dir, None).validation.labels)
        return load_split(dataset, "test", data_dir=data_dir).labels
    except GluontricksError:
        return None


def teachers(results_dir: Path) -> List[Finding]:
    """Return the kept parameters of teachers that are not what their names say."""
    found: List[Finding] = []
    for path in sorted((results_dir / "teachers").glob("*/ckpt-*.safetensors")):
        digest = sha256_bytes(path.read_bytes())[:16]
        if digest != path.stem.rpartition("-")[2]:
            name = path.relative_to(results_dir).as_posix()
            found.append(Finding(name, None, "its hash is not the one in its name"))
    return found


def without_record(records: Sequence[Record], results_dir: Path) -> List[Finding]:
    """Return the predictions and teachers that no record names: in doubt if there is no record."""
    known = {str(record.get("run_id")) for record in records}
    files = [
        *sorted((results_dir / FOLDER).glob("*.npz")),
        *(path for path in sorted((results_dir / "teachers").glob("*")) if path.is_dir()),
    ]
    return [
        Finding(f"{path.parent.name}/{path.name}", None, "no record is of this run",
                serious=not records)
        for path in files
        if path.name.partition(".npz")[0] not in known
    ]  # fmt: skip
