"""AWS JSON 1.1 of `ssm`, by botocore's model: what a request may hold, what an answer and an error look like."""
import datetime, json, re, uuid

import botocore.session
from botocore.validate import ParamValidator

MODEL = botocore.session.Session().get_service_model("ssm")
TARGET = "AmazonSSM."
# Every operation may answer these, though the model does not name them.
COMMON = {
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignature", "InternalFailure", "InvalidSignatureException",
    "MissingAuthenticationTokenException", "SerializationException", "ServiceUnavailable", "ThrottlingException",
    "UnknownOperationException", "UnrecognizedClientException", "ValidationException",
}
SERVER_FAULTS = {"InternalServerError": 500, "InternalFailure": 500, "ServiceUnavailable": 503}


class Refusal(Exception):
    """An error as AWS answers it."""

    def __init__(self, code, message="", status=None):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status or SERVER_FAULTS.get(code, 400)


def declared(operation):
    """The errors that `operation` may answer."""
    return {shape.error_code for shape in MODEL.operation_model(operation).error_shapes} | COMMON


def read(operation, body):
    """The input of a request, or the refusal that AWS would answer."""
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        raise Refusal("SerializationException", "Unexpected content: the body is not JSON") from None
    if not isinstance(value, dict):
        raise Refusal("SerializationException", "Unexpected content: the body is not a JSON object")
    value = without_nulls(value)
    shape = MODEL.operation_model(operation).input_shape
    wrong = list(faults(shape, value, ""))
    if wrong:
        count = "1 validation error" if len(wrong) == 1 else f"{len(wrong)} validation errors"
        raise Refusal("ValidationException", f"{count} detected: " + "; ".join(wrong))
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        raise Refusal("SerializationException", report.generate_report())
    return value


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def faults(shape, value, place):
    """What the model forbids and ParamValidator lets pass: enum, pattern, length; and what is missing, in AWS's words."""
    def fault(constraint):
        shown = "null" if value is None else value if isinstance(value, str) else json.dumps(value)
        return f"Value '{shown}' at '{place}' failed to satisfy constraint: Member must {constraint}"

    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            inside = f"{place}.{low(name)}" if place else low(name)
            if name in value:
                yield from faults(member, value[name], inside)
            elif name in shape.required_members:
                yield f"Value null at '{inside}' failed to satisfy constraint: Member must not be null"
    elif shape.type_name == "list" and isinstance(value, list):
        yield from sized(shape, len(value), fault)
        for index, item in enumerate(value):
            yield from faults(shape.member, item, f"{place}.{index + 1}.member")
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from sized(shape, len(value), fault)
        for name, item in value.items():
            yield from faults(shape.key, name, f"{place}.key")
            yield from faults(shape.value, item, f"{place}.{name}.member")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from sized(shape, len(value), fault)
        if shape.enum and value not in shape.enum:
            yield fault(f"satisfy enum value set: [{', '.join(shape.enum)}]")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(in_python(pattern), value):
            yield fault(f"satisfy regular expression pattern: {pattern}")
    elif shape.type_name in ("integer", "long") and isinstance(value, int):
        yield from sized(shape, value, fault, "have value")


def in_python(pattern):
    """The model's patterns are Java's."""
    for java, python in (r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", " \u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"):
        pattern = pattern.replace(java, python)
    return pattern


def sized(shape, size, fault, have="have length"):
    if size < shape.metadata.get("min", size):
        yield fault(f"{have} greater than or equal to {shape.metadata['min']}")
    if size > shape.metadata.get("max", size):
        yield fault(f"{have} less than or equal to {shape.metadata['max']}")


def low(name):
    return name[0].lower() + name[1:]


def answer(operation, value):
    """The body of an answer; a value that the model does not allow is a fault of this server."""
    shape = MODEL.operation_model(operation).output_shape
    value = without_nulls(value)
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        raise RuntimeError(f"this server made an answer to {operation} that AWS could not give: {report.generate_report()}")
    return json.dumps(value, default=seconds).encode()


def seconds(value):
    if isinstance(value, datetime.datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"{value!r} has no JSON form")


def error(operation, refusal):
    """The status and body of an error; only what the operation declares can be said."""
    if operation in MODEL.operation_names and refusal.code not in declared(operation):
        raise RuntimeError(f"{operation} does not declare the error {refusal.code}: {refusal.message}")
    field = "message"
    if refusal.code in MODEL.shape_names and "Message" in MODEL.shape_for(refusal.code).members:
        field = "Message"
    return refusal.status, json.dumps({"__type": refusal.code, field: refusal.message}).encode()


def request_id():
    return str(uuid.uuid4())


def loose(body):
    """What a request says, for the list of calls, also where it is not what it should be."""
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return None
