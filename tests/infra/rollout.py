"""What moto plays of a roll-out: runbooks.yaml as a stack; then it and member.yaml as StackSets, into an organization's accounts and Regions.

    rollout.py       tells each step; ends with 1 at the first that fails
"""
import json, os

from installed import ROOT, enter

if __name__ == "__main__":
    enter()
import boto3
from moto import mock_aws
from moto.backends import get_backend

import steps, templates

CENTRAL, HOME, GLOBAL = "123456789012", "ap-northeast-1", "us-east-1"
MEMBER = {"BusArn": f"arn:aws:events:{HOME}:{CENTRAL}:event-bus/findings-router", "RouterAccount": CENTRAL, "HomeRegion": HOME}
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
OURS = {path.stem: path.read_text() for path in sorted((ROOT / "infra" / "runbooks").glob("*.yaml"))}


class Story:
    """The organization: its accounts below one organizational unit."""

    def __init__(self):
        self.cloudformation, self.accounts, self.unit = boto3.client("cloudformation", HOME), [], None


def given(parameters):
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]


def documents_in(account, region):
    return set(get_backend("ssm")[account][region]._documents) & set(OURS)


def roles(account):
    found = {role.name: role for role in get_backend("iam")[account]["aws"].roles.values()}
    return {name: role for name, role in found.items() if name != "OrganizationAccountAccessRole"}


def rules(account, region):
    return dict(get_backend("events")[account][region].event_buses["default"].rules)


def documents(story):
    """runbooks.yaml as a stack: every document is as in infra/runbooks, and has its role"""
    body = templates.text("runbooks", templates.EVERYTHING)
    story.cloudformation.create_stack(StackName="runbooks", TemplateBody=body, Parameters=given({"HomeRegion": HOME}), Capabilities=CAPABILITIES)
    status = story.cloudformation.describe_stacks(StackName="runbooks")["Stacks"][0]["StackStatus"]
    assert status == "CREATE_COMPLETE", f"the stack is {status}"
    ssm = boto3.client("ssm", HOME)
    for name, text in OURS.items():
        found = ssm.get_document(Name=name, DocumentFormat="YAML")
        assert found["DocumentType"] == "Automation" and found["Content"].rstrip() == text.rstrip(), f"{name} is not as in infra/runbooks"
        assert name in roles(CENTRAL), f"{name} has no role"
    strange = [name for name in roles(CENTRAL) if not name.startswith(("FindingsRouter-", "AWS"))]
    assert not strange, f"these roles are no runbook's: {strange}"


def removed(story):
    """the stack is deleted, and nothing of it is left"""
    story.cloudformation.delete_stack(StackName="runbooks")
    left = [*documents_in(CENTRAL, HOME), *roles(CENTRAL)]
    assert not left, f"left: {left}"


def organization(story):
    """both as StackSets that organizations manage, into all accounts of a unit and two Regions, the home Region first"""
    organizations = boto3.client("organizations", GLOBAL)
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    story.unit = organizations.create_organizational_unit(ParentId=root, Name="workloads")["OrganizationalUnit"]["Id"]
    for name in "shop", "laboratory":
        account = organizations.create_account(AccountName=name, Email=f"{name}@example.com")["CreateAccountStatus"]["AccountId"]
        organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=story.unit)
        story.accounts.append(account)
    for name, parameters in ("member", MEMBER), ("runbooks", {"HomeRegion": HOME}):
        story.cloudformation.create_stack_set(
            StackSetName=name, TemplateBody=templates.text(name, templates.EVERYTHING), Parameters=given(parameters), Capabilities=CAPABILITIES,
            PermissionModel="SERVICE_MANAGED", AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": False})
        story.cloudformation.create_stack_instances(
            StackSetName=name, DeploymentTargets={"OrganizationalUnitIds": [story.unit]}, Regions=[HOME, GLOBAL],
            OperationPreferences={"RegionConcurrencyType": "SEQUENTIAL", "RegionOrder": [HOME, GLOBAL]})
        instances = story.cloudformation.list_stack_instances(StackSetName=name)["Summaries"]
        current = {(one["Account"], one["Region"]) for one in instances if one["Status"] == "CURRENT"}
        assert current == {(account, region) for account in story.accounts for region in (HOME, GLOBAL)}, f"{name} is current in {current} only"


def everywhere(story):
    """each Region has its rules and documents, the global one the rules of global services too; each account has its roles"""
    for account in story.accounts:
        at_home, at_global = rules(account, HOME), rules(account, GLOBAL)
        assert at_home and set(at_home) < set(at_global), f"{account}: the global Region has no more rules than another: {sorted(at_global)}"
        for rule in (*at_home.values(), *at_global.values()):
            (target,) = rule.targets
            assert target["Arn"] == MEMBER["BusArn"], f"{account}: {rule.name} forwards to {target['Arn']}"
            assert target["RoleArn"] == f"arn:aws:iam::{account}:role/findings-router-forward", f"{account}: {rule.name} forwards as {target['RoleArn']}"
        for region in HOME, GLOBAL:
            assert documents_in(account, region) == set(OURS), f"{account}, {region}: lacks {set(OURS) - documents_in(account, region)}"
        wanted = {"findings-router-forward", "findings-router-member", *OURS}
        assert wanted <= set(roles(account)), f"{account}: lacks the roles {wanted - set(roles(account))}"
        trusted = json.loads(roles(account)["findings-router-member"].assume_role_policy_document)["Statement"][0]["Principal"]
        assert trusted == {"AWS": f"arn:aws:iam::{CENTRAL}:root"}, f"{account}: findings-router-member trusts {trusted}"


def changed(story):
    """an update of the StackSet is taken (moto notes it, and changes no instance)"""
    body = templates.text("member")
    story.cloudformation.update_stack_set(StackSetName="member", TemplateBody=body, Parameters=given(MEMBER), Capabilities=CAPABILITIES)
    assert story.cloudformation.describe_stack_set(StackSetName="member")["StackSet"]["TemplateBody"] == body, "the template is the old one"
    operations = [(one["Action"], one["Status"]) for one in story.cloudformation.list_stack_set_operations(StackSetName="member")["Summaries"]]
    assert ("UPDATE", "SUCCEEDED") in operations, f"no update among {operations}"


def taken_back(story):
    """the instances are deleted, and nothing is left in any account"""
    for name in "runbooks", "member":
        # By account: moto does not read DeploymentTargets here, as AWS demands it of such StackSets.
        story.cloudformation.delete_stack_instances(StackSetName=name, Accounts=story.accounts, Regions=[GLOBAL, HOME], RetainStacks=False)
        story.cloudformation.delete_stack_set(StackSetName=name)
    for account in story.accounts:
        left = [*roles(account)] + [one for region in (HOME, GLOBAL) for one in (*rules(account, region), *documents_in(account, region))]
        assert not left, f"{account}: left: {left}"


if __name__ == "__main__":
    os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true", "MOTO_ACCOUNT_ID": CENTRAL}
    with mock_aws():
        steps.tell(Story(), documents, removed, organization, everywhere, changed, taken_back)
