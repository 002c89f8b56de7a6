"""An account of an emulated AWS (MiniStack): its clients, its stacks, and what has to be changed in a template so that it runs there."""
import functools, io, json, os, subprocess, sys, time, zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from installed import ROOT, TARGET, program
import templates

REGION = "ap-northeast-1"
# The fixtures' production account. No other test has it: those take numbers that begin with that of their process.
ACCOUNT = "111122223333"


def server():
    """The URL of the server that tests/run started, or of one that ends with this process."""
    if named := os.environ.get("FINDINGS_ROUTER_TEST_AWS"):
        return named
    script = ROOT / "tests" / "src" / "live" / "emulator.py"
    # Its input is a pipe that nobody else holds: it ends when this process does, however it ends.
    started = subprocess.Popen([sys.executable, script, TARGET / "outside-python"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = started.stdout.readline().strip()
    return url or sys.exit(f"MiniStack does not start; see above, and {TARGET / 'outside-python' / 'ministack.log'}")


def eventually(what, probe, or_else=lambda: "", seconds=30):
    """What the probe gives, once it gives something; or else a failure that says more."""
    end = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}{'; ' * bool(or_else())}{or_else()}")
        time.sleep(0.05)
    return found


class Aws:
    def __init__(self, url):
        self.url = url

    @functools.cache
    def client(self, service, account=ACCOUNT, region=REGION):
        # MiniStack takes an access key of twelve digits for the account.
        return boto3.client(service, endpoint_url=self.url, region_name=region, aws_access_key_id=account, aws_secret_access_key="secret",
                            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}))

    def environment(self):
        """Where a program finds this account."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true"}

    def stack(self, name):
        """The stack as it is, or None."""
        try:
            return self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError:
            return None

    def settled(self, name):
        found = self.stack(name)
        return found if found is None or not found["StackStatus"].endswith("IN_PROGRESS") else False

    def deploy(self, name, parameters, slack):
        """Creates or updates the stack of a template; gives its outputs."""
        cloudformation, before = self.client("cloudformation"), self.stack(name)
        body = json.dumps(adapted(templates.parsed(name), parameters, slack))
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        act = cloudformation.update_stack if before else cloudformation.create_stack
        # The command line sends what is short, and goes by way of S3 with what is not.
        self.templates().put_object(Bucket="templates", Key=name, Body=body)
        act(StackName=name, TemplateURL=f"{self.url}/templates/{name}", Parameters=given, Capabilities=["CAPABILITY_NAMED_IAM"])
        wanted = "UPDATE_COMPLETE" if before else "CREATE_COMPLETE"
        stack = eventually(f"the stack {name} settles", lambda: self.settled(name))
        if stack["StackStatus"] != wanted:
            events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
            why = [f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason')}" for one in events if "FAILED" in one["ResourceStatus"]]
            raise AssertionError(f"the stack {name} is {stack['StackStatus']}, not {wanted}: {'; '.join(why)}")
        return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}

    @functools.cache
    def templates(self):
        """S3, with a bucket for templates."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": REGION})
        return s3

    def delete(self, name):
        self.client("cloudformation").delete_stack(StackName=name)
        eventually(f"the stack {name} is gone", lambda: self.settled(name) is None or self.stack(name)["StackStatus"] == "DELETE_COMPLETE")


def adapted(template, parameters, slack):
    """The template as MiniStack takes it. Everything that is changed is changed here; README.md lists it."""
    resources = template["Resources"]
    for name in [name for name, one in resources.items() if one["Type"] == "AWS::Events::EventBusPolicy"]:
        # Unknown to MiniStack, which lets everybody of an account put events on its buses.
        del resources[name]
    for one in resources.values():
        if one["Type"] == "AWS::Lambda::Function":
            # The function finds the Slack of the test.
            one["Properties"]["Environment"]["Variables"] |= slack.environment()
    numbers = {name: one for name, one in template["Parameters"].items() if one["Type"] == "Number"}

    def numeric(value):
        """MiniStack hands on a Number as text, and compares a queue's maxReceiveCount with a number."""
        if isinstance(value, dict):
            if set(value) == {"Ref"} and value["Ref"] in numbers:
                return int(parameters.get(value["Ref"], numbers[value["Ref"]].get("Default")))
            return {key: numeric(one) for key, one in value.items()}
        return [numeric(one) for one in value] if isinstance(value, list) else value

    return template | {"Resources": numeric(resources)}


def package(configuration):
    """What infra/package makes: the function, and its configuration."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.write(program("bootstrap"), "bootstrap")
        packed.writestr("findings-router.toml", configuration)
    return made.getvalue()
