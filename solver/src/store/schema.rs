//! The tables. Migrations are only ever added.

/// See [`chain::db::Db::migrate`].
pub(super) const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE orders (
    hash BLOB PRIMARY KEY,
    origin BIGINT NOT NULL,
    destination BIGINT NOT NULL,
    creator BLOB NOT NULL,
    intent BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    wallet BLOB,
    batch BLOB,
    filled_at BIGINT
);
-- Terminal orders carry the largest retry time, so this index is also the list of open ones.
CREATE INDEX orders_due ON orders (retry_at);
CREATE INDEX orders_by_state ON orders (state, origin, destination);
CREATE INDEX orders_by_batch ON orders (batch);

CREATE TABLE history (
    hash BLOB NOT NULL,
    position BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (hash, position)
);

CREATE TABLE holdings (
    chain BIGINT NOT NULL,
    wallet BLOB NOT NULL,
    token BLOB NOT NULL,
    amount BLOB NOT NULL,
    block BIGINT NOT NULL,
    PRIMARY KEY (chain, wallet, token)
);

CREATE TABLE reservations (
    holder BLOB NOT NULL,
    chain BIGINT NOT NULL,
    wallet BLOB NOT NULL,
    token BLOB NOT NULL,
    amount BLOB NOT NULL,
    spent_block BIGINT,
    PRIMARY KEY (holder, chain, wallet, token)
);
CREATE INDEX reservations_by_asset ON reservations (chain, wallet, token);

CREATE TABLE quotes (
    id BLOB PRIMARY KEY,
    terms TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    taken_by BLOB
);
CREATE INDEX quotes_by_expiry ON quotes (expires_at);

CREATE TABLE batches (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    chain BIGINT NOT NULL,
    wallet BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    is_open BIGINT NOT NULL
);
CREATE INDEX batches_open ON batches (is_open);

-- Transactions that a written state allows, in full: sending one again after a crash must ask for
-- exactly the same bytes.
CREATE TABLE outbox (
    key TEXT PRIMARY KEY,
    owner BLOB NOT NULL,
    chain BIGINT NOT NULL,
    wallet BLOB NOT NULL,
    recipient BLOB NOT NULL,
    value BLOB NOT NULL,
    data BLOB NOT NULL,
    gas_limit BIGINT,
    deadline BIGINT
);
CREATE INDEX outbox_by_owner ON outbox (owner);

CREATE TABLE ledger (
    tx BLOB NOT NULL,
    position BIGINT NOT NULL,
    intent BLOB NOT NULL,
    chain BIGINT NOT NULL,
    wallet BLOB NOT NULL,
    token BLOB NOT NULL,
    kind TEXT NOT NULL,
    amount BLOB NOT NULL,
    usd TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tx, position)
);
CREATE INDEX ledger_by_time ON ledger (at);

CREATE TABLE switches (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
",
    "
CREATE INDEX orders_by_creator ON orders (creator, state);
CREATE INDEX quotes_open ON quotes (taken_by, expires_at);
ALTER TABLE quotes ADD COLUMN gas BIGINT NOT NULL DEFAULT 0;
CREATE INDEX ledger_by_intent ON ledger (intent);

-- Our own intents, which move inventory between chains.
CREATE TABLE transfers (
    hash BLOB PRIMARY KEY,
    intent BLOB NOT NULL,
    state TEXT NOT NULL,
    origin BIGINT NOT NULL,
    giver BLOB NOT NULL,
    token_given BLOB NOT NULL,
    given BLOB NOT NULL,
    destination BIGINT NOT NULL,
    receiver BLOB NOT NULL,
    token_received BLOB NOT NULL,
    received BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    is_open BIGINT NOT NULL
);
CREATE INDEX transfers_open ON transfers (is_open);
",
    "
-- The sum of the reservations of each holding; taken anew whenever the store is opened.
ALTER TABLE holdings ADD COLUMN reserved BLOB;
",
    "
-- The last times (milliseconds) from fill to proof of each lane and tier: a restart begins with them.
CREATE TABLE proof_times (
    origin BIGINT NOT NULL,
    destination BIGINT NOT NULL,
    tier BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    took BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (origin, destination, tier, slot)
);
",
    "
-- What quotes may hold is shared out among callers: see quotes.rs. Those of before are left alone until they expire.
ALTER TABLE quotes ADD COLUMN state TEXT NOT NULL DEFAULT 'bound';
ALTER TABLE quotes ADD COLUMN caller BLOB;
ALTER TABLE quotes ADD COLUMN route BLOB;
ALTER TABLE quotes ADD COLUMN request BLOB;
ALTER TABLE quotes ADD COLUMN chain BIGINT;
ALTER TABLE quotes ADD COLUMN token BLOB;
ALTER TABLE quotes ADD COLUMN worth BIGINT;
CREATE INDEX quotes_by_caller ON quotes (state, caller, expires_at);
CREATE INDEX quotes_by_asset ON quotes (state, chain, token);
",
];
