"""Who, which, when, may: pure decisions without I/O, clock or randomness."""
