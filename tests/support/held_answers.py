"""What AWS would answer of our stacks where moto cannot, and the two ways to weaken what is deployed."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any  # answers are free JSON

from support.emulated_account import Account, Supplied, Tamper

Weaken = Callable[[Account], AbstractContextManager[None]]


def rows(field: str, **values: Any) -> Tamper:
    """Set members of every row of the answer's list; None takes one away."""

    def tamper(answer: dict[str, Any]) -> None:
        for row in answer[field]:
            for name, value in values.items():
                row[name] = value
                if value is None:
                    del row[name]

    return tamper


def services(**values: Any) -> Tamper:
    return rows("services", **values)


def clusters(**values: Any) -> Tamper:
    return rows("DBClusters", **values)


def restore_window(*, lag: timedelta = timedelta(minutes=4), reach: timedelta = timedelta(days=35)) -> Tamper:
    """Restorable times as of each answer, and not as of when the tests were collected."""

    def tamper(answer: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        created = now - timedelta(days=100)
        times = {"EarliestRestorableTime": now - reach, "LatestRestorableTime": now - lag}
        clusters(ClusterCreateTime=created, **times)(answer)

    return tamper


ROLLOUT = {"minimumHealthyPercent": 100, "deploymentCircuitBreaker": {"enable": True, "rollback": True}}


def _only(templates: dict[str, dict[str, Any]], type_name: str) -> dict[str, Any]:
    """Properties of the only resource of that type."""
    resources = [it for template in templates.values() for it in template["Resources"].values()]
    (found,) = [it["Properties"] for it in resources if it["Type"] == type_name]
    return found


def _selection(templates: dict[str, dict[str, Any]]) -> dict[str, Any]:
    selection = _only(templates, "AWS::Backup::BackupSelection")["BackupSelection"]
    return {"SelectionId": "s", "BackupSelection": {"Resources": list(selection["Resources"])}}


HELD: list[tuple[str, Tamper | Supplied]] = [
    ("backup:ListBackupSelections", Supplied(lambda _: {"BackupSelectionsList": [{"SelectionId": "s"}]})),
    ("backup:GetBackupSelection", Supplied(_selection)),
    (
        "ecs:DescribeServices",
        services(
            runningCount=2,
            deploymentConfiguration=ROLLOUT,
            availabilityZoneRebalancing="ENABLED",
            enableExecuteCommand=False,
        ),
    ),
    ("kms:GetKeyRotationStatus", lambda answer: answer.update(RotationPeriodInDays=365)),
    ("rds:DescribeDBClusters", restore_window()),
]
"""What moto cannot hold, as AWS would answer it for our stacks: with it, every control is satisfied."""


def told(operation: str, tamper: Tamper) -> Weaken:
    return lambda account: account.told([(operation, tamper)])


def changed(do: Callable[[Account], Callable[[], Any]]) -> Weaken:
    """`do` changes the account and returns what undoes it."""

    @contextmanager
    def weaken(account: Account) -> Generator[None]:
        undo = do(account)
        try:
            yield
        finally:
            undo()

    return weaken
