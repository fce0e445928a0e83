"""What a run needs beside its recipe, none of which decides its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Tuple


@dataclass(frozen=True)
class RunOptions:
    """Where a run reads and writes, and how it reports."""

    out: Optional[Path] = None
    data_dir: Optional[Path] = None
    resume: bool = True
    max_steps: Optional[int] = None
    quiet: bool = False
    engine: str = "mxnet"
    device: str = "cpu"
    compile: bool = False
    deterministic: bool = False
    threads: Optional[int] = None
    log_interval: int = 50
    teacher_params: Optional[Path] = None
    teacher_cache: bool = False
    tensorboard: bool = False
    dry_run: bool = False
    num_workers: Optional[int] = None
    num_gpus: int = 0
    kvstore: Optional[str] = None
    use_rec: bool = False
    rec_train: Optional[Path] = None
    rec_train_idx: Optional[Path] = None
    rec_val: Optional[Path] = None
    rec_val_idx: Optional[Path] = None
    cache: Optional[Path] = None
    resume_params: Optional[Path] = None
    save_frequency: int = 0
    logging_file: Optional[Path] = None
    command: Tuple[str, ...] = field(default=())
