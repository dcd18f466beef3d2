"""The command `signalbox-guards`: what was asked for on stdout, failures on stderr.

Exit codes: 0 fine, 2 bad input, 7 a guard fails.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from pydantic import BaseModel

from signalbox_guards import lock, replacements
from signalbox_guards.acceptances import read_acceptances
from signalbox_guards.assembly import Matrix, read_assembly, read_matrix
from signalbox_guards.changes import Change
from signalbox_guards.cost import tables
from signalbox_guards.cost.estimate import baseline_of, estimate, growths, read_baseline, write_baseline
from signalbox_guards.cost.prices import read_prices, read_usage
from signalbox_guards.errors import BadInput, GuardsError
from signalbox_guards.release import archive, seal
from signalbox_guards.release.signing import KmsSigner, PemSigner, read_public_key
from signalbox_guards.templates import normalised_text

app = App(name="signalbox-guards", help="Guards over synthesised CloudFormation templates; offline.")
locks_app = App(name="lock", help="The logical-id lock: guarded resources stay what and where they are.")
release_app = App(name="release", help="Plain templates as a signed archive.")
app.command(locks_app)
app.command(release_app)

Form = Annotated[Literal["json", "text"], Parameter(name=["-o", "--format"], help="Form of what is printed.")]
MatrixFolder = Annotated[Path, Parameter(help="A cloud assembly, or a folder with one a configuration.")]
Locks = Annotated[Path, Parameter(help="Folder of the locks.")]
ArchiveFile = Annotated[Path, Parameter(help="The release archive (tar.gz).")]

_FAILED = 7


def _print(content: str) -> None:
    sys.stdout.write(content.rstrip("\n") + "\n")


def _complain(line: str) -> None:
    sys.stderr.write(line + "\n")


def _print_json(rows: Sequence[BaseModel]) -> None:
    _print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def _tell(found: Sequence[Change], form: Form, fine: str) -> int:
    """Print the changes, or `fine` when there are none; name what fails on stderr."""
    failing = [change for change in found if change.fails]
    if form == "json":
        _print_json(found)
    else:
        _print("\n".join(change.line() for change in found) or fine)
    if failing:
        _complain(f"signalbox-guards: {len(failing)} of {len(found)} changes fail")
    return _FAILED if failing else 0


@locks_app.command(name="check")
def lock_check(matrix: MatrixFolder, *, locks: Locks = Path("locks"), form: Form = "text") -> int:
    """Fail when a guarded resource is removed, renamed, of another type, replaced or less protected than its lock says.

    A guarded resource that is not in the lock fails too: run `lock write`. A change that is meant is accepted by
    `lock write --accept STACK/LOGICALID --reason TEXT`.
    """
    assemblies = read_matrix(matrix)
    code = _tell(lock.changes(assemblies, locks), form, "every guarded resource is as locked")
    if code == 0 and not lock.is_fresh(assemblies, locks):
        _complain(f"signalbox-guards: {locks} is not what `signalbox-guards lock write {matrix}` would write: run it")
        return _FAILED
    if code:
        _complain("accept what is meant: signalbox-guards lock write --accept STACK/LOGICALID --reason TEXT")
    return code


@locks_app.command(name="write")
def lock_write(
    matrix: MatrixFolder,
    *,
    locks: Locks = Path("locks"),
    accept: Annotated[
        list[str] | None, Parameter(help="STACK/LOGICALID whose loss, replacement or lost protection is meant.")
    ] = None,
    reason: Annotated[str | None, Parameter(help="Why; recorded in LOCKS/accepted.yaml with the date.")] = None,
    form: Form = "text",
) -> int:
    """Write the locks. Refuses, and writes nothing, when a guarded resource is lost without being accepted."""
    today = datetime.now(UTC).date()
    accepted = lock.write(read_matrix(matrix), locks, accept=accept or [], reason=reason, today=today)
    if form == "json":
        _print_json(accepted)
    else:
        _print("\n".join([f"{locks}: written", *(f"accepted: {change.line()}" for change in accepted)]))
    return 0


def _release_or_matrix(path: Path) -> Matrix:
    return archive.read_release(path) if path.is_file() else read_matrix(path)


@app.command(name="replacements")
def replacements_command(
    old: Annotated[Path, Parameter(help="Assembly, matrix or release archive to upgrade from.")],
    new: Annotated[Path, Parameter(help="The same, to upgrade to.")],
    *,
    accepted: Annotated[Path, Parameter(help="Register of accepted changes.")] = Path("locks/accepted.yaml"),
    form: Form = "text",
) -> int:
    """Fail when an upgrade would replace, delete, move or unprotect a guarded resource, in any configuration.

    Replacements of other resources are listed and do not fail.
    """
    register = read_acceptances(accepted)
    found = replacements.compare(_release_or_matrix(old), _release_or_matrix(new), register)
    return _tell(found, form, "nothing is replaced, deleted, moved or unprotected")


@app.command
def cost(
    matrix: MatrixFolder,
    *,
    baseline: Annotated[Path | None, Parameter(help="Fail (7) when a configuration costs over 10 % more.")] = None,
    write: Annotated[Path | None, Parameter(help="Write the baseline there.")] = None,
    usage: Annotated[Path | None, Parameter(help="Assumptions of one's own instead of the packaged ones.")] = None,
    form: Annotated[
        Literal["json", "text", "markdown"], Parameter(name=["-o", "--format"], help="Form of what is printed.")
    ] = "text",
) -> int:
    """Estimate what a month costs, by list prices and stated assumptions. A type without a price is an error (2)."""
    prices, assumptions = read_prices(), read_usage(usage)
    found = estimate(read_matrix(matrix), prices, assumptions)
    match form:
        case "json":
            _print(found.model_dump_json(indent=2))
        case "markdown":
            _print(tables.markdown(found, prices, assumptions))
        case "text":
            _print(tables.text(found))
    grown = growths(read_baseline(baseline), found) if baseline else []
    for growth in grown:
        _complain(tables.growth_text(growth))
    if write:
        write_baseline(write, baseline_of(found))
    return _FAILED if grown else 0


@app.command
def normalise(assembly: Annotated[Path, Parameter(help="A cloud assembly.")], *, form: Form = "text") -> int:
    """Print the templates without digests, asset hashes and CDK metadata: what a review or a snapshot should see."""
    texts = {name: normalised_text(stack.template) for name, stack in read_assembly(assembly).stacks.items()}
    if form == "json":
        _print(json.dumps({name: json.loads(content) for name, content in texts.items()}, indent=2, sort_keys=True))
    else:
        _print("\n".join(f"# {name}\n{content}" for name, content in texts.items()))
    return 0


@release_app.command(name="build")
def release_build(
    matrix: MatrixFolder,
    *,
    version: Annotated[str, Parameter(help="Of the release.")],
    output: Annotated[Path, Parameter(help="The archive to write (tar.gz).")],
) -> int:
    """Write the archive of plain templates. Fails (7) when one needs what `cdk bootstrap` makes."""
    content = archive.build(read_matrix(matrix), version)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(content)
    _print(str(output))
    return 0


@release_app.command(name="sign")
def release_sign(
    file: ArchiveFile,
    *,
    key: Annotated[Path | None, Parameter(help="Private key on P-256 (PEM, not encrypted).")] = None,
    kms_key: Annotated[str | None, Parameter(help="ARN of a KMS key, ECC_NIST_P256.")] = None,
) -> int:
    """Write the signature (DSSE) beside the archive."""
    if (key is None) == (kms_key is None):
        raise BadInput("release sign: wanted one of --key PEM and --kms-key ARN")
    signer = PemSigner(key) if key else KmsSigner(kms_key or "")
    _print(str(seal.sign(file, signer)))
    return 0


@release_app.command(name="verify")
def release_verify(
    file: ArchiveFile, *, public_key: Annotated[Path, Parameter(help="Public key on P-256 (PEM).")]
) -> int:
    """Verify, offline, that the archive holds what was signed. Fails (7) naming the first file that is wrong."""
    _print(f"{file}: {seal.verify(file, read_public_key(public_key))} files, all as signed")
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run the command; ends the process with its exit code."""
    try:
        code: object = app(arguments, result_action="return_value", exit_on_error=False)
    except CycloptsError:  # its message is printed by then
        code = BadInput.exit_code
    except GuardsError as error:
        _complain(f"signalbox-guards: {error}")
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
