import os
import signal
import socket
import ssl
import urllib.request
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rehearsal.world.conftest import (
    BLUE,
    GREEN,
    HEALTH_CHECK_INTERVAL_SECONDS,
    LISTENER,
    SERVER_NAME,
    TEST_LISTENER,
    UNHEALTHY_THRESHOLD,
    World,
)
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed

TIMEOUT_SECONDS = 5


def colors_seen(world: World, listener: str, requests: int, path: str = "/health") -> Counter[str]:
    seen: Counter[str] = Counter()
    for _ in range(requests):
        status, headers = get(world, listener, path)
        seen[headers.get("X-Color", str(status))] += 1
    return seen


def get(world: World, listener: str, path: str = "/health") -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(world.load_balancer.url(listener) + path, timeout=10) as response:  # noqa: S310  loopback
            return response.status, response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


def test_resources_have_the_arns_of_the_settings(world: World) -> None:
    """The template is used unchanged, so the account must have what it names."""
    described = world.elbv2.describe_listeners(ListenerArns=[LISTENER, TEST_LISTENER])["Listeners"]
    assert {LISTENER, TEST_LISTENER} == {listener["ListenerArn"] for listener in described}
    (balancer,) = {listener["LoadBalancerArn"] for listener in described}
    listed = world.elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    assert {LISTENER, TEST_LISTENER} == {listener["ListenerArn"] for listener in listed}
    groups = world.elbv2.describe_target_groups(TargetGroupArns=[BLUE, GREEN])["TargetGroups"]
    assert {BLUE: [balancer], GREEN: []} == {each["TargetGroupArn"]: each["LoadBalancerArns"] for each in groups}


def test_new_weights_are_in_force_when_the_call_returns(world: World) -> None:
    """A rollback counts as done when ModifyListener returned."""
    world.both_colors_serve()
    for _ in range(5):
        world.forward(LISTENER, {GREEN: 1})
        assert colors_seen(world, LISTENER, requests=3) == {"green": 3}
        world.forward(LISTENER, {BLUE: 100, GREEN: 0})
        assert colors_seen(world, LISTENER, requests=3) == {"blue": 3}


def test_a_tenth_of_the_traffic_is_a_tenth(world: World) -> None:
    world.both_colors_serve()
    world.forward(LISTENER, {BLUE: 90, GREEN: 10})
    assert 20 <= colors_seen(world, LISTENER, requests=400)["green"] <= 65


def test_a_frozen_path_answers_503_while_the_forward_stays(world: World) -> None:
    world.serve_from("blue")
    response = {"StatusCode": "503", "MessageBody": "frozen", "ContentType": "text/plain"}
    rule = world.elbv2.create_rule(
        ListenerArn=LISTENER,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": response}],
    )["Rules"][0]["RuleArn"]
    assert colors_seen(world, LISTENER, requests=1, path="/api/v2/receipts") == {"503": 1}
    assert colors_seen(world, LISTENER, requests=1) == {"blue": 1}
    world.elbv2.delete_rule(RuleArn=rule)
    assert colors_seen(world, LISTENER, requests=1, path="/api/v2/receipts") == {"blue": 1}


def frozen(world: World, priority: int = 1) -> str:
    response = {"StatusCode": "503", "MessageBody": "frozen", "ContentType": "text/plain"}
    made = world.elbv2.create_rule(
        ListenerArn=LISTENER,
        Priority=priority,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["*"]}}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": response}],
        Tags=[{"Key": "for", "Value": "a while"}],
    )
    return str(made["Rules"][0]["RuleArn"])


def test_a_frozen_listener_lets_nobody_through_and_its_targets_stay_checked(world: World) -> None:
    world.serve_from("blue")
    rule = frozen(world)
    assert world.load_balancer.answers_itself(LISTENER)
    assert not world.load_balancer.answers_itself(TEST_LISTENER)
    assert colors_seen(world, LISTENER, requests=2) == {"503": 2}
    assert colors_seen(world, TEST_LISTENER, requests=2) == {"blue": 2}
    assert world.target_health(BLUE) == [("healthy", None)]
    assert world.load_balancer.rules() == {rule: {"for": "a while"}}
    world.elbv2.delete_rule(RuleArn=rule)
    assert not world.load_balancer.answers_itself(LISTENER)
    assert colors_seen(world, LISTENER, requests=2) == {"blue": 2}


def test_a_priority_is_given_once(world: World) -> None:
    frozen(world)
    with pytest.raises(ClientError, match="PriorityInUse"):
        frozen(world)


def test_what_is_gone_has_neither_tags_nor_a_second_end(world: World) -> None:
    rule = frozen(world)
    assert world.elbv2.describe_tags(ResourceArns=[rule])["TagDescriptions"][0]["Tags"]
    world.elbv2.delete_rule(RuleArn=rule)
    for again in (
        lambda: world.elbv2.delete_rule(RuleArn=rule),
        lambda: world.elbv2.describe_tags(ResourceArns=[rule]),
    ):
        with pytest.raises(ClientError, match="RuleNotFound"):
            again()


def test_a_default_action_cannot_be_deleted(world: World) -> None:
    (default,) = world.elbv2.describe_rules(ListenerArn=LISTENER)["Rules"]
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        world.elbv2.delete_rule(RuleArn=default["RuleArn"])


def test_tags_are_told_of_twenty_at_once(world: World) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        world.elbv2.describe_tags(ResourceArns=[frozen(world)] * 21)


def test_a_rule_of_lower_priority_number_wins_whenever_it_was_made(world: World) -> None:
    world.both_colors_serve()
    for priority, target_group in ((20, BLUE), (10, GREEN)):
        world.elbv2.create_rule(
            ListenerArn=LISTENER,
            Priority=priority,
            Conditions=[{"Field": "host-header", "Values": ["127.0.0.*"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )
    assert colors_seen(world, LISTENER, requests=2) == {"green": 2}
    assert world.load_balancer.forwards()[LISTENER] == {BLUE: 1}


def test_a_listener_without_a_registered_target_answers_503(world: World) -> None:
    assert get(world, LISTENER)[0] == 503


def test_targets_are_unused_until_a_listener_names_their_group(world: World) -> None:
    """The fact behind the test listener: an unattached color is never checked."""
    world.scale("green", 1)
    assert world.target_health(GREEN) == [("unused", "Target.NotInUse")]
    world.clock.sleep(3 * HEALTH_CHECK_INTERVAL_SECONDS)
    assert world.target_health(GREEN) == [("unused", "Target.NotInUse")]
    with world.clock.at_real_speed():  # or the first check may be over before anybody looks
        world.forward(TEST_LISTENER, {GREEN: 1})
        assert world.target_health(GREEN) == [("initial", "Elb.RegistrationInProgress")]
    eventually(lambda: world.target_health(GREEN) == [("healthy", None)])
    world.forward(TEST_LISTENER, {BLUE: 1})
    assert world.target_health(GREEN) == [("unused", "Target.NotInUse")]


def test_weight_zero_keeps_a_group_checked(world: World) -> None:
    """It is attached, though it receives nothing: so the way back stays known to be healthy."""
    world.forward(LISTENER, {BLUE: 100, GREEN: 0})
    world.serve_from("green")


@pytest.mark.parametrize(
    ("fault", "reason"), [(signal.SIGSTOP, "Target.Timeout"), (signal.SIGKILL, "Target.FailedHealthChecks")]
)
def test_a_faulty_application_turns_unhealthy_within_threshold_times_interval(
    world: World, fault: signal.Signals, reason: str
) -> None:
    """Health comes from the process itself, not from a flag."""
    world.serve_from("blue")
    (pid,) = world.pids("blue")
    world.clock.pace(10)  # slow enough that a stall of a busy machine is no interval
    os.kill(pid, fault)
    broken = world.clock.seconds()
    eventually(lambda: world.target_health(BLUE) == [("unhealthy", reason)])
    # one interval until the next check begins, and one of tolerance
    bound = (UNHEALTHY_THRESHOLD + 2) * HEALTH_CHECK_INTERVAL_SECONDS + TIMEOUT_SECONDS
    assert world.clock.seconds() - broken < bound


def test_a_continued_application_becomes_healthy_again(world: World) -> None:
    world.serve_from("blue")
    (pid,) = world.pids("blue")
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: world.load_balancer.healthy_targets(BLUE) == 0)
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: world.load_balancer.healthy_targets(BLUE) == 1)


def test_an_unhealthy_target_gets_no_traffic_while_another_is_healthy(world: World) -> None:
    world.serve_from("blue", capacity=2)
    dead, alive = world.fleet.instances("blue")
    dead.application.kill()
    eventually(lambda: world.load_balancer.healthy_targets(BLUE) == 1)
    assert {alive.instance_id} == {get(world, LISTENER)[1]["X-Instance"] for _ in range(6)}


def test_a_group_without_a_healthy_target_fails_open(world: World) -> None:
    """AWS then routes to all targets, which here means refused connections: 502, not 503."""
    world.serve_from("blue")
    (instance,) = world.fleet.instances("blue")
    instance.application.kill()
    eventually(lambda: world.load_balancer.healthy_targets(BLUE) == 0)
    assert get(world, LISTENER)[0] == 502
    assert world.data_plane.report()["target_groups"][BLUE]["connection_errors"] >= 1


def test_a_deregistered_target_is_draining_for_the_deregistration_delay(world: World) -> None:
    world.serve_from("blue")
    (instance,) = world.fleet.instances("blue")
    target = {"Id": instance.instance_id}
    with world.clock.at_real_speed():  # or the delay may be over before anybody looks
        world.elbv2.deregister_targets(TargetGroupArn=BLUE, Targets=[target])
        assert world.target_health(BLUE) == [("draining", "Target.DeregistrationInProgress")]
    eventually(lambda: world.target_health(BLUE) == [])
    asked = world.elbv2.describe_target_health(TargetGroupArn=BLUE, Targets=[target])["TargetHealthDescriptions"]
    assert [each["TargetHealth"]["Reason"] for each in asked] == ["Target.NotRegistered"]


def test_a_refused_action_changes_nothing(world: World) -> None:
    """Moto would set this weight."""
    before = world.load_balancer.forwards()
    with pytest.raises(ClientError, match="between 0 and 999") as refused:
        world.forward(LISTENER, {BLUE: 1000})
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert before == world.load_balancer.forwards()


def test_an_https_listener_speaks_tls_and_an_http_listener_does_not(world: World) -> None:
    """The same rules on both ports; redirects name the account's ports, not this machine's."""
    redirect = {"Protocol": "HTTPS", "Port": "#{port}", "Host": "#{host}", "StatusCode": "HTTP_301"}
    listener = world.elbv2.create_listener(
        LoadBalancerArn=LISTENER.replace(":listener/", ":loadbalancer/").rpartition("/")[0],
        Protocol="HTTPS",
        Port=8443,
        Certificates=[{"CertificateArn": world.imported_certificate()}],
        DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}],
    )["Listeners"][0]["ListenerArn"]
    trusting = ssl.create_default_context(cafile=world.certificate.authority_file)
    with (
        socket.create_connection(("127.0.0.1", world.load_balancer.tls_port(listener)), timeout=10) as plain,
        trusting.wrap_socket(plain, server_hostname=SERVER_NAME) as connection,
    ):
        connection.sendall(f"GET /a?b=c HTTP/1.1\r\nHost: {SERVER_NAME}:8443\r\nConnection: close\r\n\r\n".encode())
        answer = connection.makefile("rb").read().decode()
    assert f"Location: https://{SERVER_NAME}:8443/a?b=c" in answer
    with pytest.raises(KeyError):
        world.load_balancer.tls_port(LISTENER)
    port = world.load_balancer.tls_port(listener)
    world.forward(listener, {BLUE: 1})
    assert port == world.load_balancer.tls_port(listener)
    assert {BLUE: 1} == world.load_balancer.forwards()[listener]


def test_stickiness_reaches_the_data_plane(world: World) -> None:
    world.both_colors_serve()
    groups = [{"TargetGroupArn": BLUE, "Weight": 0}, {"TargetGroupArn": GREEN, "Weight": 1}]
    sticky = {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60}}
    action = {"Type": "forward", "ForwardConfig": sticky}
    world.elbv2.modify_listener(ListenerArn=LISTENER, DefaultActions=[action])
    assert get(world, LISTENER)[1]["Set-Cookie"].startswith("AWSALBTG=")
    (listener,) = world.elbv2.describe_listeners(ListenerArns=[LISTENER])["Listeners"]
    assert sticky == listener["DefaultActions"][0]["ForwardConfig"]


def test_a_single_group_forward_is_described_in_both_forms(world: World) -> None:
    """As AWS does, so that a reader of either form is rehearsed."""
    world.elbv2.modify_listener(ListenerArn=LISTENER, DefaultActions=[{"Type": "forward", "TargetGroupArn": GREEN}])
    (listener,) = world.elbv2.describe_listeners(ListenerArns=[LISTENER])["Listeners"]
    (action,) = listener["DefaultActions"]
    assert action["TargetGroupArn"] == GREEN
    assert action["ForwardConfig"]["TargetGroups"] == [{"TargetGroupArn": GREEN, "Weight": 1}]
