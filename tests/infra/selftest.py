"""Tests of the judges: each way of breaking a template, a policy or a table of ours is found, and said in these words."""
import sys

from installed import HERE, enter

if __name__ == "__main__":
    enter()
import yaml
import access, lint, templates

# What is broken at once: the template, its words, what they become, which judge says so, and how.
BROKEN = [
    ("state", "VisibilityTimeout: 360", "VisibilityTimeout: 99999", "cfn-lint", "99999"),
    ("state", "Condition: HasAlarmEmail", "Condition: Never", "ways", "AlarmsByMail is in no way to deploy"),
    ("state", "\nConditions:", "\nConditions:\n  Never: !Equals [!Ref AlarmEmail, never]", "cfn-lint", ""),
    ("state", "EnableKeyRotation: true", "EnableKeyRotation: false", "checkov", "Key: CKV_AWS_7"),
    ("router", "id: CKV_AWS_116", "id: CKV_AWS_258", "checkov", "Function: CKV_AWS_258 is suppressed, but does not fail"),
    ("router", "id: CKV_AWS_116", "id: CKV_AWS_258", "checkov", "Function: CKV_AWS_116"),
    ("router", "sqs:GetQueueAttributes, sqs:GetQueueUrl]", "sqs:GetQueueAttribute, sqs:GetQueueUrl]", "policies", "UNKNOWN_ACTION Unknown action sqs:GetQueueAttribute"),
    ("router", "          # In any account: which ones, the trust policies there say.\n", "", "wildcards", "sts:AssumeRole: say why"),
    ("router", 'Resource: !Sub "arn:${AWS::Partition}:logs:${AWS::Region}', 'Resource: !Sub "arn:${AWS::Partition}:logs:*', "wildcards", "logs:PutLogEvents: say why"),
    ("member", '"detail-type":["AWS Insight via CloudTrail"]', '"detail-type":["' + 2_000 * "x" + '"]', "quotas", "characters of EventPattern of member/Forward"),
]
# The same for who may do what.
MISJUDGED = [
    ("state", "            Action: sqs:SendMessage\n            Resource: !GetAtt Queue.Arn\n            Condition:\n",
     "            Action: sqs:PurgeQueue\n            Resource: !GetAtt Queue.Arn\n            Condition:\n", "administrator may not sqs:SendMessage on queue"),
    ("state", "            Action: sqs:*\n", "            Action: sqs:PurgeQueue\n", "function may not sqs:ReceiveMessage on queue (TLS only)"),
    ("state", '"aws:PrincipalOrgID": !Ref OrganizationId', '"aws:PrincipalOrgID": "*"', "forward may events:PutEvents on bus"),
    ("router", "              - dynamodb:PutItem\n", "              - dynamodb:PutItem\n              - dynamodb:DeleteItem\n", "router/Work, Remember (role/findings-router-function) grants dynamodb:DeleteItem"),
    ("router", "              - sqs:GetQueueUrl\n", "", "function may sqs:GetQueueUrl on queue"),
    ("router", '                  "Null": { "events:source": "false"', '                  "Null": { "events:source": "true"', "drill may events:PutEvents on default bus"),
    ("member", "role/${Name}-daemon", "role/administrator", "administrator may not sts:AssumeRole on member role"),
    ("runbooks", "              - iam:CreateUser\n", "", "a widened runbook may not iam:CreateUser on user"),
]


def breaking(rows):
    """Makes the templates read as broken."""
    whole = templates.text

    def text(name, configuration=None):
        made = whole(name, configuration)
        for template, old, new in dict.fromkeys(row[:3] for row in rows):
            if template == name:
                assert old in made, f"selftest.py: {name} does not hold {old!r} any more"
                made = made.replace(old, new)
        return made

    templates.text = text
    return lambda: setattr(templates, "text", whole)


def judged():
    """What lint.py says of the broken templates, by judge, and access.py."""
    mend = breaking(BROKEN)
    templates.texts.cache_clear(), templates.ways.cache_clear()
    accepted = lint.Accepted()
    accepted.rows.append({"where": "nowhere", "issue": "NOTHING", "why": "stale"})
    said = {name: "\n".join(part(accepted)) for name, part in lint.PARTS.items()}
    mend()
    mend = breaking(MISJUDGED)
    table = yaml.safe_load((HERE / "access.yaml").read_text())
    said["access"] = "\n".join(access.judge(table, list(access.asked(table)), whole=True))
    mend()
    return said


def main():
    said, failed = judged(), False
    rows = [(one[3], one[4], f"{one[0]}: {one[2].strip()[:60]!r}") for one in BROKEN] + [("access", one[3], f"{one[0]}: {one[2].strip()[:60]!r}") for one in MISJUDGED]
    rows.append(("policies", "nothing finds NOTHING in nowhere any more", "accepted.yaml: a stale row"))
    for judge, words, what in rows:
        found = words in said[judge]
        failed |= not found
        print(f"{'ok    ' if found else 'FAILED'}  {judge}, of {what}", flush=True)
        if not found:
            print(f"does not say {words!r}, but:\n{said[judge][:1000]}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
