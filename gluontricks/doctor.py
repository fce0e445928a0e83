"""What works here and what does not: ``gluontricks doctor``."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from gluontricks import __version__, machine
from gluontricks.allocator import can_keep_memory
from gluontricks.cuda_libraries import GPU_CODE, cuda_build, has_code
from gluontricks.data.fetch import listing
from gluontricks.data.locations import data_folder
from gluontricks.errors import GluontricksError
from gluontricks.mxnet_shim import install_command, physical_cores, shim_report

OK, WARN, ERROR = "ok", "warn", "error"
PYTHONS = ((3, 8), (3, 13))
OLDEST_TORCH = (2, 4)
LEAST_MEMORY = 2 * 2**30
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
OPTIONAL = (
    ("gluoncv", "gluoncv", "comparisons with GluonCV"),
    ("tensorboardX", "track", "curves for TensorBoard"),
)


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Parameters
    ----------
    name, value : str
        What was looked at, and what was found.
    status : str
        ``ok``, ``warn`` (works, but not as well as it could) or ``error`` (does not work).
    remedy : str
        What to do about it; empty if there is nothing to do.
    """

    name: str
    value: str
    status: str = OK
    remedy: str = ""


def diagnose(out: str = "runs", data_dir: Optional[str] = None) -> List[Finding]:
    """Return the findings about this machine and installation; imports MXNet if it is there.

    Parameters
    ----------
    out : str
        Folder into which runs will be written.
    data_dir : str, optional
        Folder of the data sets; by default ``$GLUONTRICKS_DATA`` or ``~/.gluontricks/data``.
    """
    processor, graphics = machine.cpu(), machine.gpus()
    mxnet, module = _mxnet()
    folder = data_folder(data_dir)
    return [
        Finding("gluontricks", __version__),
        python_finding(sys.version_info[:3]),
        mxnet,
        torch_finding(_version("torch"), has_mxnet=module is not None),
        *_import_findings(module),
        scipy_finding(_version("scipy")),
        *_optional(),
        _cpu(processor),
        bfloat16_finding(processor),
        _threads(),
        memory_finding(machine.free_memory()),
        allocator_finding(platform.libc_ver(), os.environ),
        *gpu_findings(graphics, cuda_build(), torch=_version("torch")),
        *(data_finding(row) for row in listing(folder) if row["found"] or not row["on_disk"]),
        writable_finding("output folder", Path(out), "--out"),
        writable_finding("data folder", folder, "--data-dir", WARN),
    ]


def worst(findings: Sequence[Finding]) -> str:
    """Return the gravest status: ``error``, ``warn`` or ``ok``."""
    found = {finding.status for finding in findings}
    return next((status for status in (ERROR, WARN) if status in found), OK)


def render_text(findings: Sequence[Finding]) -> str:
    """Return the findings as lines for a terminal, each problem followed by its remedy."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<5}  {finding.name:<{width}}  {finding.value}")
        if finding.remedy:
            lines.append(f"{'':<5}  {'':<{width}}  -> {finding.remedy}")
    return "\n".join(lines)


def render_json(findings: Sequence[Finding]) -> str:
    """Return the findings as one JSON document: ``status`` and a list of ``findings``."""
    document = {"status": worst(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(document, indent=2)


def python_finding(version: Tuple[int, int, int]) -> Finding:
    """Return whether MXNet 1.9.1 runs on the Python of this version."""
    value = ".".join(str(number) for number in version)
    if not PYTHONS[0] <= version[:2] <= PYTHONS[1]:
        return Finding("Python", value, ERROR, "use Python 3.8 to 3.13; 3.11 is the best tested")
    if version[:2] == PYTHONS[1]:
        return Finding("Python", f"{value}: MXNet is installed with {install_command()}")
    return Finding("Python", value)


def torch_finding(version: Optional[str], *, has_mxnet: bool) -> Finding:
    """Return whether the second engine is there, and what it can do without MXNet."""
    if version is None:
        text = "not installed (optional: --engine torch; pip install 'gluontricks[torch]')"
        return Finding("PyTorch", text)
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_TORCH:
        oldest = ".".join(str(n) for n in OLDEST_TORCH)
        return Finding("PyTorch", version, WARN, f"--engine torch needs {oldest} or newer")
    if not has_mxnet:
        return Finding("PyTorch", f"{version}: trains runs that were prepared where MXNet is")
    return Finding("PyTorch", version)


def scipy_finding(version: Optional[str]) -> Finding:
    """Return whether this SciPy fits: MXNet uses a module that SciPy 2 no longer has."""
    if version is None or int(version.split(".")[0]) >= 2:
        return Finding("SciPy", version or "not installed", ERROR, "pip install 'scipy<2'")
    return Finding("SciPy", version)


def bfloat16_finding(processor: machine.Cpu) -> Finding:
    """Return whether ``--dtype bfloat16`` is faster than float32 on this processor."""
    if "amx_bf16" in processor.features:
        value = "does not pay off: MXNet leaves this CPU's AMX unused"
        return Finding("bfloat16", value, WARN, "--engine torch, which uses AMX, or float32")
    if "avx512_bf16" in processor.features:
        return Finding("bfloat16", "pays off: the CPU has avx512_bf16 and MXNet's oneDNN uses it")
    return Finding("bfloat16", "does not pay off without avx512_bf16: train in float32")


def memory_finding(free: int) -> Finding:
    """Return whether ``free`` bytes are enough to train a small network."""
    value = f"{free / 2**30:.1f} GiB free"
    if free < LEAST_MEMORY:
        return Finding("memory", value, WARN, "close other programs or use a smaller --batch-size")
    return Finding("memory", value)


def allocator_finding(libc: Tuple[str, str], environment: Mapping[str, str]) -> Finding:
    """Return how the C library treats large blocks; PyTorch is slow when it gives them back."""
    name = " ".join(libc).strip() or "unknown C library"
    tuned = {"MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}
    given = sorted(tuned.intersection(environment))
    if given:
        return Finding("allocator", f"{name}, set by {', '.join(given)}")
    if can_keep_memory():
        return Finding(
            "allocator", f"{name}; the PyTorch engine has it keep freed memory (mallopt)"
        )
    return Finding(
        "allocator", f"{name}, may return large blocks to the system, which slows PyTorch"
    )


def gpu_findings(
    graphics: Sequence[machine.Gpu], build: Optional[str], *, torch: Optional[str] = None
) -> List[Finding]:
    """Return for each GPU whether an engine has code for it.

    ``build`` is MXNet's CUDA build, ``torch`` PyTorch's version, or None.
    """
    if not graphics:
        return [Finding("GPU", "none found: networks run on the CPU")]
    return [_gpu(gpu, build, torch) for gpu in graphics]


def _gpu(gpu: machine.Gpu, build: Optional[str], torch: Optional[str]) -> Finding:
    """Return whether MXNet, or else PyTorch, can use ``gpu``."""
    if gpu.capability is None:
        value = f"{gpu.name}, compute capability unknown; MXNet has code for {GPU_CODE}"
        return Finding("GPU", value, WARN, "run nvidia-smi and compare the capability")
    capability = ".".join(str(number) for number in gpu.capability)
    value = f"{gpu.name}, compute capability {capability}"
    usable = torch is not None and "+cpu" not in torch
    if not has_code(gpu):
        value += f": MXNet has no code for it, only for {GPU_CODE}"
        if usable:
            return Finding("GPU", f"{value}; use --engine torch")
        remedy = "train on the CPU, or install PyTorch for CUDA and use --engine torch"
        return Finding("GPU", value, WARN, remedy)
    if build is None:
        if usable:
            return Finding("GPU", f"{value}: this MXNet is a CPU build; use --engine torch")
        remedy = "to use it: pip uninstall -y mxnet, then pip install 'gluontricks[cu112]'"
        return Finding("GPU", f"{value}: this MXNet is a CPU build", WARN, remedy)
    return Finding("GPU", f"{value}: {build} has code for it")


def writable_finding(name: str, folder: Path, option: str, status: str = ERROR) -> Finding:
    """Return whether files can be written into ``folder``, or into where it would be made.

    ``option`` is the flag that names another folder, ``status`` what it means if they cannot.
    """
    place = folder
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        with tempfile.TemporaryFile(dir=str(place)):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        remedy = f"make {place} writable, or name another folder with {option}"
        return Finding(name, f"{folder} cannot be written: {reason}", status, remedy)
    return Finding(name, f"{folder} is writable")


def data_finding(row: Mapping[str, Any]) -> Finding:
    """Return whether the data set of one row of :func:`gluontricks.data.fetch.listing` is here."""
    name, images = f"data {row['name']}", f"{row['train']} + {row['test']} images"
    if row["found"]:
        return Finding(name, f"{images}, {row['found']}")
    remedy = f"gluontricks data fetch {row['name']}, or --data-dir if it is elsewhere"
    return Finding(name, "not found", WARN, remedy)


def _version(package: str) -> Optional[str]:
    """Return the version of an installed package, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _mxnet() -> Tuple[Finding, Any]:
    """Return the finding about MXNet and its module, or None if it cannot be imported."""
    try:
        from gluontricks.mxnet_shim import mx
    except GluontricksError as error:
        # A machine with PyTorch alone is complete for runs that were prepared elsewhere.
        status = WARN if _version("torch") and find_spec("mxnet") is None else ERROR
        return Finding("MXNet", error.cause, status, error.remedy), None
    build = cuda_build()
    value = f"{mx.__version__} ({build or 'CPU build'})"
    if build and _version("mxnet"):
        remedy = f"keep one: pip uninstall -y mxnet {build}, then install the one you want"
        return Finding("MXNet", f"{value}, and mxnet beside it", ERROR, remedy), mx
    if mx.__version__ != "1.9.1":
        return Finding("MXNet", value, WARN, f"tested with 1.9.1: {install_command()}"), mx
    return Finding("MXNet", value), mx


def _import_findings(module: Any) -> List[Finding]:
    """Return what the shim did, and whether MXNet has oneDNN."""
    if module is None:
        return [Finding("NumPy", np.__version__)]
    report = shim_report()
    parts = [f"{len(report['numpy_names'])} names added for MXNet"]
    parts += [f"distutils {report['distutils']}"]
    parts += [f"replaced: {', '.join(report['patched'])}"] if report["patched"] else []
    parts += [f"{len(report['cuda_libraries'])} CUDA libraries"] if cuda_build() else []
    findings = [Finding("NumPy", np.__version__), Finding("import shim", "; ".join(parts))]
    if module.runtime.Features().is_enabled("MKLDNN"):
        return [*findings, Finding("oneDNN", "on")]
    remedy = f"convolutions will be slow; take the wheel of PyPI: {install_command()}"
    return [*findings, Finding("oneDNN", "off", WARN, remedy)]


def _optional() -> List[Finding]:
    """Return which optional packages are installed."""
    findings = []
    for package, extra, purpose in OPTIONAL:
        version = _version(package)
        missing = f"not installed (optional: {purpose}; pip install 'gluontricks[{extra}]')"
        findings.append(Finding(package, version or missing))
    return findings


def _cpu(processor: machine.Cpu) -> Finding:
    """Return the processor and the features that decide its speed."""
    found = [feature for feature in FEATURES if feature in processor.features]
    return Finding("CPU", f"{processor.model} ({', '.join(found) or 'no AVX2'})")


def _threads() -> Finding:
    """Return cores and threads, and whether these fit each other."""
    cores, given = physical_cores(), os.environ.get("OMP_NUM_THREADS", "")
    value = f"{cores} physical cores, OMP_NUM_THREADS={given or 'not set'}"
    first = given.split(",")[0].strip()
    if first.isdigit() and int(first) > cores:
        return Finding("threads", value, WARN, "more threads than cores: unset OMP_NUM_THREADS")
    return Finding("threads", value)
