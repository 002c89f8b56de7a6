"""STS in the query protocol: AssumeRole and GetCallerIdentity. The access keys it gives say the account of their role."""
import datetime, html, re, secrets, urllib.parse

from protocol import Refusal, request_id
from state import LOCK, now

ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/((?:[\w+=,.@-]+/)*)([\w+=,.@-]{1,64})")
NAME = re.compile(r"[\w+=,.@-]{2,64}")


def account_of(memory, key, token):
    """The account and ARN of whoever holds an access key."""
    if re.fullmatch(r"\d{12}", key):
        return key, f"arn:aws:iam::{key}:root"
    with LOCK:
        if key in memory.keys:
            account = memory.keys[key]
            return account, f"arn:aws:sts::{account}:assumed-role/known/session"
        session = memory.sessions.get(key)
    if not session or session["token"] != token:
        raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.", 400)
    if session["expires"] <= now():
        raise Refusal("ExpiredTokenException", "The security token included in the request is expired", 400)
    return session["account"], session["arn"]


def answer(memory, key, region, token, body):
    form = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode(), keep_blank_values=True).items()}
    action = form.get("Action", "")
    try:
        account, caller = account_of(memory, key, token)
        if action == "GetCallerIdentity":
            return result(action, {"UserId": key, "Account": account, "Arn": caller})
        if action == "AssumeRole":
            return result(action, assume(memory, caller, form))
        raise Refusal("InvalidAction", f"tests/ssm does not play the action {action}.", 400)
    except Refusal as refusal:
        status = 403 if refusal.code in ("AccessDenied", "ExpiredTokenException", "UnrecognizedClientException") else 400
        code = {"ExpiredTokenException": "ExpiredToken", "UnrecognizedClientException": "InvalidClientTokenId"}.get(
            refusal.code, refusal.code)
        return status, (f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}'
                        f"</Code><Message>{html.escape(refusal.message)}</Message></Error><RequestId>{request_id()}</RequestId>"
                        "</ErrorResponse>").encode()


def assume(memory, caller, form):
    arn, name = form.get("RoleArn", ""), form.get("RoleSessionName", "")
    match = ROLE.fullmatch(arn)
    if not match or not NAME.fullmatch(name):
        raise Refusal("ValidationError", f"1 validation error detected: RoleArn {arn!r} or RoleSessionName {name!r} is malformed.")
    length = int(form.get("DurationSeconds", "3600"))
    if not 900 <= length <= 43200:
        raise Refusal("ValidationError", f"DurationSeconds must be from 900 to 43200, not {length}.")
    partition, account, _, role = match.groups()
    with LOCK:
        allowed = memory.roles.get(arn)
        trusted = allowed is not None and not allowed.get("deny") and allowed.get("external_id") == form.get("ExternalId")
        memory.calls.append({
            "account": account, "region": None, "operation": "AssumeRole", "input": form, "at": now().timestamp(), "caller": caller,
            "execution": None, "began": False, "error": None if trusted else "AccessDenied"})
        if not trusted:
            raise Refusal("AccessDenied", f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}")
        # Keys of AWS say their account too, though not to the eye.
        key = f"ASIA{account}{len(memory.sessions):04X}"
        session = {"account": account, "token": secrets.token_hex(64), "arn": f"arn:{partition}:sts::{account}:assumed-role/{role}/{name}",
                   "expires": now() + datetime.timedelta(seconds=allowed.get("seconds", length))}
        memory.sessions[key] = session
    return {
        "Credentials": {"AccessKeyId": key, "SecretAccessKey": secrets.token_hex(20), "SessionToken": session["token"],
                        "Expiration": session["expires"].strftime("%Y-%m-%dT%H:%M:%SZ")},
        "AssumedRoleUser": {"AssumedRoleId": f"AROA{account}:{name}", "Arn": session["arn"]}}


def result(action, value):
    def xml(item):
        if isinstance(item, dict):
            return "".join(f"<{name}>{xml(inner)}</{name}>" for name, inner in item.items())
        return html.escape(item)

    return 200, (f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>{xml(value)}</{action}Result>'
                 f"<ResponseMetadata><RequestId>{request_id()}</RequestId></ResponseMetadata></{action}Response>").encode()
