-- The first layout. Times are microseconds since the epoch; hashes are SHA-256 of a secret's text.
-- AUTOINCREMENT: the number of a deleted row never comes back, so nothing that still names it can
-- reach its successor.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE,
    admin         INTEGER NOT NULL CHECK (admin IN (0, 1)),
    created       INTEGER NOT NULL,
    last_activity INTEGER,
    password_hash TEXT
) STRICT;

-- stage is what the hub has decided to do, not what it has seen. state, endpoint, user_options and
-- last_failure are JSON; they carry no CHECK, because one damaged blob must not look like a damaged file.
CREATE TABLE servers (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user          INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,
    display_name  TEXT NOT NULL,
    stage         TEXT NOT NULL CHECK (stage IN ('stopped', 'starting', 'running', 'stopping')),
    launch_id     TEXT,
    state         TEXT,
    endpoint      TEXT,
    started       INTEGER,
    last_activity INTEGER,
    user_options  TEXT,
    last_failure  TEXT,
    UNIQUE (user, name),
    CHECK (
        CASE stage
            WHEN 'stopped' THEN launch_id IS NULL AND state IS NULL AND endpoint IS NULL AND started IS NULL
            WHEN 'running' THEN launch_id IS NOT NULL AND started IS NOT NULL AND endpoint IS NOT NULL
            ELSE launch_id IS NOT NULL AND started IS NOT NULL
        END
    )
) STRICT;

CREATE TABLE oauth_clients (
    client_id      TEXT PRIMARY KEY,
    server         INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    secret_hash    BLOB NOT NULL CHECK (length(secret_hash) = 32),
    redirect_uri   TEXT NOT NULL,
    allowed_scopes TEXT NOT NULL CHECK (json_valid(allowed_scopes))
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_clients_by_server ON oauth_clients (server);

CREATE TABLE tokens (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    hash          BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    kind          TEXT NOT NULL CHECK (kind IN ('api', 'server', 'oauth')),
    user          INTEGER REFERENCES users (id) ON DELETE CASCADE,
    service       TEXT,
    server        INTEGER REFERENCES servers (id) ON DELETE CASCADE,
    client_id     TEXT REFERENCES oauth_clients (client_id) ON DELETE CASCADE,
    scopes        TEXT NOT NULL CHECK (json_valid(scopes)),
    note          TEXT NOT NULL,
    created       INTEGER NOT NULL,
    last_activity INTEGER,
    expires_at    INTEGER,
    session_id    TEXT,
    CHECK ((user IS NULL) <> (service IS NULL))
) STRICT;
CREATE INDEX tokens_by_user ON tokens (user);
CREATE INDEX tokens_by_server ON tokens (server) WHERE server IS NOT NULL;
CREATE INDEX tokens_by_client ON tokens (client_id) WHERE client_id IS NOT NULL;
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    user       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    created    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
