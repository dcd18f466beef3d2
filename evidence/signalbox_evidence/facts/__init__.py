"""What is known about the deployed system, in one vocabulary for a template and for an account.

`template/` and `live/` each produce these facts; `rules/` judge them without knowing where they came from, which
is why one control id can hold for both.
"""
