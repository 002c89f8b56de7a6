"""The operations of SSM that the router calls. Each takes (memory, library, place, caller, input) and gives its output."""
import datetime, json, threading

import yaml
from botocore.exceptions import ClientError

import aws, engine, protocol
from protocol import Refusal
from state import HELD, LOCK, Execution, now

# What AWS's own documents do unless a test says otherwise: the second look sees the end.
DEFAULT_SCRIPT = ["InProgress", "Success"]
# What a start may have; the rest is refused, in words.
PLAYED = {"DocumentName", "DocumentVersion", "Parameters", "ClientToken", "Mode", "Tags"}


def start_automation_execution(memory, library, place, caller, given):
    token = given.get("ClientToken", "").lower()
    compared = {name: value for name, value in given.items() if name != "ClientToken"}
    if token in place.tokens:
        known, first = place.tokens[token]
        if compared != first:
            raise Refusal("IdempotentParameterMismatch", "The client token was used with other parameters before.")
        return {"AutomationExecutionId": known}
    for form in sorted(set(given) - PLAYED):
        raise Refusal("InvalidTarget" if form.startswith("Target") else "ValidationException", f"tests/ssm does not play {form}.")
    if given.get("Mode", "Auto") != "Auto":
        raise Refusal("ValidationException", f"tests/ssm does not play Mode {given['Mode']}: it runs every step by itself.")
    if len(given.get("Tags", [])) > 5:
        raise Refusal("ValidationException", f"1 validation error detected: at most 5 'tags' are allowed, not {len(given['Tags'])}")
    settings = memory.accounts[place.account]
    document, version = library.find(place.account, given["DocumentName"], given.get("DocumentVersion"),
                                     "AutomationDefinitionNotFoundException", "AutomationDefinitionVersionNotFoundException")
    values = document.resolved(given.get("Parameters", {}), place.account, settings.assume_roles)
    execution = Execution(place, document, version, given, values, caller)
    wanted = take_next(settings, place.region, document.name)
    unended = [other for other in place.executions.values() if not other.ended]
    if len(unended) >= settings.concurrency + settings.queue:
        raise Refusal("AutomationExecutionLimitExceededException",
                      "The number of simultaneously running Automation executions exceeded the allowable limit.")
    execution.hold = wanted.get("hold_before")
    if wanted.get("statuses") or document.amazon:
        execution.script = list(wanted.get("statuses") or DEFAULT_SCRIPT)
    place.executions[execution.id] = execution
    if token:
        place.tokens[token] = execution.id, compared
    admit(memory, place)
    if not execution.script:
        threading.Thread(target=run, args=(memory, place, execution), daemon=True).start()
    return {"AutomationExecutionId": execution.id}


def take_next(settings, region, document):
    for entry in settings.next:
        if entry["document"] == document and entry.get("region") in (None, region):
            entry["times"] = entry.get("times", 1) - 1
            if not entry["times"]:
                settings.next.remove(entry)
            return entry
    return {}


def admit(memory, place):
    """The oldest go first; those that wait for a person do not count."""
    free = memory.accounts[place.account].concurrency
    for execution in place.executions.values():
        if execution.ended or execution.status in HELD:
            continue
        if free <= 0:
            return
        free -= 1
        if not execution.admitted:
            execution.admitted = True
            if execution.script:
                execution.become("InProgress")
    LOCK.notify_all()


def run(memory, place, execution):
    with LOCK:
        LOCK.wait_for(lambda: execution.admitted or execution.stop)
        if execution.stop:
            return execution.become("Cancelled")
    engine.run(execution, memory.accounts[place.account], lambda operation, inputs: of_a_step(memory, place, operation, inputs))
    with LOCK:
        admit(memory, place)


def of_a_step(memory, place, operation, inputs):
    """What boto3 answers to a step that asks for executions. It is no look: nothing goes on by it."""
    with LOCK:
        try:
            given = protocol.read(operation, json.dumps(inputs))
            value = {"AutomationExecution": found(place, given).shown()} if operation == "GetAutomationExecution" else \
                describe_automation_executions(memory, None, place, None, given, look=False)
        except Refusal as refusal:
            raise ClientError({"Error": {"Code": refusal.code, "Message": refusal.message}}, operation) from None
        protocol.answer(operation, value)
        return protocol.without_nulls(value)


def found(place, given):
    execution = place.executions.get(given["AutomationExecutionId"])
    if not execution:
        raise Refusal("AutomationExecutionNotFoundException",
                      f"Automation execution {given['AutomationExecutionId']} was not found.")
    return execution


def get_automation_execution(memory, library, place, caller, given):
    execution = found(place, given)
    execution.advance()
    admit(memory, place)
    return {"AutomationExecution": execution.shown()}


def describe_automation_executions(memory, library, place, caller, given, look=True):
    chosen = list(place.executions.values())
    for rule in given.get("Filters", []):
        if rule["Key"] not in FILTERS:
            raise Refusal("InvalidFilterKey", f"tests/ssm does not play the filter {rule['Key']}.")
        chosen = [execution for execution in chosen if any(FILTERS[rule["Key"]](execution, value) for value in rule["Values"])]
        if look and rule["Key"] == "ExecutionId":
            for execution in chosen:
                execution.advance()
    admit(memory, place)
    rows = [execution.metadata() | {"AutomationType": "Local"} for execution in reversed(chosen)]
    return paged("AutomationExecutionMetadataList", rows, given)


def moment(value):
    try:
        read = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        return read if read.tzinfo else read.replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Refusal("InvalidFilterValue", f"{value} is not a time.") from None


FILTERS = {
    "ExecutionId": lambda execution, value: execution.id == value,
    "ExecutionStatus": lambda execution, value: execution.status == value,
    "DocumentNamePrefix": lambda execution, value: execution.document.name.startswith(value),
    "TagKey": lambda execution, value: value in [tag["Key"] for tag in execution.inputs.get("Tags", [])],
    "CurrentAction": lambda execution, value: bool(execution.current()) and execution.current().action == value,
    "AutomationType": lambda execution, value: value == "Local",
    "ParentExecutionId": lambda execution, value: False,
    "StartTimeBefore": lambda execution, value: execution.start < moment(value),
    "StartTimeAfter": lambda execution, value: execution.start > moment(value),
}


def paged(name, rows, given):
    token = given.get("NextToken", "0")
    if not token.isdigit() or int(token) > len(rows):
        raise Refusal("InvalidNextToken", "The specified token isn't valid.")
    first, size = int(token), given.get("MaxResults", 50)
    return {name: rows[first:first + size], "NextToken": str(first + size) if first + size < len(rows) else None}


def describe_automation_step_executions(memory, library, place, caller, given):
    steps = list(found(place, given).steps)
    for rule in given.get("Filters", []):
        field = {"StepName": "name", "Action": "action", "StepExecutionStatus": "status", "StepExecutionId": "id"}.get(rule["Key"])
        if not field:
            raise Refusal("InvalidFilterKey", f"tests/ssm does not play the filter {rule['Key']}.")
        steps = [step for step in steps if getattr(step, field) in rule["Values"]]
    if given.get("ReverseOrder"):
        steps.reverse()
    return paged("StepExecutions", [step.shown() for step in steps], given)


def stop_automation_execution(memory, library, place, caller, given):
    execution = found(place, given)
    if execution.ended:
        raise Refusal("InvalidAutomationStatusUpdateException",
                      f"Execution {execution.id} has ended with {execution.status}; it cannot be stopped.")
    execution.stop = given.get("Type", "Cancel")
    if execution.script:
        execution.admitted = True
        execution.script = ["Cancelled"] if execution.stop == "Cancel" else ["Success"]
        execution.become("Cancelling" if execution.stop == "Cancel" else "InProgress")
    elif execution.stop == "Cancel":
        execution.become("Cancelling")
    LOCK.notify_all()
    return {}


def send_automation_signal(memory, library, place, caller, given):
    execution, kind, payload = found(place, given), given["SignalType"], given.get("Payload", {})
    if kind in ("StartStep", "StopStep", "Revoke"):
        raise Refusal("InvalidAutomationSignalException", f"tests/ssm does not play the signal {kind}.")
    wanted = {"PendingApproval": ("Approve", "Reject"), "Waiting": ("Resume",)}.get(execution.status, ())
    if kind not in wanted:
        raise Refusal("InvalidAutomationSignalException",
                      f"Execution {execution.id} is {execution.status}: the signal {kind} has nothing to act on.")
    step = execution.current()
    if kind in ("Approve", "Reject") and step and step.values.get("Approvers") and not approver(caller, step.values["Approvers"]):
        raise Refusal("AccessDeniedException", f"{caller} is not an approver of the step {step.name}.")
    execution.signals.append({"type": kind, "by": caller, "payload": payload})
    if execution.script:
        if kind == "Reject":
            execution.script = ["Rejected"]
        execution.status = "InProgress"
        execution.advance() if kind == "Reject" else None
    LOCK.notify_all()
    return {}


def approver(caller, approvers):
    """The caller itself, or the role that its session is of. Root stands for a whole test account."""
    role = caller.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rpartition("/")[0]
    return caller.endswith(":root") or any(name in (caller, role, caller.rpartition("/")[2]) for name in approvers)


def describe_document(memory, library, place, caller, given):
    document, version = library.find(place.account, given["Name"], given.get("DocumentVersion"),
                                     "InvalidDocument", "InvalidDocumentVersion")
    latest = library.find(place.account, given["Name"], None, "InvalidDocument", "InvalidDocumentVersion")[1]
    return {"Document": {
        "Name": document.name, "Owner": "Amazon" if document.amazon else place.account, "DocumentVersion": version,
        "LatestVersion": latest, "DefaultVersion": latest, "Hash": document.hash, "HashType": "Sha256", "Status": "Active",
        "CreatedDate": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), "DocumentType": "Automation",
        "Description": document.body.get("description"), "SchemaVersion": document.body.get("schemaVersion"),
        "DocumentFormat": "YAML", "PlatformTypes": ["Windows", "Linux", "MacOS"], "Tags": [], "Parameters": [
            {"Name": name, "Type": rule.get("type", "String"), "Description": rule.get("description"),
             "DefaultValue": default(rule["default"]) if "default" in rule else None}
            for name, rule in document.parameters.items()]}}


def default(value):
    return value if isinstance(value, str) else json.dumps(value)


def get_document(memory, library, place, caller, given):
    document, version = library.find(place.account, given["Name"], given.get("DocumentVersion"),
                                     "InvalidDocument", "InvalidDocumentVersion")
    form = given.get("DocumentFormat", "JSON")
    content = json.dumps(document.body) if form == "JSON" else document.content if not document.amazon \
        else yaml.safe_dump(document.body, sort_keys=False)
    return {"Name": document.name, "DocumentVersion": version, "Status": "Active", "Content": content,
            "DocumentType": "Automation", "DocumentFormat": form, "AttachmentsContent": []}


def get_calendar_state(memory, library, place, caller, given):
    states, changes = [], []
    for name in given["CalendarNames"]:
        short = name.rsplit("/", 1)[-1]
        calendar = memory.accounts[place.account].calendars.get((place.region, short))
        if calendar is None:
            raise Refusal("InvalidDocument", f"The calendar {name} does not exist.")
        if "error" in calendar:
            raise Refusal(calendar["error"], calendar.get("message", f"The calendar {name} cannot be read."))
        states.append(calendar["state"])
        changes += [calendar["next"]] if calendar.get("next") else []
    return {"State": "OPEN" if set(states) == {"OPEN"} else "CLOSED", "NextTransitionTime": min(changes, default=None),
            "AtTime": given.get("AtTime") or now().strftime("%Y-%m-%dT%H:%M:%SZ")}


def in_moto(service_operation):
    """Parameter Store is moto's."""
    def operation(memory, library, place, caller, given):
        try:
            return aws.call(place.account, place.region, "ssm", service_operation, given)
        except ClientError as refused:
            raise Refusal(refused.response["Error"]["Code"], refused.response["Error"]["Message"]) from None
    return operation


OPERATIONS = {
    "StartAutomationExecution": start_automation_execution,
    "GetAutomationExecution": get_automation_execution,
    "DescribeAutomationExecutions": describe_automation_executions,
    "DescribeAutomationStepExecutions": describe_automation_step_executions,
    "StopAutomationExecution": stop_automation_execution,
    "SendAutomationSignal": send_automation_signal,
    "DescribeDocument": describe_document,
    "GetDocument": get_document,
    "GetCalendarState": get_calendar_state,
} | {name: in_moto(name) for name in ("GetParameter", "GetParameters", "GetParametersByPath", "PutParameter")}
