"""The templates, in the order they are deployed in, and ways to deploy them in which every optional resource is there once."""
import functools, subprocess, sys

from installed import HERE, ROOT, program
import resolve

ORDER = ["state", "runbooks", "member", "router", "daemon"]
# What follows from the configuration, and is written by `findings-router pattern --template`.
GENERATED = ["runbooks", "member"]
EVERYTHING = HERE / "everything.toml"

PACKAGE = {"CodeBucket": "example-packages", "CodeKey": "findings-router.zip"}
IMAGE = {"Image": "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/security/findings-router:1", "VpcId": "vpc-0123456789abcdef0",
         "SubnetIds": "subnet-0123456789abcdef0,subnet-0fedcba9876543210"}
HOME = {"HomeRegion": "ap-northeast-1"}
MEMBER = HOME | {"BusArn": "arn:aws:events:ap-northeast-1:123456789012:event-bus/findings-router", "RouterAccount": "123456789012"}
BOUNDARY = {"PermissionsBoundary": "arn:aws:iam::123456789012:policy/company"}
# Each way: the parameters of each template, the configuration, and the Region of member.yaml and runbooks.yaml.
WAYS = [
    {"state": {}, "runbooks": HOME, "member": MEMBER, "router": PACKAGE, "daemon": IMAGE},
    {
        "configuration": EVERYTHING,
        "state": {"Accounts": "111122223333,444455556666", "AlarmEmail": "security@example.com"},
        "runbooks": HOME, "member": MEMBER | {"ExternalId": "0f3a"},
        "router": PACKAGE | {"Interactive": "yes", "OwnBus": "told"}, "daemon": IMAGE | {"SocketMode": "yes", "OwnBus": "told"},
    },
    {
        "region": "us-east-1",
        "state": {"OrganizationId": "o-0123456789"},
        "runbooks": HOME | BOUNDARY, "member": MEMBER | BOUNDARY, "router": PACKAGE | BOUNDARY, "daemon": IMAGE | BOUNDARY,
    },
]


@functools.cache
def text(name, configuration=None):
    """The template, as it would be deployed with this configuration."""
    if name not in GENERATED or name == "member" and configuration is None:
        return (ROOT / "infra" / f"{name}.yaml").read_text()
    command = [program("findings-router"), *(["--config", configuration] if configuration else []), "pattern", "--template", name]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=HERE)
    if done.returncode:
        sys.exit(f"findings-router pattern --template {name} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def parsed(name, configuration=None):
    return resolve.parse(text(name, configuration))


@functools.cache
def texts():
    """Every template there is, by what to call it."""
    made = {}
    for way in WAYS:
        for name in ORDER:
            configuration = way.get("configuration") if name in GENERATED else None
            made[f"{name}-{configuration.stem}" if configuration else name] = text(name, configuration)
    return made


@functools.cache
def ways():
    """Each way to deploy, as resolved stacks by the name of their template."""
    made = []
    for way in WAYS:
        exports, stacks = {}, {}
        for name in ORDER:
            generated = name in GENERATED
            template = parsed(name, way.get("configuration") if generated else None)
            region = way.get("region", "ap-northeast-1") if generated else "ap-northeast-1"
            stacks[name] = resolve.Stack(template, way[name], region=region, exports=exports)
        made.append(stacks)
    return made
