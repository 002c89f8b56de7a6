"""Tests of the server itself, through boto3 as any program calls it.

    selftest.py [NAME…]     prints one line for each test; ends with 1 where one failed
"""
import atexit, json, pathlib, subprocess, sys, tempfile, time, traceback, urllib.error, urllib.request, uuid

from installed import FOLDER, HERE, enter

enter()

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

APPROVAL = """
schemaVersion: '0.3'
mainSteps:
- {name: Ask, action: 'aws:approve', onFailure: Abort, inputs: {Approvers: ['arn:aws:iam::{{ global:ACCOUNT_ID }}:root'], Message: May I}}
- {name: Rest, action: 'aws:sleep', inputs: {Duration: PT10M}}
- {name: Wait, action: 'aws:waitForAwsResourceProperty', onFailure: Continue, isCritical: false, timeoutSeconds: 30,
   inputs: {Service: s3, Api: ListBuckets, PropertySelector: '$.Owner.DisplayName', DesiredValues: [nobody]}}
- {name: Command, action: 'aws:runCommand', inputs: {DocumentName: AWS-RunShellScript, InstanceIds: [i-1]}}
"""
CATALOGUE = """
[AWS-StopEC2Instance]
assume-role = "optional"
[AWS-StopEC2Instance.parameters]
InstanceId = { type = "StringList", required = true }
"""
folder = tempfile.TemporaryDirectory()
own = pathlib.Path(folder.name, "own")
own.mkdir()
DOCUMENT = (HERE / "sample" / "FindingsRouter-Tag.yaml").read_text()
(own / "Tag.yaml").write_text(DOCUMENT)
(own / "Approval.yaml").write_text(APPROVAL)
(own / "aws.toml").write_text(CATALOGUE)
server = subprocess.Popen([sys.executable, HERE / "server.py", FOLDER, "--documents", own, "--catalogue", own],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
URL, REGION = server.stdout.readline().strip(), "eu-west-1"
accounts = (f"{number:012}" for number in range(1, 10**6))


def control(name, /, **given):
    request = urllib.request.Request(f"{URL}/_test/{name}", json.dumps(given).encode())
    try:
        return json.load(urllib.request.urlopen(request, timeout=20))
    except urllib.error.HTTPError as wrong:
        raise AssertionError(f"/_test/{name}: {wrong.read().decode()}") from None


class Account:
    """A new account, without quotas unless a test wants them."""

    def __init__(self, quotas=False, region=REGION):
        self.id, self.region = next(accounts), region
        self.role = f"arn:aws:iam::{self.id}:role/remediate"
        self.ssm = client("ssm", region, self.id)
        control("settings", account=self.id, quotas=quotas)

    def start(self, document="AWS-StopEC2Instance", token=None, expect=None, **parameters):
        if document.startswith("AWS-") and not parameters:
            parameters = {"InstanceId": "i-12345678"}
        more = {"ClientToken": token} if token else {}
        if parameters:
            more["Parameters"] = {name: value if isinstance(value, list) else [value] for name, value in parameters.items()}
        call = lambda: self.ssm.start_automation_execution(DocumentName=document, **more)["AutomationExecutionId"]
        return refused(expect, call) if expect else call()

    def get(self, execution):
        return self.ssm.get_automation_execution(AutomationExecutionId=execution)["AutomationExecution"]

    def status(self, execution):
        return self.get(execution)["AutomationExecutionStatus"]

    def tag(self, bucket="a-bucket", action="Apply", **more):
        return self.start("Tag", BucketName=bucket, Action=action, AutomationAssumeRole=self.role, **more)

    def bucket(self, name):
        control("aws", account=self.id, region=self.region, service="s3", api="CreateBucket",
                inputs={"Bucket": name, "CreateBucketConfiguration": {"LocationConstraint": self.region}})
        return name


def client(service, region, key, secret="secret", token=None, **more):
    return boto3.client(service, endpoint_url=URL, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
                        aws_session_token=token, config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, **more))


def refused(code, call, *arguments, **more):
    """The message of the error that the call must end with."""
    try:
        answer = call(*arguments, **more)
    except ClientError as error:
        same(error.response["Error"]["Code"], code)
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was due, not {answer}")


def same(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def ended(execution, status="Success", **more):
    found = control("wait", execution=execution, **more)
    assert found["AutomationExecutionStatus"] == status, json.dumps(found, indent=1)
    return found


def idempotent():
    account, token = Account(), str(uuid.uuid4())
    first = account.start(token=token)
    same(account.start(token=token.upper()), first)
    account.start(token=token, expect="IdempotentParameterMismatch", InstanceId="i-87654321")
    same(sum(call["began"] for call in control("calls", account=account.id)["calls"]), 1)
    other = Account()
    assert other.start(token=token) != first, "a token belongs to an account"


def unknown():
    account = Account()
    account.start("AWS-Nothing", expect="AutomationDefinitionNotFoundException")
    refused("AutomationDefinitionVersionNotFoundException", account.ssm.start_automation_execution,
            DocumentName="AWS-StopEC2Instance", DocumentVersion="7", Parameters={"InstanceId": ["i-12345678"]})
    refused("AutomationExecutionNotFoundException", account.get, str(uuid.uuid4()))
    refused("InvalidDocument", account.ssm.describe_document, Name="AWS-Nothing")
    control("document", account=account.id, name="AWS-StopEC2Instance", absent=True)
    account.start(expect="AutomationDefinitionNotFoundException")


def parameters():
    account, code = Account(), "InvalidAutomationExecutionParametersException"
    good = {"BucketName": "a-bucket", "Action": "Apply", "AutomationAssumeRole": account.role}

    def says(part, **changed):
        given = {name: value for name, value in (good | changed).items() if value is not None}
        message = account.start("Tag", expect=code, **given)
        assert part in message, message

    says("Missing required parameter: BucketName in user inputs.", BucketName=None)
    says('Parameter "Action" has value "apply" not found in [Apply, Undo].', Action="apply")
    says("[Bucket] are not defined", Bucket="a")
    says('"BucketName" has value "A"', BucketName="A")
    says('"BucketName" has value "abc\n"', BucketName="abc\n")
    says('"BucketName" has 2 values', BucketName=["abc", "abd"])
    says("not of type Integer", Count="two")
    says("not of type Boolean", Loud="yes")
    says("unable to be assumed", AutomationAssumeRole="arn:aws:iam::999999999999:role/remediate")
    control("settings", account=account.id, assume_roles=[])
    says("unable to be assumed")


def model():
    account = Account()
    call = account.ssm.start_automation_execution
    for part, given in [("documentName", {"DocumentName": "a b"}), ("clientToken", {"ClientToken": "1"}), ("mode", {"Mode": "Nope"}),
                        ("documentName", {"DocumentName": None}), ("parameters.InstanceId", {"Parameters": {"InstanceId": [""]}}),
                        ("tags", {"Tags": [{"Key": str(n), "Value": "a"} for n in range(9)]})]:
        given = {name: value for name, value in ({"DocumentName": "AWS-StopEC2Instance"} | given).items() if value is not None}
        assert f"'{part}" in refused("ValidationException", call, **given), given
    refused("InvalidSignatureException", wrong_scope, account)


def not_played():
    account = Account()
    given = {"DocumentName": "AWS-StopEC2Instance", "Parameters": {"InstanceId": ["i-12345678"]}}
    for code, words, more in [
            ("ValidationException", "Mode Interactive", {"Mode": "Interactive"}),
            ("ValidationException", "AlarmConfiguration", {"AlarmConfiguration": {"Alarms": [{"Name": "a"}]}}),
            ("ValidationException", "MaxErrors", {"MaxErrors": "1"}),
            ("InvalidTarget", "TargetLocations", {"TargetLocations": [{"Regions": [REGION], "Accounts": [account.id]}]}),
            ("InvalidTarget", "TargetParameterName", {"TargetParameterName": "InstanceId"})]:
        assert f"does not play {words}" in refused(code, account.ssm.start_automation_execution, **given, **more), words
    same(control("executions", account=account.id)["executions"], [])
    execution = account.ssm.start_automation_execution(**given, Mode="Auto")["AutomationExecutionId"]
    for signal in "StartStep", "StopStep", "Revoke":
        assert f"does not play the signal {signal}" in refused(
            "InvalidAutomationSignalException", account.ssm.send_automation_signal, AutomationExecutionId=execution, SignalType=signal)
    assert "does not play StartChangeRequestExecution" in refused(
        "UnknownOperationException", account.ssm.start_change_request_execution, DocumentName="a", Runbooks=[{"DocumentName": "a"}])


def wrong_scope(account):
    made = client("ssm", REGION, account.id)
    made._request_signer._signing_name = "sts"
    return made.describe_document(Name="AWS-StopEC2Instance")


def quotas():
    account = Account(quotas=True)
    execution = account.start()
    same(account.start(expect="ThrottlingException"), "Rate exceeded")
    for _ in range(3):
        account.get(execution)
    refused("ThrottlingException", account.get, execution)
    Account(quotas=True).start()
    time.sleep(1.05)
    account.start()
    control("settings", account=account.id, concurrency=1, queue=0)
    time.sleep(1.05)
    account.start(expect="AutomationExecutionLimitExceededException")


def queue():
    account = Account()
    control("settings", account=account.id, concurrency=1)
    first, second = account.start(), account.start()
    same([account.status(second), account.status(second)], ["Pending", "Pending"])
    same([account.status(first), account.status(first)], ["InProgress", "Success"])
    same([account.status(second), account.status(second)], ["InProgress", "Success"])


def scripts():
    account = Account()
    say = lambda **what: control("script", account=account.id, operation="StartAutomationExecution", **what)
    token = str(uuid.uuid4())
    say(close="before"), say(close="after"), say(error="deny"), say(error="throttle", times=2), say(error="fault"), say(delay_ms=50)
    for _ in range(2):
        try:
            raise AssertionError(account.start(token=token))
        except (ConnectionClosedError, EndpointConnectionError) as closed:
            assert "onnection" in str(closed)
    began = [call["began"] for call in control("calls", account=account.id)["calls"]]
    same(began, [False, True])
    account.start(token=token, expect="AccessDeniedException")
    account.start(token=token, expect="ThrottlingException")
    account.start(token=token, expect="ThrottlingException")
    account.start(token=token, expect="InternalServerError")
    since = time.monotonic()
    execution = account.start(token=token)
    assert time.monotonic() - since >= 0.05
    same([one["AutomationExecutionId"] for one in control("executions", account=account.id)["executions"]], [execution])
    try:
        say(error="InvalidDocument")
    except AssertionError as wrong:
        assert "declares" in str(wrong)
    else:
        raise AssertionError("an error that the operation does not declare was taken")


def statuses():
    account = Account()
    control("next", account=account.id, document="AWS-StopEC2Instance", statuses=[
        "PendingApproval", "InProgress", {"status": "Failed", "failure": "no such instance", "steps": [
            {"name": "stop", "status": "Failed", "failure": "no such instance", "details": {
                "FailureStage": "Invocation", "FailureType": "Action", "Details": {"ErrorCode": ["InvalidInstanceID"]}}}]}])
    execution = account.start()
    same([account.status(execution) for _ in range(3)], ["PendingApproval"] * 3)
    account.ssm.send_automation_signal(AutomationExecutionId=execution, SignalType="Approve", Payload={"Comment": ["by U1"]})
    same([account.status(execution) for _ in range(3)], ["InProgress", "Failed", "Failed"])
    found = account.get(execution)
    same((found["FailureMessage"], found["StepExecutions"][0]["FailureDetails"]["FailureType"]), ("no such instance", "Action"))
    same(account.ssm.describe_automation_step_executions(AutomationExecutionId=execution)["StepExecutions"][0]["StepName"], "stop")
    same(account.status(account.start()), "InProgress")


def stop():
    account = Account()
    execution = account.start()
    account.ssm.stop_automation_execution(AutomationExecutionId=execution)
    same([account.status(execution) for _ in range(2)], ["Cancelled"] * 2)
    refused("InvalidAutomationStatusUpdateException", account.ssm.stop_automation_execution, AutomationExecutionId=execution)
    bucket = account.bucket("stopped-bucket")
    for kind, end in ("Cancel", "Cancelled"), ("Complete", "Success"):
        control("next", account=account.id, document="Tag", hold_before="Change")
        held = account.tag(bucket)
        control("wait", execution=held, until=["InProgress"])
        account.ssm.stop_automation_execution(AutomationExecutionId=held, Type=kind)
        ended(held, end)
    held = account.tag(bucket)
    assert ended(held)["Outputs"]


def steps():
    account = Account()
    account.bucket("a-bucket")
    found = ended(account.tag())
    same([step["StepName"] for step in found["StepExecutions"]], ["Choose", "Record", "Change", "Verify"])
    same(found["Outputs"], {"Record.PreState": ["bucket=a-bucket", "count=2"]})
    same(account.get(found["AutomationExecutionId"])["Outputs"], found["Outputs"])
    same(found["StepExecutions"][3]["Outputs"], {"Tag": ["n-2"]})
    same(found["api_calls"][-2], {"step": "Change", "service": "s3", "api": "PutBucketTagging", "region": REGION,
                                  "actions": ["s3:PutBucketTagging"]})
    same([step["StepName"] for step in ended(account.tag(action="Undo", PreState=found["Outputs"]["Record.PreState"]))["StepExecutions"]], ["Choose", "CheckDrift", "Restore", "VerifyUndo"])
    failed = ended(account.tag("no-bucket"), "Failed")
    assert "there is no bucket no-bucket; name another" in failed["FailureMessage"], failed["FailureMessage"]
    control("next", account=account.id, document="Tag", hold_before="Change")
    held = account.tag()
    control("wait", execution=held, until=["InProgress"])
    control("aws", account=account.id, region=REGION, service="s3", api="DeleteBucket", inputs={"Bucket": "a-bucket"})
    control("release", execution=held)
    api = ended(held, "Failed")
    assert "(NoSuchBucket) when calling the PutBucketTagging operation" in api["FailureMessage"], api["FailureMessage"]
    same(api["StepExecutions"][-1]["FailureDetails"]["Details"], {"ErrorCode": ["NoSuchBucket"]})
    control("reset", account=account.id)
    same(control("executions", account=account.id)["executions"], [])
    same(control("aws", account=account.id, region=REGION, service="s3", api="list_buckets")["output"]["Buckets"], [])


def approve():
    account = Account()
    control("command", account=account.id, document="AWS-RunShellScript", status="Failed", output="no shell")
    for signal, end in ("Approve", "Failed"), ("Approve", "Success"), ("Reject", "Rejected"):
        execution = account.start("Approval")
        control("wait", execution=execution, until=["PendingApproval"])
        refused("InvalidAutomationSignalException", account.ssm.send_automation_signal, AutomationExecutionId=execution,
                SignalType="Resume")
        account.ssm.send_automation_signal(AutomationExecutionId=execution, SignalType=signal, Payload={"Comment": ["fine"]})
        found = ended(execution, end)
        outputs = account.get(execution)["StepExecutions"][-1].get("Outputs", {}) if end == "Success" else {}
        assert "Output" not in outputs, "a command without output has none"
    same([step["StepStatus"] for step in found["StepExecutions"]], ["Rejected"])
    control("command", account=account.id, document="AWS-RunShellScript", status="Failed")
    execution = account.start("Approval")
    control("wait", execution=execution, until=["PendingApproval"])
    account.ssm.send_automation_signal(AutomationExecutionId=execution, SignalType="Approve")
    ended(execution, "Failed")
    same(account.get(execution)["StepExecutions"][-1]["FailureDetails"]["Details"], {})
    refused("InvalidAutomationSignalException", account.ssm.send_automation_signal, AutomationExecutionId=execution, SignalType="Approve")


def describe():
    account = Account()
    execution = account.ssm.start_automation_execution(DocumentName="AWS-StopEC2Instance", Parameters={"InstanceId": ["i-12345678"]},
                                                       Tags=[{"Key": "finding", "Value": "f"}])["AutomationExecutionId"]
    account.start()
    rows = lambda *filters, **more: [row["AutomationExecutionId"] for row in account.ssm.describe_automation_executions(
        **({"Filters": [{"Key": key, "Values": [value]} for key, value in filters]} if filters else {}), **more)["AutomationExecutionMetadataList"]]
    same(rows(("TagKey", "finding")), [execution])
    same(rows(("ExecutionId", execution), ("DocumentNamePrefix", "AWS-")), [execution])
    same((len(rows()), len(rows(MaxResults=1)), rows(("ExecutionStatus", "Failed"))), (2, 1, []))
    refused("InvalidFilterKey", rows, ("OpsItemId", "a"))
    document = account.ssm.describe_document(Name="Tag")["Document"]
    same(document["Parameters"][3], {"Name": "BucketName", "Type": "String", "Description": "The bucket."})
    assert json.loads(account.ssm.get_document(Name="Tag")["Content"])["mainSteps"][0]["name"] == "Choose"
    same(account.ssm.get_document(Name="Tag", DocumentFormat="YAML")["Content"], DOCUMENT)
    put = account.ssm.put_parameter(Name="/a", Value="b", Type="SecureString")
    same((put["Version"], account.ssm.get_parameter(Name="/a", WithDecryption=True)["Parameter"]["Value"]), (1, "b"))
    refused("ParameterNotFound", account.ssm.get_parameter, Name="/other")


def gaps():
    account = Account()

    def call(service, api, **inputs):
        found = control("aws", account=account.id, region=REGION, service=service, api=api, inputs=inputs)
        return found.get("output") or found["error"]["code"]

    mapping = [{"DeviceName": device, "Ebs": {"VolumeSize": 8}} for device in ("/dev/xvda", "/dev/xvdb")]
    image = call("ec2", "DescribeImages", Owners=["amazon"])["Images"][0]["ImageId"]
    instance = call("ec2", "RunInstances", ImageId=image, MinCount=1, MaxCount=1, BlockDeviceMappings=mapping)["Instances"][0]["InstanceId"]
    volumes = lambda: {one["DeviceName"]: one["Ebs"]["VolumeId"] for one in call("ec2", "DescribeInstances")["Reservations"][0]["Instances"][0][
        "BlockDeviceMappings"]}
    first = volumes()
    of_root, of_data = (call("ec2", "CreateSnapshot", VolumeId=first[device])["SnapshotId"] for device in ("/dev/xvda", "/dev/xvdb"))
    replace = lambda **inputs: call("ec2", "CreateReplaceRootVolumeTask", **{"InstanceId": instance, "SnapshotId": of_root, **inputs})
    same(replace(SnapshotId=of_data), "InvalidParameterValue")
    same(replace(SnapshotId="snap-00000000"), "InvalidSnapshot.NotFound")
    same(replace(InstanceId="i-00000000"), "InvalidInstanceID.NotFound")
    for delete in False, True:
        before = volumes()["/dev/xvda"]
        task = replace(DeleteReplacedRootVolume=delete)["ReplaceRootVolumeTask"]
        look = lambda: call("ec2", "DescribeReplaceRootVolumeTasks", ReplaceRootVolumeTaskIds=[task["ReplaceRootVolumeTaskId"]])["ReplaceRootVolumeTasks"]
        same([task["TaskState"], look()[0]["TaskState"], volumes()["/dev/xvda"]], ["pending", "in-progress", before])
        done = look()[0]
        same([done["TaskState"], done["SnapshotId"], done["DeleteReplacedRootVolume"]], ["succeeded", of_root, delete])
        assert "CompleteTime" in done and volumes()["/dev/xvda"] != before and volumes()["/dev/xvdb"] == first["/dev/xvdb"]
        same(call("ec2", "DescribeVolumes", VolumeIds=[before]) == "InvalidVolume.NotFound", delete)
    same(call("ec2", "DescribeReplaceRootVolumeTasks", ReplaceRootVolumeTaskIds=["replacevol-0"]), "InvalidReplaceRootVolumeTaskId.NotFound")
    call("ec2", "StopInstances", InstanceIds=[instance])
    same(replace(), "IncorrectInstanceState")
    same(call("ssm", "DescribeInstancePatchStates", InstanceIds=[instance])["InstancePatchStates"], [])


def calendar():
    account = Account()
    set_ = lambda name, **what: control("calendar", account=account.id, region=REGION, name=name, **what)
    set_("open", state="OPEN"), set_("closed", state="CLOSED", next="2026-12-01T00:00:00Z"), set_("bad", error="UnsupportedCalendarException")
    state = lambda *names: account.ssm.get_calendar_state(CalendarNames=list(names))
    same(state("open")["State"], "OPEN")
    both = state("open", f"arn:aws:ssm:{REGION}:{account.id}:document/closed")
    same((both["State"], both["NextTransitionTime"]), ("CLOSED", "2026-12-01T00:00:00Z"))
    refused("UnsupportedCalendarException", state, "open", "bad")
    refused("InvalidDocument", state, "none")


def sts():
    home, away = Account(), Account()
    role = away.role
    control("role", arn=role, external_id="secret-id")
    service = client("sts", REGION, home.id)
    same(service.get_caller_identity()["Account"], home.id)
    refused("AccessDenied", service.assume_role, RoleArn=role, RoleSessionName="router")
    refused("AccessDenied", service.assume_role, RoleArn=role, RoleSessionName="router", ExternalId="other")
    refused("AccessDenied", service.assume_role, RoleArn=home.role, RoleSessionName="router")
    given = service.assume_role(RoleArn=role, RoleSessionName="router", ExternalId="secret-id")["Credentials"]
    keys = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    same(client("sts", REGION, *keys).get_caller_identity()["Arn"], f"arn:aws:sts::{away.id}:assumed-role/remediate/router")
    there = client("ssm", "us-east-1", *keys)
    execution = there.start_automation_execution(DocumentName="AWS-StopEC2Instance", Parameters={"InstanceId": ["i-12345678"]})
    refused("AutomationExecutionNotFoundException", home.get, execution["AutomationExecutionId"])
    same([(one["account"], one["region"]) for one in control("executions", account=away.id)["executions"]], [(away.id, "us-east-1")])
    refused("UnrecognizedClientException", client("ssm", REGION, keys[0], keys[1], "other").describe_document, Name="Tag")
    refused("UnrecognizedClientException", client("ssm", REGION, "AKIAEXAMPLE").describe_document, Name="Tag")
    control("key", key="AKIAEXAMPLE", account=away.id)
    same(client("ssm", REGION, "AKIAEXAMPLE").describe_document(Name="Tag")["Document"]["Owner"], away.id)


def ends():
    """Last: the server goes when its input ends."""
    server.stdin.close()
    server.wait(5)


TESTS = [idempotent, unknown, parameters, model, not_played, quotas, queue, scripts, statuses, stop, steps, approve, describe, gaps, calendar, sts, ends]
atexit.register(lambda: server.poll() is None and server.kill())
failed = 0
for test in TESTS:
    if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
        continue
    since = time.monotonic()
    try:
        test()
        print(f"ok      {test.__name__} {time.monotonic() - since:.2f} s")
    except Exception:
        failed += 1
        print(f"FAILED  {test.__name__}\n{traceback.format_exc()}")
sys.exit(bool(failed))
