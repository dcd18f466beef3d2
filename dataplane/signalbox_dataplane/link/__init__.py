"""The cluster link, as the cluster sees it: identity, leases, attempts that are held, reports."""
