"""Templates without what differs from one machine or library release to the next.

`plain` is what anyone can deploy without CDK: no CDK metadata, no bootstrap parameter and rule. `normalised` is for
review and snapshots: besides, digests are masked, so that a new image or asset is not a change of the infrastructure.
"""

import copy
import re
from collections.abc import Callable
from typing import Any, cast  # templates are free JSON

from signalbox_guards.canonical import Json, canonical, pretty
from signalbox_guards.errors import Refused

_BOOTSTRAP_PARAMETER = "BootstrapVersion"
_BOOTSTRAP_RULE = "CheckBootstrapVersion"
_CDK_METADATA = "AWS::CDK::Metadata"
_CDK_METADATA_CONDITION = "CDKMetadataAvailable"
_BOOTSTRAP = re.compile(rb"cdk-[a-z0-9]{1,10}-(?:assets|container-assets|[a-z-]*role)|/cdk-bootstrap/")
"""Names of the bootstrap's bucket, repository, roles and SSM parameter; the qualifier has at most ten characters."""

_DIGEST = re.compile(r"(?<![0-9a-fA-F])[0-9a-f]{64}(?![0-9a-fA-F])")
_ASSET = re.compile(r"\b(asset\.|\$\{Asset)[0-9a-f]{8,64}")


def plain(template: Json) -> Json:
    """A copy without CDK's metadata, bootstrap parameter and bootstrap rule; sections that end up empty are gone."""
    result = copy.deepcopy(template)
    result.get("Parameters", {}).pop(_BOOTSTRAP_PARAMETER, None)
    result.get("Rules", {}).pop(_BOOTSTRAP_RULE, None)
    result.get("Conditions", {}).pop(_CDK_METADATA_CONDITION, None)
    resources: dict[str, Json] = result.get("Resources", {})
    for logical_id in [name for name, resource in resources.items() if resource["Type"] == _CDK_METADATA]:
        del resources[logical_id]
    for holder in [result, *resources.values()]:
        metadata: Json = holder.get("Metadata", {})
        for name in [key for key in metadata if key.startswith(("aws:cdk:", "aws:asset:", "cdk_nag"))]:
            del metadata[name]
        if not metadata:
            holder.pop("Metadata", None)
    return {name: section for name, section in result.items() if section or name == "Resources"}


def refuse_bootstrap(template: Json, where: str) -> None:
    """Raise Refused if a plain template still needs what `cdk bootstrap` makes."""
    for logical_id, resource in template["Resources"].items():
        found = _BOOTSTRAP.search(canonical(resource))
        if found:
            raise Refused(
                f"{where}: {logical_id}: wanted a resource that needs no CDK bootstrap, got a reference to "
                f"{found.group().decode()!r}; a template that uses assets cannot be deployed without CDK"
            )
    if found := _BOOTSTRAP.search(canonical(template)):
        raise Refused(f"{where}: wanted no reference to the CDK bootstrap, got {found.group().decode()!r}")


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_texts(item, change) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {change(key): _map_texts(item, change) for key, item in cast("Json", value).items()}
    return value


def _mask(text: str) -> str:
    return _ASSET.sub(r"\g<1>ASSET", _DIGEST.sub("DIGEST", text))


def normalised(template: Json) -> Json:
    """`plain`, with every SHA-256 and asset hash replaced by a word."""
    return cast("Json", _map_texts(plain(template), _mask))


def normalised_text(template: Json) -> str:
    """The stable text of `normalised`, good for a snapshot file: sorted keys, one value a line."""
    return pretty(normalised(template))
