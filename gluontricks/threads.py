"""How many threads a process may use: the physical cores it was given, unless the user says."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Optional

from gluontricks.errors import UsageError

VARIABLE = "OMP_NUM_THREADS"
CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")
# Elements from which MXNet copies an array with several threads; by default 200,000.
PARALLEL_COPY = ("MXNET_CPU_PARALLEL_SIZE", str(10**9))


def physical_cores() -> int:
    """Return the number of physical cores this process may use, at least 1.

    Two hardware threads of one core count once, since matrix products gain nothing from the
    second. A CPU affinity mask and a container's quota are respected.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
        cores = len({_siblings(cpu) for cpu in allowed})
    else:
        cores = os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cpu_quota(root: Path = CGROUPS) -> Optional[float]:
    """Return the CPUs that the control group of a container allows, or None without a limit."""
    try:
        limit, period = (root / "cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        try:
            limit = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if limit in ("max", "-1") else int(limit) / int(period)


def set_threads(count: Optional[int] = None) -> int:
    """Fix the number of threads of MXNet's kernels and return it.

    Parameters
    ----------
    count : int, optional
        Number of threads. By default what ``OMP_NUM_THREADS`` says, else the physical cores.

    Raises
    ------
    UsageError
        If the count is not a positive number, or MXNet was imported before with another one.
    """
    current = os.environ.get(VARIABLE, "")
    wanted = current or str(physical_cores()) if count is None else str(count)
    first = wanted.split(",")[0].strip()  # OpenMP takes a list, one number per nested level
    if not first.isdigit() or int(first) < 1:
        origin = VARIABLE if count is None else "threads"
        raise UsageError(f"{origin} must be at least 1, got {wanted}", "leave it out for all cores")
    if "mxnet" in sys.modules and wanted != current:
        raise UsageError(
            f"cannot set {wanted} threads: MXNet was imported with {current or 'its default'}",
            f"set them before MXNet is imported, or start with {VARIABLE}={wanted}",
        )
    os.environ[VARIABLE] = wanted
    return int(first)


def keep_one_team() -> None:
    """Have only MXNet's engine work in parallel, unless the user says otherwise.

    OpenMP's threads wait for their next work by spinning while there are no more of them than
    cores. A second team, which Python's thread gets at its first parallel copy of a batch, is one
    too many: from then on every thread sleeps after each of a thousand operations of a step.
    Measured on two cores, resnet56_v1 at batch 128: 10 % (float32) or 15 % (bfloat16) of the speed.
    """
    name, elements = PARALLEL_COPY
    os.environ.setdefault(name, elements)


def _siblings(cpu: int) -> str:
    """Return a name of the core that the hardware thread ``cpu`` belongs to."""
    try:
        return (CPUS / f"cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)
