export const consoles = {
  of: "Console of {vmid}",
  screen: "Screen",
  serial: "Serial terminal",
  ctrlAltDel: "Ctrl-Alt-Del",
  paste: "Type the clipboard",
  full: "Full screen",
  again: "Connect again",
  ended: "the connection has ended",
} as const;
