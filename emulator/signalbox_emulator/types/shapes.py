"""How a CloudFormation property value is said to a service, and whether the service says the same back.

Invariant: `fit` never drops anything. A key that the botocore shape does not know is an error that names its path.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

from botocore.model import ListShape, MapShape, Shape, StructureShape

JsonObject = dict[str, Any]

_SCALARS = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
}


class NoHome(Exception):
    """A property, or a value in it, for which the service's API has no place."""


def fit(shape: Shape, value: Any, path: str) -> Any:
    """Return `value` in the form of a botocore input `shape`; `path` names it in errors.

    Members match without regard to case, since ECS and some others begin theirs in lower case. Text becomes a number or
    a boolean where the shape wants one; an object becomes JSON text where it wants a string (policy documents); a list
    of Key and Value becomes a map where it wants one (tags).
    """
    if isinstance(shape, StructureShape):
        return _fit_structure(shape, value, path)
    if isinstance(shape, ListShape):
        items = _expect(value, list, path, "a list")
        return [fit(shape.member, item, f"{path}[{i}]") for i, item in enumerate(cast("list[Any]", items))]
    if isinstance(shape, MapShape):
        entries = as_map(value) if isinstance(value, list) else _expect(value, dict, path, "an object")
        return {str(k): fit(shape.value, v, f"{path}.{k}") for k, v in cast("JsonObject", entries).items()}
    return _fit_scalar(shape, value, path)


def member(shape: StructureShape, name: str) -> str | None:
    """Return the member of `shape` called `name`, whatever its case, or None."""
    if name in shape.members:
        return name
    return next((m for m in shape.members if m.lower() == name.lower()), None)


def as_map(tags: Any) -> dict[str, str]:
    """Return a list of {Key, Value} (or {key, value}, or {TagKey, TagValue}) as a map."""
    pairs = ({k.lower().removeprefix("tag"): v for k, v in tag.items()} for tag in tags)
    return {pair["key"]: pair["value"] for pair in pairs}


def _fit_structure(shape: StructureShape, value: Any, path: str) -> JsonObject:
    fitted: JsonObject = {}
    for key, item in cast("JsonObject", _expect(value, dict, path, "an object")).items():
        name = member(shape, key)
        if name is None:
            raise NoHome(f"{path}.{key} has no home in the service's API ({shape.name} has no such member)")
        fitted[name] = fit(shape.members[name], item, f"{path}.{key}")
    return fitted


def _fit_scalar(shape: Shape, value: Any, path: str) -> Any:
    if shape.type_name == "boolean":
        if str(value).lower() not in {"true", "false"}:
            raise NoHome(f"{path}: got {value!r}, wanted true or false")
        return str(value).lower() == "true"
    if shape.type_name in _SCALARS:
        try:
            return _SCALARS[shape.type_name](value)
        except (TypeError, ValueError):
            raise NoHome(f"{path}: got {value!r}, wanted a number") from None
    if shape.type_name == "string":
        return text(value)
    if shape.type_name == "blob":
        return value if isinstance(value, bytes) else text(value).encode()
    raise NoHome(f"{path}: a value of type {shape.type_name} cannot be written in a template")


def text(value: Any) -> str:
    """Return `value` as the string that CloudFormation would pass: true for booleans, JSON for objects."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value)


def _expect(value: Any, kind: type, path: str, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise NoHome(f"{path}: got {value!r}, wanted {wanted}")
    return value


def differences(sent: Any, read: Any, path: str) -> list[str]:
    """Return the paths below `path` whose value in `sent` is not what `read` holds; [] when all of it was kept.

    `read` may hold more members than were sent (defaults), but lists have to be equal but for their order.
    """
    if isinstance(sent, Mapping):
        return _object_differences(cast("JsonObject", sent), read, path)
    if isinstance(sent, Sequence) and not isinstance(sent, str):
        return _list_differences(cast("Sequence[Any]", sent), read, path)
    return [] if _scalar(sent) == _scalar(read) else [path]


def _object_differences(sent: JsonObject, read: Any, path: str) -> list[str]:
    if isinstance(read, str):
        read = _parsed(read)
    if isinstance(read, list) and all(isinstance(i, dict) for i in cast("list[Any]", read)):
        read = as_map(read)
    if not isinstance(read, Mapping):
        return [path]
    have = {str(k).lower(): v for k, v in cast("JsonObject", read).items()}
    found: list[str] = []
    for key, value in sent.items():
        if key.lower() in have:
            found += differences(value, have[key.lower()], f"{path}.{key}")
        elif value not in ([], {}, ""):
            found.append(f"{path}.{key}")
    return found


def _list_differences(sent: Sequence[Any], read: Any, path: str) -> list[str]:
    """Return [] for equal lists, what differs within items that correspond in order, or the list as a whole."""
    if isinstance(read, Mapping) and all(isinstance(i, dict) for i in sent):
        same = not differences(as_map(sent), read, "") and len(sent) == len(cast("JsonObject", read))
        return [] if same else [path]
    if isinstance(read, str):
        read = _parsed(read)
    rest = list(cast("Sequence[Any]", read)) if isinstance(read, list | tuple) else []
    odd: list[Any] = []
    for item in sent:
        match = next((i for i, other in enumerate(rest) if not differences(item, other, "")), None)
        if match is None:
            odd.append(item)
        else:
            del rest[match]
    if odd and _keyed([*odd, *rest]) and as_map(rest).keys() <= as_map(odd).keys():
        return [f"{path}.{item['Key']}" for item in odd]
    if len(odd) != len(rest) or not all(isinstance(item, dict) for item in odd):
        return [path]
    pairs = zip(odd, rest, strict=True)
    return sorted({found for item, other in pairs for found in differences(item, other, f"{path}[]")})


def _keyed(items: list[Any]) -> bool:
    """Return whether `items` are pairs of Key and Value: settings, tags."""
    return all(isinstance(item, dict) and cast("JsonObject", item).keys() == {"Key", "Value"} for item in items)


def _parsed(document: str) -> Any:
    try:
        return json.loads(document)
    except ValueError:
        try:
            return json.loads(unquote(document))
        except ValueError:
            return document


def _scalar(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bytes):
        value = value.decode()
    return "" if value is None else text(value)
