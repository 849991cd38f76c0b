-- Services that were made through the API. Those of the configuration are not in the file.
CREATE TABLE services (
    name         TEXT PRIMARY KEY,
    token_hash   BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    admin        INTEGER NOT NULL CHECK (admin IN (0, 1)),
    roles        TEXT NOT NULL CHECK (json_valid(roles)),
    url          TEXT,
    client_id    TEXT NOT NULL UNIQUE,
    redirect_uri TEXT,
    no_confirm   INTEGER NOT NULL CHECK (no_confirm IN (0, 1)),
    display      INTEGER NOT NULL CHECK (display IN (0, 1)),
    info         TEXT NOT NULL CHECK (json_valid(info))
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_service ON tokens (service) WHERE service IS NOT NULL;
