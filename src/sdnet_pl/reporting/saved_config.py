"""The config that a run leaves, and its reading.

It repeats the run wherever it is run from: paths are absolute, and ``${oc.env:NAME}`` has the value that it had as its
default. It keeps the references of the files that it comes from, so that another ``data.root`` reaches all that lies
below it; a variable that is set when it runs again wins, as it does in those files.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from sdnet_pl.data.files import read_text
from sdnet_pl.inference.pretrained import pretrained_weights

Key = str | int
# The keys whose values are places on a disk, in this package and in Lightning; a value may be that of a file anyway.
_PLACE = re.compile(r"(.*_)?(path|root|names|predict|weights|first_pass|dir|dirpath|folder|file)")
_RELATIVE = re.compile(r"\$\{(\.+)([A-Za-z][\w.\[\]]*)\}")
_VARIABLE = "${oc.env:"


def read_config(file: Path) -> dict[str, Any]:
    """A saved config as it was when it ran: every reference resolved, variables of the environment left aside.

    Raises:
        InputError: the file is missing or no text.
        yaml.YAMLError: it is not YAML.
        omegaconf.errors.OmegaConfBaseException: a reference leads nowhere.
    """
    # Of a variable that is never set its default counts, which is what it was.
    held = yaml.safe_load(re.sub(r"\$\{oc\.env:(\w+),", r"${oc.env:SDNET_PL_RECORDED_\1,", read_text(file)))
    return resolved(held) if isinstance(held, dict) else held


def newest_config(run: Path) -> Path | None:
    """The config of the last start of a run, in its directory."""
    return max(run.glob("config*.yaml"), key=lambda file: (len(file.name), file.name), default=None)


def dump(config: Mapping[str, Any]) -> str:
    """A config as yaml, its keys in their order and every value on one line."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=float("inf"))


def with_references(config: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """A config that keeps each value as the reference it was written as, if that still gives the value.

    Args:
        config: every value as it is.
        written: the same config before its references ``${...}`` were resolved; what it lacks has none.
    """
    return _settle(_absolute(_merge(config, written)), config)


def resolved(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config with each reference replaced by its value."""
    values = OmegaConf.to_container(OmegaConf.create(dict(config)), resolve=True)
    assert isinstance(values, dict)
    return values  # type: ignore[return-value]


def saved(config: Mapping[str, Any], files: Iterable[str] = ()) -> dict[str, Any]:
    """A config fit to be run again from anywhere.

    Args:
        config: of :func:`with_references`; relative paths begin in the working directory.
        files: its config files; the last one wins. If they take ``data.root`` from a variable that is not set, and
            the command line said otherwise, that variable may still tell later where the data are.
    """
    placed = _placed(resolved(config))
    candidate = _frozen(config)
    root, variable = placed.get("data", {}).get("root"), _variable_of_root(files)
    if root and variable and variable not in os.environ and "${" not in str(candidate["data"]["root"]):
        candidate["data"]["root"] = f"{_VARIABLE}{variable},{_quoted(root)}}}"
    return _settle(candidate, placed)


def _variable_of_root(files: Iterable[str]) -> str | None:
    for file in reversed([*files]):
        given = yaml.safe_load(read_text(file)) if os.path.isfile(file) else {}
        data = given.get("data") if isinstance(given, dict) else None
        root = data.get("root") if isinstance(data, dict) else None
        if root is not None:
            found = re.match(r"\$\{oc\.env:(\w+),", str(root))
            return found[1] if found else None
    return None


def _merge(config: Any, written: Any) -> Any:
    if isinstance(written, str) and "${" in written:
        return written
    if isinstance(config, Mapping) and isinstance(written, Mapping):
        return {key: _merge(value, written.get(key)) for key, value in config.items()}
    if isinstance(config, list) and isinstance(written, list) and len(config) == len(written):
        return [_merge(*pair) for pair in zip(config, written, strict=True)]
    return config


def _settle(candidate: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The candidate's references if they give the config's values, and the config's values otherwise.

    Variables of the environment come first: what refers to a root is kept by what the root has become.
    """

    def walk(candidate: Any, found: Any, value: Any, kind: str) -> Any:
        if isinstance(candidate, str) and "${" in candidate:
            return candidate if kind not in candidate or _same(found, value) else value
        if isinstance(candidate, dict):
            return {key: walk(candidate[key], found[key], value[key], kind) for key in candidate}
        if isinstance(candidate, list):
            return [walk(*three, kind) for three in zip(candidate, found, value, strict=True)]
        return value

    for kind in (_VARIABLE, "${"):
        candidate = walk(candidate, resolved(candidate), config, kind)
    return candidate


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one: the parser makes numbers of text, and a place may end in a slash or have two."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if one == other or str(one) == str(other):
        return True
    if isinstance(one, str) and isinstance(other, str) and os.path.isabs(one) and os.path.isabs(other):
        return os.path.normpath(one) == os.path.normpath(other)
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return False


def _placed(config: Any, key: Key = "") -> Any:
    """With absolute paths."""
    if isinstance(config, Mapping):
        return {name: _placed(value, name) for name, value in config.items()}
    if isinstance(config, list):
        return [_placed(value) for value in config]
    return _absolute_path(config) if isinstance(config, str) and _is_place(key, config) else config


def _is_place(key: Key, value: str) -> bool:
    if key == "class_path" or (key == "save_dir" and value == "."):  # the loggers' word for the run's own directory
        return False
    if "://" in value or value.startswith("${") or value in pretrained_weights():
        return False
    return bool(_PLACE.fullmatch(str(key))) or ("." in value and os.path.isfile(value))


def _absolute_path(path: str) -> str:
    return os.path.abspath(path) if path else path


def _frozen(config: Any, key: Key = "") -> Any:
    """With the values that the environment's variables have as their defaults, and places absolute."""
    if isinstance(config, Mapping):
        return {name: _frozen(value, name) for name, value in config.items()}
    if isinstance(config, list):
        return [_frozen(value) for value in config]
    if not isinstance(config, str) or "${" not in config:
        return config
    text = _freeze(config, key)
    return _absolute_path(text) if _is_place(key, text) else text


def _freeze(text: str, key: Key) -> str:
    """The value, with the present value of each ``${oc.env:...}`` as its default."""
    start = text.find(_VARIABLE)
    if start < 0:
        return text
    end = _closing(text, start)
    name, _, default = text[start + len(_VARIABLE) : end].partition(",")
    name, value = name.strip(), os.environ.get(name.strip())
    if value is None and "${" in default:
        default = _freeze(default.strip(), key)
    elif "${" not in (value or "") and (value is not None or default.strip() != "null"):
        value = default.strip().strip("'\"") if value is None else value
        default = _quoted(_absolute_path(value) if start == 0 and _is_place(key, value) else value)
    return f"{text[:start]}{_VARIABLE}{name},{default}}}" + _freeze(text[end + 1 :], key)


def _closing(text: str, start: int) -> int:
    """Where the brace closes that opens at ``start``."""
    depth = 0
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if text[end] == "}" and depth == 0:
            return end
    return len(text)


def _quoted(value: str) -> str:
    """As OmegaConf reads it back: backslashes count before a quote alone."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"'{escaped}'"


def _absolute(config: Any, path: tuple[Key, ...] = ()) -> Any:
    """With references that tell the whole way, ``${data.root}``, which is how people write them."""
    if isinstance(config, Mapping):
        return {key: _absolute(value, (*path, key)) for key, value in config.items()}
    if isinstance(config, list):
        return [_absolute(value, (*path, index)) for index, value in enumerate(config)]
    if not isinstance(config, str):
        return config

    def whole(match: re.Match[str]) -> str:
        up, down = len(match[1]), match[2]
        steps = path[: len(path) - up]
        if up > len(path) or any(isinstance(step, int) or not str(step).isidentifier() for step in steps):
            return match[0]
        return "${" + ".".join([*map(str, steps), down]) + "}"

    return _RELATIVE.sub(whole, config)
