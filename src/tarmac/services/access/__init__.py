"""Who may do what: users, groups, roles, grants, logins, tokens, pools, and the trail of what they did."""
