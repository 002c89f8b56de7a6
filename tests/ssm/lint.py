"""Checks our own documents without running them: the conventions of infra/runbooks, and mistakes that can be seen.

    lint.py [--documents FOLDER]     prints file, place, what is wrong and what to do; ends with 1 where something is
"""
import argparse, os, pathlib, re, sys

from installed import enter

enter()

import botocore.exceptions, botocore.session

import actions, documents, policy, script, values

SIZE = 64 * 1024
TOP = {"description", "schemaVersion", "assumeRole", "outputs", "parameters", "mainSteps"}
STEP = {"name", "action", "description", "inputs", "outputs", "nextStep", "isEnd", "onFailure", "onCancel", "isCritical", "maxAttempts",
        "timeoutSeconds"}
KEY_TYPES = {"isEnd": bool, "isCritical": bool, "maxAttempts": int, "timeoutSeconds": int}
PARAMETER = {"type", "description", "default", "allowedPattern", "allowedValues"}
SYSTEM = {"global:DATE", "global:DATE_TIME", "global:REGION", "global:ACCOUNT_ID", "global:AWS_PARTITION", "automation:EXECUTION_ID"}
HEADINGS = ("Effect: ", "Blast radius: ", "Undo: ", "Verifies: ")
PATHS = {"Record": "Verify", "CheckDrift": "VerifyUndo"}
AWS = botocore.session.Session()


class Lint:
    """What is wrong with one document, as (place, what and remedy)."""

    def __init__(self, path):
        self.path, self.faults = path, []
        self.document = documents.Document.read(path.read_text(), path.stem)
        self.body = self.document.body
        self.steps = {step.get("name", ""): step for step in self.document.steps}
        self.order = [step.get("name", "") for step in self.document.steps]
        self.ways = {name: self.successors(name) for name in self.order}
        actions = self.document.parameters.get("Action", {}).get("allowedValues", [])
        self.undoes = "Undo" in actions

    def say(self, place, what):
        self.faults.append((place, what))

    def run(self):
        for part in self.top, self.description, self.parameters, self.shape, self.variables, self.policy:
            part()
        for step in self.document.steps:
            self.step(step, f"mainSteps.{step.get('name')}")
        return self.faults

    def top(self):
        for key in sorted(set(self.body) ^ TOP):
            self.say(key, "is not part of our documents; remove it" if key in self.body else "is missing; add it")
        if self.body.get("schemaVersion") != "0.3":
            self.say("schemaVersion", "is not '0.3', a string; write that")
        if self.body.get("assumeRole") != "{{ AutomationAssumeRole }}":
            self.say("assumeRole", "is not '{{ AutomationAssumeRole }}'; write that")
        if self.body.get("outputs") and "Record.PreState" not in self.body["outputs"]:
            self.say("outputs", "lacks Record.PreState, what Undo needs; add it")
        if not re.fullmatch(r"FindingsRouter-[A-Z][A-Za-z0-9]+", self.path.stem):
            self.say("", "is not named FindingsRouter-What.yaml; rename it")
        if len(self.document.content.encode()) > SIZE:
            self.say("", f"has more than {SIZE} bytes, and SSM takes no more; shorten it")
        if not self.document.content.startswith("# "):
            self.say("", "does not open with a comment that says what it is; add one")

    def description(self):
        text = self.body.get("description") or ""
        lines = [line for line in text.split("\n") if line]
        if not lines or not re.fullmatch(r"[A-Z][^\n]*\.", lines[0]):
            self.say("description", "does not begin with one sentence; say there what the document does")
        for heading in HEADINGS:
            if not any(line.startswith(heading) for line in lines):
                self.say("description", f"has no line `{heading}…`; add it")

    def parameters(self):
        rules = self.document.parameters
        for name, rule in rules.items():
            place, pattern = f"parameters.{name}", rule.get("allowedPattern")
            for key in sorted(set(rule) - PARAMETER):
                self.say(f"{place}.{key}", "is not known here; remove it")
            if not rule.get("description"):
                self.say(place, "has no description; add one")
            if rule.get("type") not in values.KINDS:
                self.say(f"{place}.type", f"is none of {', '.join(values.KINDS)}; choose one")
            if not pattern and not rule.get("allowedValues") and rule.get("type") not in ("Boolean", "Integer"):
                self.say(place, "takes anything; add an anchored allowedPattern, or allowedValues")
            if pattern:
                self.pattern(f"{place}.allowedPattern", pattern)
            try:
                default = rule.get("default")
                if default is not None:
                    documents.typed(name, rule, values.shown(default))
            except (documents.Refusal, re.error) as wrong:
                self.say(f"{place}.default", f"does not suit its own rule: {wrong}")
        role = rules.get("AutomationAssumeRole", {})
        if role.get("type") != "String" or "default" in role or not role.get("allowedPattern"):
            self.say("parameters.AutomationAssumeRole", "must be a String with an allowedPattern and no default")
        if "default" in rules.get("Action", {"default": 1}) or rules["Action"].get("allowedValues") not in (["Apply", "Undo"], ["Apply"]):
            self.say("parameters.Action", "must have the allowedValues [Apply, Undo], or [Apply] where nothing can be undone, and no default")
        state = rules.get("PreState")
        if self.undoes and (not state or state.get("type") != "StringList" or state.get("default") != []):
            self.say("parameters.PreState", "must be a StringList with the default []")
        used = set(values.references(self.body.get("mainSteps"))) | {"AutomationAssumeRole"}
        for name in sorted(set(rules) - used):
            self.say(f"parameters.{name}", "is used by no step; remove it")

    def pattern(self, place, pattern):
        try:
            re.compile(pattern)
        except re.error as wrong:
            return self.say(place, f"is not a regular expression: {wrong}")
        if not pattern.startswith("^") or not pattern.endswith("$") or pattern.endswith(r"\$"):
            self.say(place, "is not anchored; begin it with ^ and end it with $")
        elif alternatives(pattern):
            self.say(place, "is anchored on one side of a | only; put the alternatives in ( )")

    def successors(self, name):
        """Each step that can come next; '' is the end."""
        step, found = self.steps[name], []
        inputs = step.get("inputs") or {}
        on = [step.get(key, "") for key in ("onFailure", "onCancel")]
        found += [way[5:] for way in on if way.startswith("step:")]
        if step.get("action") == "aws:branch":
            found += [choice.get("NextStep") for choice in inputs.get("Choices", [])] + ([inputs["Default"]] if "Default" in inputs else [])
            if "Default" in inputs or not (step.get("isEnd") or step.get("nextStep")):
                return found
        if step.get("isEnd"):
            return found + [""]
        at = self.order.index(name) + 1
        return found + [step.get("nextStep") or (self.order[at] if at < len(self.order) else "")]

    def reached(self, start, without=None):
        seen, ahead = set(), [start]
        while ahead:
            name = ahead.pop()
            if name not in seen and name != without and name in self.steps:
                seen.add(name)
                ahead += self.ways[name]
        return seen

    def shape(self):
        for name in sorted({name for name in self.order if self.order.count(name) > 1}):
            self.say(f"mainSteps.{name}", "is there twice; rename one")
        for name, ways in self.ways.items():
            for way in ways:
                if way and way not in self.steps:
                    self.say(f"mainSteps.{name}", f"leads to {way}, which is no step; add it, or correct the name")
        if not self.order or self.order[0] != "Choose" or self.steps["Choose"].get("action") != "aws:branch":
            return self.say("mainSteps", "must begin with Choose, an aws:branch on Action")
        for name in sorted(set(self.order) - self.reached("Choose")):
            self.say(f"mainSteps.{name}", "is reached from no step; lead to it, or remove it")
        paths = PATHS if self.undoes else {"Record": "Verify"}
        for first, last in paths.items():
            if first not in self.steps or first not in self.ways["Choose"]:
                self.say("mainSteps.Choose", f"does not lead to a step {first}; add that")
                continue
            ends = {name for name in self.reached(first) if "" in self.ways[name]}
            if ends != {last}:
                self.say(f"mainSteps.{first}", f"leads to the end(s) {', '.join(sorted(ends)) or 'none'}, not to {last} alone")
            if last in self.steps and self.steps[last].get("isEnd") is not True:
                self.say(f"mainSteps.{last}", "lacks isEnd: true; add it")
        first = self.steps.get("Choose", {}).get("inputs", {})
        chosen = {(choice.get("StringEquals"), choice.get("NextStep")) for choice in first.get("Choices", [])
                  if choice.get("Variable") == "{{ Action }}"}
        wanted = {("Apply", "Record"), ("Undo", "CheckDrift")} if self.undoes else {("Apply", "Record")}
        if chosen != wanted or "Default" in first:
            self.say("mainSteps.Choose", "must choose by {{ Action }}: Apply to Record and Undo to CheckDrift, with no Default")

    def variables(self):
        for name, step in self.steps.items():
            for variable in values.references({key: step[key] for key in ("inputs",) if key in step}):
                place, source = f"mainSteps.{name}", variable.partition(".")[0]
                if variable in self.document.parameters or variable in SYSTEM:
                    continue
                if source not in self.steps or variable.partition(".")[2] not in self.outputs(source):
                    self.say(place, f"uses {{{{ {variable} }}}}, which is neither a parameter nor an output of a step; declare it")
                elif source == name or name in self.reached(self.order[0], without=source):
                    self.say(place, f"uses {{{{ {variable} }}}}, and can be reached without {source}; let {source} come first on every way")
        for output in self.body.get("outputs") or []:
            source, _, name = output.partition(".")
            if source not in self.steps or name not in self.outputs(source):
                self.say("outputs", f"has {output}, which no step gives; declare it in the step's outputs")

    def outputs(self, name):
        own = {output.get("Name") for output in self.steps[name].get("outputs") or []}
        more = {"aws:executeScript": {"OutputPayload"}, "aws:runCommand": {"CommandId", "Status", "ResponseCode", "Output"}}
        return own | more.get(self.steps[name].get("action"), set())

    def step(self, step, place):
        for key in sorted(set(step) - STEP):
            self.say(f"{place}.{key}", "is no key of a step; remove it")
        for key, kind in KEY_TYPES.items():
            if key in step and type(step[key]) is not kind:
                self.say(f"{place}.{key}", f"is {step[key]!r}; write {'a number' if kind is int else 'true or false'}")
        action, inputs = step.get("action"), step.get("inputs") or {}
        if action not in actions.ACTIONS:
            return self.say(f"{place}.action", f"{action} is no action that tests/ssm plays; use one of {', '.join(actions.ACTIONS)}")
        if step.get("isEnd") and step.get("nextStep"):
            self.say(place, "has isEnd and nextStep; remove one")
        if not step.get("description") and action != "aws:branch":
            self.say(place, "has no description; say in a sentence what it does")
        for output in step.get("outputs") or []:
            if set(output) != {"Name", "Selector", "Type"} or output["Type"] not in values.KINDS:
                self.say(f"{place}.outputs", f"needs Name, Selector and a Type of {', '.join(values.KINDS)}")
                continue
            try:
                values.select(output["Selector"], {})
            except ValueError as wrong:
                self.say(f"{place}.outputs.{output['Name']}", str(wrong))
        if action == "aws:executeScript":
            for what in script.faults(inputs):
                self.say(f"{place}.inputs", what)
        elif action in ("aws:executeAwsApi", "aws:assertAwsResourceProperty", "aws:waitForAwsResourceProperty"):
            self.api(inputs, f"{place}.inputs")

    def api(self, inputs, place):
        service, api = inputs.get("Service", ""), inputs.get("Api", "")
        try:
            model = AWS.get_service_model(service.lower())
        except botocore.exceptions.BotoCoreError:
            return self.say(f"{place}.Service", f"{service!r} is no service of AWS; take its name in boto3")
        names = {botocore.xform_name(name): name for name in model.operation_names} | {name: name for name in model.operation_names}
        if api not in names:
            return self.say(f"{place}.Api", f"{api!r} is no operation of {service}; correct it")
        shape = model.operation_model(names[api]).input_shape
        given = set(inputs) - {"Service", "Api", "PropertySelector", "DesiredValues"}
        for name in sorted(given - set(shape.members if shape else ())):
            self.say(f"{place}.{name}", f"is no input of {names[api]}; remove it, or correct its name")
        for name in sorted(set(shape.required_members if shape else ()) - given):
            self.say(place, f"lacks {name}, which {names[api]} requires; add it")

    def policy(self):
        path = self.path.with_suffix("").with_suffix(".policy.json")
        if not path.exists():
            return self.say("", f"has no {path.name} beside it, the policy of the role that it runs as; write it")
        for place, what in policy.faults(path.read_text()):
            self.say(f"({path.name}) {place}", what)


def alternatives(pattern):
    """Whether a | stands outside all brackets."""
    depth, escaped, within = 0, False, False
    for sign in pattern:
        if escaped:
            escaped = False
        elif sign == "\\":
            escaped = True
        elif within:
            within = sign != "]"
        elif sign == "[":
            within = True
        elif sign == "|" and depth == 0:
            return True
        else:
            depth += (sign == "(") - (sign == ")")
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--documents", type=pathlib.Path, default=documents.OWN)
    folder = parser.parse_args().documents
    paths, count = sorted(folder.glob("*.yaml")), 0
    for path in paths:
        try:
            faults = Lint(path).run()
        except (ValueError, documents.yaml.YAMLError) as wrong:
            faults = [("", f"cannot be read: {wrong}")]
        for place, what in faults:
            print(f"{os.path.relpath(path)}: {place + ' ' if place else ''}{what}")
        count += len(faults)
    for path in sorted(folder.glob("*.policy.json")):
        if not path.with_name(path.name.removesuffix(".policy.json") + ".yaml").exists():
            print(f"{os.path.relpath(path)}: belongs to no document; remove it")
            count += 1
    if not paths:
        print(f"{os.path.relpath(folder)}: has no documents")
    print(f"{len(paths)} documents, {count} faults" if count or not paths else f"{len(paths)} documents, all as they should be")
    sys.exit(bool(count) or not paths)


if __name__ == "__main__":
    main()
