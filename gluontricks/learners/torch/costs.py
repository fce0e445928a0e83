"""What a learner needs: the size of its networks, and an estimate of its memory."""

from __future__ import annotations

from typing import Any, Dict

import torch

from gluontricks import machine
from gluontricks.graphs import TracedNetwork
from gluontricks.learners import LearnerSpec
from gluontricks.learners.torch.devices import named_device
from gluontricks.learners.torch.networks import TEACHER_CHUNK
from gluontricks.learners.torch.sources import run_graphs

# PyTorch and NumPy themselves, loaded, with one small network.
PROCESS_BYTES = 420 << 20
# Elements kept for backward per element of all outputs, and of the largest output in use at a time.
KEPT, LIVE, LIVE_PREDICTING = 0.75, 6.0, 4.0
# Copies of the parameters in training: with gradients, state and temporaries; and predicting.
TRAINED, LOADED = 6, 2


def summary_of(spec: LearnerSpec) -> Dict[str, Any]:
    """Return the parameters and multiply-adds of a learner's network."""
    return run_graphs(spec).network.summary


def image_bytes(network: TracedNetwork, *, training: bool) -> int:
    """Return the estimated bytes of memory that every further image of a batch needs."""
    kept, live = (KEPT, LIVE) if training else (0.0, LIVE_PREDICTING)
    return int(4 * (kept * network.summary["activations"] + live * network.summary["largest"])) + 1


def fixed_bytes(spec: LearnerSpec) -> int:
    """Return the estimated bytes that a learner needs whatever its batch."""
    graphs = run_graphs(spec)
    total = PROCESS_BYTES + 4 * TRAINED * graphs.network.summary["params"]
    if graphs.teacher is None:
        return total
    chunk = min(TEACHER_CHUNK, spec.batch_size)
    images = chunk * image_bytes(graphs.teacher, training=False)
    return total + images + 4 * LOADED * graphs.teacher.summary["params"]


def memory_needed(spec: LearnerSpec) -> int:
    """Return the estimated bytes of memory that training needs."""
    network = run_graphs(spec).network
    return fixed_bytes(spec) + own_batch(spec) * image_bytes(network, training=True)


def own_batch(spec: LearnerSpec) -> int:
    """Return the images that pass through the network at once."""
    return -(-spec.batch_size // spec.shards)


def fitting_batch(spec: LearnerSpec, free: int) -> int:
    """Return the largest batch that fits into ``free`` bytes, 0 if none does."""
    network = run_graphs(spec).network
    fits = (free - fixed_bytes(spec)) // image_bytes(network, training=True)
    return max(0, fits) * spec.shards


def free_memory(spec: LearnerSpec) -> int:
    """Return the bytes of memory that are free where a learner computes."""
    device = named_device(spec.device)
    if device.type == "cpu":
        return machine.free_memory()
    return int(torch.cuda.mem_get_info(device)[0])
