"""Edge: TLS 1.2 or newer from the client, TLS again to the task, nothing else served."""

from typing import Any

from support.templates import Deployment, Synthesise

AEAD_POLICIES = {"ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"}


def _attributes(deployment: Deployment) -> dict[str, Any]:
    balancer = deployment.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
    return {entry["Key"]: entry["Value"] for entry in balancer.properties["LoadBalancerAttributes"]}


def _listener(deployment: Deployment, port: int) -> dict[str, Any]:
    listeners = deployment.all("AWS::ElasticLoadBalancingV2::Listener")
    return next(listener.properties for listener in listeners if listener.properties["Port"] == port)


def test_443_speaks_tls_with_an_aead_only_policy(deployment: Deployment) -> None:
    listener = _listener(deployment, 443)

    assert listener["Protocol"] == "HTTPS"
    assert listener["SslPolicy"] in AEAD_POLICIES
    assert [action["Type"] for action in listener["DefaultActions"]] == ["forward"]


def test_80_redirects_for_good_and_does_nothing_else(deployment: Deployment) -> None:
    assert _listener(deployment, 80)["DefaultActions"] == [
        {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    ]


def test_there_is_no_third_listener_and_no_rule(deployment: Deployment) -> None:
    ports = [item.properties["Port"] for item in deployment.all("AWS::ElasticLoadBalancingV2::Listener")]

    assert sorted(ports) == [80, 443]
    assert "AWS::ElasticLoadBalancingV2::ListenerRule" not in {resource.kind for resource in deployment.resources}


def test_the_way_to_the_task_is_encrypted_again(deployment: Deployment) -> None:
    target = deployment.one("AWS::ElasticLoadBalancingV2::TargetGroup").properties

    assert (target["Protocol"], target["Port"], target["TargetType"]) == ("HTTPS", 8443, "ip")
    assert (target["HealthCheckProtocol"], target["HealthCheckPath"]) == ("HTTPS", "/healthz")
    assert target["Matcher"] == {"HttpCode": "200"}


def test_the_load_balancer_stands_in_the_public_subnets_of_three_zones(deployment: Deployment) -> None:
    balancer = deployment.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
    subnets = {getattr(deployment.refers(balancer, value), "path", "") for value in balancer.properties["Subnets"]}

    assert balancer.properties["Scheme"] == "internet-facing"
    assert subnets == {f"signalbox-network/Network/Vpc/publicSubnet{number}/Subnet" for number in (1, 2, 3)}


def test_the_load_balancer_is_hardened_and_keeps_long_streams(deployment: Deployment) -> None:
    attributes = _attributes(deployment)

    assert attributes["deletion_protection.enabled"] == "true"
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes["routing.http.desync_mitigation_mode"] in {"defensive", "strictest"}
    assert int(attributes["idle_timeout.timeout_seconds"]) > 60


def test_accesses_are_logged_to_a_private_encrypted_bucket(deployment: Deployment) -> None:
    balancer = deployment.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
    bucket = deployment.one("AWS::S3::Bucket")
    attributes = _attributes(deployment)

    assert attributes["access_logs.s3.enabled"] == "true"
    assert deployment.refers(balancer, attributes["access_logs.s3.bucket"]) == bucket
    assert bucket.properties["BucketEncryption"]
    assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket.properties["PublicAccessBlockConfiguration"]) == 4
    assert bucket.properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket.properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket.definition["DeletionPolicy"] == bucket.definition["UpdateReplacePolicy"] == "Retain"


def test_the_log_bucket_refuses_plaintext_and_old_tls_and_admits_only_the_service(deployment: Deployment) -> None:
    statements = deployment.one("AWS::S3::BucketPolicy").properties["PolicyDocument"]["Statement"]
    denied = [statement["Condition"] for statement in statements if statement["Effect"] == "Deny"]
    allowed = [statement for statement in statements if statement["Effect"] == "Allow"]

    assert {"Bool": {"aws:SecureTransport": "false"}} in denied
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied
    assert [statement["Principal"] for statement in allowed] == [
        {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    ]


def test_without_a_zone_the_certificate_waits_for_a_record_made_by_hand(deployment: Deployment) -> None:
    certificate = deployment.one("AWS::CertificateManager::Certificate").properties

    assert certificate["DomainName"] == "signalbox.example.com"
    assert certificate["ValidationMethod"] == "DNS"
    assert "AWS::Route53::RecordSet" not in {resource.kind for resource in deployment.resources}


def test_with_a_zone_the_certificate_is_proven_and_the_name_points_to_the_load_balancer(
    synthesise: Synthesise,
) -> None:
    deployment = synthesise(hosted_zone_id="Z0123456789ABCDEFGHIJ")

    certificate = deployment.one("AWS::CertificateManager::Certificate").properties
    assert certificate["DomainValidationOptions"] == [
        {"DomainName": "signalbox.example.com", "HostedZoneId": "Z0123456789ABCDEFGHIJ"}
    ]
    record = deployment.one("AWS::Route53::RecordSet").properties
    assert (record["Name"], record["Type"]) == ("signalbox.example.com.", "A")
    assert record["HostedZoneId"] == "Z0123456789ABCDEFGHIJ"


def test_a_given_certificate_is_used_and_none_is_made(synthesise: Synthesise) -> None:
    arn = "arn:aws:acm:us-east-1:000000000000:certificate/6a2b"
    deployment = synthesise(certificate_arn=arn)

    assert _listener(deployment, 443)["Certificates"] == [{"CertificateArn": arn}]
    assert "AWS::CertificateManager::Certificate" not in {resource.kind for resource in deployment.resources}
