-- Who opened a server that is not theirs, and when they did so last: its owner is told. The name is
-- a text, because the record outlives the visitor.

CREATE TABLE visits (
    server  INTEGER NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    visitor TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (server, visitor)
) STRICT, WITHOUT ROWID;
