"""CloudFormation's API on the wire, in place of moto's: moto parses the request and writes the answer."""

from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.utils import camelcase_to_underscores

from signalbox_emulator.aws import Account
from signalbox_emulator.cloudformation import answers
from signalbox_emulator.cloudformation import template as templates
from signalbox_emulator.cloudformation.errors import AlreadyExists, ChangeSetNotFound, NotSupported, ValidationError
from signalbox_emulator.cloudformation.records import ChangeSet, Desired, Stack
from signalbox_emulator.cloudformation.stacks import Stacks

JsonObject = dict[str, Any]

_PAGE = 100
_READING = ("Describe", "Get", "List")
"""How the names of actions begin that change nothing."""


class CloudFormationApi(BaseResponse):
    """One request. Each public method without an underscore is an action, found by moto from the action's name."""

    account: Account
    stacks: Stacks

    def __init__(self) -> None:
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True

    def call_action(self) -> Any:
        """Carry out the action, or answer that there is none: moto's own answer is a server error, and retried."""
        name = self._get_action()
        if not hasattr(self, camelcase_to_underscores(name)):
            return self.serialized(ActionResult(NotSupported(f"this emulator does not have the action {name}")))
        with self.stacks.lock:
            self.stacks.wait_for(self.region, self._named() if name.startswith(_READING) else None)
            return super().call_action()

    def create_stack(self) -> ActionResult:
        name = self._text("StackName")
        if any(s.name == name and s.status != "DELETE_COMPLETE" for s in self.stacks.all(self.region)):
            raise AlreadyExists(f"Stack [{name}] already exists")
        desired = self._desired(name)
        stack = self._noted(self.stacks.review(name, self.region))
        stack.protected = bool(self._get_bool_param("EnableTerminationProtection"))
        self.stacks.create(stack, desired)
        return ActionResult({"StackId": stack.id})

    def update_stack(self) -> ActionResult:
        stack = self._stack()
        desired = self._desired(stack.name)
        if stack.current is not None and stack.current.same_as(desired):
            raise ValidationError("No updates are to be performed.")
        self.stacks.update(self._noted(stack), desired)
        return ActionResult({"StackId": stack.id})

    def delete_stack(self) -> ActionResult:
        try:
            stack = self._stack()
        except ValidationError:
            return EmptyResult()  # as AWS does
        self.stacks.delete(stack)
        return EmptyResult()

    def update_termination_protection(self) -> ActionResult:
        stack = self._stack()
        self.stacks.protect(stack, on=bool(self._get_bool_param("EnableTerminationProtection")))
        return ActionResult({"StackId": stack.id})

    def describe_stacks(self) -> ActionResult:
        if self._get_param("StackName"):
            found = [self._stack()]
        else:
            found = [stack for stack in self.stacks.all(self.region) if stack.status != "DELETE_COMPLETE"]
        return self._page("Stacks", [answers.stack(stack) for stack in found])

    def list_stacks(self) -> ActionResult:
        wanted: list[str] = self._get_param("StackStatusFilter") or []
        found = [stack for stack in self.stacks.all(self.region) if not wanted or stack.status in wanted]
        return self._page("StackSummaries", [answers.stack_summary(stack) for stack in found])

    def describe_stack_events(self) -> ActionResult:
        stack = self._stack()
        return self._page("StackEvents", [answers.event(event, stack) for event in reversed(stack.events)])

    def describe_stack_resource(self) -> ActionResult:
        stack, logical = self._stack(), self._text("LogicalResourceId")
        if logical not in stack.resources:
            raise ValidationError(f"Resource {logical} does not exist for stack {stack.name}")
        return ActionResult({"StackResourceDetail": answers.resource(stack.resources[logical], stack)})

    def describe_stack_resources(self) -> ActionResult:
        stack, logical = self._stack(), self._get_param("LogicalResourceId")
        found = [r for r in stack.resources.values() if logical in {None, r.logical}]
        return ActionResult({"StackResources": [answers.resource(resource, stack) for resource in found]})

    def list_stack_resources(self) -> ActionResult:
        stack = self._stack()
        found = [answers.resource(resource, stack) for resource in stack.resources.values()]
        return self._page("StackResourceSummaries", found)

    def get_template(self) -> ActionResult:
        named = self._get_param("ChangeSetName")
        if named:
            body = self._change_set().desired.body
        else:
            shown = self._stack().current or self._stack().requested
            body = shown.body if shown else "{}"
        return ActionResult({"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]})

    def get_template_summary(self) -> ActionResult:
        if self._get_param("StackName"):
            current = self._stack().current
            template: JsonObject = current.template if current else {"Resources": {}}
        else:
            template = templates.parse(self._body("the stack"))
        return ActionResult(answers.template_summary(template))

    def validate_template(self) -> ActionResult:
        summary = answers.template_summary(templates.parse(self._body("the stack")))
        return ActionResult({"Parameters": summary["Parameters"], "Description": summary["Description"]})

    def list_exports(self) -> ActionResult:
        exports = self.stacks.exports(self.region).items()
        return self._page("Exports", [{"ExportingStackId": s, "Name": n, "Value": v} for n, (s, v) in exports])

    def create_change_set(self) -> ActionResult:
        name, kind = self._text("StackName"), self._get_param("ChangeSetType") or "UPDATE"
        if kind not in {"CREATE", "UPDATE"}:
            raise ValidationError(f"ChangeSetType: got {kind}, wanted CREATE or UPDATE: this emulator imports nothing")
        desired = self._desired(name)
        stack = self.stacks.review(name, self.region) if kind == "CREATE" else self.stacks.find(name, self.region)
        description = self._get_param("Description")
        change_set = self.stacks.propose(self._text("ChangeSetName"), kind, self._noted(stack), desired, description)
        return ActionResult({"Id": change_set.id, "StackId": stack.id})

    def describe_change_set(self) -> ActionResult:
        return ActionResult(answers.change_set(self._change_set()))

    def list_change_sets(self) -> ActionResult:
        found = self.stacks.change_sets_of(self._stack())
        return self._page("Summaries", [answers.change_set_summary(change_set) for change_set in found])

    def execute_change_set(self) -> ActionResult:
        self.stacks.execute(self._change_set())
        return EmptyResult()

    def delete_change_set(self) -> ActionResult:
        with suppress(ChangeSetNotFound):  # as AWS does
            self.stacks.forget(self._change_set())
        return EmptyResult()

    def _text(self, name: str) -> str:
        value = self._get_param(name)
        if not isinstance(value, str):
            raise ValidationError(f"{name} is missing")
        return value

    def _named(self) -> str | None:
        """Return the name of the stack that is asked for, by name or by id; None when none is."""
        named = self._get_param("StackName")
        return named.split("/")[1] if named and named.startswith("arn:") else named

    def _stack(self) -> Stack:
        return self.stacks.find(self._text("StackName"), self.region)

    def _change_set(self) -> ChangeSet:
        return self.stacks.change_set(self._text("ChangeSetName"), self._get_param("StackName"), self.region)

    def _noted(self, stack: Stack) -> Stack:
        """Return `stack` with what a request says beside the template."""
        stack.notification_arns = list(self._get_param("NotificationARNs") or [])
        stack.capabilities = list(self._get_param("Capabilities") or [])
        stack.role = self._get_param("RoleARN") or stack.role
        return stack

    def _desired(self, stack: str) -> Desired:
        parameters: list[JsonObject] = self._get_param("Parameters") or []
        given = {p["ParameterKey"]: p["ParameterValue"] for p in parameters if "ParameterValue" in p}
        previous = {p["ParameterKey"] for p in parameters if p.get("UsePreviousValue")}
        sent = self._get_param("Tags")
        tags = None if sent is None else {tag["Key"]: tag["Value"] for tag in sent}
        return self.stacks.desired(stack, self.region, self._body(stack), given=given, previous=previous, tags=tags)

    def _body(self, stack: str) -> str:
        if self._get_bool_param("UsePreviousTemplate"):
            current = self.stacks.find(stack, self.region).current
            if current is None:
                raise ValidationError(f"Stack [{stack}] has no previous template")
            return current.body
        url = self._get_param("TemplateURL")
        return self._fetch(url) if url else self._text("TemplateBody")

    def _fetch(self, url: str) -> str:
        """Return the object behind an S3 URL of the form http(s)://HOST/BUCKET/KEY, the one that the cdk CLI sends."""
        bucket, _, key = unquote(urlsplit(url).path).lstrip("/").partition("/")
        try:
            answer = self.account.client("s3", self.region).get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            raise ValidationError(f"TemplateURL {url}: {error}") from error
        return answer["Body"].read().decode()

    def _page(self, member: str, items: list[JsonObject]) -> ActionResult:
        """Return the page that NextToken asks for; the token is the index of its first item."""
        start = int(self._get_param("NextToken") or 0)
        more = start + _PAGE < len(items)
        token = {"NextToken": str(start + _PAGE)} if more else {}
        return ActionResult({member: items[start : start + _PAGE]} | token)


def bound_to(account: Account, stacks: Stacks) -> type[CloudFormationApi]:
    """Return the class whose requests reach `stacks`; moto makes one instance a request, without arguments."""

    class BoundCloudFormationApi(CloudFormationApi):
        pass

    BoundCloudFormationApi.account = account
    BoundCloudFormationApi.stacks = stacks
    return BoundCloudFormationApi
