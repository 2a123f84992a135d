"""Who checks logins for us: the host (PAM), directories (LDAP), providers (OpenID Connect)."""
