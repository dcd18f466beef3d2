"""Edge: TLS 1.2 or newer from the client, TLS again to the task, nothing else served, everything logged."""

from collections.abc import Callable
from typing import Any

import pytest

from support.templates import Deployment

AEAD_POLICIES = {"ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"}
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
LOGS = "signalbox-edge/Edge/AccessLogs"

Deployments = Callable[[str], Deployment]


@pytest.fixture(params=("dev", "standard", "lean", "ha-dr", "byo"))
def each(request: pytest.FixtureRequest, deployments: Deployments) -> Deployment:
    """Every configuration of the matrix in turn."""
    return deployments(request.param)


def _attributes(deployment: Deployment) -> dict[str, Any]:
    balancer = deployment.one(BALANCER)
    return {entry["Key"]: entry["Value"] for entry in balancer.properties["LoadBalancerAttributes"]}


def _listener(deployment: Deployment, port: int) -> dict[str, Any]:
    return next(it.properties for it in deployment.all(LISTENER) if it.properties["Port"] == port)


def test_443_speaks_tls_with_an_aead_only_policy(each: Deployment) -> None:
    listener = _listener(each, 443)

    assert listener["Protocol"] == "HTTPS"
    assert listener["SslPolicy"] in AEAD_POLICIES
    assert [action["Type"] for action in listener["DefaultActions"]] == ["forward"]


def test_every_answer_over_tls_asks_to_come_back_over_tls(each: Deployment) -> None:
    said = {entry["Key"]: entry["Value"] for entry in _listener(each, 443)["ListenerAttributes"]}

    policy = said["routing.http.response.strict_transport_security.header_value"]
    assert policy == "max-age=31536000; includeSubDomains"
    assert said["routing.http.response.x_content_type_options.header_value"] == "nosniff"
    assert said["routing.http.response.server.enabled"] == "false"


def test_80_redirects_for_good_and_does_nothing_else(each: Deployment) -> None:
    assert _listener(each, 80)["DefaultActions"] == [
        {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    ]


def test_there_is_no_third_listener_and_no_rule(each: Deployment) -> None:
    ports = [item.properties["Port"] for item in each.all(LISTENER)]

    assert sorted(ports) == [80, 443]
    assert "AWS::ElasticLoadBalancingV2::ListenerRule" not in {resource.kind for resource in each.resources}


def test_the_way_to_the_task_is_encrypted_again(each: Deployment) -> None:
    target = each.one("AWS::ElasticLoadBalancingV2::TargetGroup").properties

    assert (target["Protocol"], target["Port"], target["TargetType"]) == ("HTTPS", 8443, "ip")
    assert (target["HealthCheckProtocol"], target["HealthCheckPath"]) == ("HTTPS", "/healthz")
    assert target["Matcher"] == {"HttpCode": "200"}


@pytest.mark.parametrize(("name", "zones"), [("dev", 2), ("lean", 2), ("standard", 3), ("ha-dr", 3)])
def test_the_load_balancer_stands_in_the_public_subnets_of_the_zones_that_the_settings_say(
    deployments: Deployments, name: str, zones: int
) -> None:
    deployment = deployments(name)
    balancer = deployment.one(BALANCER)
    subnets = {getattr(deployment.refers(balancer, value), "path", "") for value in balancer.properties["Subnets"]}

    assert balancer.properties["Scheme"] == "internet-facing"
    assert subnets == {f"signalbox-network/Network/Vpc/publicSubnet{it + 1}/Subnet" for it in range(zones)}


def test_the_load_balancer_is_hardened_and_keeps_long_streams(each: Deployment) -> None:
    attributes = _attributes(each)

    assert attributes["deletion_protection.enabled"] == "true"
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes["routing.http.desync_mitigation_mode"] in {"defensive", "strictest"}
    assert attributes["routing.http2.enabled"] == "true"
    assert int(attributes["idle_timeout.timeout_seconds"]) > 60
    assert int(attributes["client_keep_alive.seconds"]) > 600  # a stream lives for ten minutes


def test_requests_and_connections_are_logged_to_a_private_encrypted_bucket(each: Deployment) -> None:
    balancer = each.one(BALANCER)
    bucket = each.one("AWS::S3::Bucket", LOGS)
    attributes = _attributes(each)

    for kind in ("access_logs", "connection_logs"):
        assert attributes[f"{kind}.s3.enabled"] == "true"
        assert each.refers(balancer, attributes[f"{kind}.s3.bucket"]) == bucket
    (rule,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}  # all that log delivery writes to
    assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket.properties["PublicAccessBlockConfiguration"]) == 4
    assert bucket.properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket.properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket.definition["DeletionPolicy"] == bucket.definition["UpdateReplacePolicy"] == "Retain"


def test_the_log_bucket_refuses_plaintext_and_old_tls_and_admits_only_the_service(each: Deployment) -> None:
    statements = each.one("AWS::S3::BucketPolicy", LOGS).properties["PolicyDocument"]["Statement"]
    denied = [statement["Condition"] for statement in statements if statement["Effect"] == "Deny"]
    allowed = [statement for statement in statements if statement["Effect"] == "Allow"]

    assert {"Bool": {"aws:SecureTransport": "false"}} in denied
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied
    assert [statement["Principal"] for statement in allowed] == [
        {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    ]


def test_without_a_zone_the_certificate_waits_for_a_record_made_by_hand(deployments: Deployments) -> None:
    standard = deployments("standard")
    certificate = standard.one("AWS::CertificateManager::Certificate").properties

    assert certificate["DomainName"] == "signalbox.example.com"
    assert certificate["ValidationMethod"] == "DNS"
    assert "AWS::Route53::RecordSet" not in {resource.kind for resource in standard.resources}


def test_with_a_zone_the_certificate_is_proven_and_the_name_points_to_the_load_balancer(
    deployments: Deployments,
) -> None:
    deployment = deployments("ha-dr")

    certificate = deployment.one("AWS::CertificateManager::Certificate").properties
    assert certificate["DomainValidationOptions"] == [
        {"DomainName": "signalbox.example.com", "HostedZoneId": "Z0123456789ABCDEFGHIJ"}
    ]
    record = deployment.one("AWS::Route53::RecordSet")
    assert (record.properties["Name"], record.properties["Type"]) == ("signalbox.example.com.", "A")
    assert record.properties["HostedZoneId"] == "Z0123456789ABCDEFGHIJ"
    target = record.properties["AliasTarget"]["HostedZoneId"]
    assert deployment.refers(record, target) == deployment.one(BALANCER)


def test_a_given_certificate_is_used_and_none_is_made(deployments: Deployments) -> None:
    byo = deployments("byo")
    arn = "arn:aws:acm:us-east-1:000000000000:certificate/44444444-4444-4444-4444-444444444444"

    assert _listener(byo, 443)["Certificates"] == [{"CertificateArn": arn}]
    assert "AWS::CertificateManager::Certificate" not in {resource.kind for resource in byo.resources}
