"""What recurs or repairs: idempotent passes without input."""
