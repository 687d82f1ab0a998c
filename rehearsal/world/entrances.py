"""Where users come in: the records of their names in Route 53, and the distributions of CloudFront before the site."""

from collections.abc import Sequence
from typing import Any

import boto3
from moto.cloudfront.models import cloudfront_backends
from moto.elbv2.models import elbv2_backends
from moto.route53.models import route53_backends

from rehearsal.settings import Settings

_ZONE_OF_BALANCERS, _ZONE_OF_CLOUDFRONT = "Z32O12XQLNTSW2", "Z2FDTNDATAQYW2"
"""AWS's own hosted zones, in which load balancers of eu-west-1 and all distributions have their names."""


def build(session: boto3.Session, environments: Sequence[Settings]) -> None:
    """Make them with the ids of the settings; every name leads where settings want it to lead."""
    known = {each: _distribution(session, settings, each) for settings in environments for each in _wanted(settings)}
    zones: set[str] = set()
    for settings in environments:
        for record in settings.gates.dns_records if settings.gates else ():
            if record.zone_id not in zones:
                zones.add(record.zone_id)
                _zone(session, settings.account, record.zone_id, ".".join(record.name.split(".")[-2:]))
            lead(session, settings, record.name, known.get(record.distribution) or host_of(settings))


def host_of(settings: Settings) -> str:
    """Return the host name of the load balancer that the first route is of."""
    arn = settings.routes[0].arn.replace(":listener-rule/", ":listener/").replace(":listener/", ":loadbalancer/")
    balancer = "/".join(arn.split("/")[:4])
    return str(elbv2_backends[settings.account][settings.region].load_balancers[balancer].dns_name)


def lead(session: boto3.Session, settings: Settings, name: str, host: str) -> None:
    """Let a name of the settings lead to a host from now on."""
    records = settings.gates.dns_records if settings.gates else ()
    zone = next(each.zone_id for each in records if each.name == name)
    alias = {
        "HostedZoneId": _ZONE_OF_CLOUDFRONT if host.endswith(".cloudfront.net") else _ZONE_OF_BALANCERS,
        "DNSName": host,
        "EvaluateTargetHealth": False,
    }
    changed: Any = {"Name": name, "Type": "A", "AliasTarget": alias}
    session.client("route53").change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": changed}]}
    )


def _wanted(settings: Settings) -> list[str]:
    if settings.gates is None:
        return []
    of_records = [each.distribution for each in settings.gates.dns_records if each.distribution]
    return list(dict.fromkeys((*settings.gates.distributions, *of_records)))


def _zone(session: boto3.Session, account: str, zone_id: str, name: str) -> None:
    client = session.client("route53")
    created = client.create_hosted_zone(Name=name, CallerReference=zone_id)["HostedZone"]["Id"]
    backend = route53_backends[account]["aws"]
    zone = backend.zones.pop(created.rpartition("/")[2])
    zone.resource_id = zone_id
    backend.zones[zone_id] = zone


def _distribution(session: boto3.Session, settings: Settings, wanted: str) -> str:
    """Return where it answers."""
    backend = cloudfront_backends[settings.account]["aws"]
    if wanted not in backend.distributions:
        origin: Any = {"Id": "load-balancer", "DomainName": host_of(settings)}
        origin["CustomOriginConfig"] = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}
        behaviour: Any = {"TargetOriginId": "load-balancer", "ViewerProtocolPolicy": "redirect-to-https"}
        created = session.client("cloudfront").create_distribution(
            DistributionConfig={
                "CallerReference": wanted,
                "Comment": "",
                "Enabled": True,
                "Origins": {"Quantity": 1, "Items": [origin]},
                "DefaultCacheBehavior": {**behaviour, "MinTTL": 0},
            }
        )["Distribution"]["Id"]
        distribution = backend.distributions.pop(created)
        distribution.id = distribution.distribution_id = wanted
        distribution.arn = distribution.arn.replace(created, wanted)
        distribution.domain_name = f"{wanted.lower()}.cloudfront.net"
        distribution.advance()  # older than the rehearsal, and deployed long ago
        backend.distributions[wanted] = distribution
    return str(backend.distributions[wanted].domain_name)
