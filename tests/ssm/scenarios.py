"""Runs our own documents against an emulated account: the weakness, Apply, Verify, Undo, and drift.

    scenarios.py [--documents FOLDER] [--scenarios FOLDER] [NAME…]     prints one line for each; ends with 1 where one failed

README.md says what stands in a scenario.
"""
import argparse, collections, json, pathlib, re, sys, time, traceback

from installed import HERE, enter

enter()

import jmespath
from botocore.exceptions import ClientError

import automation, aws, documents, policy, protocol, state, values

# Not a real one: scenarios may write it out.
ACCOUNT, REGION = "123456789012", "eu-west-1"
KEYS = {"document", "setup", "parameters", "before", "after", "undo", "undone", "drift", "refuses", "unused", "commands", "fails", "running",
        "outputs"}
CALL, CHECK = {"service", "api", "inputs", "keep", "region"}, {"service", "api", "inputs", "select", "region", "equals", "contains", "absent"}
# Steps that only look, and what looking is called.
LOOKS, READS = {"Record", "Verify", "CheckDrift", "VerifyUndo"}, re.compile(r"(Get|List|Describe|Head|Lookup|Search|Batch(Get|Describe))")


class Wrong(Exception):
    pass


class Scenario:
    def __init__(self, path, library):
        self.path, self.library, self.memory = path, library, state.Memory()
        self.body = documents.yaml.load(path.read_text(), documents.Loader)
        self.name, self.needed, self.kept = path.stem, set(), {}
        unknown = sorted(set(self.body) - KEYS)
        if unknown or not {"document", "setup", "parameters", "before", "after"} <= set(self.body):
            raise Wrong(f"a scenario has document, setup, parameters, before, after; optional are {sorted(KEYS)}; unknown: {unknown}")
        self.document = library.common.get(self.body["document"])
        if not self.document:
            raise Wrong(f"there is no document {self.body['document']}")
        self.undoes = "Undo" in self.document.parameters.get("Action", {}).get("allowedValues", [])
        back = {"undo", "undone", "drift", "refuses"}
        due = back if self.undoes and "fails" not in self.body else set()
        if due != back & set(self.body):
            raise Wrong(f"the document can undo, and the scenario lacks {sorted(due - set(self.body))}" if due else
                        f"nothing is there to undo, and the scenario has {sorted(back & set(self.body))}")

    def run(self):
        """Three times from the beginning: applied and undone; applied twice; drifted. Once where Apply is to fail."""
        self.fresh()
        self.check("before")
        if "fails" in self.body:
            self.failed(self.execute(self.body["parameters"]))
            return self.check("after")
        applied = self.apply()
        self.check("after")
        if self.undoes:
            self.ended(self.execute(self.undo_of(applied)), "VerifyUndo")
            self.check("undone")
        self.fresh()
        self.apply()
        self.apply("the second Apply")
        self.check("after")
        if self.undoes:
            self.fresh()
            undo = self.undo_of(self.apply())
            self.calls("drift")
            self.refused(self.execute(undo))

    def fresh(self):
        aws.reset(ACCOUNT)
        self.memory.reset(ACCOUNT)
        self.memory.accounts[ACCOUNT].commands += self.body.get("commands", [])
        self.kept = {"account": ACCOUNT, "region": REGION}
        self.calls("setup")
        for parameters in self.body.get("running", []):
            # Another execution of the document, which has begun and has done nothing yet.
            self.memory.accounts[ACCOUNT].next.append({"document": self.document.name, "hold_before": "Record"})
            self.kept["running"] = self.start({**self.body["parameters"], **parameters}).id

    def filled(self, value):
        """The value with each $name in its place; a string that is one name takes its type."""
        if isinstance(value, dict):
            return {name: self.filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if not isinstance(value, str):
            return value
        whole = re.fullmatch(r"\$(\w+)", value)
        if whole and whole[1] in self.kept:
            return self.kept[whole[1]]
        return re.sub(r"\$(\w+)", lambda match: values.text(self.kept[match[1]]) if match[1] in self.kept else match[0], value)

    def call(self, entry, allowed, place):
        unknown = sorted(set(entry) - allowed)
        if unknown:
            raise Wrong(f"{place} has {unknown}; it may have {sorted(allowed)}")
        inputs = self.filled(entry.get("inputs", {}))
        return plain(aws.call(ACCOUNT, entry.get("region", REGION), entry["service"], entry["api"], inputs))

    def calls(self, part):
        for index, entry in enumerate(self.body.get(part) or []):
            place = f"{part}[{index}] {entry.get('api')}"
            try:
                answer = self.call(entry, CALL, place)
            except Exception as wrong:
                raise Wrong(f"{place}: {wrong}") from None
            for name, path in entry.get("keep", {}).items():
                self.kept[name] = jmespath.search(path, answer)
                if self.kept[name] is None:
                    raise Wrong(f"{place}: {path} finds nothing in {json.dumps(answer)[:500]}")

    def check(self, part):
        for index, entry in enumerate(self.body[part]):
            place = f"{part}[{index}] {entry.get('api')}"
            if len({"equals", "contains", "absent"} & set(entry)) != 1 or "select" not in entry:
                raise Wrong(f"{place} needs select, and one of equals, contains, absent")
            try:
                answer = self.call(entry, CHECK, place)
            except ClientError as refused:
                # An error can be what is asserted: select Error.Code.
                answer = plain(refused.response)
            found = jmespath.search(entry["select"], answer)
            if "equals" in entry and found != self.filled(entry["equals"]):
                raise Wrong(f"{place}: {entry['select']} is {found!r}, not {self.filled(entry['equals'])!r}")
            if "contains" in entry:
                wanted = self.filled(entry["contains"])
                if not (isinstance(found, (list, str)) and (wanted in found)):
                    raise Wrong(f"{place}: {entry['select']} is {found!r}, without {wanted!r}")
            if "absent" in entry and (found not in (None, [], "", {}) or "Error" in answer and not entry["select"].startswith("Error")):
                raise Wrong(f"{place}: {entry['select']} is {found!r} of {sorted(answer)}, and should be absent")

    def start(self, parameters):
        given = {"AutomationAssumeRole": f"arn:aws:iam::{ACCOUNT}:role/{self.document.name}"} | self.filled(parameters)
        body = {"DocumentName": self.document.name, "Parameters": {name: values.shown(value) for name, value in given.items()}}
        place = self.memory.place(ACCOUNT, REGION)
        with state.LOCK:
            body = protocol.read("StartAutomationExecution", json.dumps(body))
            started = automation.start_automation_execution(self.memory, self.library, place, "the runner of scenarios", body)
            return place.executions[started["AutomationExecutionId"]]

    def execute(self, parameters):
        execution = self.start(parameters)
        with state.LOCK:
            if not state.LOCK.wait_for(lambda: execution.ended, 30):
                raise Wrong(f"the execution is {execution.status} after 30 s, at {execution.current().name}")
        protocol.answer("GetAutomationExecution", {"AutomationExecution": execution.shown()})
        for call in execution.api_calls:
            self.needed.update(call["actions"])
            if call["step"] in LOOKS and not READS.match(call["api"]):
                raise Wrong(f"the step {call['step']} only looks, and called {call['api']}; change things in a step of their own")
        return execution

    def apply(self, what="Apply"):
        execution = self.execute(self.body["parameters"])
        self.ended(execution, "Verify", what)
        for name, items in execution.outputs.items():
            least = 1 if name == "Record.PreState" else 0
            if not least <= len(items) <= 50 or any(not 1 <= len(item) <= 512 for item in items):
                raise Wrong(f"{name} has {len(items)} items, the longest of {max(map(len, items), default=0)} characters; "
                            "SSM takes 1 to 50 items of 1 to 512 characters as a parameter of Undo")
        for name, wanted in self.body.get("outputs", {}).items():
            if not any(self.filled(wanted) in item for item in execution.outputs.get(name, [])):
                raise Wrong(f"the output {name} is {execution.outputs.get(name)}, without {self.filled(wanted)!r}")
        return execution

    def undo_of(self, applied):
        self.kept["PreState"] = applied.outputs.get("Record.PreState")
        return {**self.body["parameters"], **self.body["undo"]}

    def ended(self, execution, last, what=None):
        what = what or execution.inputs["Parameters"].get("Action", ["?"])[0]
        if execution.status != "Success":
            raise Wrong(f"{what} ended with {execution.status}: {execution.failure}")
        if execution.current().name != last:
            raise Wrong(f"the last step of {what} was {execution.current().name}, not {last}")

    def failed(self, execution):
        wanted = self.filled(self.body["fails"])
        if execution.status != "Failed" or wanted not in execution.failure:
            raise Wrong(f"Apply should have failed with {wanted!r}; it ended with {execution.status} in {execution.current().name}: {execution.failure}")

    def refused(self, execution):
        wanted = self.filled(self.body["refuses"])
        if execution.status != "Failed" or wanted not in execution.failure or execution.current().name != "CheckDrift":
            raise Wrong(f"Undo after a drift should have failed in CheckDrift with {wanted!r}; it ended with {execution.status} in "
                        f"{execution.current().name}: {execution.failure}")


def plain(value):
    return json.loads(json.dumps(value, default=lambda item: item.isoformat() if hasattr(item, "isoformat") else
                                 item.read().decode() if hasattr(item, "read") else item.decode(errors="replace")))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--documents", type=pathlib.Path, default=documents.OWN)
    parser.add_argument("--scenarios", type=pathlib.Path, default=HERE / "scenarios")
    parser.add_argument("names", nargs="*", help="documents or scenarios; all of them by default")
    return parser.parse_args()


def judge(documents_folder, scenarios_folder, names=()):
    """Runs the scenarios; gives (name, seconds, what is wrong or None) for each, and for each fault of a policy."""
    library = documents.Library(documents_folder)
    paths = sorted(scenarios_folder.glob("*.yaml"))
    needed, unused, ran, due = {}, {}, collections.Counter(), collections.Counter()
    for path in paths:
        since, wrong, name = time.monotonic(), None, path.stem
        try:
            scenario = Scenario(path, library)
            name = scenario.document.name
            due[name] += 1
            if names and not any(path.stem.startswith(prefix) for prefix in names):
                continue
            scenario.run()
            needed.setdefault(name, set()).update(scenario.needed)
            unused.setdefault(name, {}).update(scenario.body.get("unused", {}))
            ran[name] += 1
        except (Wrong, protocol.Refusal, ValueError) as fault:
            wrong = str(fault)
        except Exception:
            wrong = traceback.format_exc()
        yield path.stem, time.monotonic() - since, wrong
    for name in needed:
        # Only all the scenarios of a document, and only if they passed, say what it needs.
        file = documents_folder / f"{name}.policy.json"
        if ran[name] == due[name]:
            for wrong in policy.mismatches(file.read_text(), needed[name], unused[name]):
                yield file.name, 0, wrong
    for name in sorted(set(documents.own(documents_folder)) - set(due)) if not names else ():
        yield name, 0, f"no scenario runs this document; add {name}.yaml to the scenarios"


def main():
    given, count, failed = arguments(), 0, 0
    aws.start()
    for name, seconds, wrong in judge(given.documents, given.scenarios, given.names):
        count, failed = count + 1, failed + bool(wrong)
        print(f"FAILED  {name}: {wrong}" if wrong else f"ok      {name} {seconds:.2f} s", flush=True)
    if not count:
        print(f"no scenario in {given.scenarios} begins with {' or '.join(given.names) or 'anything'}")
    sys.exit(bool(failed) or not count)


if __name__ == "__main__":
    main()
