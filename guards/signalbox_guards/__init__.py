"""Guards over synthesised CloudFormation templates: of any assembly, offline, knowing nothing of the product."""
