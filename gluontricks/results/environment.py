"""What a run ran on: hardware, versions, and the revision of this code. MXNet is not imported."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import gluontricks
from gluontricks.results.plain import anonymous

PACKAGES = (
    "mxnet", "mxnet-cu112", "torch", "numpy", "scipy", "scikit-learn", "Pillow", "safetensors",
)  # fmt: skip
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve")
RESULTS = "results"
VARIABLES = ("OMP_NUM_THREADS", "MXNET_SUBGRAPH_BACKEND", "MXNET_SAFE_ACCUMULATION")
CPUINFO = Path("/proc/cpuinfo")
GPUS = Path("/proc/driver/nvidia/gpus")


def hardware(threads: Optional[int] = None) -> Dict[str, Any]:
    """Return the processor, its cores and instructions, threads, graphics card and memory.

    Parameters
    ----------
    threads : int, optional
        Threads the run used; by default what ``OMP_NUM_THREADS`` says.
    """
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    found = set(flags[1].split()) if flags else set()
    given = os.environ.get("OMP_NUM_THREADS", "")
    return {
        "cpu": name[1].strip() if name else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "threads": threads if threads else int(given) if given.isdigit() else None,
        "isa": [flag for flag in INSTRUCTIONS if flag in found],
        "gpu": graphics_card(),
        "ram_gb": memory_gb(),
    }


def graphics_card(folder: Path = GPUS) -> Optional[str]:
    """Return the model of the first NVIDIA card, as its driver says; None without one."""
    for file in sorted(folder.glob("*/information")):
        model = re.search(r"^Model:\s*(.+)$", file.read_text(errors="replace"), re.MULTILINE)
        if model:
            return model[1].strip()
    return None


def memory_gb() -> Optional[float]:
    """Return the memory of the machine in GB of 2^30 bytes, or None where it cannot be asked."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def software() -> Dict[str, Any]:
    """Return the versions of Python, of the packages a result depends on, and of the system."""
    found: Dict[str, Any] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package.lower()] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package.lower()] = None
    found["os"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    found["env"] = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return found


def code(command: Sequence[str] = ()) -> Dict[str, Any]:
    """Return the version of this package, its git revision, and the command without its paths.

    ``commit`` and ``dirty`` are None for an installed copy; ``dirty`` says that tracked files
    differ from the commit, or that the package has files git does not know. The results folder
    does not count: a run that joins the registry changes no code.
    """
    commit, dirty = revision(Path(gluontricks.__file__).resolve().parent)
    return {
        "version": gluontricks.__version__,
        "commit": commit,
        "dirty": dirty,
        "command": [anonymous(str(word)) for word in command],
    }


def revision(package: Path) -> Tuple[Optional[str], Optional[bool]]:
    """Return ``(commit, dirty)`` of the checkout that holds ``package`` at its top, if any."""
    top = git(package.parent, "rev-parse", "--show-toplevel")
    if not top or Path(top.strip()).resolve() != package.parent.resolve():
        return None, None
    commit = git(package.parent, "rev-parse", "--verify", "HEAD")
    apart = f":(exclude){RESULTS}"
    tracked = git(package.parent, "status", "--porcelain", "--untracked-files=no", "--", apart)
    unknown = git(package.parent, "status", "--porcelain", "--", package.name)
    return (commit.strip() if commit else None), bool(tracked or unknown)


def git(folder: Path, *words: str) -> Optional[str]:
    """Return what a git command prints in ``folder``; None if it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
