"""How each resource is said on the wire: validate, parse, call control, build the reply."""
