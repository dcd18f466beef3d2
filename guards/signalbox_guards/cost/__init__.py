"""The offline cost estimate: what a template costs in a month, by list prices and stated assumptions."""
