"""A plan's jobs on a Ray cluster: workers that claim and run as one machine's threads do."""

from __future__ import annotations

import signal
from typing import Any, Dict, Sequence, Tuple

from gluontricks.errors import UsageError
from gluontricks.reproduce.jobs import Job
from gluontricks.reproduce.runner import Context, to_stderr, work_on


def run_on_ray(jobs: Sequence[Job], context: Context, workers: int, *, address: str) -> None:
    """Have ``workers`` processes of the cluster at ``address``, or a ``local`` one, do the jobs."""
    try:
        import ray
    except ImportError:
        raise UsageError("--ray needs Ray", "pip install 'gluontricks[ray]'") from None
    cores: Any = {"num_cpus": workers * context.machine.threads} if address == "local" else {}
    try:
        ray.init(address, include_dashboard=False, log_to_driver=True, **cores)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no Ray cluster at '{address}' ({error})", "start one, or check"
        ) from error
    remote = ray.remote(num_cpus=context.machine.threads, max_retries=0)(work_alone)
    try:
        for failed in ray.get([remote.remote(jobs, context.shared()) for _ in range(workers)]):
            context.failed.update(failed)
    except KeyboardInterrupt:
        context.signal = signal.SIGINT
    finally:
        ray.shutdown()


def work_alone(jobs: Sequence[Job], shared: Dict[str, Any]) -> Dict[str, Tuple[str, str]]:
    """Do what one worker does; return cause and remedy of what failed."""
    context = Context(**shared, report=to_stderr)
    work_on(jobs, context)
    return context.failed
