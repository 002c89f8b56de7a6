"""`{{ }}` variables of documents, JSONPath selectors of outputs, and the strings that SSM makes of values."""
import json, re

VARIABLE = re.compile(r"\{\{\s*([\w.:/@-]+)\s*\}\}")


class Unresolved(Exception):
    """A variable that stands for nothing."""


def references(value):
    """Each name that stands in `{{ }}` anywhere in the value."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from references(name)
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, str):
        yield from VARIABLE.findall(value)


def resolve(value, look_up):
    """The value with its variables in place. A string that is one variable takes its type; within text it becomes text."""
    if isinstance(value, dict):
        return {resolve(name, look_up): resolve(item, look_up) for name, item in value.items()}
    if isinstance(value, list):
        # A list as an item of a list is spread, as SSM does with a StringList.
        items = []
        for item in value:
            found = resolve(item, look_up)
            spread = isinstance(item, str) and VARIABLE.fullmatch(item.strip()) and isinstance(found, list)
            items += found if spread else [found]
        return items
    if not isinstance(value, str):
        return value
    whole = VARIABLE.fullmatch(value.strip())
    return look_up(whole[1]) if whole else VARIABLE.sub(lambda match: text(look_up(match[1])), value)


def text(value):
    return value if isinstance(value, str) else json.dumps(value, default=str)


def shown(value):
    """The list of strings that an output or parameter is in SSM's answers."""
    return [text(item) for item in value] if isinstance(value, list) else [text(value)]


def given_out(value):
    """The same of a value that may be empty: by the model, no item of an answer is the empty string."""
    return [] if value == "" else shown(value)


KINDS = {"String": str, "StringList": list, "Boolean": bool, "Integer": int, "StringMap": dict, "MapList": list}


def typed(value, kind):
    """The value if it is of the declared type. A scalar may become a string; nothing else is bent."""
    if kind == "String" and isinstance(value, (int, float)):
        return text(value)
    if kind not in KINDS:
        raise ValueError(f"{kind} is no type of an output")
    right = isinstance(value, KINDS[kind]) and not (kind == "Integer" and isinstance(value, bool))
    inner = {"StringList": str, "MapList": dict}.get(kind)
    if not right or inner and not all(isinstance(item, inner) for item in value):
        raise ValueError(f"is not of type {kind}: {text(value)[:200]}")
    return value


TOKEN = re.compile(r"""\.\.(?P<deep>[\w-]+|\*) | \.(?P<name>[\w:-]+|\*) | \[\s*(?:(?P<index>-?\d+) | (?P<from>-?\d*):(?P<to>-?\d*) |
    (?P<any>\*) | '(?P<quoted>[^']*)' | "(?P<double>[^"]*)" | \?\(\s*@\.(?P<key>[\w.-]+)\s*(?P<is>==|!=)\s*
    (?:'(?P<text>[^']*)' | (?P<literal>true|false|-?\d+))\s*\))\s*\]""", re.VERBOSE)


def select(path, value):
    """What a JSONPath finds: the value, or for a path that may find several, their list; None where a plain path ends early."""
    if not path.startswith("$"):
        raise ValueError(f"the selector {path!r} does not begin with $")
    found, several, at = [value], False, 1
    while at < len(path):
        match = TOKEN.match(path, at)
        if not match:
            raise ValueError(f"the selector {path!r} has something at {path[at:]!r} that tests/ssm does not read")
        part, at = match.groupdict(), match.end()
        several |= bool(part["deep"] or part["any"] or part["name"] == "*" or part["key"] or part["from"] is not None)
        found = [inner for item in found for inner in follow(part, item)]
    return found if several else found[0] if found else None


def follow(part, item):
    name = part["name"] or part["quoted"] or part["double"]
    if part["deep"]:
        return list(descend(item, part["deep"]))
    if part["any"] or name == "*":
        return list(item.values()) if isinstance(item, dict) else item if isinstance(item, list) else []
    if name:
        return [item[name]] if isinstance(item, dict) and name in item else []
    if not isinstance(item, list):
        return []
    if part["index"]:
        index = int(part["index"])
        return [item[index]] if -len(item) <= index < len(item) else []
    if part["key"]:
        wanted = part["text"] if part["text"] is not None else json.loads(part["literal"])
        return [one for one in item if (select("$." + part["key"], one) == wanted) == (part["is"] == "==")]
    return item[int(part["from"]) if part["from"] else None:int(part["to"]) if part["to"] else None]


def descend(item, name):
    inside = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    if isinstance(item, dict) and name in item:
        yield item[name]
    for one in inside:
        if name == "*":
            yield one
        yield from descend(one, name)
