"""Where settings come from: profile < YAML file < `-c path=value` < environment. Each value remembers which.

A path is dotted (`database.min_capacity`). `-c` takes it as it is; in the environment it is SIGNALBOX_DEPLOY_ and the
path in capitals, with two underscores for each dot (SIGNALBOX_DEPLOY_DATABASE__MIN_CAPACITY). A mapping is merged with
what a lower source says, anything else replaces it; `null` takes a value away.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import cast, get_args

import yaml
from pydantic import ValidationError

from stacks.settings.model import Profile, Settings
from stacks.settings.problems import Origin, SettingsError, Source, explain
from stacks.settings.ties import contradictions

DEFAULT_FILE = "config/local.yaml"
PREFIX = "SIGNALBOX_DEPLOY_"
FILE_VARIABLE = f"{PREFIX}CONFIG"

Tree = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Settings, and where each of their values came from, by dotted path. What has no origin is a default."""

    settings: Settings
    origins: Mapping[str, Origin]


def read_settings(context: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Read the settings of one deployment. Raises SettingsError, which names every wrong setting at once."""
    return read_configuration(context, environment).settings


def read_configuration(context: Mapping[str, object], environment: Mapping[str, str]) -> Configuration:
    """Read the settings from `context` (what CDK got by -c and from cdk.json), the file it names, and `environment`."""
    path = Path(str(context.get("config") or environment.get(FILE_VARIABLE) or DEFAULT_FILE))
    # Keys with a colon or an at sign are CDK's own: feature flags, look-ups, CLI options.
    told = {key: value for key, value in context.items() if key != "config" and not re.search("[:@]", key)}
    variables = {
        name: value for name, value in environment.items() if name.startswith(PREFIX) and name != FILE_VARIABLE
    }
    written = _read_file(path)
    said: list[tuple[Tree, Source, str]] = [
        (written, Source.FILE, str(path)),
        (_tree((key, value) for key, value in told.items()), Source.CONTEXT, "-c"),
        (_tree((_path_of(name), value) for name, value in variables.items()), Source.ENVIRONMENT, PREFIX),
    ]
    profile = next((tree["profile"] for tree, _, _ in reversed(said) if "profile" in tree), None)
    if profile not in get_args(Profile):
        origin = next((Origin(kind, where) for tree, kind, where in reversed(said) if "profile" in tree), None)
        raise SettingsError([explain("profile", profile, origin or Origin(Source.FILE, str(path)))])
    values: Tree = {}
    origins: dict[str, Origin] = {}
    profiled = _yaml(files("stacks.settings").joinpath(f"profiles/{profile}.yaml").read_text("utf-8"), str(profile))
    for tree, kind, where in [(profiled, Source.PROFILE, str(profile)), *said]:
        _merge(values, tree, Origin(kind, where), origins)
    return Configuration(settings=_validated(values, origins, str(path)), origins=origins)


def _validated(values: Tree, origins: Mapping[str, Origin], file: str) -> Settings:
    """Return the settings, or raise SettingsError with a sentence for each wrong path, in order of the paths."""
    nowhere = Origin(Source.FILE, file)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        # a choice between types, and a list of words, which is named as a whole, may be wrong in several places
        wrong = dict.fromkeys(re.sub(r"\.\d+$", "", ".".join(_loc(issue["loc"]))) for issue in error.errors())
    else:
        wrong = dict.fromkeys(contradictions(settings))
        if not wrong:
            return settings
    raise SettingsError(
        [explain(path, _at(values, path.split(".")), _origin(path, origins) or nowhere) for path in wrong]
    )


def _loc(location: tuple[int | str, ...]) -> list[str]:
    """Return the parts of a path that are settings: pydantic adds the names of types where there is a choice."""
    return [str(part) for part in location if isinstance(part, int) or part.isidentifier()]


def _origin(path: str, origins: Mapping[str, Origin]) -> Origin | None:
    """Return the origin of a path, or of the nearest mapping or list above or below it."""
    below = [origin for other, origin in origins.items() if other.startswith(f"{path}.")]
    while path:
        if path in origins:
            return origins[path]
        path = path.rpartition(".")[0]
    return below[0] if below else None


def _merge(values: Tree, tree: Tree, origin: Origin, origins: dict[str, Origin], prefix: str = "") -> None:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        below = values.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            _merge(cast("Tree", below), cast("Tree", value), origin, origins, f"{path}.")
            continue
        for former in [other for other in origins if other == path or other.startswith(f"{path}.")]:
            del origins[former]
        if isinstance(value, dict):
            values[key] = fresh = cast("Tree", {})
            _merge(fresh, cast("Tree", value), origin, origins, f"{path}.")
        else:
            values[key] = value
            origins[path] = origin


def _tree(pairs: Iterator[tuple[str, object]]) -> Tree:
    """Return dotted paths as nested mappings; text that says nothing, or null, is None."""
    tree: Tree = {}
    for path, value in pairs:
        *parents, last = path.split(".")
        place = tree
        for parent in parents:
            below = place.setdefault(parent, {})
            if not isinstance(below, dict):
                raise SettingsError([f"{path}: {parent} was given a value of its own by the same source"])
            place = cast("Tree", below)
        place[last] = None if value in ("", "null") else value
    return tree


def _path_of(variable: str) -> str:
    return variable.removeprefix(PREFIX).lower().replace("__", ".")


def _at(place: object, path: list[str]) -> object:
    """Return the value at a path, None when there is none."""
    if not path:
        return place
    first, *rest = path
    if isinstance(place, dict):
        return _at(cast("Tree", place).get(first), rest)
    return _at(_item(cast("list[object]", place), first), rest) if isinstance(place, list) else place


def _item(items: list[object], index: str) -> object:
    return items[int(index)] if index.isdigit() and int(index) < len(items) else None


def _read_file(path: Path) -> Tree:
    try:
        return _yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SettingsError([f"{path}: wanted a YAML file of settings, got: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: wanted a YAML file of settings, got: {error}"]) from error


def _yaml(text: str, where: str) -> Tree:
    try:
        content = cast("object", yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise SettingsError([f"{where}: wanted a YAML file of settings, got: {error}"]) from error
    if not isinstance(content, dict):
        raise SettingsError([f"{where}: wanted a mapping of settings to values, got {type(content).__name__}"])
    return {str(key): value for key, value in cast("dict[object, object]", content).items()}
