"""Who does which run: a file per run, in a folder that all machines share.

A claim is made with O_EXCL, so that only one of several can have it, and touched while its run
goes on. One that nobody has touched for ten minutes is void. A process of this machine that is
no more holds none.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Optional

import psutil

TOUCH_SECONDS = 30.0
VOID_SECONDS = 600.0


class Claim:
    """The claim on one run. Use as a context: it is touched while open, and then given up.

    Parameters
    ----------
    folder : Path
        Where all machines have their claims.
    key : str
        Names the run.
    touch_seconds : float
        How often it is touched.
    """

    def __init__(self, folder: Path, key: str, *, touch_seconds: float = TOUCH_SECONDS) -> None:
        self.path = folder / f"{key}.claim"
        self.holder = uuid.uuid4().hex
        self.touch_seconds = touch_seconds
        self.over = threading.Event()
        self.toucher = threading.Thread(target=self.keep_touching, daemon=True)

    def take(self) -> bool:
        """Take the claim if nobody has it, or whoever had it is gone; return whether it is ours."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.make():
            return True
        return self.remove_void() and self.make()

    def make(self) -> bool:
        """Make the file, if there is none."""
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"holder": self.holder, "process": os.getpid(), "system": system()}, stream)
        return True

    def remove_void(self) -> bool:
        """Move a void claim out of the way; return whether it was this one who did.

        Only one of several can rename a file. If between looking and renaming another has made a
        new claim, that is what was renamed: it is put back.
        """
        if not self.is_void(self.path):
            return False
        aside = self.path.with_name(f"{self.path.name}.{self.holder}")
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:
            return False
        void = self.is_void(aside)
        if not void:
            with suppress(FileExistsError):
                os.link(aside, self.path)
        aside.unlink()
        return void

    def is_void(self, path: Path) -> bool:
        """Return whether whoever made a claim is gone.

        A claim that cannot be read may be being written: then only its age tells.
        """
        if now(path.parent, self.holder) - mtime(path) > VOID_SECONDS:
            return True
        about = content(path)
        process, place = about.get("process"), about.get("system")
        here = place is not None and place == system()
        return here and isinstance(process, int) and not psutil.pid_exists(process)

    def is_ours(self) -> bool:
        """Return whether the claim is still this one's."""
        return content(self.path).get("holder") == self.holder

    def keep_touching(self) -> None:
        """Touch the file until the claim is given up."""
        while not self.over.wait(self.touch_seconds):
            with suppress(OSError):
                if self.is_ours():
                    os.utime(self.path)

    def __enter__(self) -> Claim:
        self.toucher.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.over.set()
        self.toucher.join()
        with suppress(OSError):
            if self.is_ours():
                self.path.unlink()


def content(path: Path) -> Dict[str, Any]:
    """Return what a claim says; nothing where it is gone or damaged."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def mtime(path: Path) -> float:
    """Return when a file was touched; now where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")


def now(folder: Path, name: str) -> float:
    """Return the time by the clock of the disk, which all machines see alike."""
    probe = folder / f".{name}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        with suppress(OSError):
            probe.unlink()


def system() -> Optional[str]:
    """Return what names the machine's start and the space of process numbers; None if unknown."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None
