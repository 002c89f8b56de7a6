"""The IAM policy beside a document: its actions, and whether they are those that the document's steps need."""
import fnmatch, json, re

ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z*?]+")


def actions(policy):
    """What the policy allows, action by action."""
    return [action for statement in many(policy["Statement"]) for action in many(statement.get("Action", []))
            if statement["Effect"] == "Allow"]


def many(value):
    return value if isinstance(value, list) else [value]


def allows(pattern, action):
    return fnmatch.fnmatchcase(action.lower(), pattern.lower())


def faults(text):
    """What is wrong with the policy in itself, as (place, what and remedy)."""
    try:
        policy = json.loads(text)
    except ValueError as wrong:
        return [("", f"is not JSON: {wrong}")]
    found = []
    if policy.get("Version") != "2012-10-17":
        found.append(("Version", "is not 2012-10-17; write that"))
    for index, statement in enumerate(many(policy.get("Statement", []))):
        place = f"Statement[{index}]"
        if statement.get("Effect") not in ("Allow", "Deny"):
            found.append((f"{place}.Effect", "is neither Allow nor Deny"))
        for key in "NotAction", "NotResource", "Principal":
            if key in statement:
                found.append((f"{place}.{key}", "allows what nobody listed; name the actions and resources"))
        if "Resource" not in statement or not statement.get("Action"):
            found.append((place, "lacks Action or Resource; add it"))
        for action in many(statement.get("Action", [])):
            if not ACTION.fullmatch(action):
                found.append((f"{place}.Action", f"{action!r} is not service:Action"))
            elif statement.get("Effect") == "Allow" and "*" in action:
                found.append((f"{place}.Action", f"{action!r} is wider than a document needs; name its actions"))
    return found


def mismatches(text, needed, unused):
    """Where the policy and the actions that scenarios needed differ; `unused` names what no scenario can reach, and why."""
    allowed = actions(json.loads(text))
    for action in sorted(needed):
        if not any(allows(pattern, action) for pattern in allowed):
            yield f"the steps call {action}, which the policy does not allow; add it, or do without the call"
    for pattern in sorted(set(allowed)):
        used = any(allows(pattern, action) for action in needed)
        if not used and not unused.get(pattern):
            yield f"the policy allows {pattern}, which no scenario used; remove it, or give the reason under `unused:` of a scenario"
        if used and pattern in unused:
            yield f"{pattern} stands under `unused:` and is used; remove it there"
