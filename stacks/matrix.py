"""`python -m stacks.matrix OUT`: synthesise every configuration of config/matrix, in one process.

The tests, the guards and the release all look at the same matrix. Exceptions are judged as of the day on which the last
of them was opened: that a shipped example has run out is not what they look for.
"""

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import cast

import aws_cdk as cdk

from stacks.register import synthesise as write
from stacks.register import today
from stacks.settings import Settings, read_settings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "config" / "matrix"


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def settings_of(name: str, changes: dict[str, object] | None = None) -> Settings:
    return read_settings({"config": str(FOLDER / f"{name}.yaml"), **(changes or {})}, {})


def synthesise(settings: Settings, outdir: Path, *, second_opinions: bool = True, day: date | None = None) -> Path:
    """Build the app as `cdk synth` does, into `outdir`; without cdk-nag it takes half of the time.

    Exceptions are judged as of `day`, by default the day on which the last of them was opened.
    """
    import app as bill_of_materials  # noqa: PLC0415 - app.py is a script that stands on this package

    context = cast("dict[str, object]", json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"])
    app = cdk.App(
        analytics_reporting=False, context=context | {"aws:cdk:enable-path-metadata": True}, outdir=str(outdir)
    )
    return write(app, bill_of_materials.build(app, settings, day or day_of(settings), second_opinions=second_opinions))


def day_of(settings: Settings) -> date:
    return max((entry.opened for entry in settings.exceptions), default=today())


def _all(out: Path) -> Iterator[str]:
    for name in names():
        synthesise(settings_of(name), out / name)
        yield name


if __name__ == "__main__":
    for done in _all(Path(sys.argv[1])):
        sys.stderr.write(f"{done}: synthesised\n")
