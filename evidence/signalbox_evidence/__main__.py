"""The command `signalbox-evidence`: what was asked for on stdout, progress and failures on stderr.

Exit codes: 0 no control failed, 2 bad input, 4 AWS refuses the caller, 6 AWS does not answer, 7 a control is
not_satisfied or error.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from signalbox_evidence import archive, report, text
from signalbox_evidence.capabilities import Capabilities
from signalbox_evidence.catalogue import Mode, ParamValue, load
from signalbox_evidence.errors import BadInput, EvidenceError
from signalbox_evidence.run import Progress, Settings, carry_out
from signalbox_evidence.template.assembly import read_assembly

app = App(name="signalbox-evidence", help="Compliance evidence for a Signalbox deployment, seen from outside.")

Output = Annotated[Literal["json", "text"], Parameter(name=["-o", "--format"], help="Form of what is printed.")]
Set = Annotated[
    list[str] | None,
    Parameter(
        name="--set", help="A control's parameter within its range, e.g. BCP-01.retention_days=14; lists by commas."
    ),
]

_FAILED = 7


def _print(content: str) -> None:
    sys.stdout.write(content + "\n")


def _progress() -> Progress:
    def tell(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    return tell


def _settings(texts: list[str] | None) -> Settings:
    found: dict[str, dict[str, ParamValue]] = {}
    for item in texts or []:
        path, equals, value = item.partition("=")
        control_id, dot, name = path.partition(".")
        if not (equals and dot and name):
            raise BadInput(f"--set: wanted CONTROL.PARAMETER=VALUE, got {item!r}")
        default = next((it for key, it in load().control(control_id).params.items() if key == name), None)
        if default and isinstance(default.default, int):
            if not value.lstrip("-").isdigit():
                raise BadInput(f"{path}: wanted a whole number, got {value!r}")
            found.setdefault(control_id, {})[name] = int(value)
        else:
            found.setdefault(control_id, {})[name] = [word for word in value.split(",") if word]
    return found


def _verdict(result: report.Report) -> int:
    for observation in result.troubles:
        sys.stderr.write(text.trouble(observation) + "\n")
    return _FAILED if result.troubles else 0


@app.command
def check(*, assembly: Path, format_: Output = "text", set_: Set = None) -> int:
    """Check a synthesised cloud assembly. Asks nothing of AWS and writes no file.

    Parameters
    ----------
    assembly
        Folder of the cloud assembly, as `cdk synth` writes it (cdk.out).
    """
    result = carry_out(
        read_assembly(assembly),
        load(),
        modes=[Mode.TEMPLATE],
        settings=_settings(set_),
        capabilities=None,
        progress=_progress(),
    )
    _print(result.report.model_dump_json(indent=2) if format_ == "json" else text.report_text(result.report))
    return _verdict(result.report)


@app.command
def collect(
    *,
    assembly: Path,
    output: Path,
    mode: Literal["template", "live", "all"] = "all",
    capabilities: Path | None = None,
    format_: Output = "text",
    set_: Set = None,
) -> int:
    """Collect evidence from the template and from the deployed account, and write the report.

    The report is a new folder OUTPUT/<UTC time>, with `report.json`, `report.html` and the raw answers; OUTPUT/latest
    points at it. AWS is found as every AWS tool finds it (AWS_PROFILE, AWS_ENDPOINT_URL, ...) and only read.

    Parameters
    ----------
    assembly
        Folder of the cloud assembly that was deployed.
    output
        Folder of all reports.
    mode
        What to look at.
    capabilities
        What an emulator cannot hold (JSON); refused on AWS itself.
    """
    modes = [Mode.TEMPLATE, Mode.LIVE] if mode == "all" else [Mode(mode)]
    result = carry_out(
        read_assembly(assembly),
        load(),
        modes=modes,
        settings=_settings(set_),
        capabilities=Capabilities.read(capabilities) if capabilities else None,
        progress=_progress(),
    )
    folder = archive.save(output, result.report, result.raw, result.started)
    _print(result.report.model_dump_json(indent=2) if format_ == "json" else text.report_text(result.report))
    sys.stderr.write(f"report: {folder / 'report.html'}\n")
    return _verdict(result.report)


@app.command
def controls(*, format_: Output = "text") -> int:
    """List the catalogue of controls."""
    catalogue = load()
    _print(catalogue.model_dump_json(indent=2) if format_ == "json" else text.catalogue_text(catalogue))
    return 0


@app.command
def show(path: Path, *, format_: Output = "text") -> int:
    """Print a report that was collected before.

    Parameters
    ----------
    path
        The report's folder, or its report.json.
    """
    found = report.read(path)
    _print(found.model_dump_json(indent=2) if format_ == "json" else text.report_text(found))
    return _verdict(found)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; ends the process with its exit code."""
    try:
        code = app(arguments, result_action="return_value", exit_on_error=False)
    except EvidenceError as error:
        sys.stderr.write(f"signalbox-evidence: {error}\n")
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
