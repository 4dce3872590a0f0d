"""A million messages and what belongs to them, made by PostgreSQL itself."""

from contract.store_rows import NOW

DAY_MS = 24 * 3600 * 1000
BEGIN = NOW - 80 * DAY_MS
MESSAGES = 1_000_000
STEP = (NOW - BEGIN) // MESSAGES

# Three messages in ten are in one deep conversation, the rest in twenty thousand others; ten thousand users.
FILL = f"""
SET synchronous_commit = off;

CREATE FUNCTION pg_temp.id_of(n bigint) RETURNS text IMMUTABLE LANGUAGE SQL AS $$
    SELECT substr(h, 1, 8) || '-' || substr(h, 9) || '-7000-8000-' || lpad(to_hex(n), 12, '0')
    FROM (SELECT lpad(to_hex({BEGIN} + n * {STEP}), 12, '0') AS h) ms
$$;

INSERT INTO messages (id, conversation_id, seq, kind, channel, sender_user, content, priority)
SELECT pg_temp.id_of(n),
    CASE WHEN n % 10 < 3 THEN 'deep' ELSE 'conversation-' || other % 20000 END,
    CASE WHEN n % 10 < 3 THEN n / 10 * 3 + n % 10 + 1 ELSE other / 20000 + 1 END,
    'chat', 'chat', 'user-' || n % 10000, '{{"type":"text","text":"hello ' || n || '"}}', 'normal'
FROM (SELECT n, n / 10 * 7 + n % 10 - 3 AS other FROM generate_series(0, {MESSAGES} - 1) n) numbered;

INSERT INTO conversations (id, kind, channel, head_seq, last_message_id)
SELECT conversation_id, 'chat', 'chat', max(seq), max(id) FROM messages GROUP BY conversation_id;

INSERT INTO members (conversation_id, user_id, own_total)
SELECT 'conversation-' || n, 'user-' || (n + u) % 10000, 3
FROM generate_series(0, 19999) n, generate_series(0, 1) u;
INSERT INTO members (conversation_id, user_id) VALUES ('deep', 'user-5'), ('deep', 'user-9999');

INSERT INTO stream_events (user_id, lane, seq, message_id, conversation_id, conversation_seq, own)
SELECT 'user-' || n % 10000, 's', n / 10000 + 1, pg_temp.id_of(n), 'conversation-' || n % 20000, n / 20000 + 1, false
FROM generate_series(0, {MESSAGES} / 2 - 1) n;

INSERT INTO stream_heads (user_id, source, seq, due_at)
SELECT 'user-' || n, s, 50, CASE WHEN s = 's' AND n % 10 = 0 THEN {NOW} - n END
FROM generate_series(0, 9999) n, unnest(ARRAY['s', 'e', 'r']) s;

INSERT INTO states (user_id, key, version, type, value)
SELECT 'user-' || n % 10000, 'key-' || n, n / 10000 + 1, 'read', '{{}}' FROM generate_series(0, 99999) n;

INSERT INTO devices (user_id, device_id, platform, seen_at)
SELECT 'user-' || n, d, 'ios', 0 FROM generate_series(0, 9999) n, unnest(ARRAY['phone', 'tablet']) d;

INSERT INTO users (user_id, joined_at) SELECT 'user-' || n, 0 FROM generate_series(0, 9999) n;

INSERT INTO idempotency_keys (scope, key, message_id, expires_at)
SELECT 'u:user-' || n % 10000, n, n, {NOW} + n - 1000 FROM generate_series(0, 99999) n;

INSERT INTO cursor_moves (user_id, source, step, low, high, at)
SELECT 'user-' || n % 10000, 's', 'acked', n / 10000, n / 10000 + 1, {NOW} - n FROM generate_series(0, 99999) n;

INSERT INTO outbox (topic, payload, created_at) SELECT 'topic', '', {NOW} FROM generate_series(1, 20000);

INSERT INTO rings (user_id, lane, channel, low, high, attempt, due_at, started_at)
SELECT 'user-' || n % 10000, 's', 'chat', n / 10000, n / 10000 + 1, 1, {NOW} - 25000 + n, 0
FROM generate_series(0, 49999) n;

INSERT INTO dead_letters (id, message_id, recipient, channel, reason, lane, seq, attempts, failed_at)
SELECT 'letter-' || n, n, 'user-' || n % 10000, 'channel-' || n % 100, 'expired', 's', n, 1, 0
FROM generate_series(0, 99999) n;

INSERT INTO expiries (expires_at, message_id) SELECT {NOW} - 50000 + n, n FROM generate_series(0, 99999) n;

INSERT INTO scheduled (id, scope, due_at, draft, state, created_at)
SELECT 'later-' || n, 'b:shop-' || n % 1000, {NOW} - 50000 + n, '{{}}',
    CASE WHEN n % 2 = 0 THEN 'waiting' ELSE 'sent' END, 0
FROM generate_series(0, 99999) n;

INSERT INTO subscriptions (user_id, channel, since, changed, from_be, from_bs, subscribed_at)
SELECT 'user-' || n % 10000, 'town-' || n / 10000, n + 1, n + 1, 0, 0, 0 FROM generate_series(0, 199999) n;

INSERT INTO broadcast_events (source, seq, channel, message_id, conversation_seq, audience_version)
SELECT 'bs', n + 1, 'town-' || n % 100, pg_temp.id_of(n), n, 0 FROM generate_series(0, 199999) n;
INSERT INTO broadcast_heads (source, seq) VALUES ('bs', 200000), ('audience', 200000);

INSERT INTO blocks (user_id, blocked, created_at)
SELECT 'user-' || n, 'user-' || n + 1, 0 FROM generate_series(0, 49999) n;

INSERT INTO audit (id, actor, action, target, details, at)
SELECT lpad(n::text, 8, '0'), 'backend:b-' || n % 100, 'key.issue', 'key-' || n, '{{}}', 0
FROM generate_series(0, 99999) n;

ANALYZE;
"""  # noqa: S608 - numbers of ours
