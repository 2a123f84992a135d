export const consoles = {
  of: "Konsole von {vmid}",
  screen: "Bildschirm",
  serial: "Serielles Terminal",
  ctrlAltDel: "Strg-Alt-Entf",
  paste: "Zwischenablage tippen",
  full: "Vollbild",
  again: "Neu verbinden",
  ended: "die Verbindung ist beendet",
};
