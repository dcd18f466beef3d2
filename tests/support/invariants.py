"""What must hold of the engine's tables, whatever happened: checked in the database itself."""

from __future__ import annotations

from typing import LiteralString

import psycopg

# Each finds rows that must not exist.
INVARIANTS: dict[str, LiteralString] = {
    "an action that is over has work": """
        SELECT w.run, w.action FROM work w
          JOIN action a ON (a.org, a.project, a.domain, a.run, a.name) = (w.org, w.project, w.domain, w.run, w.action)
         WHERE a.phase IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')""",
    "an action that is not over has no owner": """
        SELECT a.run, a.name FROM action a
          LEFT JOIN work w
            ON (a.org, a.project, a.domain, a.run, a.name) = (w.org, w.project, w.domain, w.run, w.action)
         WHERE w.action IS NULL
           AND a.phase NOT IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')""",
    "an action was not looked at in time": """
        SELECT run, action, next_check FROM work WHERE next_check < clock_timestamp() - interval '30 seconds'""",
    "an action is not looked at again within an hour": """
        SELECT run, action, next_check FROM work WHERE next_check > clock_timestamp() + interval '1 hour'""",
    "a queue holds more than it may": """
        SELECT q.name FROM queue q
         WHERE q.max_actions < (SELECT count(*) FROM work w
                                 WHERE (w.org, w.queue) = (q.org, q.name) AND w.cluster IS NOT NULL AND NOT w.is_parent)
            OR q.max_runs < (SELECT count(*) FROM work w
                              WHERE (w.org, w.queue) = (q.org, q.name) AND w.cluster IS NOT NULL AND w.is_root)""",
    "a run has more slots taken than it has": """
        SELECT r.name FROM run r
         WHERE r.max_actions > 0
           AND r.max_actions < (SELECT count(*) FROM work w
                                 WHERE (w.org, w.project, w.domain, w.run) = (r.org, r.project, r.domain, r.name)
                                   AND w.has_slot)""",
    "a slot is free while an action of the run waits for one": """
        SELECT r.name FROM run r
         WHERE r.max_actions > (SELECT count(*) FROM work w
                                 WHERE (w.org, w.project, w.domain, w.run) = (r.org, r.project, r.domain, r.name)
                                   AND w.has_slot)
           AND EXISTS (SELECT 1 FROM work w
                        WHERE (w.org, w.project, w.domain, w.run) = (r.org, r.project, r.domain, r.name)
                          AND w.owner = 'run')""",
    "an action of a run with a limit waits for a cluster, or is held by one, without a slot": """
        SELECT w.run, w.action, w.owner FROM work w
          JOIN run r ON (r.org, r.project, r.domain, r.name) = (w.org, w.project, w.domain, w.run)
         WHERE r.max_actions > 0 AND w.owner IN ('dispatch', 'cluster') AND NOT w.has_slot
           AND (w.is_root OR NOT w.is_parent)""",
    "an action that waits for a slot, a result or a person has a slot": """
        SELECT run, action, owner FROM work WHERE has_slot AND owner IN ('run', 'cache', 'person')""",
    "a reservation is of an action that is over": """
        SELECT r.scope, r.key, r.owner FROM cache_reservation r
         WHERE r.expires_at = 'infinity'
           AND NOT EXISTS (SELECT 1 FROM work w
                            WHERE w.org = r.org
                              AND concat_ws('/', w.org, w.project, w.domain, w.run, w.action) = r.owner)""",
    "an action waits for a result that it is to compute itself": """
        SELECT w.run, w.action FROM work w
          JOIN cache_reservation r ON (r.org, r.scope, r.key) = (w.org, w.cache_scope, w.cache_key)
         WHERE w.owner = 'cache' AND concat_ws('/', w.org, w.project, w.domain, w.run, w.action) = r.owner""",
    "an action with children is not known as a parent": """
        SELECT w.run, w.action FROM work w
         WHERE NOT w.is_parent
           AND EXISTS (SELECT 1 FROM action c JOIN work cw
                          ON (cw.org, cw.project, cw.domain, cw.run, cw.action)
                           = (c.org, c.project, c.domain, c.run, c.name)
                        WHERE (c.org, c.project, c.domain, c.run, c.parent)
                            = (w.org, w.project, w.domain, w.run, w.action))""",
    "an action had two results": """
        SELECT run, action, attempt, count(*) FROM event
         WHERE kind = 'phase' AND phase IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')
         GROUP BY org, project, domain, run, action, attempt HAVING count(*) > 1""",
    "something followed a success": """
        SELECT e.run, e.action FROM event e
          JOIN event s ON (s.org, s.project, s.domain, s.run, s.action) = (e.org, e.project, e.domain, e.run, e.action)
         WHERE s.kind = 'phase' AND s.phase = 'succeeded' AND e.kind = 'phase' AND e.revision > s.revision""",
    "revisions of a run have a gap": """
        SELECT r.name, r.revision, count(e.*) FROM run r
          LEFT JOIN event e ON (e.org, e.project, e.domain, e.run) = (r.org, r.project, r.domain, r.name)
         GROUP BY r.org, r.project, r.domain, r.name, r.revision HAVING r.revision <> count(e.*)""",
    "the last event and the row disagree": """
        SELECT a.run, a.name, a.phase FROM action a
          JOIN LATERAL (
                SELECT phase FROM event e
                 WHERE (e.org, e.project, e.domain, e.run, e.action) = (a.org, a.project, a.domain, a.run, a.name)
                   AND e.kind = 'phase' ORDER BY revision DESC LIMIT 1) e ON e.phase <> a.phase""",
    "an abort is to be told of an action that is over": """
        SELECT o.run, o.action FROM outbox o
          JOIN action a ON (a.org, a.project, a.domain, a.run, a.name) = (o.org, o.project, o.domain, o.run, o.action)
         WHERE a.phase IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')""",
    "an abort is to be told of another grant than the one in force": """
        SELECT o.run, o.action FROM outbox o
          LEFT JOIN work w
            ON (w.org, w.project, w.domain, w.run, w.action) = (o.org, o.project, o.domain, o.run, o.action)
         WHERE (o.cluster, o.attempt, o.epoch) IS DISTINCT FROM (w.cluster, w.attempt, w.epoch)""",
    "an action that is to be aborted is not with a cluster that must confirm it": """
        SELECT a.run, a.name, w.owner FROM action a
          JOIN work w ON (w.org, w.project, w.domain, w.run, w.action) = (a.org, a.project, a.domain, a.run, a.name)
         WHERE a.abort_requested_at IS NOT NULL AND w.owner <> 'cluster'""",
    "a child lives below a parent that is over, and its cluster need not stop it": """
        SELECT c.run, c.name FROM action c
          JOIN action p ON (p.org, p.project, p.domain, p.run, p.name) = (c.org, c.project, c.domain, c.run, c.parent)
          JOIN work w ON (w.org, w.project, w.domain, w.run, w.action) = (c.org, c.project, c.domain, c.run, c.name)
         WHERE p.phase IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')
           AND (c.abort_requested_at IS NULL OR w.owner <> 'cluster')
           AND NOT EXISTS (SELECT 1 FROM abort_below b
                            WHERE (b.org, b.project, b.domain, b.run) = (c.org, c.project, c.domain, c.run))""",
    "a child of an action that is to be aborted is not": """
        SELECT c.run, c.name FROM action c
          JOIN action p ON (p.org, p.project, p.domain, p.run, p.name) = (c.org, c.project, c.domain, c.run, c.parent)
         WHERE p.abort_requested_at IS NOT NULL AND c.abort_requested_at IS NULL
           AND c.phase NOT IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')
           AND NOT EXISTS (SELECT 1 FROM abort_below b
                            WHERE (b.org, b.project, b.domain, b.run) = (c.org, c.project, c.domain, c.run))""",
}


def violations(conninfo: str) -> dict[str, list[tuple[object, ...]]]:
    """Rows that break an invariant, by its name; {} when all hold."""
    found: dict[str, list[tuple[object, ...]]] = {}
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for name, query in INVARIANTS.items():
            if rows := connection.execute(query).fetchall():
                found[name] = rows
    return found
