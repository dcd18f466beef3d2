"""Where it is kept: all SQL, and only here."""
