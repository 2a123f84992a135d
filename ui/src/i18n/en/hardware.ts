export const hardware = {
  setting: "Setting",
  now: "Now",
  next: "At the next start",
  removed: "removed",
  change: "Change",
  changeTitle: "Change {key}",
  addSetting: "Add a setting",
  value: "Value",
  willHappen: "What will happen",
  becomes: "{key}: {old} becomes {new}",
  preview: "What would happen?",
  save: "Save",
} as const;
