-- The first schema. Keys lead with org. The words of `phase` and `kind` are those of rules/phases.py and store/actions.py.

CREATE TABLE project (
    org         text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    state       text COLLATE "C" NOT NULL,
    definition  bytea NOT NULL,          -- flyteidl2.project.Project, without org, domains and state
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT project_pkey PRIMARY KEY (org, id),
    CONSTRAINT project_state_known CHECK (state IN ('active', 'archived'))
);

-- TaskSpecs by content: thousands of actions share one.
CREATE TABLE task_spec (
    org     text COLLATE "C" NOT NULL,
    digest  bytea NOT NULL,              -- SHA-256 of body
    body    bytea NOT NULL,              -- flyteidl2.task.TaskSpec
    CONSTRAINT task_spec_pkey PRIMARY KEY (org, digest)
);

CREATE TABLE task (
    org          text COLLATE "C" NOT NULL,
    project      text COLLATE "C" NOT NULL,
    domain       text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    version      text COLLATE "C" NOT NULL,
    spec_digest  bytea NOT NULL,
    short_name   text NOT NULL,
    environment  text NOT NULL,
    description  text NOT NULL,
    deployed_by  text NOT NULL,
    deployed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT task_pkey PRIMARY KEY (org, project, domain, name, version),
    CONSTRAINT task_spec_known FOREIGN KEY (org, spec_digest) REFERENCES task_spec (org, digest)
);
CREATE INDEX task_latest ON task (org, project, domain, name, deployed_at DESC);

-- A run, and the counter that orders every change of its actions: who changes an action locks its run's row first, so
-- that revisions of a run are gapless and in commit order.
CREATE TABLE run (
    org                 text COLLATE "C" NOT NULL,
    project             text COLLATE "C" NOT NULL,
    domain              text COLLATE "C" NOT NULL,
    name                text COLLATE "C" NOT NULL,
    revision            bigint NOT NULL DEFAULT 0,
    run_spec            bytea NOT NULL,  -- flyteidl2.task.RunSpec, as it came
    source              integer NOT NULL,
    labels              jsonb NOT NULL,
    start_time          timestamptz NOT NULL,
    output_base         text NOT NULL,
    created_by          text NOT NULL,
    request_digest      bytea NOT NULL,  -- tells a client's repeat of the same request from another of the same name
    created_at          timestamptz NOT NULL,
    abort_requested_at  timestamptz,
    CONSTRAINT run_pkey PRIMARY KEY (org, project, domain, name)
) WITH (fillfactor = 70);
CREATE INDEX run_newest ON run (org, project, domain, created_at DESC, name DESC);

-- No index on anything that changes: updates stay within their page.
CREATE TABLE action (
    org                 text COLLATE "C" NOT NULL,
    project             text COLLATE "C" NOT NULL,
    domain              text COLLATE "C" NOT NULL,
    run                 text COLLATE "C" NOT NULL,
    name                text COLLATE "C" NOT NULL,
    parent              text COLLATE "C" NOT NULL,   -- empty for the root
    kind                text COLLATE "C" NOT NULL,
    group_name          text NOT NULL,
    definition          bytea NOT NULL,  -- flyteidl2.workflow.TaskAction without its spec, or TraceAction
    spec_digest         bytea,
    task_name           text COLLATE "C" NOT NULL,
    task_version        text COLLATE "C" NOT NULL,
    short_name          text NOT NULL,
    environment         text NOT NULL,
    input_uri           text NOT NULL,
    output_base         text NOT NULL,
    user_retries        integer NOT NULL,
    created_by          text NOT NULL,
    created_at          timestamptz NOT NULL,
    revision            bigint NOT NULL,
    phase               text COLLATE "C" NOT NULL,
    attempt             integer NOT NULL,
    epoch               bigint NOT NULL DEFAULT 0,   -- of the last accepted report
    user_failures       integer NOT NULL DEFAULT 0,
    system_failures     integer NOT NULL DEFAULT 0,
    cluster             text COLLATE "C" NOT NULL DEFAULT '',
    queued_at           timestamptz NOT NULL,        -- of the current attempt
    started_at          timestamptz,
    ended_at            timestamptz,
    output_uri          text NOT NULL DEFAULT '',    -- folder for a task, file for a trace
    error               bytea,           -- flyteidl2.workflow.ErrorInfo
    error_recoverable   boolean NOT NULL DEFAULT false,
    log                 bytea,           -- flyteidl2.workflow.ActionEvent with nothing but its log fields
    abort_requested_at  timestamptz,
    abort_reason        text NOT NULL DEFAULT '',
    aborted_by          text NOT NULL DEFAULT '',
    CONSTRAINT action_pkey PRIMARY KEY (org, project, domain, run, name),
    CONSTRAINT action_run_known FOREIGN KEY (org, project, domain, run)
        REFERENCES run (org, project, domain, name) ON DELETE CASCADE,
    CONSTRAINT action_phase_known CHECK (phase IN ('queued', 'waiting_for_resources', 'initializing', 'running',
        'paused', 'succeeded', 'failed', 'aborted', 'timed_out', 'recovered')),
    CONSTRAINT action_kind_known CHECK (kind IN ('task', 'trace'))
) WITH (fillfactor = 70);
CREATE INDEX action_child ON action (org, project, domain, run, parent);

-- Attempts that a retry superseded; the current one is in the action's row.
CREATE TABLE attempt (
    org                text COLLATE "C" NOT NULL,
    project            text COLLATE "C" NOT NULL,
    domain             text COLLATE "C" NOT NULL,
    run                text COLLATE "C" NOT NULL,
    action             text COLLATE "C" NOT NULL,
    attempt            integer NOT NULL,
    epoch              bigint NOT NULL,
    phase              text COLLATE "C" NOT NULL,
    cluster            text COLLATE "C" NOT NULL,
    queued_at          timestamptz NOT NULL,
    started_at         timestamptz,
    ended_at           timestamptz NOT NULL,
    output_uri         text NOT NULL,
    error              bytea,
    error_recoverable  boolean NOT NULL,
    log                bytea,
    CONSTRAINT attempt_pkey PRIMARY KEY (org, project, domain, run, action, attempt),
    CONSTRAINT attempt_action_known FOREIGN KEY (org, project, domain, run, action)
        REFERENCES action (org, project, domain, run, name) ON DELETE CASCADE
);

-- Live work only: one row for each task action that is not over, with the lease now in force. Deleted at the end.
-- No foreign key to action: both are always written by one transaction, and on a table that was never analyzed the check
-- reads the whole run for each row.
CREATE TABLE work (
    org         text COLLATE "C" NOT NULL,
    project     text COLLATE "C" NOT NULL,
    domain      text COLLATE "C" NOT NULL,
    run         text COLLATE "C" NOT NULL,
    action      text COLLATE "C" NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,  -- order of arrival
    attempt     integer NOT NULL,
    epoch       bigint NOT NULL DEFAULT 0,            -- of the last grant
    cluster     text COLLATE "C",                     -- null: waits
    granted_at  timestamptz,
    CONSTRAINT work_pkey PRIMARY KEY (org, project, domain, run, action)
) WITH (fillfactor = 70);
CREATE INDEX work_waiting ON work (org, id) WHERE cluster IS NULL;
CREATE INDEX work_held ON work (org, cluster) WHERE cluster IS NOT NULL;

-- What happened, append-only, in the order of the run's revisions.
CREATE TABLE event (
    org          text COLLATE "C" NOT NULL,
    project      text COLLATE "C" NOT NULL,
    domain       text COLLATE "C" NOT NULL,
    run          text COLLATE "C" NOT NULL,
    revision     bigint NOT NULL,
    action       text COLLATE "C" NOT NULL,
    parent       text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    phase        text COLLATE "C" NOT NULL,
    attempt      integer NOT NULL,
    epoch        bigint NOT NULL,
    cluster      text COLLATE "C" NOT NULL,
    occurred_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT event_pkey PRIMARY KEY (org, project, domain, run, revision),
    CONSTRAINT event_kind_known CHECK (kind IN ('phase', 'abort', 'conflict'))
);
CREATE INDEX event_of_action ON event (org, project, domain, run, action, revision);

CREATE TABLE cluster (
    org                 text COLLATE "C" NOT NULL,
    name                text COLLATE "C" NOT NULL,
    session             text COLLATE "C" NOT NULL DEFAULT '',  -- of the agent's process that may report
    stream              bigint NOT NULL DEFAULT 0,             -- number of its newest lease stream: the one that may claim
    capacity            integer NOT NULL DEFAULT 0,
    dataproxy_endpoint  text NOT NULL,
    storage_prefix      text NOT NULL,
    agent_version       text NOT NULL,
    enrolled_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT cluster_pkey PRIMARY KEY (org, name)
);

CREATE TABLE cluster_credential (
    org         text COLLATE "C" NOT NULL,
    cluster     text COLLATE "C" NOT NULL,
    token_hash  bytea NOT NULL,          -- SHA-256: the tokens have 256 random bits and need no stretching
    expires_at  timestamptz NOT NULL,
    CONSTRAINT cluster_credential_pkey PRIMARY KEY (org, cluster, token_hash),
    CONSTRAINT cluster_credential_cluster_known FOREIGN KEY (org, cluster)
        REFERENCES cluster (org, name) ON DELETE CASCADE
);
CREATE UNIQUE INDEX cluster_credential_token ON cluster_credential (token_hash);

CREATE TABLE join_token (
    org         text COLLATE "C" NOT NULL,
    token_hash  bytea NOT NULL,
    cluster     text COLLATE "C" NOT NULL,
    created_by  text NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    CONSTRAINT join_token_pkey PRIMARY KEY (org, token_hash)
);
CREATE UNIQUE INDEX join_token_token ON join_token (token_hash);

-- What a cluster must still be told, written with the change that calls for it; removed when the cluster has confirmed
-- or its lease has ended. Delivered at least once.
CREATE TABLE outbox (
    org         text COLLATE "C" NOT NULL,
    cluster     text COLLATE "C" NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    topic       text COLLATE "C" NOT NULL,
    project     text COLLATE "C" NOT NULL,
    domain      text COLLATE "C" NOT NULL,
    run         text COLLATE "C" NOT NULL,
    action      text COLLATE "C" NOT NULL,
    attempt     integer NOT NULL,
    epoch       bigint NOT NULL,
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT outbox_pkey PRIMARY KEY (org, cluster, id),
    CONSTRAINT outbox_topic_known CHECK (topic IN ('abort')),
    CONSTRAINT outbox_once UNIQUE (org, project, domain, run, action, topic, epoch)
);

CREATE TABLE audit (
    org         text COLLATE "C" NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal   text NOT NULL,
    operation   text NOT NULL,
    resource    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    request_id  text NOT NULL,
    CONSTRAINT audit_pkey PRIMARY KEY (org, id),
    CONSTRAINT audit_outcome_known CHECK (outcome IN ('done', 'denied'))
);
