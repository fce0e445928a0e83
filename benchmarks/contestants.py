"""The contestants of the throughput benchmark, each built in a process of its own.

A contestant's factory takes the number of threads and the folder of the data and returns a
:class:`Contestant`. Frameworks are imported inside, so that no process loads more than its own.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from common import BATCH, CLASSES, images_of, our_learner, recipe_of

LR, MOMENTUM, WD = 0.1, 0.9, 1e-4
TESTS = Path(__file__).resolve().parent.parent / "tests"
MEMORY_BATCHES = 4


class Contestant(NamedTuple):
    """What is measured.

    Attributes
    ----------
    shapes : list of tuple
        Of the trained parameters.
    step : callable
        Does one update.
    finish : callable
        Waits for all updates and returns the last loss.
    data : str
        Where the images come from.
    waited : callable, optional
        Returns the seconds that its batches have been waited for so far.
    """

    shapes: List[Tuple[int, ...]]
    step: Callable[[], None]
    finish: Callable[[], float]
    data: str
    waited: Optional[Callable[[], float]] = None


def gluontricks(
    threads: int, data_dir: Optional[Path], *, dtype: str, engine: str = "mxnet"
) -> Contestant:
    """Return this package's learner with its whole pipeline: draws, augmentation, smoothing."""
    from gluontricks.threads import set_threads

    set_threads(threads)
    ours = our_learner(recipe_of(dtype), images_of("train", data_dir), engine=engine)
    learner: Any = ours.learner
    shapes = [tuple(parameter.shape) for parameter in learner.trained.values()]
    return Contestant(shapes, ours.step, lambda: float(learner.losses()[-1]), ours.data)


def gluoncv(threads: int, data_dir: Optional[Path]) -> Contestant:
    """Return GluonCV's network in the loop of its CIFAR script, ``--mode hybrid``, on this data.

    ``threads`` is ignored: the script sets none, so neither do we (``OMP_NUM_THREADS`` unset).
    """
    del threads
    zoo, transforms = import_gluoncv()
    import mxnet as mx

    gluon = mx.gluon
    vision = gluon.data.vision.transforms
    change = vision.Compose(
        [
            transforms.RandomCrop(32, pad=4),
            vision.RandomFlipLeftRight(),
            vision.ToTensor(),
            vision.Normalize([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]),
        ]
    )
    train = images_of("train", data_dir)
    pairs = gluon.data.ArrayDataset(
        mx.nd.array(train.images, dtype="uint8"), train.labels.astype(np.int32)
    )
    net = zoo.get_model("cifar_resnet56_v1", classes=CLASSES)
    net.initialize(mx.init.Xavier(), ctx=mx.cpu())
    net(mx.nd.zeros((1, 3, 32, 32)))  # the shapes of its parameters are known from here on
    net.hybridize()
    loader = gluon.data.DataLoader(
        pairs.transform_first(change),
        batch_size=BATCH,
        shuffle=True,
        last_batch="discard",
        num_workers=4,
    )
    shapes = [p.shape for p in net.collect_params().values() if p.grad_req != "null"]
    loop = GluonCVLoop(mx, net, loader)
    return Contestant(shapes, loop.step, lambda: loop.loss, train.name)


class GluonCVLoop:
    """One update as in GluonCV's CIFAR script, with the same waiting for loss and accuracy."""

    def __init__(self, mx: Any, net: Any, loader: Any) -> None:
        self.mx, self.net, self.loader = mx, net, loader
        self.batches = iter(loader)
        self.trainer = mx.gluon.Trainer(
            net.collect_params(), "nag", {"learning_rate": LR, "wd": WD, "momentum": MOMENTUM}
        )
        self.criterion = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        self.accuracy = mx.metric.Accuracy()
        self.loss = float("nan")

    def step(self) -> None:
        """Load a batch and do one update on every device, here one."""
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        devices, split = [self.mx.cpu()], self.mx.gluon.utils.split_and_load
        data, label = (split(part, ctx_list=devices, batch_axis=0) for part in batch)
        with self.mx.autograd.record():
            outputs = [self.net(x) for x in data]
            losses = [self.criterion(out, y) for out, y in zip(outputs, label)]
        for loss in losses:
            loss.backward()
        self.trainer.step(BATCH)
        self.loss = sum(loss.sum().asscalar() for loss in losses) / BATCH
        self.accuracy.update(label, outputs)
        self.accuracy.get()


def import_gluoncv() -> Tuple[Any, Any]:
    """Return GluonCV's model zoo and transforms, with MXNet imported but no threads set."""
    if importlib.util.find_spec("gluoncv") is None:
        raise SystemExit("error: GluonCV is not installed\npip install 'gluontricks[gluoncv]'")
    from gluontricks.mxnet_patches import patch_before, patch_modules

    patch_before()
    importlib.import_module("mxnet")
    patch_modules()
    sys.path.insert(0, str(TESTS))
    helper = importlib.import_module("gluoncv_reference")
    return helper.gluoncv("gluoncv.model_zoo"), helper.gluoncv("gluoncv.data.transforms")


def pytorch(threads: int, data_dir: Optional[Path], *, dtype: str) -> Contestant:
    """Return the same network on PyTorch: channels last, images in memory, nothing augmented."""
    del data_dir
    require_torch()
    from torch_network import resnet56

    job = Native(BATCH, 32, CLASSES, LR, dtype)
    return native(lambda: resnet56(CLASSES), job, threads)


def require_torch() -> None:
    """Exit unless PyTorch is installed."""
    if importlib.util.find_spec("torch") is None:
        raise SystemExit("error: PyTorch is not installed\npip install torch")


class Native(NamedTuple):
    """What a network of PyTorch is trained with."""

    batch: int
    size: int
    classes: int
    lr: float
    dtype: str


def native(make: Callable[[], Any], job: Native, threads: int) -> Contestant:
    """Return a network of PyTorch in a loop of its own: channels last, random batches in memory."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = make().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        net.parameters(), lr=job.lr, momentum=MOMENTUM, nesterov=True, weight_decay=WD, fused=True
    )
    batches = [
        (
            torch.randn(job.batch, 3, job.size, job.size).to(memory_format=torch.channels_last),
            torch.randint(0, job.classes, (job.batch,)),
        )
        for _ in range(MEMORY_BATCHES)
    ]
    done: List[Any] = []

    def step() -> None:
        inputs, labels = batches[len(done) % MEMORY_BATCHES]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=job.dtype == "bfloat16"):
            logits = net(inputs)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        done.append(loss.detach())

    shapes = [tuple(parameter.shape) for parameter in net.parameters()]
    return Contestant(shapes, step, lambda: float(done[-1]), "random tensors")


def having(factory: Callable[..., Contestant], **settings: str) -> Callable[..., Contestant]:
    """Return ``factory`` at one precision, and on one engine where it has several."""
    return lambda *given: factory(*given, **settings)


CONTESTANTS: Dict[str, Callable[..., Contestant]] = {
    "gluontricks-fp32": having(gluontricks, dtype="float32"),
    "gluontricks-bf16": having(gluontricks, dtype="bfloat16"),
    "gluontricks-torch-fp32": having(gluontricks, dtype="float32", engine="torch"),
    "gluontricks-torch-bf16": having(gluontricks, dtype="bfloat16", engine="torch"),
    "gluoncv": gluoncv,
    "pytorch-fp32": having(pytorch, dtype="float32"),
    "pytorch-bf16": having(pytorch, dtype="bfloat16"),
}
