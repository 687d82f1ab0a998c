"""
Runback's infrastructure: one stack per environment.

The CDK starts Node.js the moment `aws_cdk` is imported, so the choice of it has to come first. Importing any module
of this package makes the choice; therefore whoever needs `aws_cdk` outside of it imports `cdk` before.
"""

from cdk.node import use_supported_node

use_supported_node()
