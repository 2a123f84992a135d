export const hardware = {
  setting: "Einstellung",
  now: "Jetzt",
  next: "Beim nächsten Start",
  removed: "entfernt",
  change: "Ändern",
  changeTitle: "{key} ändern",
  addSetting: "Einstellung hinzufügen",
  value: "Wert",
  willHappen: "Was geschehen wird",
  becomes: "{key}: aus {old} wird {new}",
  preview: "Was würde geschehen?",
  save: "Speichern",
};
