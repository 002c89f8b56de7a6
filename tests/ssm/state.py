"""What the server remembers of each account and Region: executions, quotas, scripts, calls, calendars."""
import collections, datetime, threading, time, uuid

TERMINAL = {"Success", "Failed", "TimedOut", "Cancelled", "Rejected", "ChangeCalendarOverrideRejected", "CompletedWithSuccess",
            "CompletedWithFailure", "Exited"}
# These wait for a person, so time alone does not change them.
HELD = {"PendingApproval", "Waiting", "PendingChangeCalendarOverride"}
# AWS's quotas: calls per second of one account and Region.
RATES = {"StartAutomationExecution": 1, "GetAutomationExecution": 3, "DescribeAutomationStepExecutions": 3}

# Everything the server remembers is read and changed under this lock; steps do not hold it while they call AWS.
LOCK = threading.Condition(threading.RLock())


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Step:
    def __init__(self, body):
        self.id, self.body, self.name, self.action = str(uuid.uuid4()), body, body["name"], body["action"]
        self.status, self.inputs, self.outputs, self.values = "Pending", {}, {}, {}
        self.start = self.end = self.failure = self.details = self.next = None

    def shown(self):
        """As StepExecution of the model."""
        end = self.body.get("isEnd")
        return {
            "StepExecutionId": self.id, "StepName": self.name, "Action": self.action, "StepStatus": self.status,
            "ExecutionStartTime": self.start, "ExecutionEndTime": self.end, "Inputs": self.inputs,
            "Outputs": self.outputs or None, "FailureMessage": self.failure, "FailureDetails": self.details,
            "TimeoutSeconds": self.body.get("timeoutSeconds"), "MaxAttempts": self.body.get("maxAttempts"),
            "OnFailure": self.body.get("onFailure"), "IsEnd": end, "IsCritical": self.body.get("isCritical"),
            "NextStep": self.next or self.body.get("nextStep")}


class Execution:
    def __init__(self, place, document, version, inputs, values, caller):
        self.id, self.place, self.document, self.version = str(uuid.uuid4()), place, document, version
        self.inputs, self.values, self.caller = inputs, values, caller
        self.status, self.start, self.end = "Pending", now(), None
        self.failure, self.details, self.outputs, self.steps, self.api_calls = None, None, {}, [], []
        self.script = None          # what each look shows next, for executions that nobody runs
        self.hold, self.stop, self.signals = None, None, []
        self.admitted = False

    @property
    def ended(self):
        return self.status in TERMINAL

    def become(self, status, failure=None):
        """The only way to a new status; an end is final."""
        with LOCK:
            if not self.ended:
                self.status, self.failure = status, failure or self.failure
                if self.ended:
                    self.end = now()
                LOCK.notify_all()

    def current(self):
        return next((step for step in reversed(self.steps) if step.status != "Pending"), None)

    def metadata(self):
        current = self.current()
        return {
            "AutomationExecutionId": self.id, "DocumentName": self.document.name, "DocumentVersion": self.version,
            "AutomationExecutionStatus": self.status, "ExecutionStartTime": self.start, "ExecutionEndTime": self.end,
            "ExecutedBy": self.caller, "Mode": self.inputs.get("Mode", "Auto"), "Outputs": self.outputs,
            "FailureMessage": self.failure, "CurrentStepName": current and current.name, "Targets": [],
            "CurrentAction": current and current.action, "ResolvedTargets": {"ParameterValues": [], "Truncated": False}}

    def shown(self):
        """As AutomationExecution of the model."""
        counted = collections.Counter(step.status for step in self.steps)
        return self.metadata() | {
            "Parameters": self.inputs.get("Parameters", {}), "StepExecutions": [step.shown() for step in self.steps],
            "StepExecutionsTruncated": False, "Variables": {}, "ProgressCounters": {
                "TotalSteps": len(self.steps), "SuccessSteps": counted["Success"], "FailedSteps": counted["Failed"],
                "CancelledSteps": counted["Cancelled"], "TimedOutSteps": counted["TimedOut"]}}

    def advance(self):
        """One look at a scripted execution shows the next of its statuses; the last one stays."""
        if not self.script or self.ended or self.status in HELD or not self.admitted:
            return
        entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        entry = entry if isinstance(entry, dict) else {"status": entry}
        self.steps = [scripted_step(step) for step in entry["steps"]] if "steps" in entry else self.steps
        self.outputs = entry.get("outputs", self.outputs)
        self.become(entry["status"], entry.get("failure"))


def scripted_step(entry):
    step = Step({"name": entry["name"], "action": entry.get("action", "aws:executeAwsApi")})
    step.status, step.failure = entry["status"], entry.get("failure")
    step.outputs, step.details, step.start = entry.get("outputs", {}), entry.get("details"), now()
    step.end = now() if step.status in TERMINAL else None
    return step


class Place:
    """One account and Region."""

    def __init__(self, account, region):
        self.account, self.region = account, region
        self.executions, self.tokens, self.spent = {}, {}, collections.defaultdict(collections.deque)

    def partition(self):
        return "aws-cn" if self.region.startswith("cn-") else "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def within_rate(self, operation):
        """Whether the account's quota of calls in the last second allows one more."""
        rate, spent, moment = RATES.get(operation), self.spent[operation], time.monotonic()
        while spent and spent[0] <= moment - 1:
            spent.popleft()
        if rate is None or len(spent) < rate:
            spent.append(moment)
            return True
        return False


class Settings:
    """What control has set for one account."""

    def __init__(self):
        self.quotas, self.concurrency, self.queue, self.assume_roles = True, 100, 1000, None
        self.scripts, self.next, self.calendars, self.commands = [], [], {}, []


class Memory:
    def __init__(self):
        self.places, self.accounts = {}, collections.defaultdict(Settings)
        self.calls, self.keys, self.roles, self.sessions = [], {}, {}, {}

    def place(self, account, region):
        return self.places.setdefault((account, region), Place(account, region))

    def executions(self, account=None, region=None):
        return [execution for (owner, where), place in sorted(self.places.items()) for execution in place.executions.values()
                if account in (None, owner) and region in (None, where)]

    def reset(self, account):
        with LOCK:
            for execution in self.executions(account):
                execution.stop = execution.stop or "Cancel"
                execution.become("Cancelled")
            self.places = {key: place for key, place in self.places.items() if key[0] != account}
            self.accounts.pop(account, None)
            self.calls = [call for call in self.calls if call["account"] != account]
            self.roles = {arn: role for arn, role in self.roles.items() if arn.split(":")[4] != account}
            LOCK.notify_all()
