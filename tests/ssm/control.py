"""What tests ask of the server itself: POST /_test/NAME with a JSON object. No such path is AWS's."""
import base64, datetime, json, time

import botocore.exceptions

import aws, protocol
from state import LOCK, TERMINAL


class Wrong(Exception):
    """A request that a test did not mean."""


def answer(world, path, body):
    name = path.removeprefix("/_test/")
    try:
        if name not in CALLS:
            raise Wrong(f"there is no /_test/{name}; there are {', '.join(CALLS)}")
        try:
            given = json.loads(body or b"{}")
        except ValueError:
            raise Wrong("the body is not JSON") from None
        takes, call = CALLS[name]
        unknown = set(given) - set(takes.replace("*", "").split())
        missing = {key[1:] for key in takes.split() if key.startswith("*")} - set(given)
        if unknown or missing:
            raise Wrong(f"/_test/{name} takes {takes} (* is required); unknown: {sorted(unknown)}, missing: {sorted(missing)}")
        return 200, json.dumps(call(world, **given) or {}, default=plain).encode()
    except (Wrong, ValueError, KeyError, TypeError) as wrong:
        return 400, json.dumps({"error": f"{type(wrong).__name__}: {wrong}"}).encode()


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if hasattr(value, "read"):
        value = value.read()
    return value.decode() if isinstance(value, bytes) and value.isascii() else base64.b64encode(value).decode()


def take_script(settings, region, operation):
    for entry in settings.scripts:
        if entry["operation"] == operation and entry.get("region") in (None, region):
            entry["times"] -= 1
            if not entry["times"]:
                settings.scripts.remove(entry)
            return entry
    return {}


def script(world, account, operation, region=None, times=1, **what):
    error = what.get("error")
    short = {"throttle": ("ThrottlingException", "Rate exceeded"),
             "deny": ("AccessDeniedException", f"User is not authorized to perform: ssm:{operation}"),
             "fault": ("InternalServerError", "An error occurred on the server side.")}
    if operation not in protocol.MODEL.operation_names:
        raise Wrong(f"SSM has no operation {operation}")
    if error in short:
        what["error"], what["message"] = short[error][0], what.get("message", short[error][1])
    elif error and error not in protocol.declared(operation):
        raise Wrong(f"{operation} declares {sorted(protocol.declared(operation))}, not {error}")
    if what.get("close") not in (None, "before", "after"):
        raise Wrong("close is before or after")
    with LOCK:
        world.memory.accounts[account].scripts.append({"operation": operation, "region": region, "times": times, **what})


def following(world, account, **entry):
    with LOCK:
        world.memory.accounts[account].next.append(entry)


def calls(world, account=None, region=None, operation=None):
    with LOCK:
        wanted = {"account": account, "region": region, "operation": operation}
        return {"calls": [dict(call) for call in world.memory.calls
                          if all(value in (None, call[name]) for name, value in wanted.items())]}


def executions(world, account=None, region=None):
    with LOCK:
        return {"executions": [whole(execution) for execution in world.memory.executions(account, region)]}


def whole(execution):
    return {"account": execution.place.account, "region": execution.place.region, "input": execution.inputs,
            "signals": execution.signals, "api_calls": list(execution.api_calls)} | execution.shown()


def by_id(world, execution):
    found = [one for one in world.memory.executions() if one.id == execution]
    if not found:
        raise Wrong(f"there is no execution {execution}")
    return found[0]


def wait(world, execution, until=None, timeout_ms=10_000):
    """Until an execution is in one of the statuses, without looking at it as AWS's API would."""
    with LOCK:
        found, wanted = by_id(world, execution), set(until or TERMINAL)
        if not LOCK.wait_for(lambda: found.status in wanted, timeout_ms / 1000):
            raise Wrong(f"after {timeout_ms} ms execution {execution} is still {found.status}, not one of {sorted(wanted)}")
        return whole(found)


def release(world, execution):
    with LOCK:
        by_id(world, execution).hold = None
        LOCK.notify_all()


def calendar(world, account, region, name, **entry):
    if not {"state", "error"} & set(entry) or entry.get("state", "OPEN") not in ("OPEN", "CLOSED"):
        raise Wrong("a calendar has a state, OPEN or CLOSED, or an error")
    if entry.get("error") and entry["error"] not in protocol.declared("GetCalendarState"):
        raise Wrong(f"GetCalendarState does not declare {entry['error']}")
    with LOCK:
        world.memory.accounts[account].calendars[region, name] = entry


def command(world, account, **entry):
    with LOCK:
        world.memory.accounts[account].commands.append(entry)


def key(world, key, account):
    with LOCK:
        world.memory.keys[key] = account


def role(world, arn, **entry):
    with LOCK:
        world.memory.roles[arn] = entry


def document(world, account, name, content=None, absent=False):
    with LOCK:
        if absent:
            world.library.remove(account, name)
        else:
            world.library.publish(account, name, content)


def settings(world, account, **changes):
    with LOCK:
        for name, value in changes.items():
            setattr(world.memory.accounts[account], name, value)


def call_aws(world, account, region, service, api, inputs=None):
    try:
        return {"output": aws.call(account, region, service, api, inputs or {})}
    except botocore.exceptions.ClientError as refused:
        return {"error": {"code": refused.response["Error"]["Code"], "message": refused.response["Error"]["Message"]}}
    except botocore.exceptions.BotoCoreError as wrong:
        raise Wrong(str(wrong)) from None


def reset(world, account):
    with LOCK:
        world.memory.reset(account)
        world.library.reset(account)
    aws.reset(account)


def health(world):
    return {"at": time.time(), "documents": sorted(world.library.common)}


CALLS = {
    "health": ("", health),
    "script": ("*account region *operation times error message status close delay_ms", script),
    "next": ("*account region *document times statuses hold_before", following),
    "calls": ("account region operation", calls),
    "executions": ("account region", executions),
    "wait": ("*execution until timeout_ms", wait),
    "release": ("*execution", release),
    "calendar": ("*account *region *name state next error message", calendar),
    "command": ("*account document status output response_code", command),
    "key": ("*key *account", key),
    "role": ("*arn external_id deny seconds", role),
    "document": ("*account *name content absent", document),
    "settings": ("*account quotas concurrency queue assume_roles", settings),
    "aws": ("*account *region *service *api inputs", call_aws),
    "reset": ("*account", reset),
}
