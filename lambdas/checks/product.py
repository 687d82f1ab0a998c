"""The product, asked what a check asks, with the secrets and files that the check names."""

from dataclasses import dataclass
from pathlib import Path

from lambdas.checks.rules import Check, Result, bearer_problem, judge_answer
from lambdas.checks.secrets import Secrets
from lambdas.checks.web import Request, Web, form_body

_FILES = Path(__file__).parents[2] / "environments" / "files"


@dataclass(frozen=True)
class Product:
    """Whatever is behind the URLs of the checks."""

    web: Web
    secrets: Secrets

    def run(self, check: Check) -> Result:
        """
        Send a check's request once, and judge the answer.

        Raises AwsCallFailed when a secret cannot be read: that says nothing about the product.
        """
        token = self.secrets.text(check.token_secret_arn) if check.token_secret_arn else None
        if token is not None and (problem := bearer_problem(token)):
            return Result(check.name, 0, problem)
        return judge_answer(check, self.web.ask(self._request(check, token), check.maximum_seconds))

    def _request(self, check: Check, token: str | None) -> Request:
        headers = dict(check.headers)
        body = check.body.encode() if check.body is not None else None
        if check.body_secret_arn:
            body = self.secrets.text(check.body_secret_arn).encode()
        if check.file:
            body, headers["Content-Type"] = form_body(check.form, check.file, (_FILES / check.file).read_bytes())
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return Request(check.method, check.url, headers, body)
