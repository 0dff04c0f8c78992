"""Identity: tenants, users, memberships, sessions, second factors, API keys, platform staff."""
