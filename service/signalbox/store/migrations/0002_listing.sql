-- What lists and watches read by. Every indexed column is written once, at the insert: updates stay within their page.

-- Revision at which an action was inserted: the order of creation in its run. Commits are in this order (the run's lock),
-- so that paging by it never skips what another transaction inserts meanwhile, and a parent always precedes its children.
ALTER TABLE action ADD COLUMN created_revision bigint NOT NULL DEFAULT 0;
UPDATE action a
   SET created_revision = (SELECT min(e.revision) FROM event e
                            WHERE (e.org, e.project, e.domain, e.run, e.action)
                                = (a.org, a.project, a.domain, a.run, a.name));
CREATE INDEX action_created ON action (org, project, domain, run, created_revision, name);

-- Roots alone: one entry a run.
CREATE INDEX action_root_of_task ON action (org, project, domain, task_name, created_at DESC, run DESC)
    WHERE parent = '';
CREATE INDEX action_root_of_version
    ON action (org, project, domain, task_name, task_version, created_at DESC, run DESC) WHERE parent = '';

CREATE INDEX run_newest_of_org ON run (org, created_at DESC, project DESC, domain DESC, name DESC);

ALTER TABLE task ADD COLUMN is_entrypoint boolean NOT NULL DEFAULT false;
