"""Where the images of a deployment lie: tags that never move, a scan of each push, under a key of ours."""

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_kms as kms
from constructs import Construct


def image_repository(scope: Construct, construct_id: str, *, name: str, key: kms.IKey) -> ecr.Repository:
    """Return a repository that outlives its stack; images that lost their tag go after 14 days.

    A deployment names images by digest, and immutable tags keep their images: what is deployed is never untagged. How
    the registry scans (basic, or Inspector's enhanced scanning) is a setting of the whole account, and stays untouched.
    """
    return ecr.Repository(
        scope,
        construct_id,
        repository_name=name,
        image_tag_mutability=ecr.TagMutability.IMMUTABLE,
        image_scan_on_push=True,
        encryption=ecr.RepositoryEncryption.KMS,
        encryption_key=key,
        lifecycle_rules=[
            ecr.LifecycleRule(
                description="Untagged images: parts of builds that were given up",
                tag_status=ecr.TagStatus.UNTAGGED,
                max_image_age=cdk.Duration.days(14),
            )
        ],
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
