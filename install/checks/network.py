"""Where the function runs that asks database and cache."""

from collections.abc import Iterator

from cdk.settings import EnvironmentSettings
from install.account import Account
from install.findings import Finding, attempt, note, ok, wrong

_SUBNETS, _GROUPS = "network.subnet_ids", "network.security_group_ids"
_ENDPOINT = "network.secrets_manager_endpoint_id"


def check_network(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at subnets, security groups and the endpoint for Secrets Manager, and that they belong together."""
    yield from attempt(_SUBNETS, _subnets(settings, account), otherwise="correct the ids in settings")
    yield from attempt(_GROUPS, _security_groups(settings, account), otherwise="correct the ids in settings")
    if settings.network.secrets_manager_endpoint_id is None:
        yield note(
            _ENDPOINT,
            "is not given, so the subnets must reach Secrets Manager through a NAT gateway",
            "make an interface endpoint and name it here, and secrets are read through it alone",
        )
    else:
        yield from attempt(_ENDPOINT, _endpoint(settings, account), otherwise="make it, or correct the id in settings")


def _vpcs(settings: EnvironmentSettings, account: Account) -> set[str]:
    answer = account.read("ec2", "describe_subnets", SubnetIds=list(settings.network.subnet_ids))
    return {subnet["VpcId"] for subnet in answer["Subnets"]}


def _subnets(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    vpcs = _vpcs(settings, account)
    if len(vpcs) > 1:
        yield wrong(_SUBNETS, f"are in several VPCs: {', '.join(sorted(vpcs))}", "name subnets of one VPC")
    else:
        yield ok(_SUBNETS, f"exist, in {vpcs.pop()}")


def _security_groups(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    wanted = list(settings.network.security_group_ids)
    groups = account.read("ec2", "describe_security_groups", GroupIds=wanted)["SecurityGroups"]
    vpcs = _vpcs(settings, account)
    strange = sorted(group["GroupId"] for group in groups if group["VpcId"] not in vpcs)
    if strange:
        yield wrong(_GROUPS, f"{', '.join(strange)} is not in the VPC of the subnets", "name groups of that VPC")
    else:
        yield ok(_GROUPS, "exist; whether database, cache and endpoint let them in, a release finds out")


def _endpoint(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    wanted = settings.network.secrets_manager_endpoint_id
    endpoint = account.read("ec2", "describe_vpc_endpoints", VpcEndpointIds=[wanted])["VpcEndpoints"][0]
    service = f"com.amazonaws.{settings.region}.secretsmanager"
    expected = {
        "is of type": (endpoint.get("VpcEndpointType"), "Interface"),
        "is an endpoint of": (endpoint["ServiceName"].removeprefix("cn."), service),
        "is": (str(endpoint.get("State")).lower(), "available"),
        "has private DNS": (endpoint.get("PrivateDnsEnabled"), True),
        "is in": (endpoint["VpcId"], ", ".join(_vpcs(settings, account))),
    }
    differences = [
        wrong(_ENDPOINT, f"{what} {found}, not {needed}", "correct the endpoint, or name another")
        for what, (found, needed) in expected.items()
        if found != needed
    ]
    yield from differences or [ok(_ENDPOINT, f"is available in {endpoint['VpcId']}, with private DNS")]
