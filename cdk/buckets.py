"""The buckets in which Runback keeps something: private, over TLS only, and forgetful."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

ADMINISTER = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:Delete*",
    "kms:Describe*",
    "kms:Disable*",
    "kms:Enable*",
    "kms:Get*",
    "kms:List*",
    "kms:Put*",
    "kms:Revoke*",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:Update*",
)
"""All that keeps a key in order, and nothing that reads what it has encrypted, or lets somebody else."""


def private_key(
    scope: Construct,
    name: str,
    description: str,
    writers: Mapping[str, Sequence[iam.IPrincipal]],
    readers: Sequence[iam.IPrincipal],
) -> kms.Key:
    """
    Make a key with which exactly these encrypt and decrypt, whatever rights others have on the bucket.

    `writers`: the name of the statement that lets them, and who they are.
    """
    encrypt = {sid: (principals, "kms:GenerateDataKey") for sid, principals in writers.items()}
    administer = iam.PolicyStatement(
        sid="Administer", principals=[iam.AccountRootPrincipal()], actions=list(ADMINISTER), resources=["*"]
    )
    use = [
        iam.PolicyStatement(sid=sid, principals=list(principals), actions=[action], resources=["*"])
        for sid, (principals, action) in {**encrypt, "Read": (readers, "kms:Decrypt")}.items()
    ]
    return kms.Key(
        scope,
        "Key",
        alias=f"alias/{name}",
        description=description,
        enable_key_rotation=True,
        policy=iam.PolicyDocument(statements=[administer, *use]),
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )


def private_bucket(
    scope: Construct, name: str, kept: Duration, *, former_kept: Duration | None = None, key: kms.IKey | None = None
) -> s3.Bucket:
    """
    Make a bucket that nobody can make public, and that forgets what is older than `kept`.

    What was written over is kept for a day, unless `former_kept` says more. Without a key, S3's own one encrypts. The
    bucket survives the stack; only one that was made by a deployment that failed goes with it, or the next one could
    not make it.
    """
    return s3.Bucket(
        scope,
        "Bucket",
        bucket_name=name,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=key,
        bucket_key_enabled=True if key else None,
        enforce_ssl=True,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="forget", expiration=kept, noncurrent_version_expiration=former_kept or Duration.days(1)
            )
        ],
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )
