-- Who did what to whom. Rows are added and never changed, and they go only when they are older than
-- what is kept: the moment is in meta as audit_kept_since, in microseconds as text. The triggers guard
-- against statements, not against whoever may alter the file. Names are what they were at that time.

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL CHECK (actor IN ('user', 'service', 'command', 'hub', 'nobody')),
    actor_id    INTEGER,
    actor_name  TEXT NOT NULL,
    means       TEXT NOT NULL,
    token       TEXT,
    source      TEXT,
    action      TEXT NOT NULL,
    object      TEXT NOT NULL,
    object_id   INTEGER,
    object_name TEXT NOT NULL,
    user_id     INTEGER,
    user_name   TEXT,
    outcome     TEXT NOT NULL CHECK (outcome IN ('done', 'begun', 'refused')),
    detail      TEXT NOT NULL CHECK (json_valid(detail))
) STRICT;
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_action ON audit (action, at);
CREATE INDEX audit_by_actor ON audit (actor_name, at);
CREATE INDEX audit_by_actor_id ON audit (actor_id, at) WHERE actor = 'user';
CREATE INDEX audit_by_user ON audit (user_name, at);
CREATE INDEX audit_by_user_id ON audit (user_id, at);

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never changed');
END;

CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN NOT EXISTS (
    SELECT 1 FROM meta
    WHERE key = 'audit_kept_since' AND OLD.at < CAST(CAST(value AS TEXT) AS INTEGER)
)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is kept');
END;

-- INSERT OR REPLACE deletes without the trigger for it.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never changed');
END;
