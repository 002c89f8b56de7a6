"""Runs a document's steps as SSM Automation does, in the thread that calls it."""
import json

import actions, aws
from actions import Cancelled, Failed, TimedOut
from state import LOCK, Step, now
from values import Unresolved, given_out, references, resolve, select, text, typed

GUIDE = "Please refer to Automation Service Troubleshooting Guide for more diagnosis details."
# A document that never ends is wrong; AWS would find out later.
LIMIT = 1000


class Run:
    def __init__(self, execution, settings, automation):
        self.execution, self.settings, self.place, self.automation = execution, settings, execution.place, automation
        self.bodies = {step["name"]: step for step in execution.document.steps}
        self.order = list(self.bodies)
        self.done, self.variables, self.going = {}, {}, None

    def look_up(self, name):
        """What a variable stands for: a parameter, an earlier step's output, or what the system knows."""
        head, _, rest = name.partition(":")
        if rest:
            place, moment = self.place, self.execution.start
            known = {"global": {
                "DATE": moment.strftime("%Y-%m-%d"), "DATE_TIME": moment.strftime("%Y-%m-%d_%H.%M.%S"), "REGION": place.region,
                "ACCOUNT_ID": place.account, "AWS_PARTITION": place.partition()},
                "automation": {"EXECUTION_ID": self.execution.id}, "variable": self.variables}.get(head, {})
            if head == "ssm":
                return aws.call(place.account, place.region, "ssm", "GetParameter", {"Name": rest})["Parameter"]["Value"]
            if rest in known:
                return known[rest]
        elif name in self.execution.values:
            return self.execution.values[name]
        else:
            step, _, output = name.partition(".")
            if step in self.done and output in self.done[step].values:
                return self.done[step].values[output]
        raise Unresolved(name)

    def go(self):
        execution, name, failed, count = self.execution, self.order[0], None, 0
        try:
            while name:
                count += 1
                if count > LIMIT:
                    raise Failed(f"The document went through {LIMIT} steps without an end.")
                self.between(name)
                step, wrong = self.step(name)
                name, failed = self.next(step, wrong, failed)
                if execution.stop == "Complete":
                    break
        except Cancelled:
            self.cancelled()
            return execution.become("Cancelled")
        except Failed as wrong:
            return execution.become("Failed", str(wrong))
        self.outputs()
        if failed:
            return execution.become(*failed)
        execution.become("Success")

    def between(self, name):
        """Where a test holds an execution, and where a stop is seen."""
        with LOCK:
            LOCK.wait_for(lambda: self.execution.hold != name or self.execution.stop)
            if self.execution.stop == "Cancel":
                raise Cancelled

    def step(self, name):
        """The step, and how it failed if it did."""
        body = self.bodies.get(name)
        if body is None:
            raise Failed(f"Step {name} is not defined in the Automation Document.")
        step = self.done[name] = self.going = Step(body)
        with LOCK:
            step.status, step.start = "InProgress", now()
            self.execution.steps.append(step)
            if self.execution.status != "Cancelling":
                self.execution.become("InProgress")
        wrong = None
        for attempt in range(body.get("maxAttempts", 1)):
            try:
                self.attempt(step)
                wrong = None
                break
            except Cancelled:
                self.end(step, "Cancelled")
                raise
            except Failed as failure:
                wrong = failure
            except Unresolved as unknown:
                wrong = Failed("Step fails when it is validating and resolving the step inputs. "
                               f"{unknown} is not defined in the Automation Document.", "InputValidation", "Action")
                break
        status = "Success" if wrong is None else "Rejected" if wrong.rejected else "TimedOut" if isinstance(wrong, TimedOut) else "Failed"
        self.end(step, status, wrong)
        return step, wrong and (status, step.failure)

    def attempt(self, step):
        inputs = resolve(step.body.get("inputs", {}), self.look_up) if step.action != "aws:branch" else step.body.get("inputs", {})
        step.values = dict(inputs) if step.action in ("aws:approve", "aws:pause") else {}
        step.inputs = {name: text(value)[:24000] for name, value in inputs.items()}
        action = actions.ACTIONS.get(step.action)
        if action is None:
            raise Failed(f"tests/ssm does not play the action {step.action}.", "InputValidation")
        with aws.recording(self.execution.api_calls, self.automation, step=step.name):
            result = action(self, step, inputs)
        values = {}
        for output in step.body.get("outputs", []):
            value = select(output["Selector"], result)
            if value is not None:
                try:
                    values[output["Name"]] = typed(value, output.get("Type", "String"))
                except ValueError as wrong:
                    raise Failed(f"Output {output['Name']} {wrong}.", "PostVerification") from None
        step.values = {**actions.extra(step, result), **values}
        step.outputs = {name: given_out(value) for name, value in step.values.items() if given_out(value)}

    def end(self, step, status, wrong=None):
        with LOCK:
            step.status, step.end = status, now()
            if wrong:
                step.failure = f"{wrong} {GUIDE}" if not wrong.rejected else str(wrong)
                step.details = {"FailureStage": wrong.stage, "FailureType": wrong.kind, "Details": wrong.details}
            LOCK.notify_all()

    def next(self, step, wrong, failed):
        """The name of the step that comes next, and how the execution will have failed."""
        body, on_failure = step.body, step.body.get("onFailure", "Abort")
        if wrong:
            if body.get("isCritical", True):
                failed = failed or wrong
            if on_failure == "Abort":
                return None, wrong
            if on_failure.startswith("step:"):
                return on_failure[5:], failed
        if step.next:
            return step.next, failed
        if body.get("isEnd"):
            return None, failed
        if body.get("nextStep"):
            return body["nextStep"], failed
        at = self.order.index(step.name) + 1
        return (self.order[at] if at < len(self.order) else None), failed

    def cancelled(self):
        """onCancel of the step that was going names the one that tidies up."""
        on_cancel = self.going.body.get("onCancel", "Abort") if self.going else "Abort"
        if on_cancel.startswith("step:"):
            self.execution.stop = "Tidying"
            name = on_cancel[5:]
            while name:
                step, wrong = self.step_quietly(name)
                name = None if wrong else self.next(step, None, None)[0]

    def step_quietly(self, name):
        status = self.execution.status
        step, wrong = self.step(name)
        with LOCK:
            self.execution.status = status
        return step, wrong

    def outputs(self):
        for name in self.execution.document.body.get("outputs", []):
            name = name if isinstance(name, str) else name["value"]
            name = next(references(name), name)
            try:
                self.execution.outputs[name] = given_out(self.look_up(name))
            except Unresolved:
                self.execution.outputs[name] = ["No output available yet because the step is not successfully executed"]


def run(execution, settings, automation):
    try:
        Run(execution, settings, automation).go()
    except Exception as wrong:
        execution.become("Failed", f"tests/ssm failed, not the document: {type(wrong).__name__}: {wrong}")
        raise
