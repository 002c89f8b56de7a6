"""The stacks, deployed into an emulated AWS with the real function in them: from an event on the bus to the card, and back to nothing.

    deploy.py        tells each step; ends with 1 at the first that fails
"""
import hashlib, hmac, json, os, re, signal, socket, subprocess, sys, tempfile, time, urllib.error, urllib.parse, urllib.request

from installed import HERE, ROOT, enter, program

if __name__ == "__main__":
    enter()
from botocore.exceptions import ClientError

import emulated, resolve, slack, steps, templates
from emulated import ACCOUNT, REGION, eventually

NAME = "findings-router"
BUCKET = "packages"
MEMBER = {"BusArn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{NAME}", "RouterAccount": ACCOUNT, "HomeRegion": REGION}
ROUTER = {"CodeBucket": BUCKET, "Architecture": "x86_64", "Interactive": "yes", "MaximumConcurrency": "4"}


class Story:
    """What the steps share: the account, Slack, and what the stacks put out."""

    def __init__(self):
        self.aws, self.slack = emulated.Aws(emulated.server()), slack.Slack()
        self.outputs = {}

    def end(self):
        """The server may go on without us: what runs by itself may not."""
        if self.aws.stack("router"):
            self.aws.delete("router")

    def trouble(self):
        """What may explain a failure: the end of the functions' log, without what they measured, and what Slack was asked."""
        try:
            lines = [line for line in self.logged() if not line.startswith(('{"_aws"', "START", "END", "REPORT"))][-12:]
        except ClientError:
            lines = []
        return "\n".join([*lines, f"Slack was asked: {[method for method, _ in self.slack.calls]}"])

    def deploy(self, name, parameters):
        self.outputs |= self.aws.deploy(name, parameters, self.slack)

    def exports(self):
        return {one["Name"]: one["Value"] for one in self.aws.client("cloudformation").list_exports()["Exports"]}

    def run(self, *arguments):
        """The command line, connected to what is deployed."""
        environment = self.aws.environment() | self.slack.environment() | {
            "FINDINGS_ROUTER_TABLE": NAME, "FINDINGS_ROUTER_QUEUE_URL": self.outputs["QueueUrl"],
            "SLACK_BOT_TOKEN": f"secretsmanager:{NAME}/slack#token"}
        return subprocess.run([program("findings-router"), *arguments], env=environment, cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def put(self, source, detail_type, detail, bus="default"):
        """Puts an event on a bus, as who makes such events does."""
        entry = {"Source": source, "DetailType": detail_type, "Detail": detail if isinstance(detail, str) else json.dumps(detail), "EventBusName": bus}
        answer = self.aws.client("events").put_events(Entries=[entry])
        assert not answer["FailedEntryCount"], f"the bus {bus} refuses the event: {answer['Entries']}"

    def finding(self, path):
        event = json.loads((ROOT / "fixtures" / path).read_text())
        self.put(event["source"], event["detail-type"], event["detail"])

    def card(self, words):
        """The card that says so, once it is there; there is only ever one."""
        eventually(f"a card that says {words!r}", lambda: any(words in one["text"] for one in self.slack.cards()))
        found = [one for one in self.slack.cards() if words in one["text"]]
        assert len(found) == 1, f"{len(found)} cards say {words!r}"
        return found[0]

    def waiting(self, queue=NAME):
        """Messages in a queue, whoever has them."""
        sqs = self.aws.client("sqs")
        found = sqs.get_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])

    def done(self):
        """Waits until nothing is in the queue; nothing may have died."""
        eventually("the queue is empty", lambda: not self.waiting())
        assert not self.waiting(f"{NAME}-dead-letters"), "there are dead letters"

    def measured(self, metric=None):
        """What the functions measured, as (metric, names of its dimensions, value)."""
        found = []
        for line in self.logged():
            if line.startswith('{"_aws"'):
                written = json.loads(line)
                found += [(one["Name"], tuple(sorted(names)), written[one["Name"]]) for directive in written["_aws"]["CloudWatchMetrics"]
                          if directive["Namespace"] == "FindingsRouter" for names in directive["Dimensions"] for one in directive["Metrics"]]
        return [one for one in found if metric in (None, one[0])]

    def logged(self):
        """What the functions wrote into their log."""
        logs = self.aws.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/findings-router/{NAME}")
        return [one["message"].strip() for page in pages for one in page["events"]]

    def words(self, words):
        """All that a card and its thread say."""
        card = self.card(words)
        return json.dumps([card, self.slack.replies(card)], ensure_ascii=False)

    def pressed(self, card, action):
        """The body of Slack's request when U0ALICE presses a button."""
        payload = {"type": "block_actions", "user": {"id": "U0ALICE"}, "channel": {"id": "C0SECURITY"}, "trigger_id": "1",
                   "actions": [button(card, action)], "message": {"ts": card["ts"]}}
        return urllib.parse.urlencode({"payload": json.dumps(payload)})

    def post(self, body, secret=slack.SIGNING_SECRET, signed=True):
        """A request to the function URL, as Slack signs it; gives the status."""
        # Nobody on loopback answers to the URL's name: MiniStack takes it in the path.
        url = self.aws.url + "/_aws/lambda-url/" + urllib.parse.urlsplit(self.outputs["ClicksUrl"]).hostname.split(".")[0]
        stamp = str(int(time.time()))
        signature = "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        headers |= {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature} if signed else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(url + "/slack/interactions", body.encode(), headers), timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


def button(card, action):
    return next((one for block in card["blocks"] for one in block.get("elements", []) if one.get("action_id") == action), None)


def state(story):
    """the state stack: queue, bus, ledger, secret, key, topic"""
    story.deploy("state", {"MaxReceives": "10"})
    secret = json.dumps({"token": slack.TOKEN, "signing": slack.SIGNING_SECRET})
    story.aws.client("secretsmanager").put_secret_value(SecretId=f"{NAME}/slack", SecretString=secret)
    # MiniStack makes the table without what the template says of forgetting.
    forgetting = templates.parsed("state")["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    story.aws.client("dynamodb").update_time_to_live(TableName=NAME, TimeToLiveSpecification=forgetting)


def check(story):
    """check --aws finds the table, the queue and the token as they should be"""
    done = story.run("check", "--aws")
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "error:" not in said and "warning:" not in said, f"check --aws says:\n{said}"
    for expected in (f"the ledger's table {NAME} is there, and as it must be", f"the queue arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME} is there",
                     "encrypted with the KMS key", "Slack: the bot token is valid"):
        assert expected in said, f"check --aws does not speak of {expected}:\n{said}"


def member(story):
    """the member stack, in the router's own account"""
    story.deploy("member", MEMBER)


def router(story):
    """the router stack, with buttons"""
    s3 = story.aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="1.zip", Body=emulated.package((HERE / "interactive.toml").read_text()))
    story.deploy("router", ROUTER | {"CodeKey": "1.zip", "Version": "1"})


def told(story):
    """a GuardDuty finding on the default bus becomes one card, however often it comes; what nobody reads is not even forwarded"""
    story.put("aws.ec2", "EC2 Instance State-change Notification", {"instance-id": "i-0123456789abcdef0", "state": "running"})
    for _ in range(2):
        story.finding("guardduty-crypto-mining/01-first-seen.json")
        story.card("analytics-7 is mining cryptocurrency")
        story.done()
    handled = lambda: len(story.measured("findings_router_messages_total"))
    eventually("the function has written what it measured", lambda: handled() >= 2)
    assert handled() == 2, f"2 messages of 3 events were to reach the function, and not {handled()}"


def hourly(story):
    """the schedule's drill, put on the bus as the scheduler does, is told; the next one is no card of its own"""
    target = story.aws.client("scheduler").get_schedule(Name=f"{NAME}-drill")["Target"]
    parameters, bus = target["EventBridgeParameters"], target["Arn"].split("event-bus/")[1]
    for _ in range(2):
        story.put(parameters["Source"], parameters["DetailType"], target["Input"], bus)
        story.card("the path from EventBridge to Slack works")
        story.done()


def drill(story):
    """findings-router drill --bus default takes the whole way, and says how long it took"""
    done = story.run("drill", "--bus", "default", "--timeout", "30s")
    assert done.returncode == 0, f"drill ended with {done.returncode}: {done.stdout}{done.stderr}"


def clicks(story):
    """the function URL: 401 to what Slack did not sign; Deny is done, by way of the ledger that both functions share"""
    card = story.card("Suspicious log-in to database")
    body = story.pressed(card, "deny")
    for what, status in ("without a signature", story.post(body, signed=False)), ("with a wrong one", story.post(body, secret="wrong")):
        assert status == 401, f"a request {what} was answered {status}, not 401"
    assert story.card("Suspicious log-in to database") == card, "a request that nobody signed changed the card"
    assert story.post(body) == 200, "a click that Slack signed was refused"
    eventually("there is nothing to deny any more", lambda: not button(story.card("Suspicious log-in to database"), "deny"))


def approval(story):
    """Approve, in its dialog too: the runbook is started in the name of the member role, and fails, because nobody here plays Automation"""
    assert story.post(story.pressed(story.card("is mining cryptocurrency"), "approve")) == 200, "the click on Approve was refused"
    view = eventually("a dialog opens", lambda: next((given["view"] for method, given in story.slack.calls if method == "views.open"), None))
    submitted = {"type": "view_submission", "user": {"id": "U0ALICE"}, "view": view}
    assert story.post(urllib.parse.urlencode({"payload": json.dumps(submitted)})) == 200, "the dialog was refused"
    eventually("the card says that SSM refused it", lambda: "StartAutomationExecution" in story.words("is mining cryptocurrency"))


def update(story):
    """another version of the router stack: the ledger is the same, so what got worse edits its card"""
    story.finding("guardduty-rds/01-unusual-login.json")
    card = story.card("Suspicious log-in to database orders-aurora-1")
    story.deploy("router", ROUTER | {"CodeKey": "1.zip", "Version": "2", "MaximumConcurrency": "8"})
    function = story.aws.client("lambda").get_function_configuration(FunctionName=NAME)
    assert function["Description"].endswith(" 2"), f"the function was not updated: {function['Description']}"
    story.finding("guardduty-rds/02-more-logins-and-worse.json")
    eventually("the card is edited", lambda: story.card("Suspicious log-in")["edits"] > card["edits"])
    eventually("a reply says that it got worse", lambda: story.slack.replies(card))
    story.done()


def poison(story):
    """what cannot be read ends in the dead letters"""
    sqs, url = story.aws.client("sqs"), story.outputs["QueueUrl"]
    as_deployed = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    # Or it would come again every six minutes, ten times.
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=url, MessageBody='{"version": "0", "id": ')
    eventually("the message is a dead letter", lambda: story.waiting(f"{NAME}-dead-letters") == 1 and not story.waiting())
    sqs.set_queue_attributes(QueueUrl=url, Attributes=as_deployed)
    sqs.purge_queue(QueueUrl=story.outputs["DeadLettersUrl"])


def watched(story):
    """every metric of ours that an alarm or the dashboard looks at is one that the function writes, with those dimensions"""
    story.finding("guardduty-crypto-mining/07-fixed.json")
    eventually("the card says resolved", lambda: "Resolved" in json.dumps(story.card("analytics-7")["blocks"], ensure_ascii=False))
    story.done()
    wanted = set(looked_at(resolve.Stack(templates.parsed("router"), ROUTER | {"CodeKey": "1.zip"}, ACCOUNT, REGION, story.exports())))
    assert len(wanted) > 6, f"alarms and dashboard look at too little: {wanted}"
    written = lambda: {(name, dimensions) for name, dimensions, _ in story.measured()}
    eventually("the functions write them", lambda: wanted <= written(), lambda: f"they do not write {wanted - written()}")


def looked_at(stack):
    """(metric, names of its dimensions) of our namespace, in alarms and on the dashboard. (MiniStack forgets the dimensions of alarms.)"""
    for name, resource in stack.resources.items():
        own = stack.properties(name)
        if resource["Type"] == "AWS::CloudWatch::Alarm" and own["Namespace"] == "FindingsRouter":
            yield own["MetricName"], tuple(sorted(one["Name"] for one in own.get("Dimensions", [])))
    for widget in json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]:
        before = []
        for row in widget["properties"].get("metrics", []):
            for dimensions, metric in re.findall(r'{FindingsRouter((?:,\w+)*)} MetricName="(\w+)"', str(row[0])):
                yield metric, tuple(sorted(dimensions.split(",")[1:]))
            names = [one for one in row if not isinstance(one, dict)]
            # `...` stands for all that the row before has there, `.` for one of it.
            if names[:1] == ["..."]:
                names = before[:len(before) - len(names) + 1] + names[1:]
            before = [before[n] if name == "." else name for n, name in enumerate(names)] or before
            if names and before[0] == "FindingsRouter":
                yield before[1], tuple(sorted(before[2::2]))


def keeps(story):
    """the state stack does not go while the router's stack needs it"""
    try:
        story.aws.client("cloudformation").delete_stack(StackName="state")
    except ClientError as refused:
        assert "imported by stack router" in str(refused), f"it is kept for another reason: {refused}"
    assert story.aws.stack("state")["StackStatus"] == "CREATE_COMPLETE", "the state stack was deleted"


def gone(story):
    """without the router's stack events wait, and are told when it is there again"""
    story.aws.delete("router")
    assert story.aws.stack("state")["StackStatus"] == "CREATE_COMPLETE", "the state stack went with the router's"
    story.finding("config-open-ssh/01-first-evaluation.json")
    eventually("the event waits in the queue", lambda: story.waiting() == 1)
    story.deploy("router", ROUTER | {"CodeKey": "1.zip", "Version": "3"})
    story.card("lets the whole internet reach SSH")
    story.done()
    story.finding("guardduty-crypto-mining/01-first-seen.json")
    story.done()
    story.card("analytics-7 is mining cryptocurrency")


def daemon(story):
    """the daemon's stack takes over: what its task runs, in the environment that it runs in, is healthy, tells, and stops in order"""
    story.aws.delete("router")
    story.deploy("daemon", templates.IMAGE)
    stack = resolve.Stack(templates.parsed("daemon"), templates.IMAGE, ACCOUNT, REGION, story.exports())
    (task,) = stack.properties("Task")["ContainerDefinitions"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{free.getsockname()[1]}"
    # Of the machine it has nothing but where AWS and Slack are, and an address that is free.
    environment = {one["Name"]: one["Value"] for one in task["Environment"]} | story.aws.environment() | story.slack.environment()
    environment["FINDINGS_ROUTER_LISTEN"] = here
    arguments = [here if one == "127.0.0.1:8080" else one for one in task["Command"]]
    health = [program("findings-router"), *task["HealthCheck"]["Command"][2:]]
    with tempfile.TemporaryDirectory() as home, open(os.path.join(home, "log"), "w+") as log:
        running = subprocess.Popen([sys.executable, HERE / "held.py", program("findings-router"), *arguments], env=environment, cwd=home,
                                   stdin=subprocess.PIPE, stdout=log, stderr=log)
        said = lambda: f"the daemon says: {open(log.name).read()[-1500:]}"
        try:
            eventually("the daemon is healthy", lambda: subprocess.run(health, env=environment, cwd=home, capture_output=True).returncode == 0, said)
            story.finding("guardduty-brute-force/01-instance-is-the-target.json")
            story.card("password guessing against bastion-dev")
            story.done()
            os.killpg(running.pid, signal.SIGTERM)
            eventually("the daemon stops", lambda: running.poll() is not None, said)
            assert running.returncode == 0, f"the daemon ended with {running.returncode}; {said()}"
        finally:
            running.stdin.close()


def retained(story):
    """deleting everything leaves what the state stack holds: table, queues, key, secret, bus, topic, log"""
    for name in "daemon", "member", "state":
        story.aws.delete(name)
    aws, arn = story.aws, story.outputs
    aws.client("dynamodb").describe_table(TableName=NAME)
    for queue in NAME, f"{NAME}-dead-letters":
        aws.client("sqs").get_queue_url(QueueName=queue)
    key = aws.client("kms").describe_key(KeyId=arn["KeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled", f"the key is {key['KeyState']}"
    secret = aws.client("secretsmanager").get_secret_value(SecretId=f"{NAME}/slack")["SecretString"]
    assert slack.TOKEN in secret, "the secret has lost its value"
    aws.client("events").describe_event_bus(Name=NAME)
    aws.client("sns").get_topic_attributes(TopicArn=arn["AlarmsArn"])
    assert story.logged(), "the log is gone"
    assert not aws.client("lambda").list_functions()["Functions"], "a function is left"
    assert not aws.client("cloudwatch").describe_alarms()["MetricAlarms"], "an alarm is left"


if __name__ == "__main__":
    story = Story()
    steps.tell(story, state, check, member, router, told, hourly, drill, update, clicks, approval, poison, watched, keeps, gone, daemon, retained,
               afterwards=story.end, why=story.trouble)
