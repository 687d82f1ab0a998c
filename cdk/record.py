"""The record: who works on an environment, what serves there, and what it can go back to."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from cdk.names import Names
from cdk.settings import EnvironmentSettings


class Record(Construct):
    """
    The table that every step reads and writes under its lease; nothing that updates the stack can lose it.

    Without the record no rollback knows where to go, so the table survives its stack, refuses to be deleted and can be
    restored to any second. After a stack was deleted, `cdk deploy --import-existing-resources` takes the table back.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: EnvironmentSettings) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=Names(settings).record_table,
            partition_key=dynamodb.Attribute(name="environment", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="item", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
