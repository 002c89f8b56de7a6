"""Tests of lint.py and scenarios.py: the sample passes, and each way of breaking it is found.

    selftest_judges.py     ends with 1 where a fault went unseen
"""
import pathlib, shutil, sys, tempfile

from installed import HERE, enter

enter()

import aws, lint, scenarios

NAME = "FindingsRouter-Tag"
DOCUMENT, POLICY, SCENARIO, FAILING = f"{NAME}.yaml", f"{NAME}.policy.json", f"scenarios/{NAME}.yaml", f"scenarios/{NAME}-NoBucket.yaml"
# What is broken: the file, the text, what stands there instead, and what must be said of it.
LINT = [
    (DOCUMENT, "schemaVersion: '0.3'", "schemaVersion: 0.3", "schemaVersion is not"),
    (DOCUMENT, "  Undo: takes", "  Back: takes", "no line `Undo: …`"),
    (DOCUMENT, "allowedPattern: '^[a-z-]{3,63}$'", "allowedPattern: '[a-z-]{3,63}'", "parameters.BucketName.allowedPattern is not anchored"),
    (DOCUMENT, "'^[a-z-]{3,63}$'", "'^a|b$'", "one side of a |"),
    (DOCUMENT, "    description: The bucket.\n", "", "parameters.BucketName has no description"),
    (DOCUMENT, "    allowedValues: [Apply, Undo]", "    allowedValues: [Apply, Undo]\n    default: Apply", "parameters.Action must have"),
    (DOCUMENT, "    default: 2", "    default: two", "parameters.Count.default does not suit"),
    (DOCUMENT, "    default: 2", "    default: 2\n    default: 3", "stands twice"),
    (DOCUMENT, "Count: '{{ Count }}', ", "", "reads events['Count'], which is not in InputPayload"),
    (DOCUMENT, "{Bucket: '{{ BucketName }}', PreState", "{Bucket: '{{ BucketName }}', More: a, PreState", "hands over More"),
    (DOCUMENT, "Value: 'n-{{ Count }}'", "Value: 'n-{{ Number }}'", "mainSteps.Change uses {{ Number }}"),
    (DOCUMENT, "Value: 'n-{{ Count }}'", "Value: '{{ Record.Other }}'", "uses {{ Record.Other }}"),
    (DOCUMENT, "Service: s3, Api: DeleteBucketTagging, Bucket: '{{ BucketName }}'",
     "Service: s3, Api: DeleteBucketTagging, Bucket: '{{ Record.PreState }}'", "can be reached without Record"),
    (DOCUMENT, "    nextStep: Change", "    nextStep: Chance", "leads to Chance, which is no step"),
    (DOCUMENT, "    nextStep: Change", "    nextStep: Verify", "mainSteps.Change is reached from no step"),
    (DOCUMENT, "    nextStep: Verify\n", "    isEnd: true\n", "leads to the end(s) Change, not to Verify alone"),
    (DOCUMENT, "action: aws:executeAwsApi\n    description: Tags", "action: aws:executeApi\n    description: Tags", "is no action"),
    (DOCUMENT, "Api: PutBucketTagging", "Api: PutBucketTag", "is no operation of s3"),
    (DOCUMENT, "Api: PutBucketTagging, Bucket", "Api: PutBucketTagging, Buckett", "Buckett is no input of PutBucketTagging"),
    (DOCUMENT, "raise Exception('the", "raise Exception(the", "does not compile"),
    (DOCUMENT, "raise Exception('the", "raise Exception('{{ Action }} the", "where a value becomes code"),
    (DOCUMENT, "Handler: check", "Handler: test", "which its Script does not define"),
    (DOCUMENT, "$.TagSet[?(@.Key=='Kept')]", "$.TagSet[?@]", "that tests/ssm does not read"),
    (DOCUMENT, "  - Record.PreState", "  - Record.State", "outputs has Record.State"),
    (DOCUMENT, "    isEnd: true\n  - name: CheckDrift", "    isEnd: true\n    timeout: 3\n  - name: CheckDrift", "timeout is no key of a step"),
    (DOCUMENT, "    isEnd: true\n  - name: CheckDrift", "    isEnd: true\n    maxAttempts: three\n  - name: CheckDrift", "maxAttempts is 'three'; write a number"),
    (POLICY, "s3:PutBucketTagging", "s3:*", "is wider than a document needs"),
    (POLICY, '"Action"', '"NotAction"', "NotAction allows what nobody listed"),
]
RUN = [
    (DOCUMENT, "Value: 'n-{{ Count }}'", "Value: ''", None),
    (DOCUMENT, "Key: Kept, Value", "Key: Lost, Value", "after[0] GetBucketTagging"),
    (DOCUMENT, "    nextStep: Change", "    isEnd: true", "the last step of Apply was Record"),
    (DOCUMENT, "Api: DeleteBucketTagging", "Api: GetBucketTagging", "undone[0]"),
    (DOCUMENT, "            assert len(", "            boto3.client('s3').delete_bucket_tagging(Bucket='a-bucket')\n            assert len(", "only looks, and called Delete"),
    (DOCUMENT, "'bucket=' + events['Bucket'], ", "'bucket=' + 'b' * 600, ", "the longest of 607 characters"),
    (DOCUMENT, "!= ['Kept']", "== []", "Undo after a drift should have failed in CheckDrift"),
    (DOCUMENT, "        def main(events, context):\n", "        def main(events, context):\n            boto3.client('s3').list_buckets()\n"
     "            if boto3.client('s3').get_bucket_tagging(Bucket=events['Bucket']): pass\n", "(NoSuchTagSet)"),
    (DOCUMENT, "allowedValues: [Apply, Undo]", "allowedValues: [Apply]", "nothing is there to undo, and the scenario has ['drift'"),
    (POLICY, '"s3:PutBucketTagging", ', "", "the steps call s3:PutBucketTagging"),
    (POLICY, '"s3:PutBucketTagging", ', '"s3:PutBucketTagging", "s3:DeleteBucket", ', "allows s3:DeleteBucket, which no scenario used"),
    (SCENARIO, "contains: Kept", "contains: Lost", "without 'Lost'"),
    (SCENARIO, "contains: Kept", "equals: Kept, contains: Kept", "needs select, and one of"),
    (SCENARIO, "refuses: have", "refuses: has", "should have failed in CheckDrift"),
    (SCENARIO, "  - {service: s3, api: ListBuckets, keep", "  - {service: s3, api: ListBuckets, keeps", "it may have"),
    (SCENARIO, "'Buckets[0].Name'", "'Buckets[1].Name'", "finds nothing"),
    (SCENARIO, "bucket=a-bucket", "bucket=b-bucket", "the output Record.PreState is"),
    (FAILING, "fails: there is no bucket", "fails: there is a bucket", "Apply should have failed with 'there is a bucket no-bucket'"),
    (FAILING, "BucketName: no-bucket", "BucketName: $bucket", "it ended with Success in Verify"),
    (FAILING, "after: []", "after: []\nrefuses: have", "nothing is there to undo, and the scenario has ['refuses']"),
]


def broken(file, text, instead):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sample-"))
    shutil.copytree(HERE / "sample", folder, dirs_exist_ok=True)
    content = (folder / file).read_text()
    assert content.count(text) >= 1, f"{file} has no {text!r} to be broken"
    (folder / file).write_text(content.replace(text, instead, 1))
    return folder


def linted(folder):
    try:
        return [f"{place} {what}" for place, what in lint.Lint(folder / DOCUMENT).run()]
    except ValueError as wrong:
        return [str(wrong)]


def ran(folder):
    return [f"{name} {wrong}" for name, _, wrong in scenarios.judge(folder, folder / "scenarios") if wrong]


def main():
    aws.start()
    unseen = 0
    for judge, cases in (linted, LINT), (ran, RUN):
        for file, text, instead, wanted in [(DOCUMENT, "# ", "# ", None), *cases]:
            folder = broken(file, text, instead)
            said = judge(folder)
            shutil.rmtree(folder)
            if (said != []) if wanted is None else not any(wanted in line for line in said):
                unseen += 1
                print(f"FAILED  {judge.__name__}: {text!r} instead of which {instead!r}: {wanted!r} was due, not {said}")
        print(f"ok      {judge.__name__}: {len(cases)} ways to break the sample" if not unseen else f"        {judge.__name__}: {unseen} unseen")
    sys.exit(bool(unseen))


if __name__ == "__main__":
    main()
