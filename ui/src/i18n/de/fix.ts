export const fix = {
  again: "Tun, danach: {action}",
  look: "Ansehen",
  copy: "Befehl kopieren",
  copied: "Kopiert",
  sure: "Ja, tun",
} as const;
