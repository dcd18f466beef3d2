"""One file a stack, split by lifetime."""
