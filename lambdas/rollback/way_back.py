"""The way back in a form that a human can use when Runback itself cannot: AWS CLI commands. Pure."""

from collections.abc import Sequence

from lambdas.traffic.rules import Route, is_rule


def manual_commands(routes: Sequence[Route], color: str) -> str:
    """Return one AWS CLI command per route that sends all its traffic to a color's target group."""
    return "\n".join(_command(route, color) for route in routes)


def _command(route: Route, color: str) -> str:
    forward = f"Type=forward,TargetGroupArn={route.target_group(color)}"
    if is_rule(route.arn):
        return f"aws elbv2 modify-rule --rule-arn {route.arn} --actions {forward}"
    return f"aws elbv2 modify-listener --listener-arn {route.arn} --default-actions {forward}"
