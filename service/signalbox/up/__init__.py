"""`signalbox up`: the whole product on one machine, as one command.

It starts what a cluster operator would start (PostgreSQL, migrate, serve, reconcile, a data plane) as separate
processes, and the local deployment and its evidence beside them; it decides nothing that these processes decide.
Invariant: whatever ends `signalbox up`, even SIGKILL, ends everything that it started.
"""
