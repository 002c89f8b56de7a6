"""What can be seen of the templates and policies without deploying them: cfn-lint, checkov, parliament, quotas, and a reason for each wildcard.

    lint.py [ways] [cfn-lint] [checkov] [policies] [wildcards] [quotas]     all of them where none is named
"""
import collections, concurrent.futures, contextlib, copy, fnmatch, functools, json, pathlib, re, subprocess, sys, tempfile, warnings

from installed import HERE, ROOT, enter

if __name__ == "__main__":
    enter()
import yaml
import policies, resolve, templates

BIN = pathlib.Path(sys.prefix) / "bin"
WILDCARD = "WILDCARD"
# The parts of an ARN that say whose it is: partition, Region, account.
WHOSE = re.compile(r"arn:([^:]*):[^:]*:([^:]*):([^:]*):")


class Accepted:
    """The rows of accepted.yaml; those that no finding needed are findings themselves."""

    def __init__(self):
        self.rows = yaml.safe_load((HERE / "accepted.yaml").read_text())
        self.used = set()

    def has(self, where, issue, detail):
        for number, row in enumerate(self.rows):
            if issue == row["issue"] and fnmatch.fnmatchcase(where, row["where"]) and fnmatch.fnmatchcase(detail, row.get("detail", "*")):
                self.used.add(number)
                return True
        return False

    def stale(self, wildcards):
        for number, row in enumerate(self.rows):
            if number not in self.used and (row["issue"] == WILDCARD) == wildcards:
                yield f"accepted.yaml: nothing finds {row['issue']} in {row['where']} any more; remove the row"


def run(command):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)


@contextlib.contextmanager
def laid_out(texts):
    """The texts as files in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (pathlib.Path(folder) / name).write_text(text)
        yield folder


def ways(_):
    """Every optional resource is in one of the ways to deploy."""
    there = {(name, resource) for way in templates.ways() for name, stack in way.items() for resource in stack.resources}
    for way in templates.ways():
        for name, stack in way.items():
            for resource in stack.template["Resources"]:
                if (name, resource) not in there:
                    yield f"infra/{name}.yaml: {resource} is in no way to deploy of tests/infra/templates.py; add one that has it"


def cfn_lint(_):
    """Every rule, informational ones too."""
    texts = {f"{name}.yaml": text for name, text in templates.texts().items()}
    # A document that is a string is passed by.
    for name, text in templates.texts().items():
        template = resolve.parse(text)
        for one in template["Resources"].values():
            if one["Type"] == "AWS::SSM::Document":
                one["Properties"]["Content"] = yaml.safe_load(one["Properties"]["Content"])
                template.pop("Metadata", None)
                texts[f"{name}-documents.json"] = json.dumps(template)
    with laid_out(texts) as folder:
        done = run([BIN / "cfn-lint", "--include-checks", "I", "--non-zero-exit-code", "informational", "--format", "parseable",
                    *(f"{folder}/{name}" for name in texts)])
    if done.returncode:
        yield from (done.stdout or done.stderr).replace(f"{folder}/", "").splitlines()


def checkov(_):
    """Every way to deploy, with the suppressions that the templates give a reason for, and no others."""
    texts, suppressed = {}, {}
    for number, way in enumerate(templates.ways()):
        for name, stack in way.items():
            made = {}
            for resource, declared in stack.resources.items():
                # Resolved, because checkov passes by what it cannot resolve; without suppressions, so that stale ones are seen.
                made[resource] = {"Type": declared["Type"], "Properties": stack.properties(resource)}
                for skip in declared.get("Metadata", {}).get("checkov", {}).get("skip", []):
                    suppressed[name, resource, skip["id"]] = skip.get("comment")
            texts[f"{name}-{number}.json"] = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": made})
    with laid_out(texts) as folder:
        done = run([BIN / "checkov", "--skip-download", "--framework", "cloudformation", "--directory", folder, "--output", "json"])
    try:
        report = json.loads(done.stdout)
        results, found = report["results"], {}
        read = {pathlib.Path(one["file_path"]).stem.rsplit("-", 1)[0] for one in results["passed_checks"] + results["failed_checks"]}
    except (ValueError, KeyError, TypeError):
        yield f"checkov gave no report: {done.stderr or done.stdout}"
        return
    for unread in results["parsing_errors"] or sorted(set(templates.ORDER) - read):
        yield f"checkov could not read {unread}"
    for one in results["failed_checks"]:
        template, resource = pathlib.Path(one["file_path"]).stem.rsplit("-", 1)[0], one["resource"].rsplit(".", 1)[-1]
        found[template, resource, one["check_id"]] = one["check_name"]
    for (template, resource, check), what in sorted(found.items()):
        if not suppressed.get((template, resource, check)):
            yield f"infra/{template}.yaml: {resource}: {check}, {what}; mend it, or say why not in Metadata: checkov: skip"
    failing = {(template, check) for template, _, check in found}
    for template, resource, check in sorted(set(suppressed) - set(found)):
        # What is generated is generated for whatever a runbook needs.
        if template in templates.GENERATED and (template, check) in failing:
            continue
        yield f"infra/{template}.yaml: {resource}: {check} is suppressed, but does not fail; remove the suppression"


def documents():
    """Every policy as (where, text), each once, as AWS will see it."""
    seen = set()
    for way in templates.ways():
        for policy in policies.of(way):
            document = copy.deepcopy(policy.document)
            for statement in policies.many(document["Statement"]):
                # Trust policies have no Resource, and in the policy of a key `*` is the key.
                if policy.kind == "trust" or policy.kind == "key" and statement["Resource"] == "*":
                    statement["Resource"] = policy.attached
            one = policy.where + (".trust" if policy.kind == "trust" else ""), json.dumps(document)
            if one not in seen:
                seen.add(one)
                yield one
    for path in sorted((ROOT / "infra" / "runbooks").glob("*.policy.json")):
        yield str(path.relative_to(ROOT)), path.read_text()


@functools.cache
def judge():
    """parliament, which says of itself that it is old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import parliament
    return parliament


def parliament(accepted):
    """IAM's language: actions, resources, conditions and their types; and what lets somebody become more than they are."""
    for where, text in documents():
        # To assume a role is what a trust policy is about, and no exposure.
        for finding in judge().analyze_policy_string(text, where, include_community_auditors=not where.endswith(".trust")).findings:
            detail = str(finding.detail or finding.location.get("actions", ""))
            if not accepted.has(where, finding.issue, detail):
                yield f"{where}: {finding.issue} {detail}; mend the policy, or say why not in tests/infra/accepted.yaml"
    yield from accepted.stale(wildcards=False)


@functools.cache
def knows_no_resource(action):
    """Whether AWS lets the action be granted for `*` only."""
    service, name = action.lower().split(":")
    kinds = [privilege["resource_types"] for known in judge().iam_definition if known["prefix"] == service
             for privilege in known["privileges"] if privilege["privilege"].lower() == name]
    return bool(kinds) and not any(kind["resource_type"] for kind in kinds[0])


def statements(value):
    """Every statement in a template as it is written, with the line that it begins on."""
    if isinstance(value, dict):
        if {"Effect", "Resource"} <= set(value):
            yield value
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from statements(one)


def wide(statement):
    """The resources of a statement that name more than need be, with its actions."""
    actions = policies.many(statement.get("Action", []))
    for resource in policies.many(statement["Resource"]):
        whose = WHOSE.match(resource)
        excused = statement["Effect"] == "Deny" or actions and all(map(knows_no_resource, actions))
        if resource == "*" and not excused or whose and "*" in "".join(whose.groups()):
            yield resource, " ".join(actions)


def has_reason(lines, line):
    """Whether a comment stands above the statement, or above its Resource."""
    resource = next((n for n in range(line, len(lines)) if re.match(r"[\s-]*Resource:", lines[n])), line)
    return any(n > 0 and lines[n - 1].lstrip().startswith("#") for n in (line, resource))


def wildcards(accepted):
    """Resource `*` where the action knows a resource, and `*` for the Region, account or partition, have a written reason."""
    for way, stacks in zip(templates.WAYS, templates.ways()):
        for name, stack in stacks.items():
            lines = templates.text(name, way.get("configuration") if name in templates.GENERATED else None).splitlines()
            for resource, declared in stack.template["Resources"].items():
                if declared["Type"] == "AWS::KMS::Key":
                    continue    # In its policy, `*` is the key.
                for statement in statements(declared):
                    for which, actions in wide(stack.resolve(statement)):
                        detail = f"{which} {actions}"
                        if not has_reason(lines, statement.line) and not accepted.has(f"{name}/{resource}", WILDCARD, detail):
                            yield f"infra/{name}.yaml, {resource}: {detail}: say why in a comment above, or name what is meant"
    for path in sorted((ROOT / "infra" / "runbooks").glob("*.policy.json")):
        where = str(path.relative_to(ROOT))
        for statement in policies.many(json.loads(path.read_text())["Statement"]):
            for which, actions in wide(statement):
                if not accepted.has(where, WILDCARD, f"{which} {actions}"):
                    yield f"{where}: {which} for {actions}: name what is meant, or say why not in tests/infra/accepted.yaml"
    yield from accepted.stale(wildcards=True)


# What AWS takes at most, in characters: of policies, by their kind; and of all the inline policies of a role together.
POLICY_MAX = {"trust": 2_048, "boundary": 6_144, "identity": 6_144, "key": 32_768, "queue": 8_192, "topic": 30_720, "bus": 10_240, "function": 20_480}
INLINE_MAX = 10_240
# Of properties, and of a template: what the command line sends, and what goes by way of S3.
PROPERTY_MAX = {"EventPattern": 2_048, "Content": 65_536}
BODY_MAX, S3_BODY_MAX, BY_S3 = 51_200, 1_048_576, {"member", "runbooks"}
RESOURCES_MAX = 500


def size(value):
    """As IAM and EventBridge count: without white space."""
    return len(value if isinstance(value, str) else json.dumps(value, separators=(",", ":")))


def over(what, size, most):
    if size > most:
        yield f"{what}: {size}, and {most} at most"


def quotas(_):
    """Nothing is larger than AWS takes it."""
    for name, text in templates.texts().items():
        most = S3_BODY_MAX if name.split("-")[0] in BY_S3 else BODY_MAX
        yield from over(f"bytes of {name}", len(text.encode()), most)
    for stacks in templates.ways():
        inline = collections.Counter()
        for policy in policies.of(stacks):
            if policy.kind == "identity" and not policy.managed:
                inline[policy.attached] += size(policy.document)
            else:
                yield from over(f"characters of the policy {policy.where}", size(policy.document), POLICY_MAX[policy.kind])
        for role, length in inline.items():
            yield from over(f"characters of the policies of {role}", length, INLINE_MAX)
        for name, stack in stacks.items():
            yield from over(f"resources of {name}", len(stack.resources), RESOURCES_MAX)
            for resource in stack.resources:
                own = stack.properties(resource)
                for key in set(own) & set(PROPERTY_MAX):
                    yield from over(f"characters of {key} of {name}/{resource}", size(own[key]), PROPERTY_MAX[key])


PARTS = {"ways": ways, "cfn-lint": cfn_lint, "checkov": checkov, "policies": parliament, "wildcards": wildcards, "quotas": quotas}


def main():
    accepted, failed, names = Accepted(), False, sys.argv[1:] or list(PARTS)
    templates.ways()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = pool.map(lambda name: list(dict.fromkeys(PARTS[name](accepted))), names)
        for name, wrong in zip(names, found):
            failed |= bool(wrong)
            for one in wrong or [PARTS[name].__doc__]:
                print(f"{'FAILED' if wrong else 'ok    '}  {name}: {one}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
