-- Who a user is at an OpenID Connect provider. The name there may change, or go to somebody else;
-- issuer and subject never do. One account is one person's.

CREATE TABLE identities (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    user    INTEGER NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
