"""Where and in which precision PyTorch computes here."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from gluontricks.allocator import keep_memory
from gluontricks.errors import UsageError
from gluontricks.learners import LearnerSpec
from gluontricks.threads import set_threads


def device_of(spec: LearnerSpec) -> torch.device:
    """Return the device of a learner, which can do what is asked of it.

    Raises
    ------
    UsageError
        If there is no such device, or it cannot.
    """
    device = named_device(spec.device)
    if device.type == "cpu":
        check_cpu(spec)
    return device


def named_device(name: str) -> torch.device:
    """Return the device ``cpu``, or ``cuda[:N]`` where PyTorch finds such a GPU.

    Raises
    ------
    UsageError
        If it does not.
    """
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdigit() or name.startswith("cpu:"):
        raise UsageError(
            f"unknown device '{name}'",
            "give cpu, cuda or cuda:N; several GPUs are --num-gpus N, a process for each",
        )
    if kind == "cpu":
        return torch.device("cpu")
    found = gpu_count()
    index = int(number) if number else local_rank()
    if index >= found:
        raise UsageError(
            f"PyTorch finds {found} GPUs here, and --device is {name}",
            "'gluontricks doctor' tells why; use --device cpu",
        )
    return torch.device("cuda", index)


def gpu_count() -> int:
    """Return the number of GPUs that PyTorch finds."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def gpu_trouble() -> str:
    """Return nothing: PyTorch is built for every GPU that it finds."""
    return ""


def local_rank() -> int:
    """Return the number of this process among those that torchrun started on this machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_count() -> int:
    """Return the number of processes that torchrun started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def check_cpu(spec: LearnerSpec) -> None:
    """Raise UsageError for what has no meaning on a CPU."""
    if spec.dtype == "float16":
        raise UsageError(
            "--dtype float16 needs a GPU: a CPU computes it slower than float32",
            "use --dtype bfloat16 or float32, or --device cuda",
        )
    if spec.deterministic:
        raise UsageError(
            "--deterministic would have no effect: on a CPU runs are always bit-identical",
            "leave it out; the number of threads is what must stay the same",
        )


def set_up(device: torch.device, *, deterministic: bool = False) -> None:
    """Set what holds for the whole process: threads, allocator, exact kernels."""
    torch.set_num_threads(set_threads())
    if device.type == "cpu":
        keep_memory()
        return
    torch.cuda.set_device(device)
    # float32 means float32: TF32 has the range of float32 and the precision of float16.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = not deterministic
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def autocast(dtype: str, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a network computes in ``dtype``."""
    if dtype in ("float32", "float64"):
        return nullcontext()
    # Every weight is used once, and a recorded step must not find one that an earlier step cast.
    return torch.autocast(device.type, dtype=getattr(torch, dtype), cache_enabled=False)
