-- Applications (parent 0), devices (parent: their application) and API tokens (parent -1) in one
-- table, so that there is one piece of SQL for all. AUTOINCREMENT: an id is never used again, so
-- that what is left of a deleted application can never belong to another.
CREATE TABLE resource (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    parent      INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    uid         TEXT    NOT NULL,
    created     INTEGER NOT NULL, -- milliseconds since 1970, UTC
    generation  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    labels      TEXT    NOT NULL, -- JSON
    annotations TEXT    NOT NULL, -- JSON
    spec        TEXT    NOT NULL  -- JSON, with secrets
) STRICT;
CREATE UNIQUE INDEX resource_name ON resource (parent, name);

-- Values that belong to one resource within a space: aliases and unique user names among the
-- devices of an application (kind 1, space: the application), trust anchors among all
-- applications (kind 2, space 0; the value begins with a digest of the anchor's subject, so that
-- the anchors of a name are a range).
CREATE TABLE claim (
    space    INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    value    BLOB    NOT NULL,
    resource INTEGER NOT NULL,
    PRIMARY KEY (space, kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_resource ON claim (resource);

-- Deleted applications whose devices are still to be removed, a few at a time.
CREATE TABLE doomed (
    application INTEGER PRIMARY KEY
) STRICT;

-- The revision of the last write.
CREATE TABLE state (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO state (one, revision) VALUES (1, 0);
