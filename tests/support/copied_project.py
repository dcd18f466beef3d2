"""A CDK project whose assembly is written by the test, and the emulator's commands on it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
CDK = ROOT / "node_modules" / ".bin" / "cdk"


class Project:
    """A CDK project whose app is a copy, so that synthesis takes no time; by itself it has the stack `small`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.state_dir = folder / "state"
        (self.folder / "assembly").mkdir(parents=True)
        app = {"app": 'cp -r assembly/. "$CDK_OUTDIR"', "watch": {"include": "assembly/**"}}
        (self.folder / "cdk.json").write_text(json.dumps(app))
        self._artifacts: JsonObject = {}

    def write(
        self,
        resources: JsonObject,
        stack: str = "small",
        *,
        region: str = "us-east-1",
        protected: bool = False,
        after: tuple[str, ...] = (),
        **sections: Any,
    ) -> None:
        """Put a stack into the assembly; it depends on those of `after`."""
        template = f"{stack}.template.json"
        properties = {"templateFile": template, "stackName": stack, "terminationProtection": protected}
        self._artifacts[stack] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://000000000000/{region}",
            "properties": properties,
            "dependencies": list(after),
        }
        (self.folder / "assembly" / template).write_text(json.dumps({"Resources": resources, **sections}))
        manifest = {"version": "36.0.0", "artifacts": self._artifacts}
        (self.folder / "assembly" / "manifest.json").write_text(json.dumps(manifest))

    def command(self, *options: str, then: list[str] | None = None) -> list[str]:
        where = ["--project", str(self.folder), "--state-dir", str(self.state_dir), "--cdk", str(CDK)]
        return [sys.executable, "-m", "signalbox_emulator", "deploy", *where, *options, "--", *(then or [])]

    def destroy(self) -> subprocess.CompletedProcess[str]:
        where = ["--project", str(self.folder), "--state-dir", str(self.state_dir), "--cdk", str(CDK)]
        command = [sys.executable, "-m", "signalbox_emulator", "destroy", *where]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=hostile())

    def deploy(self, *options: str, then: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options, then=then), capture_output=True, text=True, check=False, timeout=120, env=hostile()
        )


def hostile() -> dict[str, str]:
    """Return an environment that would lead to a real account if anything of it got through."""
    return dict(os.environ) | {
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "AKIAREALREALREALREAL",
        "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
        "AWS_REGION": "eu-west-1",
    }
