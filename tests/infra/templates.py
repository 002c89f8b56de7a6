"""The templates of infra/, in the order they are deployed in, and variants of their parameters in which every optional resource is there."""
from installed import ROOT
import resolve

INFRA = ROOT / "infra"
PACKAGE = {"CodeBucket": "example-packages", "CodeKey": "findings-router.zip"}
# For each template, sets of parameters; every resource is in at least one of them.
VARIANTS = {
    "state": [
        {},
        {"Accounts": "111122223333,444455556666", "AlarmEmail": "security@example.com"},
        {"OrganizationId": "o-0123456789"},
    ],
    "router": [
        PACKAGE,
        PACKAGE | {"Interactive": "yes", "OwnBus": "told"},
        PACKAGE | {"PermissionsBoundary": "arn:aws:iam::123456789012:policy/company"},
    ],
}


def text(name):
    return (INFRA / f"{name}.yaml").read_text()


def parsed(name):
    return resolve.parse(text(name))


def stacks(variants):
    """All templates, each with its parameters, resolved one after the other."""
    exports = {}
    return {name: resolve.Stack(parsed(name), variants.get(name), exports=exports) for name in VARIANTS}


def longest():
    """The number of variants of the template that has most; the others repeat their last."""
    return max(map(len, VARIANTS.values()))


def variant(index):
    return {name: them[min(index, len(them) - 1)] for name, them in VARIANTS.items()}
