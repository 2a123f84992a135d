"""Who may do what: logins, realms, users, roles, grants, tokens, pools, the audit trail."""
