-- Each action is changed once or twice in its life: there is room for that on its page, so that no index is touched.
ALTER TABLE action SET (fillfactor = 45);

-- Nothing is inserted below a run but under the lock of its row, and nothing of it is deleted but under that lock too, by
-- store/retention.py: what this foreign key says is so anyway, and its check cost a third of every insert.
ALTER TABLE action DROP CONSTRAINT action_run_known;

-- The three transactions that every node of every run needs, each in one round trip: an enqueue, a claim, a report.
--
-- Each of them locks first and looks afterwards, in statements of their own: what they see is what the lock protects.
-- They decide nothing that is not plain: what asks for a decision is left to the program, which has all the rules.

-- Aborts of what lives below an action that are too large for one transaction: noted by the first of several, gone with
-- the last.
CREATE TABLE abort_below (
    org        text COLLATE "C" NOT NULL,
    project    text COLLATE "C" NOT NULL,
    domain     text COLLATE "C" NOT NULL,
    run        text COLLATE "C" NOT NULL,
    action     text COLLATE "C" NOT NULL,
    reason     text NOT NULL,
    principal  text NOT NULL,
    CONSTRAINT abort_below_pkey PRIMARY KEY (org, project, domain, run, action),
    CONSTRAINT abort_below_run_known FOREIGN KEY (org, project, domain, run)
        REFERENCES run (org, project, domain, name) ON DELETE CASCADE
);

-- One action is found by the primary key alone. Before a table is analyzed the planner takes every index that begins with
-- the run for equally good, prefers the newest, and would read the run's every action for each that is asked for. The
-- conditions are true of all rows: they hide the indexes from whoever does not state them. The name is of no use in the
-- first: a revision is of one action only.
DROP INDEX action_created;
DROP INDEX action_child;
CREATE INDEX action_created ON action (org, project, domain, run, created_revision) WHERE created_revision >= 0;
CREATE INDEX action_child ON action (org, project, domain, run, parent) WHERE parent >= '';

-- Insert actions of locked runs, none of which exists: their row, first event, work and audit row, with the revisions
-- that follow their runs' in the given order. The root's own audit row is the run's. `owner` null: the action is over
-- already and needs no work. `queue` empty: its run's.
CREATE FUNCTION insert_actions(
    p_org text[], p_project text[], p_domain text[], p_run text[], p_action text[],
    p_parent text[], p_kind text[], p_group_name text[], p_definition bytea[], p_spec_digest bytea[],
    p_task_name text[], p_task_version text[], p_short_name text[], p_environment text[], p_input_uri text[],
    p_output_base text[], p_user_retries integer[], p_created_by text[], p_created_at timestamptz[], p_phase text[],
    p_owner text[], p_request_id text[], p_started_at timestamptz[], p_ended_at timestamptz[], p_output_uri text[],
    p_queue text[], p_cache_scope text[], p_cache_key text[], p_cache_status text[], p_recovered_from text[],
    p_queued_timeout interval[], p_run_timeout interval[], p_deadline_after interval[], p_backoff_base interval[],
    p_backoff_factor double precision[], p_backoff_cap interval[], p_cache_max_age interval[]
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
      WITH n AS MATERIALIZED (
            SELECT n.*, coalesce(nullif(n.own_queue, ''), r.queue) AS queue,
                   r.revision + row_number() OVER (PARTITION BY r.org, r.project, r.domain, r.name ORDER BY n.place)
                AS revision
              FROM unnest(p_org, p_project, p_domain, p_run, p_action, p_parent, p_kind, p_group_name, p_definition,
                          p_spec_digest, p_task_name, p_task_version, p_short_name, p_environment, p_input_uri,
                          p_output_base, p_user_retries, p_created_by, p_created_at, p_phase, p_owner, p_request_id,
                          p_started_at, p_ended_at, p_output_uri, p_queue, p_cache_scope, p_cache_key, p_cache_status,
                          p_recovered_from, p_queued_timeout, p_run_timeout, p_deadline_after, p_backoff_base,
                          p_backoff_factor, p_backoff_cap, p_cache_max_age) WITH ORDINALITY
                AS n (org, project, domain, run, name, parent, kind, group_name, definition, spec_digest, task_name,
                      task_version, short_name, environment, input_uri, output_base, user_retries, created_by,
                      created_at, phase, owner, request_id, started_at, ended_at, output_uri, own_queue, cache_scope,
                      cache_key, cache_status, recovered_from, queued_timeout, run_timeout, deadline_after,
                      backoff_base, backoff_factor, backoff_cap, cache_max_age, place)
              JOIN run r ON (r.org, r.project, r.domain, r.name) = (n.org, n.project, n.domain, n.run)),
           a AS (
            INSERT INTO action (org, project, domain, run, name, parent, kind, group_name, definition, spec_digest,
                                task_name, task_version, short_name, environment, input_uri, output_base,
                                user_retries, created_by, created_at, queued_at, revision, created_revision, phase,
                                attempt, started_at, ended_at, output_uri, queue, cache_scope, cache_key,
                                cache_status, recovered_from)
            SELECT org, project, domain, run, name, parent, kind, group_name, definition, spec_digest, task_name,
                   task_version, short_name, environment, input_uri, output_base, user_retries, created_by,
                   created_at, created_at, revision, revision, phase, 1, started_at, ended_at, output_uri, queue,
                   cache_scope, cache_key, cache_status, recovered_from
              FROM n ORDER BY place),
           e AS (
            INSERT INTO event (org, project, domain, run, revision, action, parent, kind, phase, attempt, epoch,
                               cluster, occurred_at)
            SELECT org, project, domain, run, revision, name, parent, 'phase', phase, 1, 0, '',
                   coalesce(ended_at, created_at)
              FROM n ORDER BY place),
           w AS (
            INSERT INTO work (org, project, domain, run, action, attempt, owner, queue, is_root, queued_timeout,
                              run_timeout, deadline, backoff_base, backoff_factor, backoff_cap, cache_max_age,
                              cache_scope, cache_key, next_check)
            SELECT org, project, domain, run, name, 1, owner, queue, parent = '', queued_timeout, run_timeout,
                   clock_timestamp() + deadline_after, backoff_base, backoff_factor, backoff_cap, cache_max_age,
                   cache_scope, nullif(cache_key, ''),
                   clock_timestamp() + least(CASE owner WHEN 'cache' THEN interval '1 minute'
                                                        ELSE interval '1 hour' END, queued_timeout, deadline_after)
              FROM n WHERE owner IS NOT NULL ORDER BY place),
           l AS (
            INSERT INTO audit (org, principal, operation, resource, request_id, outcome)
            SELECT org, created_by, 'action.enqueue', concat_ws('/', org, project, domain, run, name), request_id,
                   'done'
              FROM n WHERE parent <> '')
    UPDATE run r SET revision = k.revision
      FROM (SELECT org, project, domain, run, max(revision) AS revision FROM n GROUP BY org, project, domain, run)
        AS k
     WHERE (r.org, r.project, r.domain, r.name) = (k.org, k.project, k.domain, k.run);
END
$$;

-- Actions have children now: they mostly wait, and give up their place in limits. A root keeps its run's slot, so that a
-- tree deeper than a limit never waits for itself.
CREATE FUNCTION become_parents(p_org text[], p_project text[], p_domain text[], p_run text[], p_action text[])
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    UPDATE work w SET is_parent = true, has_slot = w.has_slot AND w.is_root
      FROM unnest(p_org, p_project, p_domain, p_run, p_action) AS k (org, project, domain, run, action)
     WHERE (w.org, w.project, w.domain, w.run, w.action) = (k.org, k.project, k.domain, k.run, k.action)
       AND NOT w.is_parent;
END
$$;

-- Enqueue task actions if all of them are plain: new, below parents that are neither over nor being aborted, in runs that
-- are not being aborted, have no limit of actions and recover from none. Gives whether; if not, nothing has happened.
-- `p_at_*`: each run once, in key order. `p_above_*`: each parent once.
CREATE FUNCTION enqueue_plain(
    p_at_org text[], p_at_project text[], p_at_domain text[], p_at_run text[],
    p_above_org text[], p_above_project text[], p_above_domain text[], p_above_run text[], p_above_action text[],
    p_org text[], p_project text[], p_domain text[], p_run text[], p_action text[],
    p_parent text[], p_kind text[], p_group_name text[], p_definition bytea[], p_spec_digest bytea[],
    p_task_name text[], p_task_version text[], p_short_name text[], p_environment text[], p_input_uri text[],
    p_output_base text[], p_user_retries integer[], p_created_by text[], p_created_at timestamptz[], p_phase text[],
    p_owner text[], p_request_id text[], p_started_at timestamptz[], p_ended_at timestamptz[], p_output_uri text[],
    p_queue text[], p_cache_scope text[], p_cache_key text[], p_cache_status text[], p_recovered_from text[],
    p_queued_timeout interval[], p_run_timeout interval[], p_deadline_after interval[], p_backoff_base interval[],
    p_backoff_factor double precision[], p_backoff_cap interval[], p_cache_max_age interval[]
) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_plain boolean;
    v_parents boolean;
BEGIN
    SELECT count(*) = cardinality(p_at_run) AND bool_and(plain) INTO v_plain
      FROM (SELECT r.abort_requested_at IS NULL AND r.max_actions = 0 AND r.recover_run IS NULL AS plain
              FROM run r
              JOIN unnest(p_at_org, p_at_project, p_at_domain, p_at_run)
                AS k (org, project, domain, name) USING (org, project, domain, name)
             ORDER BY r.org, r.project, r.domain, r.name
               FOR NO KEY UPDATE OF r) locked;
    IF v_plain IS NOT TRUE THEN
        RETURN false;
    END IF;
    -- A parent that is not over has work.
    SELECT count(*) = cardinality(p_above_action), bool_and(w.is_parent) INTO v_plain, v_parents
      FROM unnest(p_above_org, p_above_project, p_above_domain, p_above_run, p_above_action)
        AS k (org, project, domain, run, action)
      JOIN work w USING (org, project, domain, run, action)
      JOIN action a ON (a.org, a.project, a.domain, a.run, a.name) = (k.org, k.project, k.domain, k.run, k.action)
     WHERE a.abort_requested_at IS NULL;
    IF NOT v_plain OR EXISTS (
        SELECT 1 FROM unnest(p_org, p_project, p_domain, p_run, p_action) AS n (org, project, domain, run, name)
          JOIN action o USING (org, project, domain, run, name)) THEN
        RETURN false;
    END IF;
    PERFORM insert_actions(
        p_org, p_project, p_domain, p_run, p_action, p_parent, p_kind, p_group_name, p_definition, p_spec_digest,
        p_task_name, p_task_version, p_short_name, p_environment, p_input_uri, p_output_base, p_user_retries,
        p_created_by, p_created_at, p_phase, p_owner, p_request_id, p_started_at, p_ended_at, p_output_uri, p_queue,
        p_cache_scope, p_cache_key, p_cache_status, p_recovered_from, p_queued_timeout, p_run_timeout,
        p_deadline_after, p_backoff_base, p_backoff_factor, p_backoff_cap, p_cache_max_age);
    IF NOT v_parents THEN
        PERFORM become_parents(p_above_org, p_above_project, p_above_domain, p_above_run, p_above_action);
    END IF;
    RETURN true;
END
$$;

-- Lease up to `p_limit` waiting attempts to the cluster, as store/dispatch.py says. One dispatch an org at a time, until
-- commit. No row: the stream is not the cluster's newest. Else the first row has no grant, but `room`: how many attempts
-- the cluster could take before these, and `limited`: whether limits of queues may have held something back.
-- `p_room`: what the caller knows of the room, which grows without it and shrinks only by its own grants; null: count.
CREATE FUNCTION claim(p_org text, p_cluster text, p_stream bigint, p_limit integer, p_room integer, p_ttl interval)
RETURNS TABLE (room integer, limited boolean, project text, domain text, run text, action text, attempt integer,
               epoch bigint, parent text, group_name text, spec_digest bytea, input_uri text, output_base text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_capacity integer;
    v_heard boolean;
    v_limit integer;
    v_first record;
    v_last record;
    v_chosen tid[];
BEGIN
    -- A lost grant is only granted anew, under another epoch: its commit need not wait for the disk.
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock(hashtextextended('dispatch/' || p_org, 0));
    -- FOR SHARE: a newer stream that takes over waits until these grants are visible to its own sweep.
    SELECT capacity, last_seen_at >= clock_timestamp() - p_ttl INTO v_capacity, v_heard
      FROM cluster c WHERE org = p_org AND name = p_cluster AND stream = p_stream FOR SHARE OF c;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- What a silent cluster holds is taken back: it must not be given more. Parents mostly wait: they take no room, or
    -- a cluster full of them would wait for itself.
    room := CASE WHEN NOT v_heard THEN 0
                 ELSE coalesce(p_room, greatest(0, v_capacity - (
                      SELECT count(*) FROM work w
                       WHERE w.org = p_org AND w.cluster = p_cluster AND NOT w.is_parent))) END;
    limited := EXISTS (
        SELECT 1 FROM queue q
         WHERE q.org = p_org AND (q.max_actions IS NOT NULL OR q.max_runs IS NOT NULL)
           AND EXISTS (SELECT 1 FROM work w WHERE w.org = p_org AND w.queue = q.name AND w.owner = 'dispatch'));
    RETURN NEXT;
    v_limit := least(p_limit, room);
    SELECT queue, is_root, project INTO v_first FROM work
     WHERE org = p_org AND owner = 'dispatch' ORDER BY queue, is_root, project LIMIT 1;
    IF v_limit = 0 OR NOT FOUND THEN
        RETURN;
    END IF;
    SELECT queue, is_root, project INTO v_last FROM work
     WHERE org = p_org AND owner = 'dispatch' ORDER BY queue DESC, is_root DESC, project DESC LIMIT 1;
    IF v_first = v_last AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.org = p_org AND q.name = v_first.queue) THEN
        -- One lane, of a queue that nobody configured: nothing competes.
        SELECT array_agg(tid ORDER BY id) INTO v_chosen
          FROM (SELECT w.ctid AS tid, w.id FROM work w
                 WHERE w.org = p_org AND w.owner = 'dispatch' AND w.queue = v_first.queue
                   AND w.is_root = v_first.is_root AND w.project = v_first.project
                 ORDER BY w.id LIMIT v_limit FOR NO KEY UPDATE SKIP LOCKED) oldest;
    ELSE
        WITH RECURSIVE lane (queue, is_root, project) AS (
              (SELECT queue, is_root, project FROM work
                WHERE org = p_org AND owner = 'dispatch' ORDER BY queue, is_root, project LIMIT 1)
               UNION ALL
              SELECT n.queue, n.is_root, n.project
                FROM lane l
               CROSS JOIN LATERAL (
                     SELECT w.queue, w.is_root, w.project FROM work w
                      WHERE w.org = p_org AND w.owner = 'dispatch'
                        AND (w.queue, w.is_root, w.project) > (l.queue, l.is_root, l.project)
                      ORDER BY w.queue, w.is_root, w.project LIMIT 1) n),
             open AS MATERIALIZED (
              SELECT l.queue, l.is_root, l.project, coalesce(q.priority, 0) AS priority,
                     coalesce(q.fairness, 'round_robin') AS fairness, t.at AS project_served_at,
                     u.at AS queue_served_at,
                     least(v_limit, CASE WHEN q.max_actions IS NOT NULL THEN q.max_actions - (
                           SELECT count(*) FROM work w
                            WHERE w.org = p_org AND w.queue = l.queue AND w.cluster IS NOT NULL
                              AND NOT w.is_parent) END) AS room,
                     CASE WHEN q.max_runs IS NOT NULL THEN q.max_runs - (
                           SELECT count(*) FROM work w
                            WHERE w.org = p_org AND w.queue = l.queue AND w.cluster IS NOT NULL
                              AND w.is_root) END AS run_room
                FROM lane l
                LEFT JOIN queue q ON q.org = p_org AND q.name = l.queue
                LEFT JOIN queue_turn t ON (t.org, t.queue, t.project) = (p_org, l.queue, l.project)
                LEFT JOIN queue_turn u ON (u.org, u.queue, u.project) = (p_org, l.queue, '')
               WHERE q.clusters IS NULL OR q.clusters = '{}' OR p_cluster = ANY(q.clusters)),
             candidate AS (
              SELECT o.queue, o.is_root, o.project, o.priority, o.fairness, o.project_served_at, o.queue_served_at,
                     o.room, o.run_room, c.tid, c.id,
                     row_number() OVER (PARTITION BY o.queue, o.project ORDER BY c.id) AS turn
                FROM open o
               CROSS JOIN LATERAL (
                     SELECT w.ctid AS tid, w.id FROM work w
                      WHERE w.org = p_org AND w.owner = 'dispatch' AND w.queue = o.queue
                        AND w.is_root = o.is_root AND w.project = o.project
                      ORDER BY w.id LIMIT greatest(0, CASE WHEN o.is_root THEN least(o.room, o.run_room)
                                                           ELSE o.room END)) c),
             -- The order within a queue, first of the roots alone: runs that its limit leaves out take no action's place.
             rooted AS (
              SELECT c.*, row_number() OVER (
                          PARTITION BY c.queue, c.is_root
                              ORDER BY CASE c.fairness WHEN 'fifo' THEN 0 ELSE c.turn END,
                                       CASE c.fairness WHEN 'fifo' THEN NULL ELSE c.project_served_at END NULLS FIRST,
                                       c.id) AS run_place
                FROM candidate c),
             queued AS (
              SELECT r.*, row_number() OVER (
                          PARTITION BY r.queue
                              ORDER BY CASE r.fairness WHEN 'fifo' THEN 0 ELSE r.turn END,
                                       CASE r.fairness WHEN 'fifo' THEN NULL ELSE r.project_served_at END NULLS FIRST,
                                       r.id) AS queue_place
                FROM rooted r WHERE NOT r.is_root OR r.run_room IS NULL OR r.run_place <= r.run_room),
             chosen AS MATERIALIZED (
              SELECT w.ctid AS tid, q.place, q.queue, q.project
                FROM (SELECT tid, queue, project,
                             row_number() OVER (ORDER BY priority DESC, queue_place, queue_served_at NULLS FIRST, id)
                          AS place
                        FROM queued WHERE queue_place <= room
                       ORDER BY place LIMIT v_limit) q
                JOIN work w ON w.ctid = q.tid AND w.owner = 'dispatch'
                 FOR NO KEY UPDATE OF w SKIP LOCKED),
             -- Whose turn it was, where several compete: projects in a queue, queues of one priority.
             served AS (
              INSERT INTO queue_turn (org, queue, project, at)
              SELECT DISTINCT p_org, queue, project, (SELECT clock_timestamp()) FROM chosen
               WHERE queue IN (SELECT queue FROM open GROUP BY queue HAVING count(DISTINCT project) > 1)
               UNION
              SELECT DISTINCT p_org, queue, '', (SELECT clock_timestamp()) FROM chosen
               WHERE queue IN (SELECT o.queue FROM open o JOIN open p ON p.priority = o.priority AND p.queue <> o.queue)
                  ON CONFLICT ON CONSTRAINT queue_turn_pkey DO UPDATE SET at = excluded.at)
        SELECT array_agg(tid ORDER BY place) INTO v_chosen FROM chosen;
    END IF;
    RETURN QUERY
      WITH granted AS (
            -- Epochs are never minted twice, also when a crash loses a commit: they grow with time, and are random.
            UPDATE work w
               SET owner = 'cluster', cluster = p_cluster, granted_at = clock_timestamp(),
                   epoch = greatest(w.epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1048576
                                                 + floor(random() * 1048576)::bigint)
              FROM unnest(v_chosen) WITH ORDINALITY AS c (tid, place)
             WHERE w.ctid = c.tid
         RETURNING w.org, w.project, w.domain, w.run, w.action, w.attempt, w.epoch, c.place)
    SELECT 0, false, g.project, g.domain, g.run, g.action, g.attempt, g.epoch, a.parent, a.group_name,
           a.spec_digest, a.input_uri, a.output_base
      FROM granted g
      JOIN action a ON (a.org, a.project, a.domain, a.run, a.name) = (g.org, g.project, g.domain, g.run, g.action)
     ORDER BY g.place;
END
$$;

-- Take reports of a cluster that say RUNNING or SUCCEEDED, one an action, where that is plain: the lease is in force, the
-- action has no children, limits of time, abort, cached result or root's duties, and its run no limit of actions. Gives
-- the places, from 1, of those that were taken; of the others nothing has happened. A time ahead of this clock is now.
-- `p_at_*`: each run once, in key order. `p_output_uri`: null while the attempt runs.
-- Rows are found by key once, and then by their place: all that may move them holds the run's lock.
CREATE FUNCTION report_plain(
    p_org text, p_cluster text, p_at_project text[], p_at_domain text[], p_at_run text[],
    p_project text[], p_domain text[], p_run text[], p_action text[], p_attempt integer[], p_epoch bigint[],
    p_at timestamptz[], p_started_at timestamptz[], p_output_uri text[], p_log bytea[]
) RETURNS integer[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_taken integer[];
    v_now timestamptz;
BEGIN
    PERFORM 1
       FROM run r
       JOIN unnest(p_at_project, p_at_domain, p_at_run) AS k (project, domain, name) USING (project, domain, name)
      WHERE r.org = p_org
      ORDER BY r.project, r.domain, r.name
        FOR NO KEY UPDATE OF r;
    v_now := clock_timestamp();
      WITH taken AS MATERIALIZED (
            SELECT k.project, k.domain, k.run, k.action, k.attempt, k.epoch, least(k.at, v_now) AS at,
                   CASE WHEN k.started_at IS NOT NULL THEN least(k.started_at, v_now) END AS started_at,
                   k.output_uri, k.log, k.place, a.ctid AS action_tid, w.ctid AS work_tid, a.parent,
                   r.revision + row_number() OVER (PARTITION BY r.project, r.domain, r.name ORDER BY k.place) AS revision
              FROM unnest(p_project, p_domain, p_run, p_action, p_attempt, p_epoch, p_at, p_started_at, p_output_uri,
                          p_log) WITH ORDINALITY
                AS k (project, domain, run, action, attempt, epoch, at, started_at, output_uri, log, place)
              JOIN work w ON w.org = p_org
               AND (w.project, w.domain, w.run, w.action) = (k.project, k.domain, k.run, k.action)
               AND (w.cluster, w.attempt, w.epoch) = (p_cluster, k.attempt, k.epoch)
               AND NOT w.is_root AND NOT w.is_parent AND w.queued_timeout IS NULL AND w.run_timeout IS NULL
               AND w.cache_key IS NULL
              JOIN action a ON a.org = p_org
               AND (a.project, a.domain, a.run, a.name) = (k.project, k.domain, k.run, k.action)
               AND a.abort_requested_at IS NULL AND a.timeout_cause = ''
               AND (k.output_uri IS NOT NULL OR a.phase IN ('queued', 'waiting_for_resources', 'initializing'))
              JOIN run r ON r.org = p_org AND (r.project, r.domain, r.name) = (k.project, k.domain, k.run)
               AND r.max_actions = 0),
           changed AS (
            UPDATE action a
               SET revision = t.revision, epoch = t.epoch, cluster = p_cluster,
                   phase = CASE WHEN t.output_uri IS NULL THEN 'running' ELSE 'succeeded' END,
                   started_at = coalesce(t.started_at, a.started_at),
                   ended_at = CASE WHEN t.output_uri IS NOT NULL THEN t.at END,
                   output_uri = coalesce(t.output_uri, a.output_uri), error_recoverable = false,
                   log = coalesce(t.log, a.log)
              FROM taken t WHERE a.ctid = t.action_tid),
           over AS (
            DELETE FROM work w USING taken t WHERE w.ctid = t.work_tid AND t.output_uri IS NOT NULL),
           told AS (
            INSERT INTO event (org, project, domain, run, revision, action, parent, kind, phase, attempt, epoch,
                               cluster, occurred_at)
            SELECT p_org, project, domain, run, revision, action, parent, 'phase',
                   CASE WHEN output_uri IS NULL THEN 'running' ELSE 'succeeded' END, attempt, epoch, p_cluster, at
              FROM taken ORDER BY project, domain, run, revision),
           counted AS (
            UPDATE run r SET revision = n.revision
              FROM (SELECT project, domain, run, max(revision) AS revision FROM taken GROUP BY project, domain, run) n
             WHERE r.org = p_org AND (r.project, r.domain, r.name) = (n.project, n.domain, n.run))
    SELECT coalesce(array_agg(place ORDER BY place), '{}') INTO v_taken FROM taken;
    RETURN v_taken;
END
$$;
