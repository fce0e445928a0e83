"""A network's parameters: their paths, their initial values, and loading them from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union

import numpy as np

from gluontricks.initializers import initial_value
from gluontricks.models.matching import Target, fitting_values
from gluontricks.mxnet_shim import mx


def parameter_paths(net: mx.gluon.Block) -> Dict[str, mx.gluon.Parameter]:
    """Return attribute path -> parameter, in the network's order.

    Paths such as ``features.2.0.body.1.gamma`` are the keys of ``save_parameters``. Unlike
    parameters' names they hold no global counter.
    """
    return dict(net._collect_params_with_prefix())


def initialize(
    net: mx.gluon.Block, *, seed: int, init: str = "xavier", ctx: Optional[Any] = None
) -> None:
    """Give every parameter of ``net`` its initial value: a function of (seed, path) alone.

    Parameters
    ----------
    net : Block
        Network whose parameters have known shapes.
    seed : int
        Seed of the run.
    init : {'xavier', 'msra'}
        Rule of weights (:func:`gluontricks.initializers.initial_value`). A gamma whose layer says
        that it starts at zero does.
    ctx : Context or list of Context, optional
        Device, or several that all have the parameters; the CPU if not given.
    """
    for path, parameter in parameter_paths(net).items():
        if isinstance(parameter, mx.gluon.Constant):
            parameter.initialize(ctx=ctx or mx.cpu())
            continue
        how = "zeros" if starts_at_zero(parameter) else init
        _set(parameter, initial_value(path, parameter.shape, seed=seed, init=how), ctx)


def starts_at_zero(parameter: mx.gluon.Parameter) -> bool:
    """Return whether the layer itself says that its parameter starts at zero (zero gamma)."""
    return parameter.init == "zeros"


def load_parameters(
    net: mx.gluon.Block,
    source: Union[str, Path, Mapping[str, Any]],
    *,
    name: Optional[str] = None,
    ctx: Optional[Any] = None,
) -> None:
    """Set every parameter of ``net`` from a file; none is set unless all of them fit.

    Parameters
    ----------
    net : Block
        Network whose parameters have known shapes; it need not be initialised.
    source : str, Path or mapping
        A ``.params`` file, or name -> array. The names are attribute paths (what
        ``save_parameters`` writes) or names with any network's prefix (what ``export`` writes).
    name : str, optional
        What errors call a mapping: where its arrays come from.
    ctx : Context or list of Context, optional
        Device, or several that all have the parameters; the CPU if not given.

    Raises
    ------
    DataError
        If parameters are missing, left over, of another shape or type, or not finite. The first
        of them are named, with the nearest name there is.
    """
    targets = parameter_paths(net)
    wanted = {
        path: Target(tuple(p.shape), p.name[len(net.prefix) :]) for path, p in targets.items()
    }
    for path, value in fitting_values(source, wanted, name=name).items():
        _set(targets[path], value, ctx)


def _set(parameter: mx.gluon.Parameter, values: np.ndarray, ctx: Optional[Any] = None) -> None:
    """Set one parameter, initialised or not."""
    if parameter._data is None:
        parameter.shape = values.shape
        parameter.initialize(init=mx.init.Zero(), ctx=ctx or mx.cpu())
    parameter.set_data(mx.nd.array(values, dtype=parameter.dtype))
