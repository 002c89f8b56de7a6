"""The IAM policies of resolved stacks: what each is, where it stands, and to whom or what it is attached."""
import dataclasses


@dataclasses.dataclass
class Policy:
    where: str            # template/Resource, and the policy's name where it has several
    kind: str             # identity, trust, boundary, or what a resource policy is of: queue, topic, key, bus, function
    document: dict
    attached: str         # the role or resource, by ARN
    managed: bool = False

    @property
    def statements(self):
        return many(self.document["Statement"])


def many(value):
    return value if isinstance(value, list) else [value]


def of_role(stack, where, name, own):
    arn = stack.identifier(name, "Arn")
    yield Policy(where, "trust", own["AssumeRolePolicyDocument"], arn)
    for one in own.get("Policies", []):
        yield Policy(f"{where}/{one['PolicyName']}", "identity", one["PolicyDocument"], arn)


def of_managed_policy(stack, where, name, own):
    arn = stack.identifier(name)
    used = [(role, stack.properties(role)) for role, one in stack.resources.items() if one["Type"] == "AWS::IAM::Role"]
    for role, properties in used:
        if arn in properties.get("ManagedPolicyArns", []):
            yield Policy(where, "identity", own["PolicyDocument"], stack.identifier(role, "Arn"), managed=True)
        if arn == properties.get("PermissionsBoundary"):
            yield Policy(where, "boundary", own["PolicyDocument"], stack.identifier(role, "Arn"), managed=True)


def of_key(stack, where, name, own):
    yield Policy(where, "key", own["KeyPolicy"], stack.identifier(name, "Arn"))


def of_queue(stack, where, name, own):
    for url in own["Queues"]:
        queue = next(q for q, one in stack.resources.items() if one["Type"] == "AWS::SQS::Queue" and stack.identifier(q) == url)
        yield Policy(where, "queue", own["PolicyDocument"], stack.identifier(queue, "Arn"))


def of_topic(stack, where, name, own):
    for topic in own["Topics"]:
        yield Policy(where, "topic", own["PolicyDocument"], topic)


def of_bus(stack, where, name, own):
    document = {"Version": "2012-10-17", "Statement": [{"Sid": own["StatementId"], **own["Statement"]}]}
    yield Policy(where, "bus", document, own["Statement"]["Resource"])


def of_function(stack, where, name, own):
    """As Lambda writes it into the function's policy."""
    conditions = {
        "ArnLike": {"aws:SourceArn": own.get("SourceArn")},
        "StringEquals": {"aws:SourceAccount": own.get("SourceAccount"), "lambda:FunctionUrlAuthType": own.get("FunctionUrlAuthType")},
        "Bool": {"lambda:InvokedViaFunctionUrl": "true" if own.get("InvokedViaFunctionUrl") else None},
    }
    conditions = {operator: {key: value for key, value in keys.items() if value} for operator, keys in conditions.items()}
    principal = own["Principal"]
    statement = {
        "Sid": name, "Effect": "Allow", "Action": own["Action"], "Resource": own["FunctionName"],
        "Principal": {"Service": principal} if principal.endswith(".amazonaws.com") else {"AWS": principal} if principal != "*" else "*",
        "Condition": {operator: keys for operator, keys in conditions.items() if keys},
    }
    yield Policy(where, "function", {"Version": "2012-10-17", "Statement": [statement]}, own["FunctionName"])


KINDS = {
    "AWS::IAM::Role": of_role, "AWS::IAM::ManagedPolicy": of_managed_policy, "AWS::KMS::Key": of_key, "AWS::SQS::QueuePolicy": of_queue,
    "AWS::SNS::TopicPolicy": of_topic, "AWS::Events::EventBusPolicy": of_bus, "AWS::Lambda::Permission": of_function,
}


def of(stacks):
    """Every policy of the stacks, which are by the name of their template."""
    for template, stack in stacks.items():
        for name, resource in stack.resources.items():
            own = stack.properties(name)
            if resource["Type"] in KINDS:
                yield from KINDS[resource["Type"]](stack, f"{template}/{name}", name, own)
            elif any("Policy" in key and isinstance(value, dict) and "Statement" in value for key, value in own.items()):
                raise ValueError(f"{template}/{name}: nobody reads the policy of {resource['Type']}; add it to KINDS of policies.py")
