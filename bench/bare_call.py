"""
A process with one boto3 client that moves a listener whenever it is told: what nothing can be faster than.

    python -m bench.bare_call ENDPOINT REGION LISTENER

Reads a target group's ARN a line, gives it all traffic, and answers with the seconds that the call took. It is a
process of its own because the emulated account would share one with it, and its interpreter's lock.
"""

import sys
import time

import boto3


def main(endpoint_url: str, region: str, listener: str) -> None:
    """Answer until the input ends. The connection is there before the first call that counts."""
    elbv2 = boto3.client("elbv2", endpoint_url=endpoint_url, region_name=region)
    elbv2.describe_listeners(ListenerArns=[listener])
    for line in sys.stdin:
        began = time.perf_counter()
        elbv2.modify_listener(
            ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": line.strip()}]
        )
        sys.stdout.write(f"{time.perf_counter() - began}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
