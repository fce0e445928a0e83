"""Start a job of several processes that share every batch, by MXNet's parameter server.

    gluontricks launch -n 2 -- gluontricks train --kvstore dist_sync --batch-size 256
    gluontricks launch -n 2 --print ssh --hosts one,two -- gluontricks train --kvstore dist_sync

The first one runs on this machine, the second prints what starts a job on several.
"""

from __future__ import annotations

import argparse
import sys

from gluontricks.cli.parser import Parser
from gluontricks.errors import UsageError
from gluontricks.job import HERE, Job, check_job, free_port, run_job, slurm_script, ssh_script

PORT = 9091


def add_arguments(parser: Parser) -> None:
    """Add the numbers of processes, and the command."""
    parser.add_argument("-n", dest="workers", type=int, required=True, help="number of workers")
    parser.add_argument("-s", dest="servers", type=int, default=1, help="number of servers")
    parser.add_argument(
        "--print", choices=("ssh", "slurm"), help="print a script for several machines and stop"
    )
    parser.add_argument("--hosts", metavar="HOST,HOST", help="the machines, with --print ssh")
    parser.add_argument(
        "--port", type=int, help=f"the scheduler's (default: a free one here, {PORT} printed)"
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what every worker runs"
    )


def run(args: argparse.Namespace) -> int:
    """Run the job, or print how to."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    hosts = [host for host in (args.hosts or "").split(",") if host]
    if (args.print == "ssh") != bool(hosts):
        raise UsageError("--print ssh and --hosts go together", "give both, or neither")
    if args.print is None:
        return run_job(Job(args.workers, args.servers, HERE, args.port or free_port()), command)
    job = Job(args.workers, args.servers, (hosts or [HERE])[0], args.port or PORT)
    check_job(job, command)
    text = ssh_script(job, command, hosts) if hosts else slurm_script(job, command)
    sys.stdout.write(text)
    return 0
