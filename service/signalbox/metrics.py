"""Every metric, with unit and labels. Labels never hold the name of a run."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RPC_SECONDS = Histogram("signalbox_rpc_seconds", "Time of a unary RPC", ["method", "code"])
STREAMS_OPEN = Gauge("signalbox_streams_open", "Server streams now open", ["method"])
REPORTS = Counter("signalbox_reports_total", "Reports of clusters by outcome", ["outcome"])
GRANTS = Counter("signalbox_grants_total", "Attempts granted to clusters")
LEASES_LOST = Counter("signalbox_leases_lost_total", "Grants taken back, by cause", ["cause"])
BATCH_SIZE = Histogram(
    "signalbox_batch_size", "Requests that shared a commit", ["batch"], buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
RECONCILE_SECONDS = Histogram("signalbox_reconcile_seconds", "Time of a reconciler's pass", ["pass_name"])
TIMEOUTS = Counter("signalbox_timeouts_total", "Attempts that met a bound, by bound", ["bound"])
OVERDUE = Gauge("signalbox_actions_overdue", "Actions not looked at in time: 0 while reconcilers run")
