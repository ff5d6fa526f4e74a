-- Who may do what. Six rights, each granted by itself: reader, writer, admin, encrypt, decrypt, key_admin.

CREATE FUNCTION events.grant_access(p_role text, p_access text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_grant_access';
COMMENT ON FUNCTION events.grant_access(text, text) IS 'lets a role read (''reader''), append (''writer'') administer streams and months (''admin''), encrypt (''encrypt'') or decrypt (''decrypt'') fields, or administer keys, rules and forgetting (''key_admin''); for the store''s owner';

CREATE FUNCTION events.revoke_access(p_role text, p_access text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_revoke_access';
COMMENT ON FUNCTION events.revoke_access(text, text) IS 'takes back what events.grant_access gave; for the store''s owner';

CREATE FUNCTION events.bind_tenant(p_role text, p_tenant text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_bind_tenant';
COMMENT ON FUNCTION events.bind_tenant(text, text) IS 'binds a role and its members to a tenant, or to one more; takes SELECT on events.event_store from it; for the store''s owner';

CREATE FUNCTION events.unbind_tenant(p_role text, p_tenant text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_unbind_tenant';
COMMENT ON FUNCTION events.unbind_tenant(text, text) IS 'takes one binding back; a role without any may name every tenant; for the store''s owner';
