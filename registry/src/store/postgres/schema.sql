-- The tables of the SQLite store, and beside them the changes, by which several instances follow
-- each other. All names start with `landfall_`: the database may be shared.

-- Applications (parent 0), devices (parent: their application) and API tokens (parent -1). An id is
-- never used again, so that what is left of a deleted application can never belong to another.
CREATE TABLE landfall_resource (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent      bigint NOT NULL,
    name        text COLLATE "C" NOT NULL,
    uid         text   NOT NULL,
    created     bigint NOT NULL, -- milliseconds since 1970, UTC
    generation  bigint NOT NULL,
    revision    bigint NOT NULL,
    labels      text   NOT NULL, -- JSON
    annotations text   NOT NULL, -- JSON
    spec        text   NOT NULL  -- JSON, with secrets
);
CREATE UNIQUE INDEX landfall_resource_name ON landfall_resource (parent, name);

-- Values that belong to one resource within a space: aliases and unique user names among the
-- devices of an application (kind 1, space: the application), trust anchors among all
-- applications (kind 2, space 0).
CREATE TABLE landfall_claim (
    space    bigint NOT NULL,
    kind     bigint NOT NULL,
    value    bytea  NOT NULL,
    resource bigint NOT NULL,
    PRIMARY KEY (space, kind, value)
);
CREATE INDEX landfall_claim_resource ON landfall_claim (resource);

-- Deleted applications whose devices are still to be removed, a few at a time.
CREATE TABLE landfall_doomed (
    application bigint PRIMARY KEY
);

-- The revision of the last write, and a random tag of its transaction: two databases that have
-- come apart (a standby that was promoted too early, a restored backup) have other tags. A writer
-- holds the row until it commits, so that revisions are committed in their order.
CREATE TABLE landfall_state (
    one      integer PRIMARY KEY CHECK (one = 1),
    revision bigint NOT NULL,
    tag      bigint NOT NULL
);
INSERT INTO landfall_state (one, revision, tag) VALUES (1, 0, 0);

-- What changed: one row for each of the last revisions. `application` is the name of a device's
-- application, else empty.
CREATE TABLE landfall_change (
    revision    bigint PRIMARY KEY,
    tag         bigint NOT NULL,
    parent      bigint NOT NULL,
    application text   NOT NULL,
    name        text   NOT NULL
);
INSERT INTO landfall_change (revision, tag, parent, application, name) VALUES (0, 0, -1, '', '');
