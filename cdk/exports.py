"""Where the rows are kept that a restore of the database has lost."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.acknowledgements import acknowledge
from cdk.buckets import private_bucket, private_key
from cdk.settings import EnvironmentSettings, Restore


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
        key = private_key(
            self,
            f"{settings.prefix}-exports",
            f"Encrypts the rows that restores of {settings.prefix} have lost.",
            writers={"Encrypt": [writer]},
            readers=[iam.ArnPrincipal(arn) for arn in restore.export_readers],
        )
        self.bucket = private_bucket(self, settings.exports_bucket, Duration.days(restore.export_days), key=key)
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
