"""What users lost is for those alone who bring it back."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from tests.infrastructure.template import Resources, functions, of_type, role_of

READERS = ["arn:aws:iam::111122223333:role/receipt-vault-production-data-recovery"]
BUCKET = "receipt-vault-production-exports-111122223333-eu-west-1"


def exports(resources: Resources) -> tuple[str, dict[str, Any]]:
    """Return the logical id of the bucket, and all of it."""
    (found,) = [(name, each) for name, each in resources.items() if each["Properties"].get("BucketName", "") == BUCKET]
    return found


def key_of_exports(resources: Resources) -> tuple[str, dict[str, Any]]:
    """Return the logical id of the key, and its properties: the plans of the infrastructure have one, too."""
    keys = of_type(resources, "AWS::KMS::Key").items()
    (found,) = [(name, each) for name, each in keys if each["Description"].startswith("Encrypts the rows")]
    return found


def test_exports_are_encrypted_with_a_key_of_their_own_and_forgotten_in_time(resources: Resources) -> None:
    _, bucket = exports(resources)
    key, _ = key_of_exports(resources)
    properties = bucket["Properties"]

    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"] == [
        {
            "BucketKeyEnabled": True,
            "ServerSideEncryptionByDefault": {
                "KMSMasterKeyID": {"Fn::GetAtt": [key, "Arn"]},
                "SSEAlgorithm": "aws:kms",
            },
        }
    ]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["LifecycleConfiguration"]["Rules"] == [
        {
            "Id": "forget",
            "Status": "Enabled",
            "ExpirationInDays": 90,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        }
    ]


def test_only_the_readers_of_settings_can_decrypt(resources: Resources) -> None:
    """Whoever keeps the key in order, like the root of the account, must not be able to use it."""
    allowed = key_of_exports(resources)[1]["KeyPolicy"]["Statement"]
    by_name = {each["Sid"]: each for each in allowed}
    writer = role_of(functions(resources)["count-lost-writes"])

    assert set(by_name) == {"Administer", "Encrypt", "Read"}
    assert by_name["Read"]["Principal"] == {"AWS": READERS[0]}
    assert by_name["Read"]["Action"] == "kms:Decrypt"
    assert by_name["Encrypt"]["Principal"] == {"AWS": {"Fn::GetAtt": [writer, "Arn"]}}
    assert by_name["Encrypt"]["Action"] == "kms:GenerateDataKey"
    using = ("kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:CreateGrant")
    assert not [each for each in using for pattern in by_name["Administer"]["Action"] if fnmatchcase(each, pattern)]


def test_nobody_else_reads_an_export(resources: Resources) -> None:
    """Not even who may read every bucket of the account."""
    name, _ = exports(resources)
    (policy,) = [
        each for each in of_type(resources, "AWS::S3::BucketPolicy").values() if each["Bucket"] == {"Ref": name}
    ]
    (denied,) = [each for each in policy["PolicyDocument"]["Statement"] if each.get("Sid") == "ReadersOfSettingsAlone"]

    assert (denied["Effect"], denied["Principal"]) == ("Deny", {"AWS": "*"})
    assert denied["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert denied["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": READERS}}


def test_without_settings_of_a_restore_there_is_nothing_of_it(templates: Mapping[str, dict[str, Any]]) -> None:
    staging = templates["staging"]["Resources"]

    assert not of_type(staging, "AWS::KMS::Key")
    assert [each["BucketName"] for each in of_type(staging, "AWS::S3::Bucket").values()] == [
        "receipt-vault-staging-reports-111122223333-eu-west-1"
    ]
    assert not [each for each in of_type(staging, "AWS::Lambda::Function").values() if "RESTORE" in each["Environment"]]
