-- Groups that were made through the API. Those of the configuration are not in the file.
CREATE TABLE user_groups (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    properties TEXT NOT NULL CHECK (json_valid(properties))
) STRICT;

CREATE TABLE group_members (
    team INTEGER NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (team, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_by_user ON group_members (user);

-- What the authenticator keeps about a user, a JSON object.
ALTER TABLE users ADD COLUMN auth_state TEXT CHECK (auth_state IS NULL OR json_valid(auth_state));

-- Tokens whose scopes name somebody or something: few, and looked for whenever a name ends.
CREATE INDEX tokens_with_target ON tokens (id) WHERE instr(scopes, '=') > 0;
