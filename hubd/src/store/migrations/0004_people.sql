-- Accounts that an admin has let in or shut out while the hub runs, and people who ask for one.

ALTER TABLE users ADD COLUMN admitted INTEGER NOT NULL DEFAULT 0 CHECK (admitted IN (0, 1));
ALTER TABLE users ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1));

-- A sign-up is no user: whoever types a name in gets nothing, and takes nothing from anybody.
CREATE TABLE signups (
    name          TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    created       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
