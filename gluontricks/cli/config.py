"""Recipes as YAML: ``--config FILE`` and ``--print-config``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, Tuple

from gluontricks.cli.values import PARSERS, field_types, optional_fields
from gluontricks.errors import UsageError, nearest
from gluontricks.recipes.spec import Recipe

MAX_CONFIG_BYTES = 1 << 20


def read_config(path: Path) -> Dict[str, Any]:
    """Return the recipe fields in a YAML or JSON file.

    Raises
    ------
    UsageError
        If it is missing, no mapping, or holds an unknown field or a value of the wrong kind.
    """
    import yaml

    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise UsageError(f"'{path}' is larger than 1 MB", "give a file of recipe fields")
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=unique_loader())
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}", "check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        where = " ".join(str(error).split())[:200]
        raise UsageError(f"'{path}' is no YAML: {where}", "correct it") from error
    if not isinstance(content, dict):
        raise UsageError(f"'{path}' holds no fields", "write lines like 'lr: 0.1'")
    types = field_types(Recipe)
    return {key: config_value(path, key, value, types) for key, value in content.items()}


def unique_loader() -> Any:
    """Return YAML's safe loader, made to refuse a key that stands twice and aliases."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value]
            twice = next((k for k in keys if keys.count(k) > 1), None)
            if twice is not None:
                raise yaml.YAMLError(f"'{twice}' stands twice")
            return super().construct_mapping(node, deep)

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases are not allowed")
            return super().compose_node(parent, index)

    return Loader


def config_value(path: Path, key: Any, value: Any, types: Dict[str, Any]) -> Any:
    """Return one value of a file as its field's type."""
    if key not in types:
        raise UsageError(f"'{path}' has an unknown field '{key}'", nearest(str(key), types))
    kind = types[key]
    if value is None:
        if key in optional_fields(Recipe):
            return None
        raise wrong_kind(path, key, value)
    if isinstance(value, list) and kind is Tuple[int, ...]:
        value = ",".join(str(v) for v in value)
    if isinstance(value, bool) != (kind is bool) and not isinstance(value, str):
        raise wrong_kind(path, key, value)
    if isinstance(value, (list, dict)):
        raise wrong_kind(path, key, value)
    try:
        return PARSERS[kind](str(value))
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise wrong_kind(path, key, value) from error


def wrong_kind(path: Path, key: str, value: Any) -> UsageError:
    """Return the error for a value that cannot be one of its field."""
    return UsageError(
        f"'{path}': {key} cannot be {value!r}", f"'gluontricks train --help' tells what {key} takes"
    )


def config_text(recipe: Recipe) -> str:
    """Return a recipe as YAML that ``--config`` reads back."""
    import yaml

    return yaml.safe_dump(recipe.as_dict(), sort_keys=False, default_flow_style=False)
