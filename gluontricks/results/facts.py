"""All that a record says of its run, in words: the command line and the page show the same."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

from gluontricks.results.records import label_of

Record = Mapping[str, Any]
Facts = List[Tuple[str, str]]
UNKNOWN = "not recorded"
# What a number rests on, so that its absence is said where everything is to be told.
LISTED = (
    "recipe", "seed", "images", "train data hash", "test data hash", "hardware", "cores",
    "memory", "instructions", "versions", "code",
)  # fmt: skip


def facts(record: Record, *, whole: bool = False) -> Facts:
    """Return name -> value of everything that a number of a run rests on.

    Any group of a record may be null: a log knows neither its machine nor its versions. What is
    unknown is left out or, of the facts in ``LISTED`` and if the ``whole`` is asked for, said to be
    so.
    """
    found: Sequence[Tuple[str, Any]] = (
        ("run", record["run_id"]), ("label", label_of(record)), ("recipe", record["recipe"]),
        ("rows", "; ".join(record["rows"] or ())), ("fingerprint", record["fingerprint"]),
        ("seed", group(record, "seed").get("root")), ("labels", record["labels"]),
        ("status", with_reason(record)), ("protocol", record["protocol"]),
        ("started", record["started"]), ("ended", record["ended"]), ("resumed", resumed(record)),
        ("engine", listed(record, "engine", "device", "dtype")),
        *results(group(record, "metrics")), *source_of(record), *of_model(record),
        *of_machine(record), *of_code(record), ("record's hash", record.get("line_sha256")),
    )  # fmt: skip
    return [
        (name, UNKNOWN if value in (None, "") else str(value))
        for name, value in found
        if value not in (None, "") or (whole and name in LISTED)
    ]


def settings(record: Record) -> Facts:
    """Return every hyper-parameter of a run as its resolved recipe has it; nothing of a log."""
    resolved: Mapping[str, Any] = group(record, "config").get("resolved") or {}
    return [(name, in_words(value)) for name, value in sorted(resolved.items())]


def in_words(value: Any) -> str:
    """Return a value of a recipe, or a file with its hash, as text."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return " ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def group(record: Record, name: str) -> Mapping[str, Any]:
    """Return a group of a record's fields, empty where it is null."""
    return record[name] or {}


def listed(fields: Mapping[str, Any], *names: str) -> str:
    """Return the known ones of some fields in one text."""
    return ", ".join(str(fields[name]) for name in names if fields.get(name) not in (None, ""))


def with_reason(record: Record) -> Optional[str]:
    """Return the status of a run, and why it did not complete."""
    status: Optional[str] = record["status"]
    return f"{status} ({record['reason']})" if record["reason"] else status


def resumed(record: Record) -> Optional[str]:
    """Return how often a run was resumed, if it was."""
    times = record["resumes"]
    return f"{times} times; bit for bit: {record['bitwise']}" if times else None


def results(metrics: Mapping[str, Any]) -> Sequence[Tuple[str, Any]]:
    """Return the numbers that a run came to."""
    percents = (("top-1", "top1"), ("top-5", "top5"), ("best top-1", "top1_best"))
    others = (("nll", "nll"), ("calibration error", "ece15"), ("loss", "loss"))
    return [
        *(
            (name, f"{metrics[key]:.2f} %")
            for name, key in percents
            if metrics.get(key) is not None
        ),
        *((name, f"{metrics[key]:.4f}") for name, key in others if metrics.get(key) is not None),
    ]


def source_of(record: Record) -> Sequence[Tuple[str, Any]]:
    """Return what a run was trained on, or the log that it is known by."""
    data, log = group(record, "data"), group(record, "source")
    return (
        ("images", listed(data, "name", "split", "subset")),
        ("train data hash", data.get("train_sha256")), ("test data hash", data.get("eval_sha256")),
        ("data files", ", ".join(in_words(one) for one in data.get("files") or ())),
        ("log", log.get("file")), ("log's hash", log.get("sha256")),
        ("log's origin", log.get("origin")),
    )  # fmt: skip


def of_model(record: Record) -> Sequence[Tuple[str, Any]]:
    """Return the network and its teacher."""
    model = group(record, "model")
    teacher = model.get("teacher")
    return (
        ("network", model.get("name")), ("parameters", model.get("params")),
        ("teacher", teacher and f"{teacher['name']}, parameters {teacher['sha256']}"),
    )  # fmt: skip


def of_machine(record: Record) -> Sequence[Tuple[str, Any]]:
    """Return what a run ran on, and how fast."""
    machine, budget, software = (group(record, n) for n in ("hardware", "budget", "software"))
    versions = [f"{name} {version}" for name, version in software.items()
                if isinstance(version, str)]  # fmt: skip
    return (
        ("hardware", machine.get("gpu") or machine.get("cpu")), ("cores", machine.get("cores")),
        ("memory", machine.get("ram_gb") and f"{machine['ram_gb']} GB"),
        ("instructions", ", ".join(machine.get("isa") or ())), ("threads", machine.get("threads")),
        ("seconds", budget.get("wall_s") and f"{budget['wall_s']:.0f}"),
        ("images per second", budget.get("img_per_s") and f"{budget['img_per_s']:.0f}"),
        ("versions", ", ".join(versions)),
    )  # fmt: skip


def of_code(record: Record) -> Sequence[Tuple[str, Any]]:
    """Return the code of a run and its command."""
    code = group(record, "code")
    changed = ", with changes" if code.get("dirty") else ""
    return (
        ("code", f"{code['version']}, commit {code['commit']}{changed}" if code else None),
        ("command", " ".join(code.get("command") or ())),
    )
