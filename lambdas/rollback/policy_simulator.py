"""IAM's policy simulator: what a role may do, without doing it."""

from dataclasses import dataclass
from typing import Any

from lambdas.rollback.certificate_rules import Need, Question


@dataclass(frozen=True)
class PolicySimulator:
    """`iam` is a boto3 client."""

    iam: Any

    def decide(self, role: str, question: Question) -> dict[Need, str]:
        """
        Return the decision about every action on every resource of a question: "allowed", or what speaks against it.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
        """
        context = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in question.context
        ]
        pages = self.iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=role,
            ActionNames=question.actions,
            ResourceArns=question.resources,
            ContextEntries=context,
        )
        found: dict[Need, str] = {}
        for page in pages:
            for result in page["EvaluationResults"]:
                found |= _decisions(result, question)
        return found


def _decisions(result: dict[str, Any], question: Question) -> dict[Need, str]:
    """AWS tells the decision about each resource in a result of its own, or below one result for all of them."""
    action = result["EvalActionName"]
    specific = {
        each["EvalResourceName"]: each["EvalResourceDecision"] for each in result.get("ResourceSpecificResults", [])
    }
    whole = {result.get("EvalResourceName", "*"): result["EvalDecision"]}
    return {Need(action, resource, question.context): str(said) for resource, said in (specific or whole).items()}
