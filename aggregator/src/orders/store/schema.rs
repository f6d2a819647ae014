//! Tables. A migration never changes once it was released; new ones go below.

pub(super) const MIGRATIONS: &[&str] = &[
    "\
CREATE TABLE orders (
    id BLOB NOT NULL PRIMARY KEY, origin BIGINT NOT NULL, destination BIGINT NOT NULL,
    provider TEXT, estimated BIGINT, creator BLOB, deadline BIGINT, reward_native BLOB,
    announced BIGINT NOT NULL, transaction_hash BLOB, expires BIGINT, outcome TEXT,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
CREATE INDEX orders_by_creator ON orders (creator, created_at);
CREATE INDEX orders_by_transaction ON orders (transaction_hash);
CREATE TABLE order_events (
    order_id BLOB NOT NULL, chain_id BIGINT NOT NULL, block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL, log_index BIGINT NOT NULL, transaction_hash BLOB NOT NULL,
    fact TEXT NOT NULL, at BIGINT NOT NULL, removed BIGINT NOT NULL,
    PRIMARY KEY (chain_id, block_hash, log_index));
CREATE INDEX order_events_by_order ON order_events (order_id);
CREATE INDEX order_events_by_transaction ON order_events (transaction_hash);
CREATE TABLE chain_clocks (chain_id BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL)",
    "\
ALTER TABLE orders ADD COLUMN state TEXT;
ALTER TABLE orders ADD COLUMN failure TEXT;
ALTER TABLE orders ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX orders_by_state ON orders (state);
CREATE INDEX orders_by_change ON orders (changed);
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, term BIGINT NOT NULL,
    until BIGINT NOT NULL);
CREATE TABLE reputations (
    provider TEXT NOT NULL PRIMARY KEY, fills BIGINT NOT NULL, failures BIGINT NOT NULL,
    time_ratios BIGINT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE webhooks (
    id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, url TEXT NOT NULL, creator BLOB,
    created_at BIGINT NOT NULL);
CREATE INDEX webhooks_by_owner ON webhooks (owner);
CREATE TABLE deliveries (
    id TEXT NOT NULL PRIMARY KEY, webhook TEXT NOT NULL, order_id BLOB NOT NULL,
    order_state TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL,
    attempts BIGINT NOT NULL, next_at BIGINT NOT NULL, last_error TEXT,
    created_at BIGINT NOT NULL);
CREATE INDEX deliveries_due ON deliveries (state, next_at);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook, created_at)",
    "\
ALTER TABLE orders ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN reward_tokens TEXT NOT NULL DEFAULT '[]'",
    // Earlier versions kept the chain that published an order first as its origin.
    "\
ALTER TABLE orders ADD COLUMN mined BIGINT;
UPDATE orders SET origin = COALESCE((SELECT MIN(e.chain_id) FROM order_events e
    WHERE e.order_id = orders.id AND e.fact = 'funded' AND e.removed = 0), origin)
    WHERE NOT EXISTS (SELECT 1 FROM order_events e WHERE e.order_id = orders.id
    AND e.fact = 'funded' AND e.removed = 0 AND e.chain_id = orders.origin)",
];
