export const login = {
  login: "Anmelden",
  user: "Benutzer",
  password: "Passwort",
  realm: "Realm",
  code: "Code",
  codeHelp: "Aus der Authentifizierungs-App, oder ein Wiederherstellungsschlüssel",
};
