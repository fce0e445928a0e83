"""What the tests of networks share: keys, values, images, and GluonCV's counterpart."""

import hashlib
import json
from pathlib import Path

import numpy as np
from gluoncv_reference import gluoncv, zoo_network

from gluontricks.models import input_size
from gluontricks.models.weights import parameter_paths
from gluontricks.mxnet_shim import mx

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/parameter_keys.json").read_text())
BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}


def digest(keys):
    keys = sorted(keys)
    return {"count": len(keys), "sha256": hashlib.sha256("\n".join(keys).encode()).hexdigest()}


def local_names(net):
    return [name[len(net.prefix) :] for name in net.collect_params()]


def random_parameters(net, seed=0):
    """Return path -> values that exercise every layer, running statistics included."""
    generator = np.random.RandomState(seed)
    values = {}
    for path, parameter in parameter_paths(net).items():
        drawn = generator.standard_normal(parameter.shape)
        role = path.rsplit(".", 1)[-1]
        if role == "weight":
            drawn *= np.sqrt(2.0 / np.prod(parameter.shape[1:]))
        elif role in ("gamma", "running_var"):
            drawn = 0.5 + generator.random_sample(parameter.shape)
            # Values that grow with every block saturate the gates of SE, which then make a
            # thousandth of a difference in the last digit.
            drawn *= 0.3 if role == "gamma" and ".body." in path else 1.0
        values[path] = (drawn if role != "bias" else drawn * 0.1).astype(np.float32)
    return values


def images(count, size=32, seed=1):
    return mx.nd.array(np.random.RandomState(seed).standard_normal((count, 3, size, size)))


def gluoncv_network(name, *, classes=10, **options):
    """Return GluonCV's network of a name of ours, the shapes of its parameters known."""
    size = input_size(name)
    if size == 32:
        net = zoo_network("cifar_" + name, classes=classes)
    elif name.startswith(("resnet18_v1", "resnet34_v1")) and name[-1] in "cdes":
        # The zoo has no function for these; its classes have the options.
        module = gluoncv("gluoncv.model_zoo.resnetv1b")
        net = module.ResNetV1b(
            module.BasicBlockV1b,
            BLOCKS[int(name[6:8])],
            classes=classes,
            deep_stem=True,
            stem_width=32 if name[-1] in "cd" else 64,
            avg_down=name[-1] in "de",
            name_prefix="resnetv1_",
            **options,
        )
    else:
        net = zoo_network(name, classes=classes, **options)
    net.infer_shape(mx.nd.zeros((1, 3, size, size)))
    return net


def with_values(net, values):
    """Return ``net`` with the values of its parameters, by path."""
    net.initialize()
    for path, parameter in net._collect_params_with_prefix().items():
        parameter.set_data(mx.nd.array(values[path]))
    return net
