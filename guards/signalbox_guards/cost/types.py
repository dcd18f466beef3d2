"""Which function prices which type. A type that is neither here nor in free.yaml makes the estimate fail."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

import yaml

from signalbox_guards.cost import compute, database, network, observing, security, storage
from signalbox_guards.cost.bill import Bill, Resource

PRICED: Mapping[str, Callable[[Bill, Resource], None]] = {
    "AWS::AccessAnalyzer::Analyzer": security.price_analyzer,
    "AWS::Backup::BackupPlan": storage.price_plan,
    "AWS::Backup::BackupVault": storage.price_vault,
    "AWS::Backup::RestoreTestingPlan": storage.price_restore_test,
    "AWS::CloudTrail::Trail": security.price_trail,
    "AWS::CloudWatch::Alarm": observing.price_alarm,
    "AWS::CloudWatch::CompositeAlarm": observing.price_composite_alarm,
    "AWS::CloudWatch::Dashboard": observing.price_dashboard,
    "AWS::CodeBuild::Project": compute.price_build,
    "AWS::Cognito::UserPool": security.price_user_pool,
    "AWS::Config::ConfigRule": security.price_config_rule,
    "AWS::Config::ConfigurationRecorder": security.price_recorder,
    "AWS::Config::ConformancePack": security.price_conformance_pack,
    "AWS::EC2::EIP": network.price_address,
    "AWS::EC2::NatGateway": network.price_nat,
    "AWS::EC2::VPCEndpoint": network.price_endpoint,
    "AWS::ECR::RegistryScanningConfiguration": compute.price_scanning,
    "AWS::ECR::Repository": compute.price_repository,
    "AWS::ECS::Cluster": compute.price_cluster,
    "AWS::ECS::Service": compute.price_service,
    "AWS::ECS::TaskDefinition": compute.price_task_definition,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": network.price_load_balancer,
    "AWS::GuardDuty::Detector": security.price_detector,
    "AWS::KMS::Key": security.price_key,
    "AWS::KMS::ReplicaKey": security.price_key,
    "AWS::Lambda::Function": compute.price_function,
    "AWS::Logs::LogGroup": observing.price_log_group,
    "AWS::Logs::MetricFilter": observing.price_metric_filter,
    "AWS::RDS::DBCluster": database.price_cluster,
    "AWS::RDS::DBInstance": database.price_instance,
    "AWS::Route53::HealthCheck": network.price_health_check,
    "AWS::Route53::HostedZone": network.price_zone,
    "AWS::Route53Resolver::FirewallDomainList": network.price_firewall_domains,
    "AWS::Route53Resolver::FirewallRuleGroupAssociation": network.price_firewall_association,
    "AWS::S3::Bucket": storage.price_bucket,
    "AWS::SSM::Parameter": storage.price_parameter,
    "AWS::SecretsManager::Secret": security.price_secret,
    "AWS::SecurityHub::Hub": security.price_security_hub,
    "AWS::Synthetics::Canary": observing.price_canary,
    "AWS::WAFv2::RuleGroup": security.price_rule_group,
    "AWS::WAFv2::WebACL": security.price_web_acl,
}


@cache
def free() -> Mapping[str, str]:
    """Reason by type, of the types that cost nothing by themselves."""
    listed: dict[str, list[str]] = yaml.safe_load(files("signalbox_guards.cost").joinpath("free.yaml").read_text())
    return {type_name: reason for reason, types in listed.items() for type_name in types}


def why_free(type_name: str) -> str | None:
    """Why a type costs nothing; None when it is not known to be free."""
    name = "AWS::CloudFormation::CustomResource" if type_name.startswith("Custom::") else type_name
    return free().get(name)
