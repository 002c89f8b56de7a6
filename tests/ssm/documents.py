"""SSM documents: our own, read from their files, and AWS's, known by name and parameters; and whether parameters suit them."""
import hashlib, json, pathlib, re

import yaml

try:
    import tomllib
except ImportError:
    import tomli as tomllib

from protocol import Refusal

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OWN, CATALOGUE = ROOT / "infra" / "runbooks", ROOT / "router" / "runbooks"
ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]{1,512}")


class Loader(yaml.SafeLoader):
    """YAML as SSM reads it: a date is a string, and a key stands once."""

    def construct_mapping(self, node, deep=False):
        names = [self.construct_object(key) for key, _ in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the key {twice!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


class Document:
    def __init__(self, name, body, content=None, amazon=False):
        self.name, self.body, self.amazon = name, body, amazon
        self.content = content or json.dumps(body, indent=2)
        self.parameters = body.get("parameters") or {}
        self.hash = hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def steps(self):
        return self.body.get("mainSteps") or []

    @classmethod
    def read(cls, content, name):
        body = yaml.load(content, Loader)
        if not isinstance(body, dict) or not isinstance(body.get("mainSteps"), list):
            raise ValueError(f"{name}: not an Automation document: it has no list `mainSteps`")
        return cls(name, body, content)

    def resolved(self, given, account, roles=None):
        """The value of each parameter, typed; refused in AWS's words where it does not suit the document."""
        unknown = sorted(set(given) - set(self.parameters))
        if unknown:
            invalid(f"Parameters [{', '.join(unknown)}] are not defined in the document {self.name}.")
        values = {}
        for name, rule in self.parameters.items():
            if name in given:
                values[name] = typed(name, rule, given[name])
            elif "default" in rule:
                values[name] = rule["default"]
            else:
                invalid(f"Missing required parameter: {name} in user inputs.")
        role = values.get("AutomationAssumeRole")
        if role:
            match = ROLE.fullmatch(role)
            if not match:
                invalid("The format of the supplied assume role ARN isn't valid.")
            if match[1] != account or (roles is not None and role not in roles):
                invalid("The defined assume role is unable to be assumed.")
        return values


def invalid(message):
    raise Refusal("InvalidAutomationExecutionParametersException", message)


def typed(name, rule, items):
    kind, allowed, pattern = rule.get("type", "String"), rule.get("allowedValues"), rule.get("allowedPattern")
    many = kind in ("StringList", "MapList") or kind.startswith("List<")
    if not many and len(items) != 1:
        invalid(f'Parameter "{name}" has {len(items)} values; type {kind} takes one.')
    values = [one(name, kind, item) for item in items]
    for item, value in zip(items, values):
        if allowed and item not in map(text, allowed):
            invalid(f'Parameter "{name}" has value "{item}" not found in [{", ".join(map(text, allowed))}].')
        if pattern and not suits(pattern, item):
            invalid(f'Parameter "{name}" has value "{item}" not matching pattern {pattern}.')
    return values if many else values[0]


def one(name, kind, item):
    if kind == "Boolean":
        if item.lower() not in ("true", "false"):
            invalid(f'Parameter "{name}" has value "{item}" that is not of type Boolean.')
        return item.lower() == "true"
    if kind == "Integer":
        if not re.fullmatch(r"-?\d{1,18}", item):
            invalid(f'Parameter "{name}" has value "{item}" that is not of type Integer.')
        return int(item)
    if kind in ("StringMap", "MapList"):
        try:
            value = json.loads(item)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            invalid(f'Parameter "{name}" has value "{item}" that is not of type {kind}.')
        return value
    return item


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def suits(pattern, item):
    anchored = pattern.startswith("^") and pattern.endswith("$")
    return re.fullmatch(pattern, item) if anchored else re.search(pattern, item)


def own(folder=OWN):
    """Our own documents, by name."""
    return {path.stem: Document.read(path.read_text(), path.stem) for path in sorted(pathlib.Path(folder).glob("*.yaml"))}


def amazons(folder=CATALOGUE):
    """AWS's documents, by name, as far as the router knows them. Their steps are nobody's business here."""
    return {name: amazon(name, table) for path in sorted(pathlib.Path(folder).glob("*.toml"))
            for name, table in tomllib.loads(path.read_text()).items()}


def amazon(name, table):
    rules = {"AutomationAssumeRole": {"type": "String", "required": table.get("assume-role") == "required"}} | table.get("parameters", {})
    parameters = {}
    for key, rule in rules.items():
        parameters[key] = {"type": rule.get("type", "String"), "description": rule.get("description")}
        if not rule.get("required"):
            parameters[key]["default"] = rule.get("default", "")
        if rule.get("values"):
            parameters[key]["allowedValues"] = rule["values"]
        if rule.get("pattern"):
            parameters[key]["allowedPattern"] = rule["pattern"]
    body = {"schemaVersion": "0.3", "description": table.get("does"), "parameters": parameters, "mainSteps": []}
    return Document(name, body, amazon=True)


class Library:
    """What documents there are, everywhere or in one account and Region. The last version of each is the default."""

    def __init__(self, own_folder=OWN, catalogue=CATALOGUE):
        self.common = {**amazons(catalogue), **own(own_folder)}
        self.local, self.absent = {}, set()

    def publish(self, account, name, content):
        self.absent.discard((account, name))
        versions = self.local.setdefault((account, name), [self.common[name]] if name in self.common else [])
        versions.append(Document.read(content, name))

    def remove(self, account, name):
        self.absent.add((account, name))

    def reset(self, account):
        self.local = {key: versions for key, versions in self.local.items() if key[0] != account}
        self.absent = {key for key in self.absent if key[0] != account}

    def find(self, account, name, version, missing, missing_version):
        """The document and its version number. A name may be an ARN."""
        short = name.rsplit("/", 1)[-1].split(":")[0] if name.startswith("arn:") else name
        versions = self.local.get((account, short)) or ([self.common[short]] if short in self.common else [])
        if not versions or (account, short) in self.absent:
            raise Refusal(missing, f"Automation Definition Not Found: {name}" if missing.startswith("Auto")
                          else f"Document with name {name} does not exist.")
        if version in (None, "$DEFAULT", "$LATEST"):
            return versions[-1], str(len(versions))
        if not version.isdigit() or not 1 <= int(version) <= len(versions):
            raise Refusal(missing_version, f"Document {name} has no version {version}.")
        return versions[int(version) - 1], version
