"""What can be seen of the templates and policies without deploying them: cfn-lint, checkov, parliament, and a reason for each wildcard.

    lint.py [cfn-lint] [checkov] [policies] [wildcards]     all of them where none is named
"""
import contextlib, copy, fnmatch, json, pathlib, re, subprocess, sys, tempfile, warnings

from installed import HERE, ROOT, enter

if __name__ == "__main__":
    enter()
import yaml
import policies, resolve, templates

WILDCARD = "WILDCARD"
BIN = pathlib.Path(sys.prefix) / "bin"
# The parts of an ARN that say whose it is: partition, Region, account.
WHOSE = re.compile(r"arn:(?P<partition>[^:]*):[^:]*:(?P<region>[^:]*):(?P<account>[^:]*):")


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


def run(command, **more):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def cfn_lint(_):
    """Every rule, informational ones too."""
    with laid_out({name: templates.text(name) for name in templates.VARIANTS}, "yaml") as paths:
        done = run([BIN / "cfn-lint", "--include-checks", "I", "--non-zero-exit-code", "informational", "--format", "parseable", *paths])
    if done.returncode:
        yield from (done.stdout or done.stderr).replace(str(paths[0].parent) + "/", "").splitlines()


@contextlib.contextmanager
def laid_out(texts, ending):
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / f"{name}.{ending}" for name in texts]
        for path, text in zip(paths, texts.values()):
            path.write_text(text)
        yield paths


def checkov(_):
    """Every variant, resolved, since checkov passes by what it cannot resolve; without the suppressions, so that stale ones are seen."""
    texts, suppressed = {}, {}
    for number in range(templates.longest()):
        for name, stack in templates.stacks(templates.variant(number)).items():
            made = {}
            for resource, declared in stack.resources.items():
                made[resource] = {"Type": declared["Type"], "Properties": stack.properties(resource)}
                made[resource] |= {key: declared[key] for key in ("DeletionPolicy", "UpdateReplacePolicy") if key in declared}
                for skip in declared.get("Metadata", {}).get("checkov", {}).get("skip", []):
                    suppressed[name, resource, skip["id"]] = skip.get("comment")
            texts[f"{name}-{number}"] = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": made})
    with laid_out(texts, "json") as paths:
        done = run([BIN / "checkov", "--skip-download", "--framework", "cloudformation", "--directory", paths[0].parent, "--output", "json"])
    try:
        report = json.loads(done.stdout)
        failed = report["results"]["failed_checks"]
    except (ValueError, KeyError, TypeError):
        yield f"checkov gave no report: {done.stderr or done.stdout}"
        return
    if report["summary"]["parsing_errors"] or not report["results"]["passed_checks"]:
        yield f"checkov could not read the templates: {report['results'].get('parsing_errors')}"
    found = {}
    for one in failed:
        template, resource = pathlib.Path(one["file_path"]).stem.rsplit("-", 1)[0], one["resource"].rsplit(".", 1)[-1]
        found[template, resource, one["check_id"]] = one["check_name"]
    for (template, resource, check), what in sorted(found.items()):
        if not suppressed.get((template, resource, check)):
            yield f"infra/{template}.yaml: {resource}: {check}, {what}; mend it, or say why not in Metadata: checkov: skip"
    for template, resource, check in sorted(set(suppressed) - set(found)):
        yield f"infra/{template}.yaml: {resource}: {check} is suppressed, but does not fail; remove the suppression"


def documents():
    """Every policy as (where, document), each once, as AWS will see it."""
    seen = set()
    for number in range(templates.longest()):
        for policy in policies.of(templates.stacks(templates.variant(number))):
            document = copy.deepcopy(policy.document)
            for statement in policies.many(document["Statement"]):
                # Trust policies have no Resource, and in the policy of a key `*` is the key.
                if policy.kind == "trust" or policy.kind == "key" and statement["Resource"] == "*":
                    statement["Resource"] = policy.attached
            text = json.dumps(document)
            if (policy.where, text) not in seen:
                seen.add((policy.where, text))
                yield policy.where + (".trust" if policy.kind == "trust" else ""), text
    for path in sorted((ROOT / "infra" / "runbooks").glob("*.policy.json")):
        yield str(path.relative_to(ROOT)), path.read_text()


def parliament(accepted):
    """IAM's own language: actions, resources, conditions and their types; and what lets somebody become more than they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import parliament as judge
    for where, text in documents():
        for finding in judge.analyze_policy_string(text, where, include_community_auditors=True).findings:
            detail = f"{finding.detail or ''}" or f"{finding.location.get('actions', '')}"
            if not accepted.has(where, finding.issue, detail):
                yield f"{where}: {finding.issue} {detail}; mend the policy, or say why not in tests/infra/accepted.yaml"
    yield from accepted.stale(wildcards=False)


def knows_no_resource(action):
    """Whether AWS lets the action be granted for `*` only."""
    import parliament as judge
    service, name = action.split(":")
    for known in judge.iam_definition:
        if known["prefix"] == service.lower():
            for privilege in known["privileges"]:
                if privilege["privilege"].lower() == name.lower():
                    return all(not kind["resource_type"] for kind in privilege["resource_types"])
    return False


def statements(value):
    """Every statement in a template as it is written, with the line that it begins on."""
    if isinstance(value, dict):
        if {"Effect", "Resource"} <= set(value):
            yield value
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from statements(one)


def wide(statement):
    """The resources of a statement that name more than need be."""
    actions = policies.many(statement.get("Action", []))
    for resource in policies.many(statement["Resource"]):
        whose = WHOSE.match(resource)
        if resource == "*" and statement["Effect"] == "Allow" and not all(map(knows_no_resource, actions)):
            yield resource
        elif whose and "*" in "".join(whose.groups()):
            yield resource


def has_reason(lines, line):
    """Whether a comment stands above the statement, or above its Resource."""
    resource = next((n for n in range(line, len(lines)) if re.match(r"[\s-]*Resource:", lines[n])), line)
    return any(n > 0 and lines[n - 1].lstrip().startswith("#") for n in (line, resource))


def wildcards(accepted):
    """Resource `*` where the action knows a resource, and `*` for the Region, account or partition, have a written reason."""
    most = templates.stacks(templates.variant(1))
    for name, stack in most.items():
        lines = templates.text(name).splitlines()
        for resource, declared in stack.template["Resources"].items():
            if declared["Type"] == "AWS::KMS::Key":
                continue    # In its policy, `*` is the key.
            for statement in statements(declared):
                for which in wide(stack.resolve(statement)):
                    where = f"{name}/{resource}"
                    if not has_reason(lines, statement.line) and not accepted.has(where, WILDCARD, which):
                        yield f"infra/{name}.yaml:{statement.line + 1}: {which}: say why in a comment above, or name what is meant"
    for path in sorted((ROOT / "infra" / "runbooks").glob("*.policy.json")):
        where = str(path.relative_to(ROOT))
        for statement in policies.many(json.loads(path.read_text())["Statement"]):
            for which in wide(statement):
                actions = " ".join(policies.many(statement["Action"]))
                if not accepted.has(where, WILDCARD, f"{which} {actions}"):
                    yield f"{where}: {which} for {actions}: name what is meant, or say why not in tests/infra/accepted.yaml"
    yield from accepted.stale(wildcards=True)


def variants(_):
    """The variants are worth something: each optional resource is in one of them."""
    there = {(name, resource) for number in range(templates.longest())
             for name, stack in templates.stacks(templates.variant(number)).items() for resource in stack.resources}
    for name in templates.VARIANTS:
        for resource in templates.parsed(name)["Resources"]:
            if (name, resource) not in there:
                yield f"infra/{name}.yaml: {resource} is in no variant of tests/infra/templates.py; add one that has it"


PARTS = {"variants": variants, "cfn-lint": cfn_lint, "checkov": checkov, "policies": parliament, "wildcards": wildcards}


def main():
    asked = sys.argv[1:] or list(PARTS)
    accepted, failed = Accepted(), False
    for name in asked:
        wrong = list(PARTS[name](accepted))
        failed |= bool(wrong)
        for one in wrong:
            print(f"FAILED  {name}: {one}", flush=True)
        if not wrong:
            print(f"ok      {name}: {PARTS[name].__doc__.splitlines()[0]}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
