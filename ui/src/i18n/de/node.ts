export const node = {
  missing: "Diesen Knoten gibt es nicht.",
  up: "Läuft seit",
  processor: "Prozessor",
  kernel: "Kernel",
  version: "Version",
  versionIs: "Tarmac {tarmac}, mit der API von Proxmox VE {api}",
  load: "Last",
  cpu: "CPU",
  memoryOf: "Arbeitsspeicher, von {whole}",
  diskOf: "Platte, von {whole}",
  guestsOf: "Gäste von {node}",
  emulates: "Es gibt kein KVM; Gäste werden emuliert, was langsam ist: {reason}",
};
