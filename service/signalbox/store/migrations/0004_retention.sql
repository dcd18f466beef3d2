-- How long ended runs are kept, as data; and an audit trail that whole months can be dropped from.

ALTER TABLE run
    ADD COLUMN outcome   text COLLATE "C",        -- terminal phase of the root
    ADD COLUMN ended_at  timestamptz;             -- by the product's clock
UPDATE run r SET outcome = a.phase, ended_at = a.ended_at
  FROM action a
 WHERE (a.org, a.project, a.domain, a.run) = (r.org, r.project, r.domain, r.name) AND a.parent = ''
   AND a.phase IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered');
CREATE INDEX run_by_outcome ON run (org, project, domain, outcome, created_at DESC, name DESC)
    WHERE outcome IS NOT NULL;
CREATE INDEX run_ended ON run (org, ended_at) WHERE ended_at IS NOT NULL;

-- The most specific policy counts: of the project before the org's, of the outcome before any. None: kept for ever.
CREATE TABLE retention_policy (
    org      text COLLATE "C" NOT NULL,
    project  text COLLATE "C" NOT NULL,           -- empty: every project without one of its own
    outcome  text COLLATE "C" NOT NULL,
    keep     interval NOT NULL,
    CONSTRAINT retention_policy_pkey PRIMARY KEY (org, project, outcome),
    CONSTRAINT retention_policy_outcome_known CHECK (outcome IN ('any', 'succeeded', 'failed', 'aborted', 'timed_out')),
    CONSTRAINT retention_policy_keep_positive CHECK (keep >= interval '1 hour')
);

-- What is held is never deleted, whatever the policies say.
CREATE TABLE legal_hold (
    org        text COLLATE "C" NOT NULL,
    project    text COLLATE "C" NOT NULL,
    domain     text COLLATE "C" NOT NULL,         -- empty, with run: the project as a whole
    run        text COLLATE "C" NOT NULL,
    reason     text NOT NULL,
    placed_by  text NOT NULL,
    placed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT legal_hold_pkey PRIMARY KEY (org, project, domain, run)
);

-- By month. An identity column of a partitioned table is new in PostgreSQL 17: hence the sequence.
ALTER TABLE audit RENAME TO audit_before;
ALTER TABLE audit_before RENAME CONSTRAINT audit_pkey TO audit_before_pkey;
CREATE SEQUENCE audit_id AS bigint;
CREATE TABLE audit (
    org         text COLLATE "C" NOT NULL,
    id          bigint NOT NULL DEFAULT nextval('audit_id'),
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal   text NOT NULL,
    operation   text NOT NULL,
    resource    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    request_id  text NOT NULL,
    CONSTRAINT audit_pkey PRIMARY KEY (org, at, id),
    CONSTRAINT audit_outcome_is_known CHECK (outcome IN ('done', 'denied'))
) PARTITION BY RANGE (at);
ALTER SEQUENCE audit_id OWNED BY audit.id;
-- Where a row goes that no month was made for: an insert never fails for want of one.
CREATE TABLE audit_default PARTITION OF audit DEFAULT;
INSERT INTO audit (org, at, principal, operation, resource, outcome, request_id)
SELECT org, at, principal, operation, resource, outcome, request_id FROM audit_before ORDER BY id;
DROP TABLE audit_before;

-- Runs past the most specific policy for them, that nothing holds and that are over; with the policy.
CREATE VIEW expired_run AS
SELECT r.org, r.project, r.domain, r.name, r.outcome, r.ended_at, p.project AS of_project, p.outcome AS of_outcome, p.keep
  FROM retention_policy p
  JOIN run r ON r.org = p.org AND r.ended_at < clock_timestamp() - p.keep
   AND (p.project = '' OR r.project = p.project) AND (p.outcome = 'any' OR r.outcome = p.outcome)
 WHERE NOT EXISTS (
       SELECT 1 FROM retention_policy s
        WHERE s.org = r.org AND s.project IN ('', r.project) AND s.outcome IN ('any', r.outcome)
          AND (s.project <> '', s.outcome <> 'any') > (p.project <> '', p.outcome <> 'any'))
   AND NOT EXISTS (
       SELECT 1 FROM legal_hold h
        WHERE h.org = r.org AND h.project = r.project AND (h.run = '' OR (h.domain, h.run) = (r.domain, r.name)))
   AND NOT EXISTS (
       SELECT 1 FROM work w WHERE (w.org, w.project, w.domain, w.run) = (r.org, r.project, r.domain, r.name));

CREATE INDEX cache_entry_expiring ON cache_entry (expires_at) WHERE expires_at IS NOT NULL;
