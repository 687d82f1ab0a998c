"""The infrastructure: Terraform plans and applies, made in CodeBuild."""
