"""The stacks of one account: what the CloudFormation API asks for, carried out at once and one at a time.

Real CloudFormation works in the background; here a call returns when its operation is over, so the next look at the
stack sees the end of it.
"""

from collections.abc import Callable, Iterable
from threading import Condition, RLock
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from signalbox_emulator.aws import Account
from signalbox_emulator.cloudformation import template as templates
from signalbox_emulator.cloudformation.errors import AlreadyExists, ChangeSetNotFound, ValidationError
from signalbox_emulator.cloudformation.operation import Failed, Operation, delete
from signalbox_emulator.cloudformation.records import ChangeSet, Desired, Stack, now
from signalbox_emulator.types.table import TABLE

JsonObject = dict[str, Any]

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
_STABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


class Stacks:
    """All stacks of the account, in every region. `changed` is called after each operation that ended well."""

    def __init__(self, account: Account, account_id: str, changed: Callable[[], None]) -> None:
        self.lock = RLock()
        self._coming: set[tuple[str, str]] = set()
        self._came = Condition(self.lock)
        self._account = account
        self._account_id = account_id
        self._changed = changed
        self._stacks: dict[str, Stack] = {}
        self._change_sets: dict[str, ChangeSet] = {}

    def all(self, region: str | None = None) -> list[Stack]:
        """Return the stacks, deleted ones too, oldest first."""
        return [stack for stack in self._stacks.values() if region in {None, stack.region}]

    def expect(self, stacks: Iterable[tuple[str, str]]) -> None:
        """Have requests wait for the stacks of these regions and names."""
        self._coming |= set(stacks)

    def came(self, region: str, name: str) -> None:
        """Let go on who waits for an expected stack. The caller holds the lock."""
        self._coming.discard((region, name))
        self._came.notify_all()

    def wait_for(self, region: str, name: str | None) -> None:
        """Return when that stack, or every one without a name, is no longer to come. The caller holds the lock."""
        while self._coming if name is None else (region, name) in self._coming:
            self._came.wait()

    def find(self, name: str, region: str) -> Stack:
        """Return the stack of that id, or the one alive of that name; ValidationError when there is none."""
        if name in self._stacks:
            return self._stacks[name]
        for stack in self.all(region):
            if stack.name == name and stack.status != "DELETE_COMPLETE":
                return stack
        raise ValidationError(f"Stack with id {name} does not exist")

    def exports(self, region: str) -> dict[str, tuple[str, str]]:
        """Return export name -> (id of the exporting stack, value)."""
        living = (stack for stack in self.all(region) if stack.status != "DELETE_COMPLETE")
        return {name: (stack.id, value) for stack in living for name, value in stack.exports.items()}

    def desired(
        self,
        name: str,
        region: str,
        body: str,
        *,
        given: dict[str, str],
        previous: set[str],
        tags: dict[str, str] | None,
    ) -> Desired:
        """Return what a request asks stack `name` to be, the stack existing or not.

        `previous` names parameters that keep the value they have; `tags` are those it has when None.
        """
        template = templates.parse(body)
        templates.check_types(template, TABLE.__contains__)
        current = next((s.current for s in self.all(region) if s.name == name and s.current), None)
        kept = {name: value for name, value in (current.given if current else {}).items() if name in previous}
        if missing := sorted(previous - kept.keys()):
            raise ValidationError(f"Parameters: [{', '.join(missing)}] have no previous value")

        def read_ssm(parameter: str) -> str:
            try:
                return self._account.client("ssm", region).get_parameter(Name=parameter)["Parameter"]["Value"]
            except ClientError:
                raise ValidationError(f"Unable to fetch parameters [{parameter}] from parameter store") from None

        parameters = templates.resolve_parameters(template, given | kept, read_ssm)
        former = current.tags if current else {}
        return Desired(body=body, template=template, parameters=parameters, tags=former if tags is None else tags)

    def review(self, name: str, region: str) -> Stack:
        """Return a new stack without resources, for a change set that will create it; or the one already there."""
        for stack in self.all(region):
            if stack.name == name and stack.status == "REVIEW_IN_PROGRESS":
                return stack
            if stack.name == name and stack.status != "DELETE_COMPLETE":
                raise AlreadyExists(f"Stack [{name}] already exists")
        stack_id = f"arn:aws:cloudformation:{region}:{self._account_id}:stack/{name}/{uuid4()}"
        stack = Stack(id=stack_id, name=name, region=region, account=self._account_id)
        self._stacks[stack_id] = stack
        stack.say("REVIEW_IN_PROGRESS", "User Initiated")
        return stack

    def propose(self, name: str, kind: str, stack: Stack, desired: Desired, description: str | None) -> ChangeSet:
        """Record a change set of `stack`; FAILED when it would change nothing."""
        self._operation(stack, desired).check()
        changes = _changes(stack, desired)
        empty = kind == "UPDATE" and stack.current is not None and stack.current.same_as(desired)
        change_set = ChangeSet(
            id=f"arn:aws:cloudformation:{stack.region}:{self._account_id}:changeSet/{name}/{uuid4()}",
            name=name,
            stack=stack,
            kind=kind,
            desired=desired,
            description=description,
            changes=[] if empty else changes,
            status="FAILED" if empty else "CREATE_COMPLETE",
            execution_status="UNAVAILABLE" if empty else "AVAILABLE",
            reason=NO_CHANGES if empty else None,
        )
        self._change_sets[change_set.id] = change_set
        return change_set

    def change_set(self, name: str, stack: str | None, region: str) -> ChangeSet:
        """Return the change set of that id, or the newest of that name on the stack; ChangeSetNotFound otherwise."""
        if name in self._change_sets:
            return self._change_sets[name]
        owner = self.find(stack, region) if stack else None
        for change_set in reversed(self._change_sets.values()):
            if change_set.name == name and change_set.stack is owner:
                return change_set
        raise ChangeSetNotFound(f"ChangeSet [{name}] does not exist")

    def change_sets_of(self, stack: Stack) -> list[ChangeSet]:
        return [change_set for change_set in self._change_sets.values() if change_set.stack is stack]

    def forget(self, change_set: ChangeSet) -> None:
        del self._change_sets[change_set.id]

    def execute(self, change_set: ChangeSet) -> None:
        if change_set.execution_status != "AVAILABLE":
            raise ValidationError(f"ChangeSet [{change_set.id}] cannot be executed in its current status")
        change_set.execution_status = "EXECUTE_COMPLETE"
        change_set.stack.change_set = change_set.id
        if change_set.stack.current is None:
            self.create(change_set.stack, change_set.desired)
        else:
            self.update(change_set.stack, change_set.desired)

    def create(self, stack: Stack, desired: Desired, *, checked: bool = True) -> None:
        """Create what `stack` is to hold. Ends in CREATE_COMPLETE, or ROLLBACK_COMPLETE with nothing left.

        Without `checked` nothing is read back: for what was, when it was made first.
        """
        stack.requested = desired
        stack.say("CREATE_IN_PROGRESS", "User Initiated")
        operation = self._operation(stack, desired, checked=checked)
        try:
            operation.run()
            self._refuse_taken_exports(stack)
        except (Failed, ValidationError) as failure:
            stack.resources, stack.outputs = {}, {}
            self._roll_back(stack, operation, failure, "ROLLBACK")
            return
        stack.current = desired
        stack.say("CREATE_COMPLETE")
        self._changed()

    def update(self, stack: Stack, desired: Desired) -> None:
        """Bring `stack` to `desired`. Ends in UPDATE_COMPLETE, or UPDATE_ROLLBACK_COMPLETE with the former values."""
        if stack.status not in _STABLE:
            raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        before, outputs = dict(stack.resources), dict(stack.outputs)
        stack.requested, stack.updated = desired, now()
        stack.say("UPDATE_IN_PROGRESS", "User Initiated")
        operation = self._operation(stack, desired)
        try:
            operation.run()
            self._refuse_taken_exports(stack)
            self._refuse_dropped_exports(stack, {output.export for output in outputs.values() if output.export})
        except (Failed, ValidationError) as failure:
            stack.resources, stack.outputs = before, outputs
            self._roll_back(stack, operation, failure, "UPDATE_ROLLBACK")
            return
        stack.say("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        problems = operation.clean_up()
        stack.current = desired
        stack.say("UPDATE_COMPLETE", "; ".join(problems) or None)
        self._changed()

    def delete(self, stack: Stack) -> None:
        """Delete `stack` and its resources, last created first. Ends in DELETE_COMPLETE or DELETE_FAILED."""
        if stack.status == "DELETE_COMPLETE":
            return
        if stack.protected:
            raise ValidationError(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        self._refuse_dropped_exports(stack, set(stack.exports), deleting=True)
        stack.say("DELETE_IN_PROGRESS", "User Initiated")
        for logical in reversed(list(stack.resources)):
            resource = stack.resources[logical]
            try:
                delete(stack, resource, self._account, resource.deletion_policy)
            except Failed as failure:
                stack.say("DELETE_FAILED", f"The following resource(s) failed to delete: [{logical}]: {failure.reason}")
                return
            del stack.resources[logical]
        stack.outputs, stack.current = {}, None
        stack.say("DELETE_COMPLETE")
        self._changed()

    def protect(self, stack: Stack, *, on: bool) -> None:
        stack.protected = on
        self._changed()

    def _roll_back(self, stack: Stack, operation: Operation, failure: Exception, name: str) -> None:
        reason = failure.reason if isinstance(failure, Failed) else str(failure)
        where = f"[{failure.resource.logical}]: " if isinstance(failure, Failed) else ""
        stack.say(f"{name}_IN_PROGRESS", f"The following resource(s) failed: {where}{reason}")
        try:
            operation.roll_back()
        except Failed as second:
            stack.say(f"{name}_FAILED", f"[{second.resource.logical}]: {second.reason}")
            return
        stack.say(f"{name}_COMPLETE")

    def _operation(self, stack: Stack, desired: Desired, *, checked: bool = True) -> Operation:
        def export(name: str) -> str:
            exports = self.exports(stack.region)
            if name not in exports:
                raise ValidationError(f"No export named {name} found.")
            return exports[name][1]

        return Operation(stack, desired, self._account, export, checked=checked)

    def _refuse_taken_exports(self, stack: Stack) -> None:
        for other in self.all(stack.region):
            if (
                other is not stack
                and other.status != "DELETE_COMPLETE"
                and (taken := other.exports.keys() & stack.exports)
            ):
                raise ValidationError(f"Export with name {min(taken)} is already exported by stack {other.name}")

    def _refuse_dropped_exports(self, stack: Stack, former: set[str], *, deleting: bool = False) -> None:
        dropped = former if deleting else former - stack.exports.keys()
        for other in self.all(stack.region):
            if other is not stack and other.current and (used := dropped & imports(other.current.body, dropped)):
                raise ValidationError(f"Export {min(used)} cannot be deleted as it is in use by {other.name}")


def imports(body: str, names: set[str]) -> set[str]:
    """Return which of `names` a template imports by a literal name, which is the only way that CDK writes."""
    packed = "".join(body.split())
    return {name for name in names if f'"Fn::ImportValue":"{name}"' in packed or f"ImportValue:{name}" in packed}


def _changes(stack: Stack, desired: Desired) -> list[JsonObject]:
    """Return what differs between the two templates, as far as it shows without resolving anything."""
    before: JsonObject = stack.current.template["Resources"] if stack.current else {}
    after: JsonObject = desired.template["Resources"]
    found: list[JsonObject] = []
    for logical in dict.fromkeys([*before, *after]):
        if before.get(logical) == after.get(logical):
            continue
        action = "Add" if logical not in before else "Remove" if logical not in after else "Modify"
        change: JsonObject = {"Action": action, "LogicalResourceId": logical}
        change["ResourceType"] = (after.get(logical) or before[logical])["Type"]
        if logical in stack.resources:
            change["PhysicalResourceId"] = stack.resources[logical].id
        if action == "Modify":
            change["Replacement"] = "Conditional"
        found.append({"Type": "Resource", "ResourceChange": change})
    return found
