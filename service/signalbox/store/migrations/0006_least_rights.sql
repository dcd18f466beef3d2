-- What the service does beyond rows, as functions with the rights of the tables' owner: the role that it logs in as may
-- neither make nor drop tables. They are closed to all but whom `migrate --app-role` names.

-- Make the partition of the audit trail for the month that begins then, unless it is there.
CREATE FUNCTION make_audit_month(p_first timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    part text := 'audit_' || to_char(p_first, 'YYYY_MM');
BEGIN
    IF p_first <> date_trunc('month', p_first) OR p_first > clock_timestamp() + interval '1 year' THEN
        RAISE EXCEPTION 'audit: wanted the first moment of a month within the coming year, got %', p_first
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF audit FOR VALUES FROM (%L) TO (%L)',
                       part, p_first, p_first + interval '1 month');
    END IF;
END $$;

-- Drop a month of the audit trail that ended at least 30 days ago: whoever has the service's rights cannot drop what
-- they have just done.
CREATE FUNCTION drop_audit_month(p_first timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    IF p_first + interval '1 month' > clock_timestamp() - interval '30 days' THEN
        RAISE EXCEPTION 'audit: % ended less than 30 days ago', to_char(p_first, 'YYYY-MM')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('DROP TABLE %I', 'audit_' || to_char(p_first, 'YYYY_MM'));
END $$;

REVOKE ALL ON FUNCTION make_audit_month(timestamptz), drop_audit_month(timestamptz) FROM PUBLIC;

-- What any one of the processes does once a period: whoever comes first after it has passed.
CREATE TABLE duty (
    name     text COLLATE "C" CONSTRAINT duty_pkey PRIMARY KEY,
    done_at  timestamptz NOT NULL
);
