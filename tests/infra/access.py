"""Who may do what: every row of access.yaml, judged by IAM's rules over all policies of the templates; and what they grant and no row names.

    access.py [PART OF A ROW]     only rows that hold the text, and not what nobody names
"""
import copy, fnmatch, itertools, json, os, re, subprocess, sys

from installed import HERE, ROOT, TARGET, enter

if __name__ == "__main__":
    enter()
import yaml
import policies, resolve, templates

REFERENCE = re.compile(r"{([\w-]+)/([\w*]+)}")


def arn(stack, name):
    """What policies call a resource: its ARN, which for some is what Ref gives."""
    return stack.identifier(name, "Arn" if resolve.IDENTIFIERS[stack.resources[name]["Type"]][1] else None)


class Statement:
    """A statement of a policy, as it was written."""

    def __init__(self, policy, number, own):
        self.policy, self.own = policy, own
        self.said = f"{policy.where}, {own.get('Sid', f'statement {number + 1}')}"
        # What a boundary allows is for one role or another; what a policy allows, for each that it is attached to.
        self.said += "" if policy.kind == "boundary" else f" ({policy.attached.split(':', 5)[-1]})"


def known(value):
    """Policies and contexts in keys that iam-simulate takes: of an encryption context it takes none."""
    return json.loads(json.dumps(value).replace("kms:EncryptionContext:", "aws:PrincipalTag/encryption-context:"))


class World:
    """The stacks of one way to deploy, and their policies."""

    def __init__(self, deployed):
        self.stacks, exports = {}, {}
        for name, one in deployed.items():
            template = templates.parsed(name, templates.EVERYTHING if name in templates.GENERATED else None)
            self.stacks[name] = resolve.Stack(template, one.get("parameters"), one["account"], one["region"], exports.setdefault(one["account"], {}))
        self.policies = list(policies.of(self.stacks))
        self.statements = {}    # by a Sid of ours, which iam-simulate gives back
        for policy in self.policies:
            policy.document = known(policy.document)
            policy.document["Statement"] = policy.statements
            for number, statement in enumerate(policy.statements):
                sid = f"s{len(self.statements)}"
                self.statements[sid] = Statement(policy, number, dict(statement))
                statement["Sid"] = sid

    def granted(self, elsewhere):
        """Every action that is allowed, with the statement that says so, but for the policies that are judged elsewhere."""
        for one in self.statements.values():
            if one.own["Effect"] == "Allow" and not any(fnmatch.fnmatchcase(one.policy.where, row["where"]) for row in elsewhere):
                yield from ((one.said, action) for action in policies.many(one.own.get("Action", [])))

    def arns(self, text):
        """A text with {stack/Resource} for ARNs; several, where it has a *."""
        match = REFERENCE.search(text)
        if not match:
            return [text]
        stack = self.stacks[match[1]]
        return [text[:match.start()] + arn(stack, name) + text[match.end():]
                for name in stack.resources if fnmatch.fnmatchcase(name, match[2])]

    def arn(self, text):
        return self.arns(text)[0]

    def of(self, kinds, arn):
        return [policy for policy in self.policies if policy.kind in kinds and policy.attached == arn]

    def resource_policy(self, arn):
        found = [p for p in self.policies if p.kind not in ("identity", "boundary") and p.attached == arn]
        if found:
            return {"Version": "2012-10-17", "Statement": [statement for policy in found for statement in policy.statements]}

    def request(self, who, action, resource, context):
        """What iam-simulate is asked."""
        context = {"aws:SecureTransport": "true"} | {
            key: [self.arn(one) for one in value] if isinstance(value, list) else self.arn(value)
            for key, value in (who.get("context", {}) | context).items()}
        simulation = {"identityPolicies": [], "serviceControlPolicies": [], "resourceControlPolicies": []}
        if "role" in who or "arn" in who:
            arn = self.arn("{" + who["role"] + "}" if "role" in who else who["arn"])
            account, name = arn.split(":")[4], arn.split("/")[-1]
            context = {"aws:PrincipalArn": arn, "aws:PrincipalAccount": account} | context
            principal = f"arn:aws:sts::{account}:assumed-role/{name}/session"
            allowed = {"Version": "2012-10-17", "Statement": [{"Sid": "own", "Effect": "Allow", "Action": who.get("may"), "Resource": "*"}]}
            simulation["identityPolicies"] = [{"name": p.where, "policy": p.document} for p in self.of({"identity"}, arn)]
            simulation["identityPolicies"] += [{"name": "own", "policy": allowed}] if "may" in who else []
            boundaries = [{"name": p.where, "policy": p.document} for p in self.of({"boundary"}, arn)]
            if boundaries:
                simulation["permissionBoundaryPolicies"] = boundaries
        else:
            principal = who.get("service", "*")
        if policy := self.resource_policy(resource):
            simulation["resourcePolicy"] = policy
        # What has no resource is the account's of whoever asks.
        account = (resource if resource != "*" else principal).split(":")[4]
        simulation["request"] = {"principal": principal, "action": action, "contextVariables": known(context),
                                 "resource": {"resource": resource, "accountId": account}}
        return simulation


def node_modules():
    done = subprocess.run([ROOT / "tests" / "outside" / "install", TARGET / "outside-node"], stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit("tests/outside/install did not install what judges policies; see above")
    return TARGET / "outside-node" / "node_modules"


def judged(simulations):
    done = subprocess.run(["node", HERE / "access.js"], input=json.dumps(simulations), capture_output=True, text=True,
                          env=os.environ | {"NODE_PATH": str(node_modules())})
    if done.returncode:
        sys.exit(f"access.js ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def asked(table, part=""):
    """Every single request of the rows: (what the row says of it, whether it may, the simulation, the statements)."""
    worlds = {name: World(merged(table["stacks"], change or {})) for name, change in table["worlds"].items()}
    for row in table["rows"]:
        world, verdict = worlds[row.get("in", next(iter(worlds)))], "may" if "may" in row else "may not"
        for who, action, name in itertools.product(*map(policies.many, (row["who"], row[verdict], row["resource"]))):
            for resource in world.arns(table["names"].get(name, name)):
                said = f"{who} {verdict} {action} on {name} ({row['why']})"
                if part in said:
                    yield said, verdict == "may", world.request(table["who"][who], action, resource, row.get("context", {})), world


def judge(table, requests, whole):
    """What is wrong with these requests; and, where they are all of the table, with what nobody asked for."""
    used = set()
    for (said, may, simulation, world), answer in zip(requests, judged([simulation for _, _, simulation, _ in requests])):
        if "wrong" in answer:
            yield f"{said}: cannot be asked: {answer['wrong']}"
        elif (answer["result"] == "Allowed") != may:
            yield f"{said}: but it is {answer['result']}{' by ' + ', '.join(answer['blocked']) if answer.get('blocked') else ''}"
        elif may:
            action = simulation["request"]["action"].lower()
            used |= {(world.statements[sid].said, action) for sid in answer["allowed"] if sid in world.statements}
    if whole:
        worlds = {id(world): world for _, _, _, world in requests}.values()
        yield from unnamed({one for world in worlds for one in world.granted(table["elsewhere"])}, used)


def unnamed(granted, used):
    """What the policies grant and no allowed row needed."""
    for said, action in sorted(granted):
        if not any(said == one and fnmatch.fnmatchcase(each, action.lower()) for one, each in used):
            yield f"{said} grants {action}, and no row needs it; take it away, or name the need"


def merged(stacks, change):
    made = copy.deepcopy(stacks)
    for name, parameters in change.items():
        made[name].setdefault("parameters", {}).update(parameters)
    return made


def main():
    table = yaml.safe_load((HERE / "access.yaml").read_text())
    requests = list(asked(table, *sys.argv[1:2]))
    wrong = list(judge(table, requests, whole=len(sys.argv) == 1))
    for one in wrong:
        print(f"FAILED  access: {one}")
    if not wrong:
        print(f"ok      access: {len(requests)} requests, each as access.yaml says; nothing is granted that no row needs")
    sys.exit(bool(wrong) or not requests)


if __name__ == "__main__":
    main()
