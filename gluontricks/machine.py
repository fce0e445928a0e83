"""Facts about this machine, read from the system and never from a framework."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import FrozenSet, List, NamedTuple, Optional, Tuple

import psutil

CPU_INFO = Path("/proc/cpuinfo")
DRIVER = Path("/proc/driver/nvidia/version")
CGROUPS = Path("/sys/fs/cgroup")
QUERY = ["--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader,nounits"]


class Cpu(NamedTuple):
    """A processor: its model and the instruction sets the system reports."""

    model: str
    features: FrozenSet[str]


class Gpu(NamedTuple):
    """An NVIDIA GPU: name, compute capability (None if unknown) and memory in MiB."""

    name: str
    capability: Optional[Tuple[int, int]]
    memory: int


def cpu(source: Path = CPU_INFO) -> Cpu:
    """Return the model and the features of the processor; no features where unknown."""
    try:
        text = source.read_text()
    except OSError:
        text = ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    name = model[1].strip() if model else platform.processor() or platform.machine()
    return Cpu(name, frozenset(flags[1].split()) if flags else frozenset())


def gpus() -> List[Gpu]:
    """Return the NVIDIA GPUs that the driver lists; empty without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        try:
            command = [tool, *QUERY]
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            done = None
        if done is not None and done.returncode == 0:
            return parse_gpus(done.stdout)
    return [Gpu("NVIDIA GPU", None, 0)] if DRIVER.exists() else []


def parse_gpus(table: str) -> List[Gpu]:
    """Return the GPUs of a table ``name, capability, MiB``, one per line."""
    found = []
    for line in table.strip().splitlines():
        name, capability, memory = (line.rsplit(",", 2) + ["", ""])[:3]
        version = re.fullmatch(r"(\d+)\.(\d+)", capability.strip())
        size = int(memory) if memory.strip().isdigit() else 0
        pair = (int(version[1]), int(version[2])) if version else None
        found.append(Gpu(name.strip(), pair, size))
    return found


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had in use."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def free_memory(root: Path = CGROUPS) -> int:
    """Return the bytes of memory this process can still take, a container's limit respected."""
    available = int(psutil.virtual_memory().available)
    limits = [("memory.max", "memory.current")]
    limits += [("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")]
    for limit, used in limits:
        try:
            left = int((root / limit).read_text()) - int((root / used).read_text())
        except (OSError, ValueError):  # no control group, or "max"
            continue
        available = min(available, max(0, left))
    return available
