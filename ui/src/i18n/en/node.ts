export const node = {
  missing: "There is no such node.",
  up: "Up",
  processor: "Processor",
  kernel: "Kernel",
  version: "Version",
  versionIs: "Tarmac {tarmac}, with the API of Proxmox VE {api}",
  load: "Load",
  cpu: "CPU",
  memoryOf: "Memory, of {whole}",
  diskOf: "Disk, of {whole}",
  guestsOf: "Guests of {node}",
  emulates: "There is no KVM; guests are emulated, which is slow: {reason}",
} as const;
