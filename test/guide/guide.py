"""The integration guide's own code, as a caller copies it.

The bodies are the guide's, letter by letter; run.py calls them. Only the names that the guide leaves to its reader
(db, websocket_manager, apply_event, DATABASE_URL, send_json) are given here or set by run.py.
"""

import json

import asyncpg

db = None
websocket_manager = None
DATABASE_URL = None


def apply_event(state, event):
    """What the guide's reader writes: here the store's own default rule, latest data per event type."""
    return {**state, event['event_type']: json.loads(event['event_data'])}


# --- Event Sourcing Integration: 1. Appending Events

async def emit_event(user_id: str, event_type: str, data: dict):
    """Example of how to emit an event from Python"""
    await db.execute("""
        SELECT events.append_event(
            p_stream_id := $1,
            p_event_type := $2,
            p_event_data := $3,
            p_created_by := $4
        )
    """, f"user:{user_id}", event_type, json.dumps(data), "biometric_api")


# --- 2. Replaying Events

async def rebuild_user_state(user_id: str):
    """Replay all events for a user to rebuild state"""
    events = await db.fetch("""
        SELECT * FROM events.replay_stream($1)
    """, f"user:{user_id}")
    
    state = {}
    for event in events:
        # Apply each event to rebuild state
        state = apply_event(state, event)
    return state


# --- 3. Getting Current State

GET_CURRENT_STATE = """
-- SQL example: Get current state for a user
SELECT events.get_stream_state('user:demo123');
"""


# --- LISTEN/NOTIFY Integration: Python Listener Example

async def setup_listeners(conn: asyncpg.Connection):
    """Setup PostgreSQL LISTEN channels"""
    await conn.add_listener('mode_switch', handle_mode_switch)
    await conn.add_listener('memory_tier_change', handle_memory_change)
    
async def handle_mode_switch(conn, pid, channel, payload):
    """Handle mode switch notifications"""
    data = json.loads(payload)
    # Forward to WebSocket clients
    await websocket_manager.broadcast({
        'type': 'mode_switch',
        'data': data
    })

async def handle_memory_change(conn, pid, channel, payload):
    """The guide names this one without showing it; it is handle_mode_switch with the other type."""
    data = json.loads(payload)
    await websocket_manager.broadcast({
        'type': 'memory_tier_change',
        'data': data
    })


# --- Sending Notifications

SENDING_NOTIFICATIONS = """
-- From database triggers or functions
PERFORM pg_notify('mode_switch', json_build_object(
    'user_id', NEW.user_id,
    'from_mode', OLD.current_mode,
    'to_mode', NEW.current_mode,
    'timestamp', NOW()
)::text);
"""


# --- Using Materialized Views

QUERYING_AGGREGATED_DATA = """
-- Get user's average heart rate for last 7 days
SELECT 
    day,
    AVG(avg_value) as avg_hr
FROM analytics.user_metrics_daily
WHERE user_id = 'demo123'
  AND metric_type = 'heart_rate'
  AND day > CURRENT_DATE - INTERVAL '7 days'
GROUP BY day
ORDER BY day;
"""

REFRESHING_VIEWS = """
-- Refresh materialized view (schedule this hourly)
SELECT analytics.refresh_user_metrics();
"""


# --- Section 9 Security Integration

async def encrypt_phi_field(value, user_id):
    """What the guide imports: the database encrypts."""
    return await db.fetchval('SELECT encrypted.encrypt_phi_field($1, $2)', str(value), user_id)


async def store_encrypted(heart_rate, user_id, timestamp, device_type):
    # Encrypt sensitive data
    encrypted_hr = await encrypt_phi_field(heart_rate, user_id)

    # Store encrypted data in event
    await emit_event(
        user_id=user_id,
        event_type='vitals_recorded',
        data={
            'heart_rate': encrypted_hr,  # Encrypted
            'timestamp': timestamp,       # Not PHI
            'device': device_type        # Not PHI
        }
    )


# --- Biometric API Integration Points: 1. Emit Events on State Changes

async def process_webhook(user_id, event_data):
    await db.execute("""
    SELECT events.append_event(
        'user:' || $1,
        'biometric_received',
        $2::jsonb,
        'webhook_processor'
    )
""", user_id, event_data)


# --- 2. Mode Switch Events

async def switch_mode(user_id, old_mode, new_mode, confidence_score, trigger_reason):
    event_id = await emit_event(
        user_id=user_id,
        event_type='mode_switched',
        data={
            'from_mode': old_mode,
            'to_mode': new_mode,
            'confidence': confidence_score,
            'trigger': trigger_reason
        }
    )
    return event_id


# --- Performance Optimization Tips: 2. Batch Event Writes

async def write_batch(event_batch):
    async with db.transaction():
        for event in event_batch:
            await emit_event(event['user_id'], event['type'], event['data'])


# --- 3. Use Prepared Statements

async def write_prepared(conn, rows):
    # Prepare frequently used queries
    stmt = await conn.prepare("""
    SELECT events.append_event($1, $2, $3, $4)
""")
    results = []
    for stream_id, event_type, data, created_by in rows:
        # Use many times
        results.append(await stmt.fetch(stream_id, event_type, data, created_by))
    return results


# --- WebSocket Integration Pattern

class DashboardWebSocket:
    async def connect(self):
        # Setup DB listener
        self.db_conn = await asyncpg.connect(DATABASE_URL)
        await self.db_conn.add_listener('mode_switch', self.on_mode_switch)
        
    async def on_mode_switch(self, conn, pid, channel, payload):
        # Forward to connected clients
        await self.send_json({
            'event': 'mode_switch',
            'data': json.loads(payload)
        })
