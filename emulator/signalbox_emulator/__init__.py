"""moto's server with its missing CloudFormation types."""
