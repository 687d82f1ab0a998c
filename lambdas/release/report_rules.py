"""Where the report of a release is. All pure."""

from dataclasses import dataclass
from json import loads
from typing import Self
from urllib.parse import quote


@dataclass(frozen=True)
class ReportPlace:
    """The bucket of the reports, and the beginning of the address at which the console shows one of them."""

    bucket: str
    url: str

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the REPORTS variable of a function."""
        given = loads(text)
        return cls(given["bucket"], given["url"])

    def key(self, release_id: str) -> str:
        """Return the name of the object that holds a release's report."""
        return f"releases/{release_id}.html"

    def link(self, release_id: str) -> str:
        """
        Return the address for humans, who have to log in to see anything there.

        A presigned one would let everybody in who gets hold of a mail.
        """
        return f"{self.url}{quote(self.key(release_id), safe='')}"
