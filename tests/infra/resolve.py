"""CloudFormation templates: reads them with their short tags and their lines, and resolves the intrinsic functions for given parameters."""
import re
import yaml

NOTHING = object()


class Mapping(dict):
    """A mapping that knows the line it begins on, from 0."""
    line = None


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as CloudFormation reads it: dates are text."""
    yaml_implicit_resolvers = {first: [(tag, pattern) for tag, pattern in known if not tag.endswith(":timestamp")]
                               for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def mapping(loader, node):
    made = Mapping()
    yield made
    made.line = node.start_mark.line
    made.update(loader.construct_mapping(node, deep=True))


def short(loader, suffix, node):
    kind = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: lambda n: loader.construct_sequence(n, deep=True),
            yaml.MappingNode: lambda n: loader.construct_mapping(n, deep=True)}[type(node)]
    value = kind(node)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    made = Mapping({suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix: value})
    made.line = node.start_mark.line
    return made


Loader.add_constructor("tag:yaml.org,2002:map", mapping)
Loader.add_multi_constructor("!", short)


def parse(text):
    return yaml.load(text, Loader)


# What a resource is called by Ref, and by GetAtt Arn; `{}` are its properties, and `$` is what stands before an account's own names.
IDENTIFIERS = {
    "AWS::CloudWatch::Alarm": ("{AlarmName}", "$cloudwatch:{region}:{account}:alarm:{AlarmName}"),
    "AWS::CloudWatch::Dashboard": ("{DashboardName}", None),
    "AWS::DynamoDB::Table": ("{TableName}", "$dynamodb:{region}:{account}:table/{TableName}"),
    "AWS::EC2::SecurityGroup": ("sg-0123456789abcdef0", None),
    "AWS::ECS::Cluster": ("{ClusterName}", "$ecs:{region}:{account}:cluster/{ClusterName}"),
    "AWS::ECS::Service": ("$ecs:{region}:{account}:service/{ServiceName}", None),
    "AWS::ECS::TaskDefinition": ("$ecs:{region}:{account}:task-definition/{Family}:1", None),
    "AWS::Events::EventBus": ("{Name}", "$events:{region}:{account}:event-bus/{Name}"),
    "AWS::Events::Rule": ("{Name}", "$events:{region}:{account}:rule/{EventBusName}{Name}"),
    "AWS::IAM::ManagedPolicy": ("$iam::{account}:policy/{ManagedPolicyName}", None),
    "AWS::IAM::Role": ("{RoleName}", "$iam::{account}:role/{RoleName}"),
    "AWS::KMS::Key": ("0a1b2c3d-1111-2222-3333-444455556666", "$kms:{region}:{account}:key/0a1b2c3d-1111-2222-3333-444455556666"),
    "AWS::Lambda::Function": ("{FunctionName}", "$lambda:{region}:{account}:function:{FunctionName}"),
    "AWS::Lambda::Url": ("$lambda:{region}:{account}:function:url", None),
    "AWS::Logs::LogGroup": ("{LogGroupName}", "$logs:{region}:{account}:log-group:{LogGroupName}:*"),
    "AWS::SNS::Topic": ("$sns:{region}:{account}:{TopicName}", None),
    "AWS::SQS::Queue": ("https://sqs.{region}.{suffix}/{account}/{QueueName}", "$sqs:{region}:{account}:{QueueName}"),
    "AWS::SSM::Document": ("{Name}", None),
    "AWS::Scheduler::Schedule": ("{Name}", "$scheduler:{region}:{account}:schedule/default/{Name}"),
    "AWS::SecretsManager::Secret": ("$secretsmanager:{region}:{account}:secret:{Name}-AbCdEf", None),
}
ATTRIBUTES = {
    ("AWS::EC2::SecurityGroup", "GroupId"): "sg-0123456789abcdef0",
    ("AWS::ECS::Service", "Name"): "{ServiceName}",
    ("AWS::Lambda::Url", "FunctionUrl"): "https://url.lambda-url.{region}.on.aws/",
}


class Stack:
    """A template with its parameters, in an account and Region. `exports` are those of the stacks before it; its own are added."""

    def __init__(self, template, parameters=None, account="123456789012", region="ap-northeast-1", exports=None):
        self.template, self.account, self.region = template, account, region
        self.exports = {} if exports is None else exports
        given, declared = parameters or {}, template.get("Parameters", {})
        for name in given:
            if name not in declared:
                raise ValueError(f"there is no parameter {name}; there are {', '.join(declared)}")
        self.parameters = {name: self.parameter(name, one, given) for name, one in declared.items()}
        self.pseudo = {"AWS::AccountId": account, "AWS::Region": region, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
                       "AWS::NoValue": NOTHING, "AWS::StackName": "stack", "AWS::StackId": f"arn:aws:cloudformation:{region}:{account}:stack/stack/1"}
        self.resources = {name: one for name, one in template["Resources"].items() if self.holds(one.get("Condition"))}
        for output in template.get("Outputs", {}).values():
            if "Export" in output and self.holds(output.get("Condition")):
                self.exports[self.resolve(output["Export"]["Name"])] = self.resolve(output["Value"])

    @staticmethod
    def parameter(name, declared, given):
        value = given.get(name, declared.get("Default"))
        if value is None:
            raise ValueError(f"the parameter {name} has no default; give it a value")
        if declared["Type"] == "CommaDelimitedList" or declared["Type"].startswith("List<"):
            return [part.strip() for part in str(value).split(",")]
        return value

    def holds(self, condition):
        return condition is None or self.resolve(self.template["Conditions"][condition])

    def properties(self, name):
        return self.resolve(self.resources[name].get("Properties", {}))

    def identifier(self, name, attribute=None):
        """What Ref, or GetAtt of an attribute, gives of a resource."""
        kind = self.template["Resources"][name]["Type"]
        ref, arn = IDENTIFIERS.get(kind, (None, None))
        form = ATTRIBUTES.get((kind, attribute)) or {None: ref, "Arn": arn}.get(attribute)
        if form is None:
            raise ValueError(f"nobody says what {attribute or 'Ref'} of {kind} is; add it to IDENTIFIERS of resolve.py")
        wanted = set(re.findall(r"{(\w+)}", form)) - {"account", "region", "suffix"}
        own = self.template["Resources"][name].get("Properties", {})
        values = {each: self.resolve(own[each]) for each in wanted if each in own}
        if "EventBusName" in wanted:
            values["EventBusName"] = values["EventBusName"] + "/" if "EventBusName" in values else ""
        return form.replace("$", "arn:aws:").format(account=self.account, region=self.region, suffix="amazonaws.com", **values)

    def ref(self, name):
        for known in self.parameters, self.pseudo:
            if name in known:
                return known[name]
        return self.identifier(name)

    def sub(self, text, values):
        def one(match):
            name = match[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            value = values.get(name) or (self.identifier(*name.split(".", 1)) if "." in name else self.ref(name))
            return str(value)
        return re.sub(r"\${([^}]+)}", one, text)

    def resolve(self, value):
        if isinstance(value, list):
            return [made for made in map(self.resolve, value) if made is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (key, argument), = value.items()
            if key in FUNCTIONS:
                return FUNCTIONS[key](self, argument)
            if key.startswith("Fn::"):
                raise ValueError(f"resolve.py does not know {key}; add it to FUNCTIONS")
        made = {key: self.resolve(one) for key, one in value.items()}
        return {key: one for key, one in made.items() if one is not NOTHING}


def if_(stack, argument):
    condition, then, other = argument
    return stack.resolve(then if stack.holds(condition) else other)


def sub(stack, argument):
    text, values = (argument, {}) if isinstance(argument, str) else argument
    return stack.sub(text, {name: stack.resolve(value) for name, value in values.items()})


def import_value(stack, argument):
    name = stack.resolve(argument)
    if name not in stack.exports:
        raise ValueError(f"no stack before exports {name}; there are {', '.join(stack.exports) or 'no exports'}")
    return stack.exports[name]


def equals(stack, argument):
    one, other = map(stack.resolve, argument)
    return one == other


FUNCTIONS = {
    "Ref": lambda stack, name: stack.ref(name),
    "Condition": lambda stack, name: stack.holds(name),
    "Fn::GetAtt": lambda stack, path: stack.identifier(*path),
    "Fn::Sub": sub,
    "Fn::If": if_,
    "Fn::ImportValue": import_value,
    "Fn::Equals": equals,
    "Fn::Not": lambda stack, argument: not stack.resolve(argument[0]),
    "Fn::And": lambda stack, argument: all(map(stack.resolve, argument)),
    "Fn::Or": lambda stack, argument: any(map(stack.resolve, argument)),
    "Fn::Join": lambda stack, argument: argument[0].join(map(str, stack.resolve(argument[1]))),
    "Fn::Split": lambda stack, argument: stack.resolve(argument[1]).split(argument[0]),
    "Fn::Select": lambda stack, argument: stack.resolve(argument[1])[int(stack.resolve(argument[0]))],
}
