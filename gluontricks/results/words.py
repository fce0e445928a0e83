"""Text from records as text of a document: on one line, and doing nothing in it."""

from __future__ import annotations

import re


def clean(text: str) -> str:
    """Return ``text`` on one line and without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def escape(text: str, *, code: bool = False) -> str:
    """Return ``text`` so that Markdown and HTML show it and do nothing else with it.

    With ``code`` backquotes stay, for our own notes.
    """
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\*_\[\]|])" if code else r"([\\`*_\[\]|])", r"\\\1", text)
