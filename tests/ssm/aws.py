"""AWS as the steps see it: boto3 clients of any account and Region that speak to moto in this process, and what they called."""
import contextlib, functools, os, threading, types

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true",
                  MOTO_AMIS_PATH=os.path.join(os.path.dirname(os.path.abspath(__file__)), "images.json"))

import boto3, botocore.waiter, moto
from botocore.config import Config
from moto.core.base_backend import BackendDict

import gaps

# One call at a time: moto's memory is not made for threads.
_turn = threading.RLock()
_recorder = threading.local()
_clients = {}


def start():
    """From here on, no boto3 client of this process reaches a network."""
    moto.mock_aws(config={"lambda": {"use_docker": False}}).start()
    gaps.fill()
    # Waiters wait for what moto has done already.
    botocore.waiter.time = types.SimpleNamespace(sleep=lambda seconds: None)


# What a document may ask of Automation itself, which this server plays and moto does not.
OURS = {"DescribeAutomationExecutions", "GetAutomationExecution"}
# What IAM calls the services that our documents use, by boto3's name: not always what their requests are signed for.
PREFIXES = {name: name for name in ("autoscaling", "cloudtrail", "cloudwatch", "config", "ec2", "guardduty", "iam", "kms", "lambda", "rds", "s3",
                                    "ssm", "sts")} | {"elbv2": "elasticloadbalancing", "s3control": "s3"}
# Operations that IAM knows by another name than AWS's own API has for them.
ACTIONS = {("s3", name): "s3:" + action for name, action in {
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock", "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock", "ListBuckets": "ListAllMyBuckets", "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket", "HeadObject": "GetObject", "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration", "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration", "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketTagging": "PutBucketTagging", "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetBucketNotificationConfiguration": "GetBucketNotification", "PutBucketNotificationConfiguration": "PutBucketNotification",
}.items()} | {("s3control", name): "s3:" + action for name, action in {
    "GetPublicAccessBlock": "GetAccountPublicAccessBlock", "PutPublicAccessBlock": "PutAccountPublicAccessBlock",
    "DeletePublicAccessBlock": "PutAccountPublicAccessBlock"}.items()}


def actions(model, operation, inputs):
    """What IAM asks for before it lets a call pass."""
    if model.service_name not in PREFIXES:
        raise ValueError(f"tests/ssm does not know what IAM calls {model.service_name}: add it to PREFIXES in aws.py")
    yield ACTIONS.get((model.service_name, operation), f"{PREFIXES[model.service_name]}:{operation}")
    if model.service_name == "ec2" and inputs.get("TagSpecifications"):
        yield "ec2:CreateTags"


@contextlib.contextmanager
def recording(calls, automation, **more):
    """Notes in `calls` each call of this thread; those of OURS are answered by `automation`, not by moto."""
    before = getattr(_recorder, "note", None), getattr(_recorder, "automation", None)
    _recorder.note, _recorder.automation = lambda **call: calls.append({**more, **call}), automation
    try:
        yield
    finally:
        _recorder.note, _recorder.automation = before


class Session:
    """What a step has for boto3: its account, and its Region unless it names another."""

    def __init__(self, account, region, arguments=None):
        self.account, self.region_name = account, (arguments or {}).get("region_name") or region

    def client(self, service, region_name=None, **_):
        return client(self.account, region_name or self.region_name, service)

    def resource(self, service, region_name=None, **_):
        session = boto3.Session("none", "none", region_name=region_name or self.region_name)
        made = session.resource(service)
        _bind(made.meta.client, self.account)
        return made

    def get_available_regions(self, service, **more):
        return boto3.Session().get_available_regions(service, **more)


def module(account, region):
    """What `import boto3` gives to a script."""
    session = Session(account, region)
    return types.SimpleNamespace(
        client=session.client, resource=session.resource, session=types.SimpleNamespace(Session=None),
        Session=lambda *_, **arguments: Session(account, region, arguments))


def client(account, region, service):
    with _turn:
        key = (account, region, service)
        if key not in _clients:
            made = boto3.client(service, region_name=region, aws_access_key_id="none", aws_secret_access_key="none",
                                config=Config(retries={"total_max_attempts": 1}))
            _clients[key] = _bind(made, account)
        return _clients[key]


def _bind(made, account):
    def owned(request, **_):
        request.headers["x-moto-account-id"] = account

    made.meta.events.register("before-sign.*", owned)
    plain = made._make_api_call

    @functools.wraps(plain)
    def call(operation, inputs):
        model = made.meta.service_model
        if getattr(_recorder, "note", None):
            _recorder.note(service=model.service_name, api=operation, region=made.meta.region_name,
                           actions=list(actions(model, operation, inputs)))
        if model.service_name == "ssm" and operation in OURS and getattr(_recorder, "automation", None):
            return _recorder.automation(operation, inputs)
        with _turn:
            return plain(operation, inputs)

    made._make_api_call = call
    return made


def call(account, region, service, api, inputs):
    """One call, named as an SSM document or a test names it: `Api` is GetBucketPolicy or get_bucket_policy."""
    try:
        maker = client(account, region, service)
    except Exception as wrong:
        raise ValueError(f"AWS has no service {service!r}: {wrong}") from None
    for method, operation in maker.meta.method_to_api_mapping.items():
        if api in (method, operation):
            answer = getattr(maker, method)(**inputs)
            answer.pop("ResponseMetadata", None)
            return answer
    raise ValueError(f"{service} has no API {api!r}")


def reset(account):
    with _turn:
        for backends in BackendDict._instances:
            if dict.__contains__(backends, account):
                backends[account].reset()
                del backends[account]
        for key in [key for key in _clients if key[0] == account]:
            del _clients[key]
