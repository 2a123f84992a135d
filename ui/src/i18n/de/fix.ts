export const fix = {
  do: "Tun",
  again: "Tun, danach: {action}",
  look: "Ansehen",
  copy: "Befehl kopieren",
  copied: "Kopiert",
  sure: "Ja, tun",
  done: "Getan",
} as const;
