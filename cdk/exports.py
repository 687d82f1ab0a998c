"""Where the rows are kept that a restore of the database has lost."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.acknowledgements import acknowledge
from cdk.settings import EnvironmentSettings, Restore

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


class Exports(Construct):
    """
    The bucket with the rows that users lose by a restore: data of customers, for those who have to bring them back.

    Its key is its own, and only the readers that settings name can decrypt with it, whatever rights others have on
    buckets; the function that writes can encrypt, and read nothing. What is older than settings say is forgotten, with
    all its versions. Bucket and key survive the stack; only ones of a deployment that failed go with it.
    """

    def __init__(
        self, scope: Construct, construct_id: str, settings: EnvironmentSettings, restore: Restore, writer: iam.IRole
    ) -> None:
        super().__init__(scope, construct_id)
        readers = [iam.ArnPrincipal(arn) for arn in restore.export_readers]
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{settings.prefix}-exports",
            description=f"Encrypts the rows that restores of {settings.prefix} have lost.",
            enable_key_rotation=True,
            policy=iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        sid="Administer",
                        principals=[iam.AccountRootPrincipal()],
                        actions=list(ADMINISTER),
                        resources=["*"],
                    ),
                    iam.PolicyStatement(
                        sid="Encrypt", principals=[writer], actions=["kms:GenerateDataKey"], resources=["*"]
                    ),
                    iam.PolicyStatement(sid="Read", principals=readers, actions=["kms:Decrypt"], resources=["*"]),
                ]
            ),
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        kept = Duration.days(restore.export_days)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=settings.exports_bucket,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(id="forget", expiration=kept, noncurrent_version_expiration=Duration.days(1))
            ],
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="ReadersOfSettingsAlone",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject", "s3:GetObjectVersion"],
                resources=[self.bucket.arn_for_objects("*")],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": list(restore.export_readers)}},
            )
        )
        acknowledge(self.bucket, "S1", "Who reads an export needs the key, and CloudTrail has every use of a key.")
