"""What our documents need of AWS and moto lacks, put into moto: the answers have the shape of botocore's model, and are checked against it.

    EC2     CreateReplaceRootVolumeTask from a snapshot, DescribeReplaceRootVolumeTasks: pending, in-progress, succeeded, a look each
    SSM     DescribeInstancePatchStates: what the commands AWS-RunPatchBaseline that tests/ssm played have left
    Lambda  AddPermission: FunctionUrlAuthType, InvokedViaFunctionUrl and EventSourceToken become conditions, as AWS documents them
"""
import botocore.session
from botocore.validate import ParamValidator
from moto.awslambda.policy import Policy
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.utils import random_resource_id
from moto.ssm.models import ssm_backends
from moto.ssm.responses import SimpleSystemManagerResponse

SESSION = botocore.session.Session()
# The patches of every instance of an emulated account: so many are there, so many more are found.
INSTALLED, FOUND = 40, 3


def fill():
    ElasticBlockStore.create_replace_root_volume_task = create_replace_root_volume_task
    ElasticBlockStore.describe_replace_root_volume_tasks = describe_replace_root_volume_tasks
    SimpleSystemManagerResponse.describe_instance_patch_states = describe_instance_patch_states
    Policy.decode_policy = decode_policy


def checked(service, operation, answer):
    report = ParamValidator().validate(answer, SESSION.get_service_model(service).operation_model(operation).output_shape)
    if report.has_errors():
        raise RuntimeError(f"tests/ssm made an answer to {operation} that AWS could not give: {report.generate_report()}")
    return ActionResult(answer)


def only(response, operation, *names):
    shape = SESSION.get_service_model(response.service_name).operation_model(operation).input_shape
    more = [name for name in set(shape.members) - {"ClientToken", *names} if response._get_param(name)]
    if more:
        raise NotImplementedError(f"tests/ssm plays {operation} with {', '.join(names)}, not with {', '.join(sorted(more))}")


def remembered(backend, what):
    """A table of ours in moto's memory, which is forgotten with it."""
    return backend.__dict__.setdefault(f"tests_ssm_{what}", {})


def create_replace_root_volume_task(self):
    only(self, "CreateReplaceRootVolumeTask", "InstanceId", "SnapshotId", "DeleteReplacedRootVolume")
    ec2, tasks = self.ec2_backend, remembered(self.ec2_backend, "root_volume_tasks")
    instance, snapshot = ec2.get_instance(self._get_param("InstanceId")), ec2.get_snapshot(self._get_param("SnapshotId"))
    roots = {task["root"] for task in tasks.values() if task["InstanceId"] == instance.id} | {root(instance)}
    # The codes of these two are our reading; that AWS refuses is documented.
    if instance.state != "running":
        raise EC2ClientError("IncorrectInstanceState", f"The instance '{instance.id}' is not in the state 'running'.")
    if snapshot.volume_id not in roots:
        raise EC2ClientError("InvalidParameterValue", f"The snapshot '{snapshot.id}' is not of a root volume of '{instance.id}'.")
    task = {"ReplaceRootVolumeTaskId": f"replacevol-{random_resource_id(17)}", "InstanceId": instance.id, "TaskState": "pending",
            "StartTime": moment(), "SnapshotId": snapshot.id, "Tags": [],
            "DeleteReplacedRootVolume": str(self._get_param("DeleteReplacedRootVolume")).lower() == "true"}
    tasks[task["ReplaceRootVolumeTaskId"]] = task | {"root": root(instance)}
    return checked("ec2", "CreateReplaceRootVolumeTask", {"ReplaceRootVolumeTask": task})


def describe_replace_root_volume_tasks(self):
    only(self, "DescribeReplaceRootVolumeTasks", "ReplaceRootVolumeTaskIds")
    tasks, names = remembered(self.ec2_backend, "root_volume_tasks"), self._get_param("ReplaceRootVolumeTaskIds", [])
    for name in names or tasks:
        if name not in tasks:
            raise EC2ClientError("InvalidReplaceRootVolumeTaskId.NotFound", f"The task '{name}' does not exist.")
        advance(self.ec2_backend, tasks[name])
    shown = [{key: value for key, value in tasks[name].items() if key != "root"} for name in names or tasks]
    return checked("ec2", "DescribeReplaceRootVolumeTasks", {"ReplaceRootVolumeTasks": shown})


def advance(ec2, task):
    """A look on; the volumes change places at the end."""
    if task["TaskState"] == "pending":
        task["TaskState"] = "in-progress"
    elif task["TaskState"] == "in-progress":
        instance, old = ec2.get_instance(task["InstanceId"]), ec2.get_volume(task["root"])
        ec2.detach_volume(old.id, instance.id, instance.root_device_name)
        new = ec2.create_volume(old.size, old.zone.name, task["SnapshotId"], old.encrypted, old.kms_key_id, old.volume_type)
        ec2.attach_volume(new.id, instance.id, instance.root_device_name)
        if task["DeleteReplacedRootVolume"]:
            ec2.delete_volume(old.id)
        task |= {"TaskState": "succeeded", "CompleteTime": moment()}


def root(instance):
    return instance.block_device_mapping[instance.root_device_name].volume_id


def moment():
    return utcnow().strftime("%Y-%m-%dT%H:%M:%SZ")


def patched(account, region, instances, operation, reboot, status):
    """What a command AWS-RunPatchBaseline leaves: found patches are missing after a scan, else installed, or failed."""
    states, now = remembered(ssm_backends[account][region], "patch_states"), utcnow()
    counts = {"InstalledCount": INSTALLED, "InstalledPendingRebootCount": 0, "MissingCount": 0, "FailedCount": 0}
    where = "MissingCount" if operation == "Scan" else "FailedCount" if status != "Success" else \
        "InstalledPendingRebootCount" if reboot == "NoReboot" else "InstalledCount"
    counts[where] += FOUND
    for instance in instances:
        tags = {tag["key"]: tag["value"] for tag in ec2_backends[account][region].describe_tags({"resource-id": [instance]})}
        states[instance] = counts | {
            "InstanceId": instance, "PatchGroup": tags.get("PatchGroup") or tags.get("Patch Group") or "none",
            "BaselineId": "pb-0123456789abcdef0", "Operation": operation, "OperationStartTime": now, "OperationEndTime": now} | (
            {} if operation == "Scan" else {"RebootOption": reboot})


def describe_instance_patch_states(self):
    only(self, "DescribeInstancePatchStates", "InstanceIds")
    states = remembered(self.ssm_backend, "patch_states")
    found = [states[instance] for instance in self._get_param("InstanceIds") if instance in states]
    return checked("ssm", "DescribeInstancePatchStates", {"InstancePatchStates": found})


moto_decodes = Policy.decode_policy


def decode_policy(self, given):
    asked = {"FunctionUrlAuthType": given.pop("FunctionUrlAuthType", None), "InvokedViaFunctionUrl": given.pop("InvokedViaFunctionUrl", None),
             "EventSourceToken": given.get("EventSourceToken")}
    policy = moto_decodes(self, given)
    for name, value in asked.items():
        if value is not None:
            operator, value = ("Bool", str(value).lower()) if isinstance(value, bool) else ("StringEquals", value)
            policy.statements[0].setdefault("Condition", {}).setdefault(operator, {})[f"lambda:{name}"] = value
    return policy
