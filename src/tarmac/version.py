"""What this is and what it speaks. Clients choose their code paths by the Proxmox version, so it is the one whose API
we follow; our own version stands beside it."""

VERSION = "0.1.0"
PVE_VERSION = "9.1.6"
PVE_RELEASE = "9.1"
REPOSITORY_ID = "7a726d6163303130"
