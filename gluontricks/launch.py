"""What ``--num-gpus`` means: a process for each GPU on PyTorch, several devices on MXNet."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Optional, Sequence

from gluontricks.errors import UsageError
from gluontricks.learners import engine_module
from gluontricks.options import RunOptions
from gluontricks.processes import processes


def launched(options: RunOptions, argv: Sequence[str]) -> Optional[int]:
    """Start a process for each GPU where the engine wants that, and wait for them.

    Parameters
    ----------
    options : RunOptions
    argv : sequence of str
        The script of this process and its arguments, which the others have too.

    Returns
    -------
    int, optional
        Their exit code; None if this process is to train itself.

    Raises
    ------
    UsageError
        If there are not so many GPUs; nothing was started.
    """
    check_gpus(options)
    if options.engine != "torch" or options.num_gpus < 2 or "WORLD_SIZE" in os.environ:
        return None
    return engine_module("torch").launch(options.num_gpus, argv)


def check_gpus(options: RunOptions) -> None:
    """Raise UsageError unless the engine finds as many GPUs as are to be used."""
    count = options.num_gpus
    if count < 0:
        raise UsageError(f"--num-gpus is {count}", "it must be 0 or more")
    if count == 0:
        return
    if options.device != RunOptions.device:
        raise UsageError(
            f"--num-gpus {count} and --device {options.device} are both given", "leave one out"
        )
    module = engine_module(options.engine)
    found, reason = module.gpu_count(), module.gpu_trouble()
    if found < count or reason:
        name = {"mxnet": "MXNet", "torch": "PyTorch"}[options.engine]
        raise UsageError(
            f"{name} finds {found} GPUs here, and --num-gpus is {count}{reason}",
            "use --engine torch" if reason else "'gluontricks doctor' tells why; use --num-gpus 0",
        )


def placed(options: RunOptions) -> RunOptions:
    """Return the options of a process with the devices that ``--num-gpus`` stands for.

    Raises
    ------
    UsageError
        If there are not so many GPUs, or processes, where each has one.
    """
    check_gpus(options)
    if options.num_gpus == 0:
        return options
    if options.engine == "mxnet":
        names = (f"cuda:{number}" for number in range(options.num_gpus))
        return replace(options, device=",".join(names))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes().count))
    if here != options.num_gpus:
        raise UsageError(
            f"--num-gpus is {options.num_gpus}, and this machine has {here} of the processes",
            "start 'gluontricks train' without torchrun, or as many processes as GPUs",
        )
    return replace(options, device="cuda")
