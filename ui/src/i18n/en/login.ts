export const login = {
  login: "Log in",
  user: "User",
  password: "Password",
  realm: "Realm",
  code: "Code",
  codeHelp: "From your authenticator, or a recovery key",
} as const;
