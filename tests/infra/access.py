"""Who may do what: every row of access.yaml, judged by IAM's rules over all policies of the templates; and what they grant and no row names.

    access.py [PART OF A ROW]     only rows that hold the text, and not what nobody names
"""
import copy, fnmatch, json, os, re, subprocess, sys

from installed import HERE, ROOT, TARGET, enter

if __name__ == "__main__":
    enter()
import yaml
import policies, resolve, templates


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
            template = templates.parsed(one.get("template", name))
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
                yield from ((one.said, action) for action in policies.many(one.own["Action"]))

    def arn(self, text):
        """A text with {stack/Resource} for ARNs."""
        def one(match):
            stack, name = match[1].split("/")
            try:
                return self.stacks[stack].identifier(name, "Arn")
            except ValueError:
                return self.stacks[stack].identifier(name)
        return re.sub(r"{([\w-]+/\w+)}", one, text)

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
        target = self.arn(resource)
        if policy := self.resource_policy(target):
            simulation["resourcePolicy"] = policy
        account = (target.split(":") + [""] * 5)[4] or next(iter(self.stacks.values())).account
        simulation["request"] = {"principal": principal, "action": action, "contextVariables": known(context),
                                 "resource": {"resource": target, "accountId": account}}
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


def asked(table):
    """Every single request of the rows: (row, verdict, action, resource)."""
    for row in table["rows"]:
        for verdict in "may", "may not":
            for action in policies.many(row.get(verdict, [])):
                for resource in policies.many(row["resource"]):
                    yield row, verdict, action, resource


def judge(table, part=""):
    """What is wrong."""
    worlds = {name: World(merged(table["stacks"], change or {})) for name, change in table["worlds"].items()}
    requests, simulations, statements = [one for one in asked(table) if part in json.dumps(one)], [], []
    for row, _, action, resource in requests:
        world = worlds[row.get("in", next(iter(worlds)))]
        simulations.append(world.request(table["who"][row["who"]], action, table["names"].get(resource, resource), row.get("context", {})))
        statements.append(world.statements)
    used = set()
    for (row, verdict, action, resource), answer, known in zip(requests, judged(simulations), statements):
        said = f"{row['who']} {verdict} {action} on {resource} ({row['why']})"
        if "wrong" in answer:
            yield f"{said}: cannot be asked: {answer['wrong']}"
        elif (answer["result"] == "Allowed") != (verdict == "may"):
            yield f"{said}: but it is {answer['result']}{' by ' + ', '.join(answer['blocked']) if answer.get('blocked') else ''}"
        elif verdict == "may":
            used |= {(known[sid].said, action.lower()) for sid in answer["allowed"] if sid in known}
    if not part:
        yield from unnamed({one for world in worlds.values() for one in world.granted(table.get("elsewhere", []))}, used)


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
    wrong = list(judge(table, *sys.argv[1:2]))
    for one in wrong:
        print(f"FAILED  access: {one}")
    if not wrong:
        print(f"ok      access: {len(list(asked(table)))} requests, each as access.yaml says; nothing is granted that no row needs")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
