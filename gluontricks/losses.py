"""Losses of dense targets, one number per image, for any Gluon loop.

Targets are distributions, never class indices, so that smoothing, mixing and distillation compose.
All arithmetic is done in the precision of the logits: cast half-precision logits to float32 first.

>>> from gluontricks.losses import SoftCrossEntropy
>>> loss = SoftCrossEntropy()
>>> with autograd.record():                                         # doctest: +SKIP
...     values = loss(net(images), targets)                         # (N,), not averaged
>>> values.backward()                                               # doctest: +SKIP
>>> trainer.step(len(images))                                       # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from gluontricks.errors import UsageError, unknown
from gluontricks.mxnet_shim import mx

FORMS = ("gluoncv", "paper")


class SoftCrossEntropy(mx.gluon.HybridBlock):
    """The cross entropy ``-sum_k y_k log softmax(z)_k`` of each image.

    Called with logits (N, K) and targets (N, K), whose rows are distributions; returns (N,), in
    nats.
    """

    def hybrid_forward(self, F: Any, logits: Any, targets: Any) -> Any:
        """Return the loss of each image, shape (N,)."""
        return cross_entropy(F, logits, targets)


class DistillationLoss(mx.gluon.HybridBlock):
    """Cross entropy with the targets and with a teacher's softened output.

    With logits ``z``, teacher's logits ``r``, targets ``y`` and temperature ``T``, let ``CE_T`` be
    the cross entropy of ``softmax(z / T)`` with ``softmax(r / T)``. The forms are

    - ``gluoncv``: ``(1 - w) T^2 CE_T + w CE(y, z)``, GluonCV's;
    - ``paper``: ``CE(y, z) + T^2 CE_T``, Eq. 6 of He et al., "Bag of Tricks for Image
      Classification": exactly twice GluonCV's at ``w = 0.5``.

    Called with logits (N, K), targets (N, K) and the teacher's *logits* (N, K); returns (N,), in
    nats. No gradient reaches the teacher.

    Parameters
    ----------
    temperature : float
        T, above 0.
    hard_weight : float, optional
        w in [0, 1]; 0.5 if not given. The paper's form has none.
    form : {'gluoncv', 'paper'}

    Raises
    ------
    UsageError
        If a value cannot be meant.
    """

    def __init__(
        self,
        temperature: float = 20.0,
        hard_weight: Optional[float] = None,
        *,
        form: str = "gluoncv",
    ) -> None:
        super().__init__()
        if not 0.0 < temperature < float("inf"):
            raise UsageError(
                f"the temperature is {temperature}", "give a number above 0, such as 20"
            )
        self._temperature = float(temperature)
        self._hard, self._soft = distillation_weights(form, hard_weight)

    def hybrid_forward(self, F: Any, logits: Any, targets: Any, teacher_logits: Any) -> Any:
        """Return the loss of each image, shape (N,)."""
        teacher = F.BlockGrad(F.softmax(teacher_logits / self._temperature))
        soft = self._temperature**2 * cross_entropy(F, logits / self._temperature, teacher)
        return self._soft * soft + self._hard * cross_entropy(F, logits, targets)


def distillation_weights(form: str, hard_weight: Optional[float]) -> Tuple[float, float]:
    """Return the weights of the true labels' cross entropy and of T^2 times the teacher's."""
    if form not in FORMS:
        raise unknown("form of distillation", form, FORMS)
    if form == "paper":
        if hard_weight is not None:
            raise UsageError(
                f"the paper's form of distillation has no hard weight, got {hard_weight}",
                "leave it out, or use the form 'gluoncv'",
            )
        return 1.0, 1.0
    weight = 0.5 if hard_weight is None else float(hard_weight)
    if not 0.0 <= weight <= 1.0:
        raise UsageError(f"the hard weight is {hard_weight}", "give a number from 0 to 1")
    return weight, 1.0 - weight


def cross_entropy(F: Any, logits: Any, targets: Any) -> Any:
    """Return ``-sum(targets * log_softmax(logits))`` over the last axis."""
    return -F.sum(F.log_softmax(logits, axis=-1) * targets, axis=-1)
