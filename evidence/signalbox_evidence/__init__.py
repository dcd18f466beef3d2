"""Compliance evidence, collected from outside of the product."""
