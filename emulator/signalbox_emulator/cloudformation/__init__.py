"""CloudFormation itself, beside moto: templates, stacks and change sets. It knows no resource type."""
