"""Names and places that the control plane chooses for a run.

Paths are those that the SDK's runtime expects: children's inputs at `<base>/<child>/inputs.pb`, an attempt's results in
`<base>/<action>/<attempt>/`.
"""

from __future__ import annotations

from signalbox.ids import ActionKey, RunKey

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_GENERATED_LENGTH = 20  # `r` and 19 characters: Flyte counts names that start with r or u as the platform's own


def run_name(seed: bytes) -> str:
    """Name of a run whose caller gave none, from at least 13 random bytes (36^19 is about 2^98)."""
    number = int.from_bytes(seed, "big")
    digits: list[str] = []
    for _ in range(_GENERATED_LENGTH - 1):
        number, rest = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[rest])
    return "r" + "".join(digits)


def run_output_base(storage_prefix: str, run: RunKey) -> str:
    """Where a run writes: `<prefix>/<org>/<project>/<domain>/<run>`."""
    return f"{storage_prefix.rstrip('/')}/{run}"


def attempt_output_uri(run_output_base: str, action: ActionKey, attempt: int) -> str:
    """Folder of an attempt's outputs or error, without a trailing slash."""
    return f"{run_output_base.rstrip('/')}/{action.action}/{attempt}"


def outputs_file(output_uri: str) -> str:
    """The outputs' full path, from the folder that the runtime is told."""
    return f"{output_uri.rstrip('/')}/outputs.pb"
