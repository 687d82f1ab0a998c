"""What a release's gates look at beside the environment is as they want it, until somebody changes it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.elbv2.models import elbv2_backends

from lambdas.gates.artifacts import Artifacts
from lambdas.gates.calendars import Calendars
from lambdas.gates.distributions import Distributions
from lambdas.gates.dns import Dns
from lambdas.gates.validations import Validations
from rehearsal.engine.virtual import VirtualTime
from rehearsal.settings import DnsRecord, Gates, Settings
from rehearsal.world import entrances
from rehearsal.world.certificates import issue
from rehearsal.world.surroundings import Surroundings, build, surroundings

ZONE, SITE, API, CDN = "Z0412987RECEIPTVAULT", "receipts.test", "api.receipts.test", "E2QWRUHAPOMQZL"
CALENDAR = "arn:aws:ssm:eu-west-1:111122223333:document/changes"
SETTINGS = replace(
    Settings.read("production"),
    gates=Gates(
        "s3://releases/{version}.tar.gz",
        (DnsRecord(ZONE, API), DnsRecord(ZONE, SITE, CDN)),
        (CDN,),
        (CALENDAR,),
    ),
    after="staging",
    validated_in="",
)
IMAGES = replace(SETTINGS, environment="other", gates=Gates("ecr://receipts:{version}", (), (), ()), after="")
OLD, NEW, LATER = "1a2b3c4", "5d6e7f8", "9c8b7a6"


class Place:
    """An account in virtual time with load balancers, and what is around them."""

    def __init__(self, time: VirtualTime, session: boto3.Session, around: Surroundings, versions: list[str]) -> None:
        self.time, self.session, self.around, self.versions = time, session, around, versions

    def client(self, service: str) -> Any:
        return self.session.client(service)

    @property
    def calendars(self) -> Calendars:
        return Calendars(self.client("ssm"))

    def moment(self, seconds: float = 0) -> str:
        return (self.time.clock.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", SETTINGS.account)
    keys = {"aws_access_key_id": "A" * 20, "aws_secret_access_key": "test"}
    with ExitStack() as stack:
        time = stack.enter_context(VirtualTime(seed=1))
        stack.enter_context(mock_aws())
        session = boto3.Session(region_name=SETTINGS.region, **keys)
        _make_balancer(session, SETTINGS)
        versions = [OLD, NEW]
        around = stack.enter_context(surroundings(time.clock, (SETTINGS, IMAGES), lambda: list(versions)))
        build(session, (SETTINGS, IMAGES), around, versions, time.clock.now())
        yield Place(time, session, around, versions)


def _make_balancer(session: boto3.Session, settings: Settings) -> None:
    ec2, elbv2 = session.client("ec2"), session.client("elbv2")
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
    made = elbv2.create_load_balancer(Name="receipts", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    wanted = settings.routes[0].arn.replace(":listener/", ":loadbalancer/").rpartition("/")[0]
    balancers = elbv2_backends[settings.account][settings.region].load_balancers
    balancers[wanted] = balancers.pop(made)
    balancers[wanted].arn = wanted


def test_a_calendar_is_open_until_somebody_closes_it_and_says_when_that_changes(place: Place) -> None:
    assert (True, "") == place.calendars.is_open(CALENDAR, place.moment())

    place.around.calendars.close(3600)
    opens = place.moment(3600)

    assert (False, opens) == place.calendars.is_open(CALENDAR, place.moment(60))
    assert (True, "") == place.calendars.is_open(CALENDAR, opens)


def test_a_calendar_that_nobody_has_made_is_an_error_and_no_open_one(place: Place) -> None:
    with pytest.raises(ClientError, match="InvalidDocument"):
        place.calendars.is_open(f"{CALENDAR}-2", place.moment())


def test_calendars_can_fall_silent_and_answer_again(place: Place) -> None:
    place.around.calendars.fall_silent()
    with pytest.raises(ClientError, match="InternalServerError"):
        place.calendars.is_open(CALENDAR, place.moment())

    place.around.calendars.answer_again()

    assert place.calendars.is_open(CALENDAR, place.moment())[0]


def test_names_lead_to_the_load_balancer_or_to_the_distribution_before_it(place: Place) -> None:
    """The site is the zone itself, which has records of its own."""
    dns = Dns(place.client("route53"), place.client("elbv2"))
    distribution = Distributions(place.client("cloudfront")).describe(CDN)

    assert [(entrances.host_of(SETTINGS),)] == [each.targets for each in dns.records(ZONE, API)]
    assert [(distribution.domain,)] == [each.targets for each in dns.records(ZONE, SITE) if each.type == "A"]
    assert ("Deployed", True) == (distribution.status, distribution.enabled)


def test_a_name_can_be_led_elsewhere(place: Place) -> None:
    entrances.lead(place.session, SETTINGS, API, "elsewhere.test")

    found = Dns(place.client("route53"), place.client("elbv2")).records(ZONE, API)
    assert [("elsewhere.test",)] == [each.targets for each in found]


@pytest.mark.parametrize("location", ["s3://releases/{version}.tar.gz", "ecr://receipts:{version}"])
def test_there_is_an_artifact_of_every_version_that_was_built(place: Place, location: str) -> None:
    """Also of one that nobody knew of when the account was built."""
    artifacts = Artifacts(place.client("s3"), place.client("ecr"))

    assert artifacts.exists(location.replace("{version}", NEW))
    assert not artifacts.exists(location.replace("{version}", LATER))

    place.versions.append(LATER)

    assert artifacts.exists(location.replace("{version}", LATER))


@pytest.mark.parametrize("location", ["s3://releases/{version}.tar.gz", "ecr://receipts:{version}"])
def test_there_is_none_of_a_version_whose_build_has_failed(place: Place, location: str) -> None:
    place.around.artifacts.fail_to_build(NEW)

    artifacts = Artifacts(place.client("s3"), place.client("ecr"))
    assert not artifacts.exists(location.replace("{version}", NEW))
    assert artifacts.exists(location.replace("{version}", OLD))


def test_certificates_end_by_the_rehearsal_s_time(place: Place, tmp_path: Any) -> None:
    """The real ones are good for two days of this machine's time, whatever the rehearsal's is."""
    issued = issue([API], tmp_path)
    acm = place.client("acm")
    arn = acm.import_certificate(Certificate=issued.chain_file.read_bytes(), PrivateKey=issued.key_file.read_bytes())[
        "CertificateArn"
    ]

    def days() -> float:
        ends: datetime = acm.describe_certificate(CertificateArn=arn)["Certificate"]["NotAfter"]
        return (ends.astimezone(UTC) - place.time.clock.now()) / timedelta(days=1)

    assert 200 == pytest.approx(days(), abs=0.1)
    place.around.certificates.end_in(5)
    assert 5 == pytest.approx(days(), abs=0.1)


def test_an_environment_that_goes_before_has_validated_what_there_is_at_the_beginning(place: Place) -> None:
    """Where nobody rehearses it; and it has released nothing lately, which would start a release here."""
    validations = Validations(place.client("dynamodb"), "receipt-vault-staging-record", "staging")

    assert ["promoted"] == [each["outcome"] for each in validations.releases(NEW)]
    assert [] == validations.releases(LATER)
    key = {"environment": {"S": "staging"}, "item": {"S": "live"}}
    assert "Item" not in place.client("dynamodb").get_item(TableName="receipt-vault-staging-record", Key=key)
