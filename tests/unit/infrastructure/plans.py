"""Plans as `terraform show -json` writes them, with the parts that Runback reads, and some that it must not repeat."""

import json
from typing import Any

A_VALUE = "swordfish"


def change(address: str, *actions: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    """Return what is planned for one resource; its type is in its address."""
    kind = next(part for part in reversed(address.split(".")[:-1]) if part.partition("_")[0] in {"aws", "terraform"})
    return {
        "address": address,
        "mode": "managed",
        "type": kind,
        "name": address.rpartition(".")[2],
        "provider_name": "registry.terraform.io/hashicorp/aws",
        "change": {
            "actions": list(actions),
            "before": before if before is not None else {"password": A_VALUE} if "create" != actions[0] else None,
            "after": after if after is not None else {"password": A_VALUE} if "delete" != actions[-1] else None,
            "after_unknown": {"id": True},
            "before_sensitive": {"password": True},
            "after_sensitive": {"password": True},
        },
        **more,
    }


def plan_of(*changes: dict[str, Any], **more: Any) -> str:
    """Return the JSON of a plan."""
    return json.dumps(
        {
            "format_version": "1.2",
            "terraform_version": "1.11.4",
            "variables": {"password": {"value": A_VALUE}},
            "resource_changes": list(changes),
            "output_changes": {},
            "prior_state": {"values": {"root_module": {"resources": [{"values": {"password": A_VALUE}}]}}},
            "timestamp": "2026-03-01T10:00:00Z",
            "applyable": bool(changes),
            "complete": True,
            "errored": False,
            **more,
        }
    )
