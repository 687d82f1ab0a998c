"""
One fresh process that imports a function as Lambda does, or bare boto3, and tells how long that took.

    import_process.py function lambdas.traffic.switch_listener.lambda_handler [event as JSON]
    import_process.py clients lambdas.traffic.switch_listener.lambda_handler
    import_process.py boto3 dynamodb elbv2

The last line of its output is JSON: {"import": wall seconds, "processor": of them at work, "first_call": seconds, if
there was one}, or {"clients": names}.
The clock starts with the first line here: the start of Python itself is the same for all and left out. This file is a
script that must find neither our packages nor our environment, and imports nothing before the clock has started but
what Python itself has by then.
"""

import sys
import time

_BEGAN, _WORKED = time.perf_counter(), time.process_time()


class _Context:
    """What Powertools reads of Lambda's context."""

    function_name = "benchmark"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:benchmark"
    aws_request_id = "00000000-0000-0000-0000-000000000000"


def _handler(name):  # noqa: ANN001, ANN202  types would have to be imported
    from importlib import import_module  # noqa: PLC0415  as in the runtime client, inside of what is measured

    module, _, function = name.rpartition(".")
    return getattr(import_module(module), function)


def _since_began():  # noqa: ANN202
    return {"import": time.perf_counter() - _BEGAN, "processor": time.process_time() - _WORKED}


def _import_function(name, events):  # noqa: ANN001, ANN202
    handler = _handler(name)
    took = _since_began()
    if events:
        import json  # noqa: PLC0415  boto3 has imported it by now

        took["first_call"] = _seconds_of(handler, json.loads(events[0]), _Context())
    return took


def _import_boto3(services):  # noqa: ANN001, ANN202
    import boto3  # noqa: PLC0415

    clients = [boto3.client(service) for service in services]
    took = _since_began()
    if services == ["dynamodb"]:
        key = {"environment": {"S": "production"}}
        took["first_call"] = _seconds_of(lambda: clients[0].get_item(TableName="record", Key=key))
    return took


def _seconds_of(call, *arguments):  # noqa: ANN001, ANN002, ANN202
    """Time a call that is refused. One that is not has not been where it should."""
    began = time.perf_counter()
    try:
        call(*arguments)
    except Exception as error:
        took = time.perf_counter() - began
        if "AccessDenied" in str(error):
            return took
        raise
    raise SystemExit("The stub has refused nothing.")


def _clients_of(name):  # noqa: ANN001, ANN202
    import boto3  # noqa: PLC0415

    asked, really = [], boto3.client

    def client(service, *arguments, **more):  # noqa: ANN001, ANN002, ANN003, ANN202
        asked.append(service)
        return really(service, *arguments, **more)

    vars(boto3)["client"] = client
    _handler(name)
    return {"clients": sorted(set(asked))}


def main(what, *names):  # noqa: ANN001, ANN002, ANN201
    """Measure, and print."""
    if what == "boto3":
        took = _import_boto3(list(names))
    elif what == "clients":
        took = _clients_of(names[0])
    else:
        took = _import_function(names[0], names[1:])
    import json  # noqa: PLC0415

    print(json.dumps(took))  # noqa: T201  this is how the answer gets to who has started the process


if __name__ == "__main__":
    main(*sys.argv[1:])
