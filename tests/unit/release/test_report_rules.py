from urllib.parse import parse_qs, urlsplit

from lambdas.release.report_rules import ReportPlace
from tests.builders import REPORTS

PLACE = ReportPlace(REPORTS["bucket"], REPORTS["url"])


def test_link_leads_to_the_object() -> None:
    address = urlsplit(PLACE.link("2222222-abcd"))
    assert parse_qs(address.query) == {"region": ["eu-west-1"], "prefix": [PLACE.key("2222222-abcd")]}
    assert address.path.endswith(f"/{REPORTS['bucket']}")


def test_report_is_a_page_below_the_releases() -> None:
    assert PLACE.key("2222222-abcd") == "releases/2222222-abcd.html"
