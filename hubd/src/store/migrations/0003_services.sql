-- Services are OAuth clients as servers are; their clients stay while they stand in the configuration.
-- A table is changed by copying it.

CREATE TABLE oauth_clients_13 (
    client_id      TEXT PRIMARY KEY,
    server         INTEGER REFERENCES servers (id) ON DELETE CASCADE,
    service        TEXT UNIQUE,
    secret_hash    BLOB NOT NULL CHECK (length(secret_hash) = 32),
    redirect_uri   TEXT NOT NULL,
    allowed_scopes TEXT NOT NULL CHECK (json_valid(allowed_scopes)),
    CHECK ((server IS NULL) <> (service IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO oauth_clients_13 (client_id, server, secret_hash, redirect_uri, allowed_scopes)
    SELECT client_id, server, secret_hash, redirect_uri, allowed_scopes FROM oauth_clients;
DROP TABLE oauth_clients;
ALTER TABLE oauth_clients_13 RENAME TO oauth_clients;
CREATE INDEX oauth_clients_by_server ON oauth_clients (server) WHERE server IS NOT NULL;

-- Why the hub itself has ended the last run, for its user; cleared by the next start.
ALTER TABLE servers ADD COLUMN stop_reason TEXT;
