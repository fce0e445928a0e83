"""Train on CIFAR-10, CIFAR-100 or the embedded digits.

    python scripts/train_cifar.py --mixup-type stitch-vertical --teacher resnext29_16x64d
    python scripts/train_cifar.py --dataset digits --model resnet20_v1 --num-epochs 8

The first is the last row of Table V of the stitch-mixup paper, on fine labels: it prints 81.42 %
(on labels that were almost certainly the 20 superclasses, see docs/papers/stitch-mixup.md).
The second takes a minute on two cores.
"""

import sys

from gluontricks.cli.train import main

if __name__ == "__main__":
    sys.exit(main(description=__doc__ or ""))
