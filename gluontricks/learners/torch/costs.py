"""What a learner needs: the size of its networks, and an estimate of its memory."""

from __future__ import annotations

from typing import Any, Dict

import torch

from gluontricks import machine
from gluontricks.graphs import TracedNetwork
from gluontricks.learners import LearnerSpec
from gluontricks.learners.torch.devices import local_count, named_device
from gluontricks.learners.torch.networks import TEACHER_CHUNK
from gluontricks.learners.torch.sources import run_graphs

# A model with constants measured on a CPU, on CIFAR networks from 0.08 to 68 million parameters,
# whose peak it meets within a tenth. PyTorch, MXNet and NumPy, loaded:
PROCESS_BYTES = 490 << 20
# Elements kept for backward per element of all outputs, and of the largest output in use at a time.
KEPT, LIVE = 0.6, 4.0
# Copies of the parameters: with gradients and one state; the temporaries of an update; a teacher's.
TRAINED, UPDATING, LOADED = 3, 3, 2


def summary_of(spec: LearnerSpec) -> Dict[str, Any]:
    """Return the parameters and multiply-adds of a learner's network."""
    return run_graphs(spec).network.summary


def image_bytes(network: TracedNetwork, *, training: bool) -> int:
    """Return the estimated bytes of memory that every further image of a batch needs."""
    kept = KEPT if training else 0.0
    return int(4 * (kept * network.summary["activations"] + LIVE * network.summary["largest"])) + 1


def fixed_bytes(spec: LearnerSpec) -> int:
    """Return the estimated bytes that a learner needs whatever its batch."""
    graphs = run_graphs(spec)
    copies = TRAINED + (spec.shards > 1) + (spec.ema > 0)  # sums of gradients, and averages
    total = PROCESS_BYTES + 4 * copies * graphs.network.summary["params"]
    if graphs.teacher is None:
        return total
    chunk = min(TEACHER_CHUNK, own_batch(spec))
    images = chunk * image_bytes(graphs.teacher, training=False)
    return total + images + 4 * LOADED * graphs.teacher.summary["params"]


def memory_needed(spec: LearnerSpec) -> int:
    """Return the estimated bytes of memory that training needs."""
    network = run_graphs(spec).network
    # What backward needs is free again when the update takes its temporaries.
    updating = 4 * UPDATING * network.summary["params"]
    return fixed_bytes(spec) + max(own_batch(spec) * image_bytes(network, training=True), updating)


def own_batch(spec: LearnerSpec) -> int:
    """Return the images that pass through the network at once."""
    return -(-spec.batch_size // spec.shards)


def fitting_batch(spec: LearnerSpec, free: int) -> int:
    """Return the largest batch that fits into ``free`` bytes, 0 if none does."""
    network = run_graphs(spec).network
    left = free - fixed_bytes(spec)
    if left < 4 * UPDATING * network.summary["params"]:
        return 0
    return max(0, left) // image_bytes(network, training=True) * spec.shards


def free_memory(spec: LearnerSpec) -> int:
    """Return the bytes of memory that are free where a learner computes.

    The processes of one machine share its memory; every GPU has its own.
    """
    device = named_device(spec.device)
    if device.type == "cpu":
        return machine.free_memory() // local_count()
    return int(torch.cuda.mem_get_info(device)[0])
