"""The actions of Automation steps. Each takes (run, step, inputs) and gives what the step's Selectors look into."""
import builtins, io, json, sys, time, traceback, types

import botocore.exceptions

import aws, gaps
from state import LOCK
from values import resolve, select, text

# Seconds of a document's timeout, in seconds here: 10 minutes are 0.6 s.
SCALE = 0.001
POLL = 0.01
PAYLOAD = 100 * 1024


class Cancelled(Exception):
    pass


class Failed(Exception):
    rejected = False

    def __init__(self, message, stage="Invocation", kind="Action", **details):
        super().__init__(message)
        self.stage, self.kind, self.details = stage, kind, {name: [str(value)] for name, value in details.items() if str(value)}


class TimedOut(Failed):
    pass


class Rejected(Failed):
    rejected = True


def call(run, inputs):
    given = dict(inputs)
    service, api = given.pop("Service"), given.pop("Api")
    for name in ("PropertySelector", "DesiredValues"):
        given.pop(name, None)
    try:
        return aws.call(run.place.account, run.place.region, service.lower(), api, given)
    except botocore.exceptions.ClientError as refused:
        code = refused.response["Error"]["Code"]
        kind = "Permission" if "Denied" in code or "Unauthorized" in code else "Throttling" if "Throttl" in code else "Action"
        raise Failed(f"Step fails when it is Execute/Cancelling action. {refused}", "Invocation", kind, ErrorCode=code) from None
    except (botocore.exceptions.BotoCoreError, NotImplementedError, ValueError) as wrong:
        raise Failed(f"Step fails when it is Execute/Cancelling action. {wrong}", "InputValidation") from None


def execute_aws_api(run, step, inputs):
    return json.loads(json.dumps(call(run, inputs), default=plain))


def plain(value):
    if hasattr(value, "read"):
        value = value.read()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def assert_property(run, step, inputs):
    found = select(inputs["PropertySelector"], execute_aws_api(run, step, inputs))
    if not desired(found, inputs):
        raise Failed(f"Step fails when it is verifying the property. {inputs['PropertySelector']} is {text(found)}, "
                     f"not one of {text(inputs['DesiredValues'])}.", "PostVerification", "Verification")
    return {}


def desired(found, inputs):
    found = found if isinstance(found, list) else [found]
    wanted = [text(value).lower() for value in inputs["DesiredValues"]]
    return bool(found) and all(text(value).lower() in wanted for value in found)


def wait_for_property(run, step, inputs):
    end = time.monotonic() + max(5 * POLL, step.body.get("timeoutSeconds", 3600) * SCALE)
    while not desired(select(inputs["PropertySelector"], execute_aws_api(run, step, inputs)), inputs):
        if time.monotonic() > end:
            raise TimedOut("Step timed out while step is verifying the property.", "PostVerification", "Verification")
        pause(run, POLL)
    return {}


def pause(run, seconds):
    with LOCK:
        LOCK.wait_for(lambda: run.execution.stop == "Cancel", seconds)
        if run.execution.stop == "Cancel":
            raise Cancelled


def sleep(run, step, inputs):
    if not {"Duration", "Timestamp"} & set(inputs):
        raise Failed("aws:sleep takes Duration or Timestamp.", "InputValidation")
    pause(run, 0)
    return {}


class Standing:
    """A module as a script sees it, with some of its names replaced."""

    def __init__(self, module, **names):
        self.__dict__.update(vars(module), **names)


def execute_script(run, step, inputs):
    runtime, handler = inputs.get("Runtime", ""), inputs.get("Handler", "")
    if not runtime.startswith("python"):
        raise Failed(f"tests/ssm runs Python, not {runtime}.", "InputValidation")
    payload = json.dumps(inputs.get("InputPayload", {}), default=str)
    if len(payload) > PAYLOAD:
        raise Failed(f"The payload has {len(payload)} bytes; at most {PAYLOAD} are allowed.", "InputValidation")
    # One object for the whole script, so that it may import boto3 within its functions.
    stand_ins = {"boto3": aws.module(run.place.account, run.place.region), "time": Standing(time, sleep=lambda seconds: None)}
    printed = io.StringIO()

    def importing(name, globals=None, locals=None, fromlist=(), level=0):
        return stand_ins.get(name) or builtins.__import__(name, globals, locals, fromlist, level)

    def printing(*values, **more):
        print(*values, **{**more, "file": printed})

    names = {"__name__": "customer_script", "__builtins__": {**vars(builtins), "__import__": importing, "print": printing}}
    # As written, line by line: a script sees its own variables, not the document's.
    try:
        exec(compile(inputs["Script"], "customer_script.py", "exec"), names)
        if handler not in names:
            raise NameError(f"the script has no function {handler!r}")
        result = names[handler](json.loads(payload), types.SimpleNamespace(get=lambda *_: None))
        out = json.dumps(result)
    except Exception as wrong:
        lines = "".join(traceback.format_list([frame for frame in traceback.extract_tb(sys.exc_info()[2])
                                               if frame.filename == "customer_script.py"]))
        raise Failed("Step fails when it is Poll action status for completion. Traceback (most recent call last):\n"
                     f"{lines}\n{type(wrong).__name__} - {wrong}.", details=wrong) from None
    if len(out) > PAYLOAD:
        raise Failed(f"The output has {len(out)} bytes; at most {PAYLOAD} are allowed.", "PostVerification")
    return {"Payload": json.loads(out), "ExecutionLog": printed.getvalue()}


def branch(run, step, inputs):
    for choice in inputs["Choices"]:
        if holds(run, choice):
            step.next = choice["NextStep"]
            return {}
    step.next = inputs.get("Default")
    if not step.next and not step.body.get("isEnd") and not step.body.get("nextStep"):
        raise Failed("No choice of the branch holds, and it has no Default.")
    return {}


def holds(run, choice):
    for word, combine in (("And", all), ("Or", any)):
        if word in choice:
            return combine(holds(run, inner) for inner in choice[word])
    if "Not" in choice:
        return not holds(run, choice["Not"])
    value = resolve(choice["Variable"], run.look_up)
    operators = [name for name in choice if name in OPERATORS]
    if len(operators) != 1:
        raise Failed(f"A choice has one operator of {', '.join(OPERATORS)}; this one has {sorted(choice)}.", "InputValidation")
    try:
        return OPERATORS[operators[0]](value, resolve(choice[operators[0]], run.look_up))
    except (TypeError, ValueError, AttributeError):
        raise Failed(f"{operators[0]} cannot judge {text(value)}.", "InputValidation") from None


OPERATORS = {
    "StringEquals": lambda value, wanted: text(value) == wanted,
    "EqualsIgnoreCase": lambda value, wanted: text(value).lower() == wanted.lower(),
    "StartsWith": lambda value, wanted: text(value).startswith(wanted),
    "EndsWith": lambda value, wanted: text(value).endswith(wanted),
    "Contains": lambda value, wanted: wanted in value,
    "BooleanEquals": lambda value, wanted: text(value).lower() == text(wanted).lower(),
    "NumericEquals": lambda value, wanted: float(value) == float(wanted),
    "NumericGreater": lambda value, wanted: float(value) > float(wanted),
    "NumericLesser": lambda value, wanted: float(value) < float(wanted),
    "NumericGreaterOrEquals": lambda value, wanted: float(value) >= float(wanted),
    "NumericLesserOrEquals": lambda value, wanted: float(value) <= float(wanted),
}


def approve(run, step, inputs):
    needed = int(inputs.get("MinRequiredApprovals", 1))
    decisions = wait_for_signals(run, "PendingApproval", lambda signals: (
        any(signal["type"] == "Reject" for signal in signals)
        or len({signal["by"] for signal in signals if signal["type"] == "Approve"}) >= needed))
    rejected = [signal for signal in decisions if signal["type"] == "Reject"]
    if rejected:
        raise Rejected(f"The step was rejected by {rejected[0]['by']}.")
    return {"ApprovalStatus": "Approved", "ApproverDecisions": [
        {"approver": signal["by"], "decision": "Approve", "comment": signal["payload"].get("Comment", [""])[0]} for signal in decisions]}


def paused(run, step, inputs):
    wait_for_signals(run, "Waiting", bool)
    return {}


def wait_for_signals(run, status, enough):
    execution = run.execution
    with LOCK:
        first = len(execution.signals)
        execution.become(status)
        LOCK.wait_for(lambda: execution.stop == "Cancel" or enough(execution.signals[first:]))
        if execution.stop == "Cancel":
            raise Cancelled
        execution.become("InProgress")
        return execution.signals[first:]


def run_command(run, step, inputs):
    with LOCK:
        waiting = run.settings.commands
        entry = next((one for one in waiting if one.get("document") in (None, inputs["DocumentName"])), {})
        if entry:
            waiting.remove(entry)
    result = {"CommandId": step.id, "Status": entry.get("status", "Success"), "ResponseCode": entry.get("response_code", 0),
              "Output": entry.get("output", "")}
    if inputs["DocumentName"] == "AWS-RunPatchBaseline":
        given = {name: value[0] if isinstance(value, list) else value for name, value in inputs.get("Parameters", {}).items()}
        gaps.patched(run.place.account, run.place.region, inputs.get("InstanceIds", []), given["Operation"],
                     given.get("RebootOption", "RebootIfNeeded"), result["Status"])
    if result["Status"] != "Success":
        raise (TimedOut if result["Status"] == "TimedOut" else Failed)(
            f"Step fails when it is Poll action status for completion. Command {step.id} returns {result['Status']}.",
            Output=result["Output"])
    return result


ACTIONS = {
    "aws:executeAwsApi": execute_aws_api, "aws:assertAwsResourceProperty": assert_property,
    "aws:waitForAwsResourceProperty": wait_for_property, "aws:sleep": sleep, "aws:executeScript": execute_script,
    "aws:branch": branch, "aws:approve": approve, "aws:pause": paused, "aws:runCommand": run_command,
}


def extra(step, result):
    """Outputs that a step has without naming them."""
    if step.action == "aws:executeScript":
        return {"OutputPayload": {"Payload": result["Payload"]}}
    return dict(result) if step.action in ("aws:runCommand", "aws:approve") else {}
