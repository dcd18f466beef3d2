"""Facts from a synthesised cloud assembly: what is intended, before anything is deployed (evidence tier E1)."""
