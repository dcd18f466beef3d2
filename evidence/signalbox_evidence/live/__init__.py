"""Facts from the account: what the service APIs say is there now, by read-only calls (evidence tier E3)."""
