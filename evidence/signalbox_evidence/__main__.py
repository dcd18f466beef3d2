"""The command `signalbox-evidence`: what was asked for on stdout, progress and failures on stderr.

Exit codes: 0 no control failed, 2 bad input, 4 AWS refuses the caller, 6 AWS does not answer, 7 a control is
not_satisfied or error.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from signalbox_evidence import archive, report, text
from signalbox_evidence.capabilities import Capabilities
from signalbox_evidence.catalogue import Mode, ParamValue, load
from signalbox_evidence.errors import BadInput, EvidenceError
from signalbox_evidence.exceptions import Exemption, read_register
from signalbox_evidence.live.templates import read_deployed
from signalbox_evidence.run import Settings, carry_out
from signalbox_evidence.store import S3Store
from signalbox_evidence.template.assembly import Assembly, read_assembly

app = App(name="signalbox-evidence", help="Compliance evidence for a Signalbox deployment, seen from outside.")

Form = Annotated[Literal["json", "text"], Parameter(name=["-o", "--format"], help="Form of what is printed.")]
Set = Annotated[
    list[str] | None,
    Parameter(
        name="--set", help="A control's parameter within its range, e.g. BCP-01.retention_days=14; lists by commas."
    ),
]

_FAILED = 7


def _print(content: str) -> None:
    sys.stdout.write(content + "\n")


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


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


def _tell(found: report.Report, form: Form) -> int:
    """Print the report, name what failed, and return the exit code that says so."""
    _print(found.model_dump_json(indent=2) if form == "json" else text.report_text(found))
    for trouble in found.troubles:
        _progress(text.trouble(trouble))
    return _FAILED if found.troubles else 0


_FOLDER = Parameter(env_var="SIGNALBOX_CLOUD_ASSEMBLY", help="Folder of the synthesised cloud assembly (cdk.out).")
Exceptions = Annotated[
    str | None,
    Parameter(help='YAML file with the exceptions register, such as the settings; or JSON, {"exceptions": [...]}.'),
]


def _register(place: str | None) -> list[Exemption]:
    return read_register(place) if place else []


@app.command
def check(
    *, assembly: Annotated[Path, _FOLDER], exceptions: Exceptions = None, form: Form = "text", changes: Set = None
) -> int:
    """Check a synthesised cloud assembly. Asks nothing of AWS and writes no file."""
    result = carry_out(
        read_assembly(assembly),
        load(),
        modes=[Mode.TEMPLATE],
        settings=_settings(changes),
        capabilities=None,
        progress=_progress,
        exceptions=_register(exceptions),
    )
    return _tell(result.report, form)


def _templates(folder: Path | None, stacks: list[str] | None) -> Assembly:
    """Return what is judged as the template: of a folder, or of stacks that are deployed."""
    if stacks:
        return read_deployed(stacks)
    if folder is None:
        raise BadInput("wanted --assembly FOLDER or --stacks REGION/STACK, got neither")
    return read_assembly(folder)


@app.command
def collect(
    *,
    assembly: Annotated[Path | None, _FOLDER] = None,
    stacks: Annotated[
        list[str] | None,
        Parameter(help="REGION/STACK of a deployed stack, instead of --assembly; repeatable.", negative=()),
    ] = None,
    output: Annotated[Path, Parameter(help="Folder of all reports.")],
    store: Annotated[
        str | None, Parameter(name="--store", help="s3://BUCKET/PREFIX to which the report is sent as well.")
    ] = None,
    mode: Annotated[Literal["template", "live", "all"], Parameter(help="What to look at.")] = "all",
    capabilities: Annotated[
        Path | None, Parameter(help="What an emulator cannot hold (JSON). Refused on AWS itself.")
    ] = None,
    exceptions: Exceptions = None,
    form: Form = "text",
    changes: Set = None,
) -> int:
    """Collect evidence from the template and from the deployed account, and write the report.

    The report is a new folder OUTPUT/<UTC time> with `report.json`, `report.html` and the raw answers; OUTPUT/latest
    points at it. AWS is found as every AWS tool finds it (AWS_PROFILE, AWS_ENDPOINT_URL, ...) and only read; --store
    adds objects to one bucket and changes nothing else.
    """
    place = S3Store.of(store) if store else None
    result = carry_out(
        _templates(assembly, stacks),
        load(),
        modes=[Mode.TEMPLATE, Mode.LIVE] if mode == "all" else [Mode(mode)],
        settings=_settings(changes),
        capabilities=Capabilities.read(capabilities) if capabilities else None,
        progress=_progress,
        exceptions=_register(exceptions),
    )
    folder = archive.save(output, result.report, result.raw, result.started)
    _progress(f"report: {folder / 'report.html'}")
    if place:
        _progress(f"stored: {place.put(folder)}")
    return _tell(result.report, form)


@app.command
def controls(*, form: Form = "text") -> int:
    """List the catalogue of controls."""
    catalogue = load()
    _print(catalogue.model_dump_json(indent=2) if form == "json" else text.catalogue_text(catalogue))
    return 0


@app.command
def show(
    path: Annotated[Path, Parameter(help="The report's folder, or its report.json.")], *, form: Form = "text"
) -> int:
    """Print a report that was collected before."""
    return _tell(report.read(path), form)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; ends the process with its exit code."""
    try:
        code: object = app(arguments, result_action="return_value", exit_on_error=False)
    except CycloptsError:  # its message is printed by then
        code = BadInput.exit_code
    except EvidenceError as error:
        _progress(f"signalbox-evidence: {error}")
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
