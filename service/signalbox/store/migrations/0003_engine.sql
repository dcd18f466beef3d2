-- The engine's complete state: timers, queues, limits, conditions, cache, recovery, events of attempts.

-- What all actions of a run inherit, so that an enqueue need not read the RunSpec.
ALTER TABLE run
    ADD COLUMN queue            text COLLATE "C" NOT NULL DEFAULT 'default',
    ADD COLUMN max_actions      integer NOT NULL DEFAULT 0,          -- 0: no limit
    ADD COLUMN overwrite_cache  boolean NOT NULL DEFAULT false,
    ADD COLUMN cache_global     boolean NOT NULL DEFAULT false,      -- scope of lookups: the org, else project and domain
    ADD COLUMN recover_project  text COLLATE "C",                    -- the run whose results are taken over
    ADD COLUMN recover_domain   text COLLATE "C",
    ADD COLUMN recover_run      text COLLATE "C",
    ADD COLUMN force_rerun      text[] NOT NULL DEFAULT '{}';

ALTER TABLE action DROP CONSTRAINT action_kind_known;
ALTER TABLE action
    ADD CONSTRAINT action_kind_known CHECK (kind IN ('task', 'trace', 'condition')),
    ADD COLUMN queue           text COLLATE "C" NOT NULL DEFAULT 'default',
    ADD COLUMN timeout_cause   text COLLATE "C" NOT NULL DEFAULT '', -- why the current attempt is to be stopped
    ADD COLUMN value           bytea,                                -- of a condition: flyteidl2.core.Literal, as signalled
    ADD COLUMN signalled_by    text NOT NULL DEFAULT '',
    ADD COLUMN cache_scope     text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN cache_key       text COLLATE "C" NOT NULL DEFAULT '', -- empty: not cached
    ADD COLUMN cache_status    text COLLATE "C" NOT NULL DEFAULT 'disabled',
    ADD COLUMN recovered_from  text COLLATE "C" NOT NULL DEFAULT '', -- project/domain/run of the action of the same name
    ADD CONSTRAINT action_timeout_cause_known CHECK (timeout_cause IN ('', 'run', 'queued', 'deadline')),
    ADD CONSTRAINT action_cache_status_known CHECK (cache_status IN ('disabled', 'miss', 'hit', 'populated',
        'lookup_failure', 'put_failure', 'skipped', 'evicted'));

-- One row for each action that is not over: who must act on it next, and when it is looked at again at the latest.
ALTER TABLE work
    ADD COLUMN owner           text COLLATE "C" NOT NULL DEFAULT 'dispatch',
    ADD COLUMN queue           text COLLATE "C" NOT NULL DEFAULT 'default',
    ADD COLUMN is_root         boolean NOT NULL DEFAULT false,
    ADD COLUMN is_parent       boolean NOT NULL DEFAULT false,       -- has enqueued children: waits more than it works
    ADD COLUMN has_slot        boolean NOT NULL DEFAULT false,       -- takes one of its run's max_actions
    ADD COLUMN since           timestamptz NOT NULL DEFAULT clock_timestamp(), -- begin of the stage that a timeout bounds
    ADD COLUMN next_check      timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 hour',
    ADD COLUMN queued_timeout  interval,
    ADD COLUMN run_timeout     interval,
    ADD COLUMN deadline        timestamptz,
    ADD COLUMN backoff_base    interval,                             -- null: retries wait for nothing
    ADD COLUMN backoff_factor  double precision,
    ADD COLUMN backoff_cap     interval,
    ADD COLUMN cache_scope     text COLLATE "C",                     -- null: its result is not kept
    ADD COLUMN cache_key       text COLLATE "C",
    ADD COLUMN cache_max_age   interval;
UPDATE work SET owner = 'cluster' WHERE cluster IS NOT NULL;
UPDATE work SET is_root = true WHERE action = 'a0';
UPDATE work w SET is_parent = true
 WHERE EXISTS (SELECT 1 FROM action a
                WHERE (a.org, a.project, a.domain, a.run, a.parent) = (w.org, w.project, w.domain, w.run, w.action));
ALTER TABLE work
    ALTER COLUMN owner DROP DEFAULT,
    ADD CONSTRAINT work_owner_known CHECK (owner IN ('dispatch', 'cluster', 'run', 'backoff', 'cache', 'person')),
    ADD CONSTRAINT work_cluster_owns CHECK ((owner = 'cluster') = (cluster IS NOT NULL));

DROP INDEX work_waiting;
DROP INDEX work_held;
-- Lanes in the order in which dispatch reads them.
CREATE INDEX work_waiting ON work (org, queue, is_root, project, id) WHERE owner = 'dispatch';
CREATE INDEX work_held ON work (org, cluster, queue) WHERE cluster IS NOT NULL;
CREATE INDEX work_parked ON work (org, project, domain, run, id) WHERE owner = 'run';
CREATE INDEX work_slots ON work (org, project, domain, run) WHERE has_slot;
CREATE INDEX work_due ON work (next_check);
CREATE INDEX work_awaits_result ON work (org, cache_scope, cache_key) WHERE owner = 'cache';

-- Queues that an operator has configured; a queue without a row has no limits.
CREATE TABLE queue (
    org          text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL DEFAULT 'active',
    priority     integer NOT NULL DEFAULT 0,             -- higher goes first; nothing is preempted
    fairness     text COLLATE "C" NOT NULL DEFAULT 'round_robin',
    max_runs     integer,                                -- runs whose root is held by a cluster
    max_actions  integer,                                -- attempts held by clusters, without parents
    max_depth    integer,                                -- waiting actions above which no run begins
    clusters     text[] NOT NULL DEFAULT '{}',           -- empty: any
    CONSTRAINT queue_pkey PRIMARY KEY (org, name),
    CONSTRAINT queue_state_known CHECK (state IN ('active', 'draining')),
    CONSTRAINT queue_fairness_known CHECK (fairness IN ('round_robin', 'fifo')),
    CONSTRAINT queue_limits_positive CHECK (max_runs > 0 AND max_actions > 0 AND max_depth > 0)
);

-- When each project was last served by a queue that several compete for.
CREATE TABLE queue_turn (
    org      text COLLATE "C" NOT NULL,
    queue    text COLLATE "C" NOT NULL,
    project  text COLLATE "C" NOT NULL,
    at       timestamptz NOT NULL,
    CONSTRAINT queue_turn_pkey PRIMARY KEY (org, queue, project)
);

-- What a cluster told of an attempt besides its phases, in order of arrival; the same told twice is kept once.
CREATE TABLE cluster_event (
    org          text COLLATE "C" NOT NULL,
    project      text COLLATE "C" NOT NULL,
    domain       text COLLATE "C" NOT NULL,
    run          text COLLATE "C" NOT NULL,
    action       text COLLATE "C" NOT NULL,
    attempt      integer NOT NULL,
    id           bigint GENERATED ALWAYS AS IDENTITY,
    digest       bytea NOT NULL,         -- SHA-256 of body
    occurred_at  timestamptz NOT NULL,
    body         bytea NOT NULL,         -- flyteidl2.workflow.ClusterEvent
    CONSTRAINT cluster_event_pkey PRIMARY KEY (org, project, domain, run, action, attempt, id),
    CONSTRAINT cluster_event_once UNIQUE (org, project, domain, run, action, attempt, digest),
    CONSTRAINT cluster_event_action_known FOREIGN KEY (org, project, domain, run, action)
        REFERENCES action (org, project, domain, run, name) ON DELETE CASCADE
);

-- Results by key: where the outputs of an earlier action lie. URIs only.
CREATE TABLE cache_entry (
    org         text COLLATE "C" NOT NULL,
    scope       text COLLATE "C" NOT NULL,   -- project/domain, or empty: the org as a whole
    key         text COLLATE "C" NOT NULL,
    output_uri  text NOT NULL,
    source      text NOT NULL,               -- project/domain/run/action that computed it, or who put it
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz,                 -- null: never
    CONSTRAINT cache_entry_pkey PRIMARY KEY (org, scope, key)
);

-- Who computes a result that others wait for. An action's reservation ends with the action, which its cluster's lease
-- ends at the latest; that of a client of CacheService ends unless it is extended.
CREATE TABLE cache_reservation (
    org         text COLLATE "C" NOT NULL,
    scope       text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    owner       text NOT NULL,
    heartbeat   interval,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT cache_reservation_pkey PRIMARY KEY (org, scope, key)
);
CREATE INDEX cache_reservation_owner ON cache_reservation (org, owner);
