/* Generated from the declarations by `./dev gen`; do not edit. */

/** A switch of the API; `true` is sent as 1. */
export type Flag = boolean | 0 | 1;

export interface Accelerator {
  kvm: number;
  reason: string;
}

export interface AgentInterface {
  name: string;
  "hardware-address"?: string;
  "ip-addresses"?: IpAddress[];
}

export interface AgentInterfaces {
  result: AgentInterface[];
}

export interface Certificate {
  filename: string;
  fingerprint: string;
  subject: string;
  issuer: string;
  notbefore: number;
  notafter: number;
  san: string[];
}

export interface ChangedObject {
  kind: string;
  name: string;
  changes?: FieldChange[];
}

export interface CloneRow {
  vmid: number;
  name: string;
  linked: number;
  volumes?: string[];
  version?: string;
  current?: number;
  "source-name"?: string;
  cloned?: number;
  snapshot?: string;
}

export interface ConsoleOffer {
  port: number | string;
  ticket: string;
  user: string;
  password?: string;
}

export interface CpuInfo {
  model: string;
  cpus: number;
  cores: number;
  sockets: number;
}

export interface DefinitionChange {
  id: string;
  time: number;
  user: string;
  what: string;
  objects: ChangedObject[];
  inverse: InverseCall[];
}

export interface ErrorParts {
  code: string;
  message: string;
  cause?: string;
  evidence?: string;
  fixes?: Fix[];
}

export interface Factor {
  id: string;
  type: string;
  description?: string;
  created?: number;
  enable?: number;
}

export interface FactorsOf {
  userid: string;
  entries: Factor[];
}

export interface FieldChange {
  key: string;
  old?: unknown;
  new?: unknown;
}

export interface Figures {
  time: number;
  cpu?: number;
  maxcpu?: number;
  mem?: number;
  maxmem?: number;
  netin?: number;
  netout?: number;
  diskread?: number;
  diskwrite?: number;
  loadavg?: number;
  iowait?: number;
  memused?: number;
  memtotal?: number;
  swapused?: number;
  swaptotal?: number;
  rootused?: number;
  roottotal?: number;
  used?: number;
  total?: number;
}

export interface Finding {
  code: string;
  message: string;
  cause?: string;
  evidence?: string;
  fixes?: Fix[];
  id: string;
  severity: "error" | "warning" | "info";
  object: string;
  since?: number;
}

export interface Fix {
  text: string;
  action?: string;
  parameters?: Record<string, string>;
}

export interface GrantRow {
  path: string;
  ugid: string;
  type: "user" | "group" | "token";
  roleid: string;
  propagate: number;
}

export interface GroupRow {
  groupid: string;
  comment?: string;
  users?: string;
}

export interface GuestStatus {
  vmid: number;
  name: string;
  status: "running" | "stopped";
  qmpstatus: string;
  possible: string[];
  cpus: number;
  cpu: number;
  mem: number;
  maxmem: number;
  maxdisk: number;
  uptime: number;
  netin: number;
  netout: number;
  diskread: number;
  diskwrite: number;
  agent: number;
  memhost?: number;
  pid?: number;
  lock?: string | null;
  tags?: string;
  template?: number;
  accelerator?: string;
  "accelerator-reason"?: string;
  "running-qemu"?: string;
  "last-exit"?: string;
  note?: string;
  task?: string;
  "io-error"?: ErrorParts;
  live?: number;
  "memory-held"?: number;
  "memory-private"?: number;
  "memory-shared"?: number;
  "instant-clones"?: number;
  instant?: InstantOrigin;
}

export interface InstantOrigin {
  template: number;
  identity: string;
  left?: unknown;
}

export interface InverseCall {
  method: string;
  path: string;
  parameters: Record<string, string | string[]>;
}

export interface IpAddress {
  "ip-address": string;
  "ip-address-type": string;
  prefix: number;
}

export interface LogLine {
  n: number;
  t: string;
}

export interface LookedAt {
  path: string;
  ugid: string;
  type: "user" | "group" | "token";
  roleid: string;
  propagate: number;
  counts: number;
  why: string;
}

export interface MatcherRow {
  name: string;
  origin: string;
  comment?: string;
  disable?: number;
  mode?: string;
  target?: string[];
  "match-severity"?: string[];
  "match-field"?: string[];
  "invert-match"?: number;
}

export interface MetricServerRow {
  id: string;
  type: string;
  server: string;
  port: number;
  disable: number;
  problem?: string;
}

export interface NewFactor {
  id?: string;
  challenge?: string;
  recovery?: string[];
}

export interface NewToken {
  "full-tokenid": string;
  value: string;
  info: Record<string, unknown>;
}

export interface NodeStatus {
  uptime: number;
  cpu: number;
  wait: number;
  loadavg: string[];
  kversion: string;
  pveversion: string;
  memory: Used;
  swap: Used;
  rootfs: Used;
  cpuinfo: CpuInfo;
  accelerator: Accelerator;
}

export interface Orphan {
  volid: string;
  content: string;
  format: string;
  size: number;
  ctime: number;
  used?: number;
  vmid?: number;
  parent?: string;
  reason: string;
}

export interface PendingRow {
  key: string;
  value?: string | number;
  pending?: string | number;
  delete?: number;
}

export interface PoolDetails {
  members: PoolMember[];
  comment?: string;
}

export interface PoolMember {
  id: string;
  type: string;
  node: string;
  vmid?: number;
  name?: string;
  storage?: string;
  status?: string;
}

export interface PoolRow {
  poolid: string;
  comment?: string;
  members?: PoolMember[];
}

export interface RealmRow {
  realm: string;
  type: string;
  comment?: string;
  default?: number;
}

export interface ResourceRow {
  id: string;
  type: string;
  node?: string;
  status?: string;
  qmpstatus?: string;
  name?: string;
  vmid?: number;
  template?: number;
  tags?: string;
  pool?: string;
  lock?: string;
  cpu?: number;
  maxcpu?: number;
  mem?: number;
  maxmem?: number;
  disk?: number;
  maxdisk?: number;
  uptime?: number;
  netin?: number;
  netout?: number;
  diskread?: number;
  diskwrite?: number;
  storage?: string;
  content?: string;
  shared?: number;
  warning?: string;
  sdn?: string;
}

export interface RoleRow {
  roleid: string;
  privs: string;
  special?: number;
}

export interface SnapshotRow {
  name: string;
  description?: string;
  parent?: string;
  snaptime?: number;
  vmstate?: number;
}

export interface StorageRow {
  type: string;
  content: string;
  enabled: number;
  shared: number;
  active: number;
  total: number;
  used: number;
  avail: number;
  used_fraction?: number;
  reserve?: number;
  committed?: number;
  growth?: number;
  "full-in"?: number;
  warning?: string;
  stale?: number;
  age?: number;
  problem?: string;
  storage: string;
}

export interface StorageStatus {
  type: string;
  content: string;
  enabled: number;
  shared: number;
  active: number;
  total: number;
  used: number;
  avail: number;
  used_fraction?: number;
  reserve?: number;
  committed?: number;
  growth?: number;
  "full-in"?: number;
  warning?: string;
  stale?: number;
  age?: number;
  problem?: string;
}

export interface TargetRow {
  name: string;
  type: string;
  origin: string;
  comment?: string;
  disable?: number;
}

export interface TaskProgress {
  done: number;
  total: number;
  unit: string;
}

export interface TaskResult {
  vmids?: number[];
  times?: Record<string, Record<string, number>>;
}

export interface TaskRow {
  upid: string;
  node: string;
  pid: number;
  pstart: number;
  starttime: number;
  type: string;
  id: string;
  user: string;
  tokenid?: string;
  endtime?: number;
  status: string;
}

export interface TaskStatus {
  upid: string;
  node: string;
  type: string;
  id: string;
  user: string;
  starttime: number;
  status: "running" | "stopped";
  state: string;
  steps: TaskStep[];
  exitstatus?: string;
  error?: ErrorParts;
  result?: TaskResult;
  progress?: TaskProgress;
  "waits-for"?: string;
}

export interface TaskStep {
  title: string;
  state: string;
}

export interface Ticket {
  username: string;
  ticket: string;
  CSRFPreventionToken: string;
  cap: Record<string, unknown>;
  NeedTFA?: number;
}

export interface Token {
  tokenid: string;
  privsep?: number;
  expire?: number;
  comment?: string;
}

export interface UploadRow {
  upload: string;
  storage: string;
  content: string;
  filename: string;
  size: number;
  offset: number;
  created: number;
  expires: number;
  checksum?: string;
  "checksum-algorithm"?: string;
  task?: string;
}

export interface Used {
  total: number;
  used: number;
  free: number;
}

export interface UserRow {
  userid: string;
  enable?: number;
  expire?: number;
  comment?: string;
  email?: string;
  firstname?: string;
  lastname?: string;
  groups?: string;
  tokens?: Token[];
}

export interface Verdict {
  privilege: string;
  held: number;
  by: GrantRow[];
  text: string;
}

export interface Volume {
  volid: string;
  content: string;
  format: string;
  size: number;
  ctime: number;
  used?: number;
  vmid?: number;
  parent?: string;
}

export interface WhyReply {
  userid: string;
  path: string;
  allowed: number;
  privileges: Verdict[];
  grants: LookedAt[];
}

export interface DatacenterKeys {
  bwlimit?: string | undefined;
  "consent-text"?: string | undefined;
  console?: "applet" | "vv" | "html5" | "xtermjs" | undefined;
  crs?: string | undefined;
  description?: string | undefined;
  email_from?: string | undefined;
  fencing?: "watchdog" | "hardware" | "both" | undefined;
  ha?: string | undefined;
  http_proxy?: string | undefined;
  keyboard?: "de" | "de-ch" | "da" | "en-gb" | "en-us" | "es" | "fi" | "fr" | "fr-be" | "fr-ca" | "fr-ch" | "hu" | "is" | "it" | "ja" | "lt" | "mk" | "nl" | "no" | "pl" | "pt" | "pt-br" | "sv" | "sl" | "tr" | undefined;
  language?: "ar" | "ca" | "da" | "de" | "en" | "es" | "eu" | "fa" | "fr" | "hr" | "he" | "it" | "ja" | "ka" | "kr" | "nb" | "nl" | "nn" | "pl" | "pt_BR" | "ru" | "sl" | "sv" | "tr" | "ukr" | "zh_CN" | "zh_TW" | undefined;
  mac_prefix?: string | undefined;
  max_workers?: number | undefined;
  migration?: string | undefined;
  migration_unsecure?: Flag | undefined;
  "next-id"?: string | undefined;
  notify?: string | undefined;
  "registered-tags"?: string | undefined;
  replication?: string | undefined;
  "tag-style"?: string | undefined;
  u2f?: string | undefined;
  "user-tag-access"?: string | undefined;
  webauthn?: string | undefined;
  "task-retention"?: string | undefined;
}

export interface GotifyOptionsKeys {
  comment?: string | undefined;
  disable?: Flag | undefined;
  "allowed-hosts"?: readonly string[] | undefined;
  server?: string | undefined;
  token?: string | undefined;
}

export interface GotifyTargetKeys {
  comment?: string | undefined;
  disable?: Flag | undefined;
  "allowed-hosts"?: readonly string[] | undefined;
  server?: string | undefined;
  token?: string | undefined;
}

export interface JobChangesKeys {
  schedule?: string | undefined;
  enabled?: Flag | undefined;
  "enable-new"?: Flag | undefined;
  "remove-vanished"?: string | undefined;
  scope?: "users" | "groups" | "both" | undefined;
  comment?: string | undefined;
}

export interface JobDefinitionKeys {
  schedule?: string | undefined;
  enabled?: Flag | undefined;
  "enable-new"?: Flag | undefined;
  "remove-vanished"?: string | undefined;
  scope?: "users" | "groups" | "both" | undefined;
  comment?: string | undefined;
  realm?: string | undefined;
}

export interface MatcherKeys {
  comment?: string | undefined;
  disable?: Flag | undefined;
  "invert-match"?: Flag | undefined;
  mode?: "all" | "any" | undefined;
  "match-severity"?: readonly string[] | undefined;
  "match-field"?: readonly string[] | undefined;
  "match-calendar"?: readonly string[] | undefined;
  target?: readonly string[] | undefined;
}

export interface MetricServerKeys {
  "otel-compression"?: "none" | "gzip" | undefined;
  "otel-headers"?: string | undefined;
  "otel-max-body-size"?: number | undefined;
  "otel-path"?: string | undefined;
  "otel-protocol"?: "http" | "https" | undefined;
  "otel-resource-attributes"?: string | undefined;
  "otel-timeout"?: number | undefined;
  "otel-verify-ssl"?: Flag | undefined;
  server?: string | undefined;
  port?: number | undefined;
  disable?: Flag | undefined;
  mtu?: number | undefined;
  timeout?: number | undefined;
  path?: string | undefined;
  proto?: "udp" | "tcp" | undefined;
  influxdbproto?: "udp" | "http" | "https" | undefined;
  organization?: string | undefined;
  bucket?: string | undefined;
  token?: string | undefined;
  "api-path-prefix"?: string | undefined;
  "max-body-size"?: number | undefined;
  "verify-certificate"?: Flag | undefined;
  type?: "graphite" | "influxdb" | "opentelemetry" | undefined;
}

export interface MetricServerOptionsKeys {
  "otel-compression"?: "none" | "gzip" | undefined;
  "otel-headers"?: string | undefined;
  "otel-max-body-size"?: number | undefined;
  "otel-path"?: string | undefined;
  "otel-protocol"?: "http" | "https" | undefined;
  "otel-resource-attributes"?: string | undefined;
  "otel-timeout"?: number | undefined;
  "otel-verify-ssl"?: Flag | undefined;
  server?: string | undefined;
  port?: number | undefined;
  disable?: Flag | undefined;
  mtu?: number | undefined;
  timeout?: number | undefined;
  path?: string | undefined;
  proto?: "udp" | "tcp" | undefined;
  influxdbproto?: "udp" | "http" | "https" | undefined;
  organization?: string | undefined;
  bucket?: string | undefined;
  token?: string | undefined;
  "api-path-prefix"?: string | undefined;
  "max-body-size"?: number | undefined;
  "verify-certificate"?: Flag | undefined;
}

export interface NodeConfigKeys {
  acme?: string | undefined;
  [name: `acmedomain${number}`]: string | undefined;
  "ballooning-target"?: number | undefined;
  description?: string | undefined;
  "startall-onboot-delay"?: number | undefined;
  wakeonlan?: string | undefined;
}

export interface RealmChangesKeys {
  comment?: string | undefined;
  default?: Flag | undefined;
  tfa?: string | undefined;
  "issuer-url"?: string | undefined;
  "client-id"?: string | undefined;
  "client-key"?: string | undefined;
  autocreate?: Flag | undefined;
  "groups-claim"?: string | undefined;
  "groups-autocreate"?: Flag | undefined;
  "groups-overwrite"?: Flag | undefined;
  prompt?: string | undefined;
  scopes?: string | undefined;
  "acr-values"?: string | undefined;
  "query-userinfo"?: Flag | undefined;
  server1?: string | undefined;
  server2?: string | undefined;
  port?: number | undefined;
  mode?: "ldap" | "ldaps" | "ldap+starttls" | undefined;
  secure?: Flag | undefined;
  verify?: Flag | undefined;
  capath?: string | undefined;
  cert?: string | undefined;
  certkey?: string | undefined;
  sslversion?: "tlsv1" | "tlsv1_1" | "tlsv1_2" | "tlsv1_3" | undefined;
  base_dn?: string | undefined;
  bind_dn?: string | undefined;
  password?: string | undefined;
  user_attr?: string | undefined;
  domain?: string | undefined;
  "case-sensitive"?: Flag | undefined;
  "check-connection"?: Flag | undefined;
  filter?: string | undefined;
  user_classes?: string | undefined;
  sync_attributes?: string | undefined;
  group_dn?: string | undefined;
  group_name_attr?: string | undefined;
  group_filter?: string | undefined;
  group_classes?: string | undefined;
  "sync-defaults-options"?: string | undefined;
}

export interface RealmOptionsKeys {
  comment?: string | undefined;
  default?: Flag | undefined;
  tfa?: string | undefined;
  "issuer-url"?: string | undefined;
  "client-id"?: string | undefined;
  "client-key"?: string | undefined;
  autocreate?: Flag | undefined;
  "groups-claim"?: string | undefined;
  "groups-autocreate"?: Flag | undefined;
  "groups-overwrite"?: Flag | undefined;
  prompt?: string | undefined;
  scopes?: string | undefined;
  "acr-values"?: string | undefined;
  "query-userinfo"?: Flag | undefined;
  server1?: string | undefined;
  server2?: string | undefined;
  port?: number | undefined;
  mode?: "ldap" | "ldaps" | "ldap+starttls" | undefined;
  secure?: Flag | undefined;
  verify?: Flag | undefined;
  capath?: string | undefined;
  cert?: string | undefined;
  certkey?: string | undefined;
  sslversion?: "tlsv1" | "tlsv1_1" | "tlsv1_2" | "tlsv1_3" | undefined;
  base_dn?: string | undefined;
  bind_dn?: string | undefined;
  password?: string | undefined;
  user_attr?: string | undefined;
  domain?: string | undefined;
  "case-sensitive"?: Flag | undefined;
  "check-connection"?: Flag | undefined;
  filter?: string | undefined;
  user_classes?: string | undefined;
  sync_attributes?: string | undefined;
  group_dn?: string | undefined;
  group_name_attr?: string | undefined;
  group_filter?: string | undefined;
  group_classes?: string | undefined;
  "sync-defaults-options"?: string | undefined;
  "username-claim"?: string | undefined;
}

export interface RulesKeys {
  guests?: string | undefined;
  tag?: string | undefined;
  pool?: string | undefined;
  all?: Flag | undefined;
  schedule?: string | undefined;
  "keep-hourly"?: number | undefined;
  "keep-daily"?: number | undefined;
  "keep-weekly"?: number | undefined;
  vmstate?: Flag | undefined;
  enabled?: Flag | undefined;
  comment?: string | undefined;
}

export interface ScheduleDefinitionKeys {
  guests?: string | undefined;
  tag?: string | undefined;
  pool?: string | undefined;
  all?: Flag | undefined;
  schedule?: string | undefined;
  "keep-hourly"?: number | undefined;
  "keep-daily"?: number | undefined;
  "keep-weekly"?: number | undefined;
  vmstate?: Flag | undefined;
  enabled?: Flag | undefined;
  comment?: string | undefined;
  id?: string | undefined;
}

export interface SendmailTargetKeys {
  comment?: string | undefined;
  disable?: Flag | undefined;
  author?: string | undefined;
  mailto?: readonly string[] | undefined;
  "mailto-user"?: readonly string[] | undefined;
  "from-address"?: string | undefined;
}

export interface SmtpOptionsKeys {
  comment?: string | undefined;
  disable?: Flag | undefined;
  author?: string | undefined;
  mailto?: readonly string[] | undefined;
  "mailto-user"?: readonly string[] | undefined;
  mode?: "insecure" | "starttls" | "tls" | undefined;
  port?: number | undefined;
  username?: string | undefined;
  password?: string | undefined;
  server?: string | undefined;
  "from-address"?: string | undefined;
}

export interface SmtpTargetKeys {
  comment?: string | undefined;
  disable?: Flag | undefined;
  author?: string | undefined;
  mailto?: readonly string[] | undefined;
  "mailto-user"?: readonly string[] | undefined;
  mode?: "insecure" | "starttls" | "tls" | undefined;
  port?: number | undefined;
  username?: string | undefined;
  password?: string | undefined;
  server?: string | undefined;
  "from-address"?: string | undefined;
}

export interface StorageDefinitionKeys {
  authsupported?: string | undefined;
  base?: string | undefined;
  comstar_hg?: string | undefined;
  comstar_tg?: string | undefined;
  datastore?: string | undefined;
  "encryption-key"?: string | undefined;
  fingerprint?: string | undefined;
  "fs-name"?: string | undefined;
  fuse?: string | undefined;
  iscsiprovider?: string | undefined;
  lio_tpg?: string | undefined;
  "master-pubkey"?: string | undefined;
  nowritecache?: string | undefined;
  "skip-cert-verification"?: string | undefined;
  "snapshot-as-volume-chain"?: string | undefined;
  "zfs-base-path"?: string | undefined;
  content?: string | undefined;
  "content-dirs"?: string | undefined;
  disable?: Flag | undefined;
  nodes?: string | undefined;
  shared?: Flag | undefined;
  format?: "raw" | "qcow2" | "subvol" | "vmdk" | undefined;
  preallocation?: "off" | "metadata" | "falloc" | "full" | undefined;
  is_mountpoint?: string | undefined;
  mkdir?: Flag | undefined;
  "create-base-path"?: Flag | undefined;
  "create-subdirs"?: Flag | undefined;
  "prune-backups"?: string | undefined;
  "max-protected-backups"?: number | undefined;
  bwlimit?: string | undefined;
  reserve?: string | undefined;
  "forecast-days"?: number | undefined;
  nocow?: Flag | undefined;
  server?: string | undefined;
  monhost?: string | undefined;
  pool?: string | undefined;
  "data-pool"?: string | undefined;
  namespace?: string | undefined;
  krbd?: Flag | undefined;
  keyring?: string | undefined;
  port?: number | undefined;
  blocksize?: string | undefined;
  saferemove?: Flag | undefined;
  saferemove_throughput?: string | undefined;
  "saferemove-stepsize"?: "1" | "2" | "4" | "8" | "16" | "32" | undefined;
  tagged_only?: Flag | undefined;
  sparse?: Flag | undefined;
  mountpoint?: string | undefined;
  "allow-untested"?: Flag | undefined;
  options?: string | undefined;
  subdir?: string | undefined;
  username?: string | undefined;
  password?: string | undefined;
  domain?: string | undefined;
  smbversion?: "default" | "2.0" | "2.1" | "3" | "3.0" | "3.11" | undefined;
  "download-hosts"?: string | undefined;
  storage?: string | undefined;
  type?: "btrfs" | "cephfs" | "cifs" | "dir" | "esxi" | "iscsi" | "iscsidirect" | "lvm" | "lvmthin" | "nbd" | "nfs" | "pbs" | "rbd" | "zfs" | "zfspool" | undefined;
  path?: string | undefined;
  export?: string | undefined;
  share?: string | undefined;
  portal?: string | undefined;
  target?: string | undefined;
  vgname?: string | undefined;
  thinpool?: string | undefined;
}

export interface StorageOptionsKeys {
  authsupported?: string | undefined;
  base?: string | undefined;
  comstar_hg?: string | undefined;
  comstar_tg?: string | undefined;
  datastore?: string | undefined;
  "encryption-key"?: string | undefined;
  fingerprint?: string | undefined;
  "fs-name"?: string | undefined;
  fuse?: string | undefined;
  iscsiprovider?: string | undefined;
  lio_tpg?: string | undefined;
  "master-pubkey"?: string | undefined;
  nowritecache?: string | undefined;
  "skip-cert-verification"?: string | undefined;
  "snapshot-as-volume-chain"?: string | undefined;
  "zfs-base-path"?: string | undefined;
  content?: string | undefined;
  "content-dirs"?: string | undefined;
  disable?: Flag | undefined;
  nodes?: string | undefined;
  shared?: Flag | undefined;
  format?: "raw" | "qcow2" | "subvol" | "vmdk" | undefined;
  preallocation?: "off" | "metadata" | "falloc" | "full" | undefined;
  is_mountpoint?: string | undefined;
  mkdir?: Flag | undefined;
  "create-base-path"?: Flag | undefined;
  "create-subdirs"?: Flag | undefined;
  "prune-backups"?: string | undefined;
  "max-protected-backups"?: number | undefined;
  bwlimit?: string | undefined;
  reserve?: string | undefined;
  "forecast-days"?: number | undefined;
  nocow?: Flag | undefined;
  server?: string | undefined;
  monhost?: string | undefined;
  pool?: string | undefined;
  "data-pool"?: string | undefined;
  namespace?: string | undefined;
  krbd?: Flag | undefined;
  keyring?: string | undefined;
  port?: number | undefined;
  blocksize?: string | undefined;
  saferemove?: Flag | undefined;
  saferemove_throughput?: string | undefined;
  "saferemove-stepsize"?: "1" | "2" | "4" | "8" | "16" | "32" | undefined;
  tagged_only?: Flag | undefined;
  sparse?: Flag | undefined;
  mountpoint?: string | undefined;
  "allow-untested"?: Flag | undefined;
  options?: string | undefined;
  subdir?: string | undefined;
  username?: string | undefined;
  password?: string | undefined;
  domain?: string | undefined;
  smbversion?: "default" | "2.0" | "2.1" | "3" | "3.0" | "3.11" | undefined;
  "download-hosts"?: string | undefined;
}

export interface SubnetOptionsKeys {
  gateway?: string | undefined;
  "dhcp-range"?: readonly string[] | undefined;
  "dhcp-dns-server"?: string | undefined;
  snat?: Flag | undefined;
  dnszoneprefix?: string | undefined;
}

export interface VmConfigKeys {
  name?: string | undefined;
  description?: string | undefined;
  tags?: string | undefined;
  onboot?: Flag | undefined;
  startup?: string | undefined;
  protection?: Flag | undefined;
  template?: Flag | undefined;
  autostart?: Flag | undefined;
  hookscript?: string | undefined;
  hotplug?: string | undefined;
  reboot?: Flag | undefined;
  freeze?: Flag | undefined;
  ostype?: "other" | "wxp" | "w2k" | "w2k3" | "w2k8" | "wvista" | "win7" | "win8" | "win10" | "win11" | "l24" | "l26" | "solaris" | undefined;
  machine?: string | undefined;
  arch?: "x86_64" | "aarch64" | undefined;
  bios?: "seabios" | "ovmf" | undefined;
  kvm?: Flag | undefined;
  acpi?: Flag | undefined;
  tablet?: Flag | undefined;
  keyboard?: "de" | "de-ch" | "da" | "en-gb" | "en-us" | "es" | "fi" | "fr" | "fr-be" | "fr-ca" | "fr-ch" | "hu" | "is" | "it" | "ja" | "lt" | "mk" | "nl" | "no" | "pl" | "pt" | "pt-br" | "sv" | "sl" | "tr" | undefined;
  localtime?: Flag | undefined;
  startdate?: string | undefined;
  tdf?: Flag | undefined;
  smbios1?: string | undefined;
  vmgenid?: string | undefined;
  args?: string | undefined;
  "amd-sev"?: string | undefined;
  "intel-tdx"?: string | undefined;
  sockets?: number | undefined;
  cores?: number | undefined;
  vcpus?: number | undefined;
  smp?: number | undefined;
  cpu?: string | undefined;
  cpulimit?: number | undefined;
  cpuunits?: number | undefined;
  affinity?: string | undefined;
  numa?: Flag | undefined;
  [name: `numa${number}`]: string | undefined;
  memory?: string | undefined;
  balloon?: number | undefined;
  shares?: number | undefined;
  "allow-ksm"?: Flag | undefined;
  instant?: Flag | undefined;
  hugepages?: "any" | "2" | "1024" | undefined;
  keephugepages?: Flag | undefined;
  ivshmem?: string | undefined;
  scsihw?: "lsi" | "lsi53c810" | "virtio-scsi-pci" | "virtio-scsi-single" | "megasas" | "pvscsi" | undefined;
  [name: `scsi${number}`]: string | undefined;
  [name: `virtio${number}`]: string | undefined;
  [name: `sata${number}`]: string | undefined;
  [name: `ide${number}`]: string | undefined;
  cdrom?: string | undefined;
  efidisk0?: string | undefined;
  tpmstate0?: string | undefined;
  [name: `unused${number}`]: string | undefined;
  boot?: string | undefined;
  bootdisk?: string | undefined;
  [name: `net${number}`]: string | undefined;
  vga?: string | undefined;
  [name: `serial${number}`]: string | undefined;
  [name: `parallel${number}`]: string | undefined;
  agent?: string | undefined;
  rng0?: string | undefined;
  watchdog?: string | undefined;
  audio0?: string | undefined;
  spice_enhancements?: string | undefined;
  [name: `usb${number}`]: string | undefined;
  [name: `hostpci${number}`]: string | undefined;
  [name: `virtiofs${number}`]: string | undefined;
  citype?: "configdrive2" | "nocloud" | "opennebula" | undefined;
  ciuser?: string | undefined;
  cipassword?: string | undefined;
  ciupgrade?: Flag | undefined;
  cicustom?: string | undefined;
  sshkeys?: string | undefined;
  searchdomain?: string | undefined;
  nameserver?: string | undefined;
  [name: `ipconfig${number}`]: string | undefined;
  migrate_speed?: number | undefined;
  migrate_downtime?: number | undefined;
  vmstatestorage?: string | undefined;
}

export interface VnetOptionsKeys {
  zone?: string | undefined;
  alias?: string | undefined;
  "isolate-ports"?: Flag | undefined;
  tag?: number | undefined;
  vlanaware?: Flag | undefined;
}

export interface WebhookOptionsKeys {
  comment?: string | undefined;
  disable?: Flag | undefined;
  "allowed-hosts"?: readonly string[] | undefined;
  body?: string | undefined;
  header?: readonly string[] | undefined;
  secret?: readonly string[] | undefined;
  method?: "get" | "post" | "put" | undefined;
  url?: string | undefined;
}

export interface WebhookTargetKeys {
  comment?: string | undefined;
  disable?: Flag | undefined;
  "allowed-hosts"?: readonly string[] | undefined;
  body?: string | undefined;
  header?: readonly string[] | undefined;
  secret?: readonly string[] | undefined;
  method?: "get" | "post" | "put" | undefined;
  url?: string | undefined;
}

export interface ZoneOptionsKeys {
  dhcp?: "dnsmasq" | undefined;
  ipam?: string | undefined;
  mtu?: number | undefined;
  nodes?: string | undefined;
  "advertise-subnets"?: Flag | undefined;
  bridge?: string | undefined;
  "bridge-disable-mac-learning"?: Flag | undefined;
  controller?: string | undefined;
  "disable-arp-nd-suppression"?: Flag | undefined;
  dns?: string | undefined;
  dnszone?: string | undefined;
  "dp-id"?: number | undefined;
  exitnodes?: string | undefined;
  "exitnodes-local-routing"?: Flag | undefined;
  "exitnodes-primary"?: string | undefined;
  fabric?: string | undefined;
  mac?: string | undefined;
  peers?: string | undefined;
  reversedns?: string | undefined;
  "rt-import"?: string | undefined;
  tag?: number | undefined;
  "vlan-protocol"?: "802.1q" | "802.1ad" | undefined;
  "vrf-vxlan"?: number | undefined;
  "vxlan-port"?: number | undefined;
}

export interface Api {
  "GET /access/acl": { params: object; reply: GrantRow[] };
  "PUT /access/acl": { params: { path: string; roles: string; users?: string | undefined; groups?: string | undefined; tokens?: string | undefined; propagate?: Flag | undefined; delete?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/audit": { params: { userid?: string | undefined; source?: string | undefined; path?: string | undefined; text?: string | undefined; since?: number | undefined; until?: number | undefined; failed?: Flag | undefined; start?: number | undefined; limit?: number | undefined; }; reply: unknown[] };
  "GET /access/domains": { params: object; reply: RealmRow[] };
  "POST /access/domains": { params: { realm: string; type: "ad" | "ldap" | "openid" | "pam" | "pve"; dryrun?: Flag | undefined; } & RealmOptionsKeys; reply: null };
  "DELETE /access/domains/{realm}": { params: { realm: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/domains/{realm}": { params: { realm: string; }; reply: Record<string, unknown> };
  "PUT /access/domains/{realm}": { params: { delete?: string | undefined; digest?: string | undefined; realm: string; dryrun?: Flag | undefined; } & RealmChangesKeys; reply: null };
  "POST /access/domains/{realm}/sync": { params: { realm: string; "dry-run"?: Flag | undefined; "enable-new"?: Flag | undefined; full?: Flag | undefined; purge?: Flag | undefined; "remove-vanished"?: string | undefined; scope?: "users" | "groups" | "both" | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /access/groups": { params: object; reply: GroupRow[] };
  "POST /access/groups": { params: { groupid: string; comment?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "DELETE /access/groups/{groupid}": { params: { groupid: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/groups/{groupid}": { params: { groupid: string; }; reply: Record<string, unknown> };
  "PUT /access/groups/{groupid}": { params: { groupid: string; comment?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "POST /access/login-link": { params: { dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /access/openid/auth-url": { params: { realm: string; "redirect-url": string; dryrun?: Flag | undefined; }; reply: string };
  "POST /access/openid/login": { params: { code: string; "redirect-url": string; state: string; dryrun?: Flag | undefined; }; reply: Ticket };
  "PUT /access/password": { params: { userid: string; password: string; "confirmation-password"?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/permissions": { params: { path?: string | undefined; userid?: string | undefined; }; reply: Record<string, Record<string, number>> };
  "GET /access/roles": { params: object; reply: RoleRow[] };
  "POST /access/roles": { params: { roleid: string; privs?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "DELETE /access/roles/{roleid}": { params: { roleid: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/roles/{roleid}": { params: { roleid: string; }; reply: Record<string, unknown> };
  "PUT /access/roles/{roleid}": { params: { roleid: string; privs?: string | undefined; append?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/tfa": { params: object; reply: FactorsOf[] };
  "GET /access/tfa/{userid}": { params: { userid: string; }; reply: Factor[] };
  "POST /access/tfa/{userid}": { params: { userid: string; type: "totp" | "u2f" | "webauthn" | "recovery" | "yubico"; description?: string | undefined; totp?: string | undefined; value?: string | undefined; challenge?: string | undefined; password?: string | undefined; dryrun?: Flag | undefined; }; reply: NewFactor };
  "DELETE /access/tfa/{userid}/{id}": { params: { userid: string; id: string; password?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/tfa/{userid}/{id}": { params: { userid: string; id: string; }; reply: Record<string, unknown> };
  "PUT /access/tfa/{userid}/{id}": { params: { userid: string; id: string; password?: string | undefined; description?: string | undefined; enable?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/ticket": { params: object; reply: null };
  "POST /access/ticket": { params: { username: string; password: string; realm?: string | undefined; otp?: string | undefined; path?: string | undefined; privs?: string | undefined; "new-format"?: Flag | undefined; "tfa-challenge"?: string | undefined; dryrun?: Flag | undefined; }; reply: Ticket };
  "GET /access/users": { params: { enabled?: Flag | undefined; full?: Flag | undefined; }; reply: UserRow[] };
  "POST /access/users": { params: { userid: string; comment?: string | undefined; email?: string | undefined; enable?: Flag | undefined; expire?: number | undefined; firstname?: string | undefined; lastname?: string | undefined; keys?: string | undefined; groups?: string | undefined; password?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "DELETE /access/users/{userid}": { params: { userid: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/users/{userid}": { params: { userid: string; }; reply: Record<string, unknown> };
  "PUT /access/users/{userid}": { params: { userid: string; comment?: string | undefined; email?: string | undefined; enable?: Flag | undefined; expire?: number | undefined; firstname?: string | undefined; lastname?: string | undefined; keys?: string | undefined; groups?: string | undefined; append?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/users/{userid}/tfa": { params: { userid: string; multiple?: Flag | undefined; }; reply: Record<string, unknown> };
  "GET /access/users/{userid}/token": { params: { userid: string; }; reply: Token[] };
  "DELETE /access/users/{userid}/token/{tokenid}": { params: { userid: string; tokenid: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /access/users/{userid}/token/{tokenid}": { params: { userid: string; tokenid: string; }; reply: Record<string, unknown> };
  "POST /access/users/{userid}/token/{tokenid}": { params: { userid: string; tokenid: string; comment?: string | undefined; expire?: number | undefined; privsep?: Flag | undefined; dryrun?: Flag | undefined; }; reply: NewToken };
  "PUT /access/users/{userid}/token/{tokenid}": { params: { userid: string; tokenid: string; comment?: string | undefined; expire?: number | undefined; privsep?: Flag | undefined; delete?: string | undefined; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "PUT /access/users/{userid}/unlock-tfa": { params: { userid: string; dryrun?: Flag | undefined; }; reply: unknown };
  "GET /access/why": { params: { path: string; privs: string; userid?: string | undefined; }; reply: WhyReply };
  "GET /cluster/acme/account": { params: object; reply: unknown[] };
  "POST /cluster/acme/account": { params: { directory?: string | undefined; contact: string; name?: string | undefined; tos_url?: string | undefined; "eab-kid"?: string | undefined; "eab-hmac-key"?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "DELETE /cluster/acme/account/{name}": { params: { name: string; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /cluster/acme/account/{name}": { params: { name: string; }; reply: Record<string, unknown> };
  "PUT /cluster/acme/account/{name}": { params: { name: string; contact?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /cluster/acme/challenge-schema": { params: object; reply: unknown[] };
  "GET /cluster/acme/directories": { params: object; reply: unknown[] };
  "GET /cluster/acme/meta": { params: { directory?: string | undefined; }; reply: Record<string, unknown> };
  "GET /cluster/acme/plugins": { params: { type?: "dns" | "standalone" | undefined; }; reply: unknown[] };
  "GET /cluster/acme/plugins/{id}": { params: { id: string; }; reply: Record<string, unknown> };
  "GET /cluster/acme/tos": { params: { directory?: string | undefined; }; reply: string };
  "GET /cluster/attention": { params: object; reply: Finding[] };
  "GET /cluster/backup-info/not-backed-up": { params: object; reply: unknown[] };
  "POST /cluster/bulk-action/guest/migrate": { params: { vms?: readonly string[] | undefined; "max-workers"?: number | undefined; maxworkers?: number | undefined; target: string; online?: Flag | undefined; "with-local-disks"?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /cluster/bulk-action/guest/shutdown": { params: { vms?: readonly string[] | undefined; "max-workers"?: number | undefined; maxworkers?: number | undefined; timeout?: number | undefined; "force-stop"?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /cluster/bulk-action/guest/start": { params: { vms?: readonly string[] | undefined; "max-workers"?: number | undefined; maxworkers?: number | undefined; timeout?: number | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /cluster/bulk-action/guest/suspend": { params: { vms?: readonly string[] | undefined; "max-workers"?: number | undefined; maxworkers?: number | undefined; "to-disk"?: Flag | undefined; statestorage?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /cluster/history": { params: { kind?: "user" | "group" | "role" | "grants" | "pool" | "password" | "tfa" | "realm" | "storage" | "options" | "node" | "zone" | "vnet" | "subnet" | undefined; name?: string | undefined; userid?: string | undefined; since?: number | undefined; until?: number | undefined; start?: number | undefined; limit?: number | undefined; }; reply: DefinitionChange[] };
  "GET /cluster/history/{id}": { params: { id: string; }; reply: Record<string, unknown> };
  "GET /cluster/jobs/realm-sync": { params: object; reply: unknown[] };
  "DELETE /cluster/jobs/realm-sync/{id}": { params: { id: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/jobs/realm-sync/{id}": { params: { id: string; }; reply: Record<string, unknown> };
  "POST /cluster/jobs/realm-sync/{id}": { params: { id: string; dryrun?: Flag | undefined; } & JobDefinitionKeys; reply: null };
  "PUT /cluster/jobs/realm-sync/{id}": { params: { id: string; delete?: string | undefined; dryrun?: Flag | undefined; } & JobChangesKeys; reply: null };
  "GET /cluster/jobs/schedule-analyze": { params: { schedule: string; iterations?: number | undefined; starttime?: number | undefined; }; reply: unknown[] };
  "GET /cluster/log": { params: { max?: number | undefined; }; reply: unknown[] };
  "GET /cluster/metrics/server": { params: object; reply: MetricServerRow[] };
  "DELETE /cluster/metrics/server/{id}": { params: { id: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/metrics/server/{id}": { params: { id: string; }; reply: Record<string, unknown> };
  "POST /cluster/metrics/server/{id}": { params: { id: string; dryrun?: Flag | undefined; } & MetricServerKeys; reply: null };
  "PUT /cluster/metrics/server/{id}": { params: { delete?: string | undefined; digest?: string | undefined; id: string; dryrun?: Flag | undefined; } & MetricServerOptionsKeys; reply: null };
  "GET /cluster/nextid": { params: { vmid?: number | undefined; }; reply: string };
  "GET /cluster/notifications/endpoints/gotify": { params: object; reply: unknown[] };
  "POST /cluster/notifications/endpoints/gotify": { params: { name: string; dryrun?: Flag | undefined; } & GotifyTargetKeys; reply: null };
  "DELETE /cluster/notifications/endpoints/gotify/{name}": { params: { name: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/notifications/endpoints/gotify/{name}": { params: { name: string; }; reply: Record<string, unknown> };
  "PUT /cluster/notifications/endpoints/gotify/{name}": { params: { name: string; delete?: readonly string[] | undefined; digest?: string | undefined; dryrun?: Flag | undefined; } & GotifyOptionsKeys; reply: null };
  "GET /cluster/notifications/endpoints/sendmail": { params: object; reply: unknown[] };
  "POST /cluster/notifications/endpoints/sendmail": { params: { name: string; dryrun?: Flag | undefined; } & SendmailTargetKeys; reply: null };
  "DELETE /cluster/notifications/endpoints/sendmail/{name}": { params: { name: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/notifications/endpoints/sendmail/{name}": { params: { name: string; }; reply: Record<string, unknown> };
  "PUT /cluster/notifications/endpoints/sendmail/{name}": { params: { name: string; delete?: readonly string[] | undefined; digest?: string | undefined; dryrun?: Flag | undefined; } & SendmailTargetKeys; reply: null };
  "GET /cluster/notifications/endpoints/smtp": { params: object; reply: unknown[] };
  "POST /cluster/notifications/endpoints/smtp": { params: { name: string; dryrun?: Flag | undefined; } & SmtpTargetKeys; reply: null };
  "DELETE /cluster/notifications/endpoints/smtp/{name}": { params: { name: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/notifications/endpoints/smtp/{name}": { params: { name: string; }; reply: Record<string, unknown> };
  "PUT /cluster/notifications/endpoints/smtp/{name}": { params: { name: string; delete?: readonly string[] | undefined; digest?: string | undefined; dryrun?: Flag | undefined; } & SmtpOptionsKeys; reply: null };
  "GET /cluster/notifications/endpoints/webhook": { params: object; reply: unknown[] };
  "POST /cluster/notifications/endpoints/webhook": { params: { name: string; dryrun?: Flag | undefined; } & WebhookTargetKeys; reply: null };
  "DELETE /cluster/notifications/endpoints/webhook/{name}": { params: { name: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/notifications/endpoints/webhook/{name}": { params: { name: string; }; reply: Record<string, unknown> };
  "PUT /cluster/notifications/endpoints/webhook/{name}": { params: { name: string; delete?: readonly string[] | undefined; digest?: string | undefined; dryrun?: Flag | undefined; } & WebhookOptionsKeys; reply: null };
  "GET /cluster/notifications/matcher-field-values": { params: object; reply: unknown[] };
  "GET /cluster/notifications/matcher-fields": { params: object; reply: unknown[] };
  "GET /cluster/notifications/matchers": { params: object; reply: MatcherRow[] };
  "POST /cluster/notifications/matchers": { params: { name: string; dryrun?: Flag | undefined; } & MatcherKeys; reply: null };
  "DELETE /cluster/notifications/matchers/{name}": { params: { name: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/notifications/matchers/{name}": { params: { name: string; }; reply: Record<string, unknown> };
  "PUT /cluster/notifications/matchers/{name}": { params: { name: string; delete?: readonly string[] | undefined; digest?: string | undefined; dryrun?: Flag | undefined; } & MatcherKeys; reply: null };
  "GET /cluster/notifications/targets": { params: object; reply: TargetRow[] };
  "POST /cluster/notifications/targets/{name}/test": { params: { name: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/options": { params: object; reply: Record<string, unknown> };
  "PUT /cluster/options": { params: { delete?: string | undefined; dryrun?: Flag | undefined; } & DatacenterKeys; reply: null };
  "GET /cluster/resources": { params: { type?: "vm" | "storage" | "node" | "sdn" | undefined; }; reply: ResourceRow[] };
  "PUT /cluster/sdn": { params: { "lock-token"?: string | undefined; "release-lock"?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /cluster/sdn/ipams": { params: { type?: "netbox" | "phpipam" | "pve" | undefined; }; reply: unknown[] };
  "GET /cluster/sdn/ipams/{ipam}": { params: { ipam: string; }; reply: Record<string, unknown> };
  "GET /cluster/sdn/ipams/{ipam}/status": { params: { ipam: string; }; reply: unknown[] };
  "DELETE /cluster/sdn/lock": { params: { "lock-token"?: string | undefined; force?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "POST /cluster/sdn/lock": { params: { "allow-pending"?: Flag | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /cluster/sdn/rollback": { params: { "lock-token"?: string | undefined; "release-lock"?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/sdn/vnets": { params: { pending?: Flag | undefined; running?: Flag | undefined; }; reply: unknown[] };
  "POST /cluster/sdn/vnets": { params: { "lock-token"?: string | undefined; vnet: string; zone: string; type?: "vnet" | undefined; dryrun?: Flag | undefined; } & VnetOptionsKeys; reply: null };
  "DELETE /cluster/sdn/vnets/{vnet}": { params: { "lock-token"?: string | undefined; vnet: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/sdn/vnets/{vnet}": { params: { pending?: Flag | undefined; running?: Flag | undefined; vnet: string; }; reply: Record<string, unknown> };
  "PUT /cluster/sdn/vnets/{vnet}": { params: { delete?: string | undefined; digest?: string | undefined; "lock-token"?: string | undefined; vnet: string; dryrun?: Flag | undefined; } & VnetOptionsKeys; reply: null };
  "DELETE /cluster/sdn/vnets/{vnet}/ips": { params: { vnet: string; zone: string; ip: string; mac?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "POST /cluster/sdn/vnets/{vnet}/ips": { params: { vnet: string; zone: string; ip: string; mac?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "PUT /cluster/sdn/vnets/{vnet}/ips": { params: { vnet: string; zone: string; ip: string; mac?: string | undefined; vmid?: number | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/sdn/vnets/{vnet}/subnets": { params: { pending?: Flag | undefined; running?: Flag | undefined; vnet: string; }; reply: unknown[] };
  "POST /cluster/sdn/vnets/{vnet}/subnets": { params: { "lock-token"?: string | undefined; vnet: string; subnet: string; type?: "subnet" | undefined; dryrun?: Flag | undefined; } & SubnetOptionsKeys; reply: null };
  "DELETE /cluster/sdn/vnets/{vnet}/subnets/{subnet}": { params: { "lock-token"?: string | undefined; vnet: string; subnet: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/sdn/vnets/{vnet}/subnets/{subnet}": { params: { pending?: Flag | undefined; running?: Flag | undefined; vnet: string; subnet: string; }; reply: Record<string, unknown> };
  "PUT /cluster/sdn/vnets/{vnet}/subnets/{subnet}": { params: { delete?: string | undefined; digest?: string | undefined; "lock-token"?: string | undefined; vnet: string; subnet: string; dryrun?: Flag | undefined; } & SubnetOptionsKeys; reply: null };
  "GET /cluster/sdn/zones": { params: { pending?: Flag | undefined; running?: Flag | undefined; type?: "evpn" | "faucet" | "qinq" | "simple" | "vlan" | "vxlan" | undefined; }; reply: unknown[] };
  "POST /cluster/sdn/zones": { params: { "lock-token"?: string | undefined; zone: string; type: "evpn" | "faucet" | "qinq" | "simple" | "vlan" | "vxlan"; dryrun?: Flag | undefined; } & ZoneOptionsKeys; reply: null };
  "DELETE /cluster/sdn/zones/{zone}": { params: { "lock-token"?: string | undefined; zone: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/sdn/zones/{zone}": { params: { pending?: Flag | undefined; running?: Flag | undefined; zone: string; }; reply: Record<string, unknown> };
  "PUT /cluster/sdn/zones/{zone}": { params: { delete?: string | undefined; digest?: string | undefined; "lock-token"?: string | undefined; zone: string; dryrun?: Flag | undefined; } & ZoneOptionsKeys; reply: null };
  "GET /cluster/snapshot-schedules": { params: object; reply: unknown[] };
  "POST /cluster/snapshot-schedules": { params: { dryrun?: Flag | undefined; } & ScheduleDefinitionKeys; reply: null };
  "DELETE /cluster/snapshot-schedules/{id}": { params: { id: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /cluster/snapshot-schedules/{id}": { params: { id: string; }; reply: Record<string, unknown> };
  "PUT /cluster/snapshot-schedules/{id}": { params: { id: string; delete?: string | undefined; dryrun?: Flag | undefined; } & RulesKeys; reply: null };
  "GET /cluster/status": { params: object; reply: unknown[] };
  "GET /cluster/tasks": { params: object; reply: unknown[] };
  "GET /events": { params: { epoch?: string | undefined; since?: number | undefined; watch?: string | undefined; tasks?: string | undefined; }; reply: never };
  "GET /metrics": { params: object; reply: never };
  "GET /nodes": { params: object; reply: unknown[] };
  "GET /nodes/{node}/apt/update": { params: { node: string; }; reply: unknown[] };
  "POST /nodes/{node}/apt/update": { params: { node: string; notify?: Flag | undefined; quiet?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/apt/versions": { params: { node: string; }; reply: unknown[] };
  "GET /nodes/{node}/capabilities/qemu/cpu": { params: { node: string; arch?: "x86_64" | "aarch64" | undefined; }; reply: unknown[] };
  "GET /nodes/{node}/capabilities/qemu/cpu-flags": { params: { node: string; arch?: "x86_64" | "aarch64" | undefined; }; reply: unknown[] };
  "GET /nodes/{node}/capabilities/qemu/machines": { params: { node: string; arch?: "x86_64" | "aarch64" | undefined; }; reply: unknown[] };
  "GET /nodes/{node}/capabilities/qemu/migration": { params: { node: string; }; reply: Record<string, unknown> };
  "DELETE /nodes/{node}/certificates/acme/certificate": { params: { node: string; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/certificates/acme/certificate": { params: { node: string; force?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "PUT /nodes/{node}/certificates/acme/certificate": { params: { node: string; force?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "DELETE /nodes/{node}/certificates/custom": { params: { node: string; restart?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "POST /nodes/{node}/certificates/custom": { params: { node: string; certificates: string; key?: string | undefined; force?: Flag | undefined; restart?: Flag | undefined; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/certificates/info": { params: { node: string; }; reply: Certificate[] };
  "GET /nodes/{node}/config": { params: { node: string; property?: "acme" | "acmedomain0" | "acmedomain1" | "acmedomain2" | "acmedomain3" | "acmedomain4" | "acmedomain5" | "ballooning-target" | "description" | "startall-onboot-delay" | "wakeonlan" | undefined; }; reply: Record<string, unknown> };
  "PUT /nodes/{node}/config": { params: { node: string; delete?: string | undefined; digest?: string | undefined; dryrun?: Flag | undefined; } & NodeConfigKeys; reply: null };
  "GET /nodes/{node}/disks/list": { params: { node: string; "include-partitions"?: Flag | undefined; skipsmart?: Flag | undefined; type?: "unused" | "journal_disks" | undefined; }; reply: unknown[] };
  "GET /nodes/{node}/disks/smart": { params: { node: string; disk: string; healthonly?: Flag | undefined; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/dns": { params: { node: string; }; reply: Record<string, unknown> };
  "PUT /nodes/{node}/dns": { params: { node: string; search: string; dns1?: string | undefined; dns2?: string | undefined; dns3?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /nodes/{node}/hardware/pci": { params: { node: string; "pci-class-blacklist"?: string | undefined; verbose?: Flag | undefined; }; reply: unknown[] };
  "GET /nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev": { params: { node: string; "pci-id-or-mapping": string; }; reply: unknown[] };
  "GET /nodes/{node}/hardware/usb": { params: { node: string; }; reply: unknown[] };
  "GET /nodes/{node}/hosts": { params: { node: string; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/hosts": { params: { node: string; data: string; digest?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /nodes/{node}/image-build": { params: { node: string; }; reply: unknown[] };
  "POST /nodes/{node}/image-build": { params: { node: string; name: string; storage?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/journal": { params: { node: string; since?: number | undefined; until?: number | undefined; lastentries?: number | undefined; startcursor?: string | undefined; endcursor?: string | undefined; }; reply: unknown[] };
  "GET /nodes/{node}/memory-rules": { params: { node: string; }; reply: Record<string, unknown> };
  "PUT /nodes/{node}/memory-rules": { params: { node: string; "keep-free"?: number | undefined; "instant-reserve"?: number | undefined; dryrun?: Flag | undefined; }; reply: null };
  "POST /nodes/{node}/migrateall": { params: { node: string; vms?: string | undefined; "max-workers"?: number | undefined; target: string; maxworkers?: number | undefined; "with-local-disks"?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/netstat": { params: { node: string; }; reply: unknown[] };
  "GET /nodes/{node}/network": { params: { node: string; type?: "bridge" | "bond" | "eth" | "alias" | "vlan" | "fabric" | "OVSBridge" | "OVSBond" | "OVSPort" | "OVSIntPort" | "vnet" | "any_bridge" | "any_local_bridge" | "include_sdn" | undefined; }; reply: unknown[] };
  "GET /nodes/{node}/network/{iface}": { params: { node: string; iface: string; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu": { params: { node: string; full?: Flag | undefined; }; reply: unknown[] };
  "POST /nodes/{node}/qemu": { params: { node: string; vmid?: number | undefined; storage?: string | undefined; pool?: string | undefined; start?: Flag | undefined; unique?: Flag | undefined; force?: Flag | undefined; archive?: string | undefined; bwlimit?: number | undefined; "live-restore"?: Flag | undefined; "ha-managed"?: Flag | undefined; "import-working-storage"?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; } & VmConfigKeys; reply: string };
  "DELETE /nodes/{node}/qemu/{vmid}": { params: { node: string; vmid: number; skiplock?: Flag | undefined; purge?: Flag | undefined; "destroy-unreferenced-disks"?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/agent": { params: { node: string; vmid: number; command: "fsfreeze-freeze" | "fsfreeze-status" | "fsfreeze-thaw" | "fstrim" | "get-fsinfo" | "get-host-name" | "get-memory-block-info" | "get-memory-blocks" | "get-osinfo" | "get-time" | "get-timezone" | "get-users" | "get-vcpus" | "info" | "network-get-interfaces" | "ping" | "shutdown" | "suspend-disk" | "suspend-hybrid" | "suspend-ram"; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/exec": { params: { node: string; vmid: number; command: readonly string[]; "input-data"?: string | undefined; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/exec-status": { params: { node: string; vmid: number; pid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/file-read": { params: { node: string; vmid: number; file: string; count?: number | undefined; offset?: number | undefined; decode?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/file-write": { params: { node: string; vmid: number; file: string; content: string; encode?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-freeze": { params: { node: string; vmid: number; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-status": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-thaw": { params: { node: string; vmid: number; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/fstrim": { params: { node: string; vmid: number; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-fsinfo": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-host-name": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-memory-block-info": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-memory-blocks": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-osinfo": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-time": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-timezone": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-users": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/get-vcpus": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/info": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/agent/network-get-interfaces": { params: { node: string; vmid: number; }; reply: AgentInterfaces };
  "POST /nodes/{node}/qemu/{vmid}/agent/ping": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/set-user-password": { params: { node: string; vmid: number; username: string; password: string; crypted?: Flag | undefined; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/shutdown": { params: { node: string; vmid: number; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/suspend-disk": { params: { node: string; vmid: number; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/suspend-hybrid": { params: { node: string; vmid: number; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/agent/suspend-ram": { params: { node: string; vmid: number; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/clone": { params: { node: string; vmid: number; newid?: number | undefined; count?: number | undefined; name?: string | undefined; description?: string | undefined; instant?: Flag | undefined; reserve?: number | undefined; full?: Flag | undefined; storage?: string | undefined; format?: "raw" | "qcow2" | "vmdk" | undefined; snapname?: string | undefined; pool?: string | undefined; target?: string | undefined; bwlimit?: number | undefined; flatten?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/qemu/{vmid}/clones": { params: { node: string; vmid: number; }; reply: CloneRow[] };
  "GET /nodes/{node}/qemu/{vmid}/cloudinit": { params: { node: string; vmid: number; }; reply: unknown[] };
  "PUT /nodes/{node}/qemu/{vmid}/cloudinit": { params: { node: string; vmid: number; dryrun?: Flag | undefined; }; reply: null };
  "GET /nodes/{node}/qemu/{vmid}/cloudinit/documents": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "DELETE /nodes/{node}/qemu/{vmid}/cloudinit/documents/{type}": { params: { node: string; vmid: number; type: "user" | "network" | "meta" | "vendor"; dryrun?: Flag | undefined; }; reply: null };
  "PUT /nodes/{node}/qemu/{vmid}/cloudinit/documents/{type}": { params: { node: string; vmid: number; type: "user" | "network" | "meta" | "vendor"; content: string; dryrun?: Flag | undefined; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/cloudinit/dump": { params: { node: string; vmid: number; type: "user" | "network" | "meta" | "vendor"; }; reply: string };
  "GET /nodes/{node}/qemu/{vmid}/config": { params: { node: string; vmid: number; current?: Flag | undefined; snapshot?: string | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/config": { params: { node: string; vmid: number; skiplock?: Flag | undefined; delete?: string | undefined; revert?: string | undefined; digest?: string | undefined; force?: Flag | undefined; background_delay?: number | undefined; "import-working-storage"?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; } & VmConfigKeys; reply: string };
  "PUT /nodes/{node}/qemu/{vmid}/config": { params: { node: string; vmid: number; skiplock?: Flag | undefined; delete?: string | undefined; revert?: string | undefined; digest?: string | undefined; force?: Flag | undefined; dryrun?: Flag | undefined; } & VmConfigKeys; reply: null };
  "GET /nodes/{node}/qemu/{vmid}/export": { params: { node: string; vmid: number; disk: "ide0" | "ide1" | "ide2" | "ide3" | "scsi0" | "scsi1" | "scsi2" | "scsi3" | "scsi4" | "scsi5" | "scsi6" | "scsi7" | "scsi8" | "scsi9" | "scsi10" | "scsi11" | "scsi12" | "scsi13" | "scsi14" | "scsi15" | "scsi16" | "scsi17" | "scsi18" | "scsi19" | "scsi20" | "scsi21" | "scsi22" | "scsi23" | "scsi24" | "scsi25" | "scsi26" | "scsi27" | "scsi28" | "scsi29" | "scsi30" | "virtio0" | "virtio1" | "virtio2" | "virtio3" | "virtio4" | "virtio5" | "virtio6" | "virtio7" | "virtio8" | "virtio9" | "virtio10" | "virtio11" | "virtio12" | "virtio13" | "virtio14" | "virtio15" | "sata0" | "sata1" | "sata2" | "sata3" | "sata4" | "sata5" | "efidisk0" | "tpmstate0" | "unused0" | "unused1" | "unused2" | "unused3" | "unused4" | "unused5" | "unused6" | "unused7" | "unused8" | "unused9" | "unused10" | "unused11" | "unused12" | "unused13" | "unused14" | "unused15" | "unused16" | "unused17" | "unused18" | "unused19" | "unused20" | "unused21" | "unused22" | "unused23" | "unused24" | "unused25" | "unused26" | "unused27" | "unused28" | "unused29" | "unused30" | "unused31" | "unused32" | "unused33" | "unused34" | "unused35" | "unused36" | "unused37" | "unused38" | "unused39" | "unused40" | "unused41" | "unused42" | "unused43" | "unused44" | "unused45" | "unused46" | "unused47" | "unused48" | "unused49" | "unused50" | "unused51" | "unused52" | "unused53" | "unused54" | "unused55" | "unused56" | "unused57" | "unused58" | "unused59" | "unused60" | "unused61" | "unused62" | "unused63" | "unused64" | "unused65" | "unused66" | "unused67" | "unused68" | "unused69" | "unused70" | "unused71" | "unused72" | "unused73" | "unused74" | "unused75" | "unused76" | "unused77" | "unused78" | "unused79" | "unused80" | "unused81" | "unused82" | "unused83" | "unused84" | "unused85" | "unused86" | "unused87" | "unused88" | "unused89" | "unused90" | "unused91" | "unused92" | "unused93" | "unused94" | "unused95" | "unused96" | "unused97" | "unused98" | "unused99" | "unused100" | "unused101" | "unused102" | "unused103" | "unused104" | "unused105" | "unused106" | "unused107" | "unused108" | "unused109" | "unused110" | "unused111" | "unused112" | "unused113" | "unused114" | "unused115" | "unused116" | "unused117" | "unused118" | "unused119" | "unused120" | "unused121" | "unused122" | "unused123" | "unused124" | "unused125" | "unused126" | "unused127" | "unused128" | "unused129" | "unused130" | "unused131" | "unused132" | "unused133" | "unused134" | "unused135" | "unused136" | "unused137" | "unused138" | "unused139" | "unused140" | "unused141" | "unused142" | "unused143" | "unused144" | "unused145" | "unused146" | "unused147" | "unused148" | "unused149" | "unused150" | "unused151" | "unused152" | "unused153" | "unused154" | "unused155" | "unused156" | "unused157" | "unused158" | "unused159" | "unused160" | "unused161" | "unused162" | "unused163" | "unused164" | "unused165" | "unused166" | "unused167" | "unused168" | "unused169" | "unused170" | "unused171" | "unused172" | "unused173" | "unused174" | "unused175" | "unused176" | "unused177" | "unused178" | "unused179" | "unused180" | "unused181" | "unused182" | "unused183" | "unused184" | "unused185" | "unused186" | "unused187" | "unused188" | "unused189" | "unused190" | "unused191" | "unused192" | "unused193" | "unused194" | "unused195" | "unused196" | "unused197" | "unused198" | "unused199" | "unused200" | "unused201" | "unused202" | "unused203" | "unused204" | "unused205" | "unused206" | "unused207" | "unused208" | "unused209" | "unused210" | "unused211" | "unused212" | "unused213" | "unused214" | "unused215" | "unused216" | "unused217" | "unused218" | "unused219" | "unused220" | "unused221" | "unused222" | "unused223" | "unused224" | "unused225" | "unused226" | "unused227" | "unused228" | "unused229" | "unused230" | "unused231" | "unused232" | "unused233" | "unused234" | "unused235" | "unused236" | "unused237" | "unused238" | "unused239" | "unused240" | "unused241" | "unused242" | "unused243" | "unused244" | "unused245" | "unused246" | "unused247" | "unused248" | "unused249" | "unused250" | "unused251" | "unused252" | "unused253" | "unused254" | "unused255"; format?: "raw" | "qcow2" | "vmdk" | "vpc" | "vhdx" | "vdi" | undefined; snapname?: string | undefined; }; reply: never };
  "GET /nodes/{node}/qemu/{vmid}/feature": { params: { node: string; vmid: number; feature: "snapshot" | "clone" | "copy"; snapname?: string | undefined; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/qemu/{vmid}/flatten": { params: { node: string; vmid: number; bwlimit?: number | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/qemu/{vmid}/history": { params: { node: string; vmid: number; }; reply: unknown[] };
  "GET /nodes/{node}/qemu/{vmid}/history/{revision}": { params: { node: string; vmid: number; revision: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/history/{revision}/diff": { params: { node: string; vmid: number; revision: number; to?: number | undefined; }; reply: unknown[] };
  "POST /nodes/{node}/qemu/{vmid}/history/{revision}/restore": { params: { node: string; vmid: number; revision: number; keys?: string | undefined; digest?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/identity": { params: { node: string; vmid: number; declare?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/monitor": { params: { node: string; vmid: number; command: string; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/move_disk": { params: { node: string; vmid: number; disk: "ide0" | "ide1" | "ide2" | "ide3" | "scsi0" | "scsi1" | "scsi2" | "scsi3" | "scsi4" | "scsi5" | "scsi6" | "scsi7" | "scsi8" | "scsi9" | "scsi10" | "scsi11" | "scsi12" | "scsi13" | "scsi14" | "scsi15" | "scsi16" | "scsi17" | "scsi18" | "scsi19" | "scsi20" | "scsi21" | "scsi22" | "scsi23" | "scsi24" | "scsi25" | "scsi26" | "scsi27" | "scsi28" | "scsi29" | "scsi30" | "virtio0" | "virtio1" | "virtio2" | "virtio3" | "virtio4" | "virtio5" | "virtio6" | "virtio7" | "virtio8" | "virtio9" | "virtio10" | "virtio11" | "virtio12" | "virtio13" | "virtio14" | "virtio15" | "sata0" | "sata1" | "sata2" | "sata3" | "sata4" | "sata5" | "efidisk0" | "tpmstate0" | "unused0" | "unused1" | "unused2" | "unused3" | "unused4" | "unused5" | "unused6" | "unused7" | "unused8" | "unused9" | "unused10" | "unused11" | "unused12" | "unused13" | "unused14" | "unused15" | "unused16" | "unused17" | "unused18" | "unused19" | "unused20" | "unused21" | "unused22" | "unused23" | "unused24" | "unused25" | "unused26" | "unused27" | "unused28" | "unused29" | "unused30" | "unused31" | "unused32" | "unused33" | "unused34" | "unused35" | "unused36" | "unused37" | "unused38" | "unused39" | "unused40" | "unused41" | "unused42" | "unused43" | "unused44" | "unused45" | "unused46" | "unused47" | "unused48" | "unused49" | "unused50" | "unused51" | "unused52" | "unused53" | "unused54" | "unused55" | "unused56" | "unused57" | "unused58" | "unused59" | "unused60" | "unused61" | "unused62" | "unused63" | "unused64" | "unused65" | "unused66" | "unused67" | "unused68" | "unused69" | "unused70" | "unused71" | "unused72" | "unused73" | "unused74" | "unused75" | "unused76" | "unused77" | "unused78" | "unused79" | "unused80" | "unused81" | "unused82" | "unused83" | "unused84" | "unused85" | "unused86" | "unused87" | "unused88" | "unused89" | "unused90" | "unused91" | "unused92" | "unused93" | "unused94" | "unused95" | "unused96" | "unused97" | "unused98" | "unused99" | "unused100" | "unused101" | "unused102" | "unused103" | "unused104" | "unused105" | "unused106" | "unused107" | "unused108" | "unused109" | "unused110" | "unused111" | "unused112" | "unused113" | "unused114" | "unused115" | "unused116" | "unused117" | "unused118" | "unused119" | "unused120" | "unused121" | "unused122" | "unused123" | "unused124" | "unused125" | "unused126" | "unused127" | "unused128" | "unused129" | "unused130" | "unused131" | "unused132" | "unused133" | "unused134" | "unused135" | "unused136" | "unused137" | "unused138" | "unused139" | "unused140" | "unused141" | "unused142" | "unused143" | "unused144" | "unused145" | "unused146" | "unused147" | "unused148" | "unused149" | "unused150" | "unused151" | "unused152" | "unused153" | "unused154" | "unused155" | "unused156" | "unused157" | "unused158" | "unused159" | "unused160" | "unused161" | "unused162" | "unused163" | "unused164" | "unused165" | "unused166" | "unused167" | "unused168" | "unused169" | "unused170" | "unused171" | "unused172" | "unused173" | "unused174" | "unused175" | "unused176" | "unused177" | "unused178" | "unused179" | "unused180" | "unused181" | "unused182" | "unused183" | "unused184" | "unused185" | "unused186" | "unused187" | "unused188" | "unused189" | "unused190" | "unused191" | "unused192" | "unused193" | "unused194" | "unused195" | "unused196" | "unused197" | "unused198" | "unused199" | "unused200" | "unused201" | "unused202" | "unused203" | "unused204" | "unused205" | "unused206" | "unused207" | "unused208" | "unused209" | "unused210" | "unused211" | "unused212" | "unused213" | "unused214" | "unused215" | "unused216" | "unused217" | "unused218" | "unused219" | "unused220" | "unused221" | "unused222" | "unused223" | "unused224" | "unused225" | "unused226" | "unused227" | "unused228" | "unused229" | "unused230" | "unused231" | "unused232" | "unused233" | "unused234" | "unused235" | "unused236" | "unused237" | "unused238" | "unused239" | "unused240" | "unused241" | "unused242" | "unused243" | "unused244" | "unused245" | "unused246" | "unused247" | "unused248" | "unused249" | "unused250" | "unused251" | "unused252" | "unused253" | "unused254" | "unused255"; storage?: string | undefined; format?: "raw" | "qcow2" | "vmdk" | undefined; delete?: Flag | undefined; digest?: string | undefined; bwlimit?: number | undefined; "target-vmid"?: number | undefined; "target-disk"?: "ide0" | "ide1" | "ide2" | "ide3" | "scsi0" | "scsi1" | "scsi2" | "scsi3" | "scsi4" | "scsi5" | "scsi6" | "scsi7" | "scsi8" | "scsi9" | "scsi10" | "scsi11" | "scsi12" | "scsi13" | "scsi14" | "scsi15" | "scsi16" | "scsi17" | "scsi18" | "scsi19" | "scsi20" | "scsi21" | "scsi22" | "scsi23" | "scsi24" | "scsi25" | "scsi26" | "scsi27" | "scsi28" | "scsi29" | "scsi30" | "virtio0" | "virtio1" | "virtio2" | "virtio3" | "virtio4" | "virtio5" | "virtio6" | "virtio7" | "virtio8" | "virtio9" | "virtio10" | "virtio11" | "virtio12" | "virtio13" | "virtio14" | "virtio15" | "sata0" | "sata1" | "sata2" | "sata3" | "sata4" | "sata5" | "efidisk0" | "tpmstate0" | "unused0" | "unused1" | "unused2" | "unused3" | "unused4" | "unused5" | "unused6" | "unused7" | "unused8" | "unused9" | "unused10" | "unused11" | "unused12" | "unused13" | "unused14" | "unused15" | "unused16" | "unused17" | "unused18" | "unused19" | "unused20" | "unused21" | "unused22" | "unused23" | "unused24" | "unused25" | "unused26" | "unused27" | "unused28" | "unused29" | "unused30" | "unused31" | "unused32" | "unused33" | "unused34" | "unused35" | "unused36" | "unused37" | "unused38" | "unused39" | "unused40" | "unused41" | "unused42" | "unused43" | "unused44" | "unused45" | "unused46" | "unused47" | "unused48" | "unused49" | "unused50" | "unused51" | "unused52" | "unused53" | "unused54" | "unused55" | "unused56" | "unused57" | "unused58" | "unused59" | "unused60" | "unused61" | "unused62" | "unused63" | "unused64" | "unused65" | "unused66" | "unused67" | "unused68" | "unused69" | "unused70" | "unused71" | "unused72" | "unused73" | "unused74" | "unused75" | "unused76" | "unused77" | "unused78" | "unused79" | "unused80" | "unused81" | "unused82" | "unused83" | "unused84" | "unused85" | "unused86" | "unused87" | "unused88" | "unused89" | "unused90" | "unused91" | "unused92" | "unused93" | "unused94" | "unused95" | "unused96" | "unused97" | "unused98" | "unused99" | "unused100" | "unused101" | "unused102" | "unused103" | "unused104" | "unused105" | "unused106" | "unused107" | "unused108" | "unused109" | "unused110" | "unused111" | "unused112" | "unused113" | "unused114" | "unused115" | "unused116" | "unused117" | "unused118" | "unused119" | "unused120" | "unused121" | "unused122" | "unused123" | "unused124" | "unused125" | "unused126" | "unused127" | "unused128" | "unused129" | "unused130" | "unused131" | "unused132" | "unused133" | "unused134" | "unused135" | "unused136" | "unused137" | "unused138" | "unused139" | "unused140" | "unused141" | "unused142" | "unused143" | "unused144" | "unused145" | "unused146" | "unused147" | "unused148" | "unused149" | "unused150" | "unused151" | "unused152" | "unused153" | "unused154" | "unused155" | "unused156" | "unused157" | "unused158" | "unused159" | "unused160" | "unused161" | "unused162" | "unused163" | "unused164" | "unused165" | "unused166" | "unused167" | "unused168" | "unused169" | "unused170" | "unused171" | "unused172" | "unused173" | "unused174" | "unused175" | "unused176" | "unused177" | "unused178" | "unused179" | "unused180" | "unused181" | "unused182" | "unused183" | "unused184" | "unused185" | "unused186" | "unused187" | "unused188" | "unused189" | "unused190" | "unused191" | "unused192" | "unused193" | "unused194" | "unused195" | "unused196" | "unused197" | "unused198" | "unused199" | "unused200" | "unused201" | "unused202" | "unused203" | "unused204" | "unused205" | "unused206" | "unused207" | "unused208" | "unused209" | "unused210" | "unused211" | "unused212" | "unused213" | "unused214" | "unused215" | "unused216" | "unused217" | "unused218" | "unused219" | "unused220" | "unused221" | "unused222" | "unused223" | "unused224" | "unused225" | "unused226" | "unused227" | "unused228" | "unused229" | "unused230" | "unused231" | "unused232" | "unused233" | "unused234" | "unused235" | "unused236" | "unused237" | "unused238" | "unused239" | "unused240" | "unused241" | "unused242" | "unused243" | "unused244" | "unused245" | "unused246" | "unused247" | "unused248" | "unused249" | "unused250" | "unused251" | "unused252" | "unused253" | "unused254" | "unused255" | undefined; "target-digest"?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/qemu/{vmid}/pending": { params: { node: string; vmid: number; }; reply: PendingRow[] };
  "PUT /nodes/{node}/qemu/{vmid}/resize": { params: { node: string; vmid: number; skiplock?: Flag | undefined; disk: "ide0" | "ide1" | "ide2" | "ide3" | "scsi0" | "scsi1" | "scsi2" | "scsi3" | "scsi4" | "scsi5" | "scsi6" | "scsi7" | "scsi8" | "scsi9" | "scsi10" | "scsi11" | "scsi12" | "scsi13" | "scsi14" | "scsi15" | "scsi16" | "scsi17" | "scsi18" | "scsi19" | "scsi20" | "scsi21" | "scsi22" | "scsi23" | "scsi24" | "scsi25" | "scsi26" | "scsi27" | "scsi28" | "scsi29" | "scsi30" | "virtio0" | "virtio1" | "virtio2" | "virtio3" | "virtio4" | "virtio5" | "virtio6" | "virtio7" | "virtio8" | "virtio9" | "virtio10" | "virtio11" | "virtio12" | "virtio13" | "virtio14" | "virtio15" | "sata0" | "sata1" | "sata2" | "sata3" | "sata4" | "sata5" | "efidisk0" | "tpmstate0"; size: string; digest?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/qemu/{vmid}/rrddata": { params: { node: string; vmid: number; timeframe: "hour" | "day" | "week" | "month" | "year"; cf?: "AVERAGE" | "MAX" | undefined; }; reply: Figures[] };
  "GET /nodes/{node}/qemu/{vmid}/screenshot": { params: { node: string; vmid: number; }; reply: never };
  "PUT /nodes/{node}/qemu/{vmid}/sendkey": { params: { node: string; vmid: number; skiplock?: Flag | undefined; key: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /nodes/{node}/qemu/{vmid}/showcmd": { params: { node: string; vmid: number; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/qemu/{vmid}/snapshot": { params: { node: string; vmid: number; }; reply: SnapshotRow[] };
  "POST /nodes/{node}/qemu/{vmid}/snapshot": { params: { node: string; vmid: number; snapname: string; description?: string | undefined; vmstate?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}": { params: { node: string; vmid: number; snapname: string; force?: Flag | undefined; bwlimit?: number | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config": { params: { node: string; vmid: number; snapname: string; }; reply: Record<string, unknown> };
  "PUT /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config": { params: { node: string; vmid: number; snapname: string; description?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/diff": { params: { node: string; vmid: number; snapname: string; other?: string | undefined; }; reply: unknown[] };
  "POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback": { params: { node: string; vmid: number; snapname: string; start?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/qemu/{vmid}/status/current": { params: { node: string; vmid: number; }; reply: GuestStatus };
  "POST /nodes/{node}/qemu/{vmid}/status/reboot": { params: { node: string; vmid: number; timeout?: number | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/status/reset": { params: { node: string; vmid: number; skiplock?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/status/resume": { params: { node: string; vmid: number; skiplock?: Flag | undefined; nocheck?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/status/shutdown": { params: { node: string; vmid: number; skiplock?: Flag | undefined; timeout?: number | undefined; forceStop?: Flag | undefined; keepActive?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/status/start": { params: { node: string; vmid: number; skiplock?: Flag | undefined; timeout?: number | undefined; machine?: string | undefined; "force-cpu"?: string | undefined; stateuri?: string | undefined; targetstorage?: string | undefined; migratedfrom?: string | undefined; migration_type?: "secure" | "insecure" | undefined; migration_network?: string | undefined; "nets-host-mtu"?: string | undefined; "with-conntrack-state"?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/status/stop": { params: { node: string; vmid: number; skiplock?: Flag | undefined; timeout?: number | undefined; "overrule-shutdown"?: Flag | undefined; keepActive?: Flag | undefined; migratedfrom?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/status/suspend": { params: { node: string; vmid: number; skiplock?: Flag | undefined; todisk?: Flag | undefined; statestorage?: string | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/template": { params: { node: string; vmid: number; disk?: "ide0" | "ide1" | "ide2" | "ide3" | "scsi0" | "scsi1" | "scsi2" | "scsi3" | "scsi4" | "scsi5" | "scsi6" | "scsi7" | "scsi8" | "scsi9" | "scsi10" | "scsi11" | "scsi12" | "scsi13" | "scsi14" | "scsi15" | "scsi16" | "scsi17" | "scsi18" | "scsi19" | "scsi20" | "scsi21" | "scsi22" | "scsi23" | "scsi24" | "scsi25" | "scsi26" | "scsi27" | "scsi28" | "scsi29" | "scsi30" | "virtio0" | "virtio1" | "virtio2" | "virtio3" | "virtio4" | "virtio5" | "virtio6" | "virtio7" | "virtio8" | "virtio9" | "virtio10" | "virtio11" | "virtio12" | "virtio13" | "virtio14" | "virtio15" | "sata0" | "sata1" | "sata2" | "sata3" | "sata4" | "sata5" | "efidisk0" | "tpmstate0" | undefined; live?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/qemu/{vmid}/termproxy": { params: { node: string; vmid: number; serial?: "serial0" | "serial1" | "serial2" | "serial3" | undefined; dryrun?: Flag | undefined; }; reply: ConsoleOffer };
  "PUT /nodes/{node}/qemu/{vmid}/unlink": { params: { node: string; vmid: number; idlist: string; force?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "POST /nodes/{node}/qemu/{vmid}/vncproxy": { params: { node: string; vmid: number; websocket?: Flag | undefined; "generate-password"?: Flag | undefined; dryrun?: Flag | undefined; }; reply: ConsoleOffer };
  "GET /nodes/{node}/qemu/{vmid}/vncwebsocket": { params: { node: string; vmid: number; port: number; vncticket: string; }; reply: never };
  "GET /nodes/{node}/query-url-metadata": { params: { node: string; url: string; "verify-certificates"?: Flag | undefined; }; reply: Record<string, unknown> };
  "GET /nodes/{node}/report": { params: { node: string; }; reply: string };
  "GET /nodes/{node}/rrddata": { params: { node: string; timeframe: "hour" | "day" | "week" | "month" | "year" | "decade"; cf?: "AVERAGE" | "MAX" | undefined; }; reply: Figures[] };
  "GET /nodes/{node}/sdn/zones": { params: { node: string; }; reply: unknown[] };
  "GET /nodes/{node}/sdn/zones/{zone}/bridges": { params: { node: string; zone: string; }; reply: unknown[] };
  "GET /nodes/{node}/sdn/zones/{zone}/content": { params: { node: string; zone: string; }; reply: unknown[] };
  "GET /nodes/{node}/services": { params: { node: string; }; reply: unknown[] };
  "POST /nodes/{node}/services/{service}/reload": { params: { node: string; service: "chrony" | "corosync" | "cron" | "ksmtuned" | "lxcfs" | "postfix" | "proxmox-firewall" | "pve-cluster" | "pve-firewall" | "pve-ha-crm" | "pve-ha-lrm" | "pve-lxc-syscalld" | "pvedaemon" | "pvefw-logger" | "pveproxy" | "pvescheduler" | "pvestatd" | "qmeventd" | "spiceproxy" | "sshd" | "syslog" | "systemd-journald" | "systemd-timesyncd"; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/services/{service}/restart": { params: { node: string; service: "chrony" | "corosync" | "cron" | "ksmtuned" | "lxcfs" | "postfix" | "proxmox-firewall" | "pve-cluster" | "pve-firewall" | "pve-ha-crm" | "pve-ha-lrm" | "pve-lxc-syscalld" | "pvedaemon" | "pvefw-logger" | "pveproxy" | "pvescheduler" | "pvestatd" | "qmeventd" | "spiceproxy" | "sshd" | "syslog" | "systemd-journald" | "systemd-timesyncd"; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/services/{service}/start": { params: { node: string; service: "chrony" | "corosync" | "cron" | "ksmtuned" | "lxcfs" | "postfix" | "proxmox-firewall" | "pve-cluster" | "pve-firewall" | "pve-ha-crm" | "pve-ha-lrm" | "pve-lxc-syscalld" | "pvedaemon" | "pvefw-logger" | "pveproxy" | "pvescheduler" | "pvestatd" | "qmeventd" | "spiceproxy" | "sshd" | "syslog" | "systemd-journald" | "systemd-timesyncd"; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/services/{service}/state": { params: { node: string; service: "chrony" | "corosync" | "cron" | "ksmtuned" | "lxcfs" | "postfix" | "proxmox-firewall" | "pve-cluster" | "pve-firewall" | "pve-ha-crm" | "pve-ha-lrm" | "pve-lxc-syscalld" | "pvedaemon" | "pvefw-logger" | "pveproxy" | "pvescheduler" | "pvestatd" | "qmeventd" | "spiceproxy" | "sshd" | "syslog" | "systemd-journald" | "systemd-timesyncd"; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/services/{service}/stop": { params: { node: string; service: "chrony" | "corosync" | "cron" | "ksmtuned" | "lxcfs" | "postfix" | "proxmox-firewall" | "pve-cluster" | "pve-firewall" | "pve-ha-crm" | "pve-ha-lrm" | "pve-lxc-syscalld" | "pvedaemon" | "pvefw-logger" | "pveproxy" | "pvescheduler" | "pvestatd" | "qmeventd" | "spiceproxy" | "sshd" | "syslog" | "systemd-journald" | "systemd-timesyncd"; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "POST /nodes/{node}/startall": { params: { node: string; vms?: string | undefined; "max-workers"?: number | undefined; force?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/status": { params: { node: string; }; reply: NodeStatus };
  "POST /nodes/{node}/status": { params: { node: string; command: "reboot" | "shutdown"; dryrun?: Flag | undefined; }; reply: null };
  "POST /nodes/{node}/stopall": { params: { node: string; vms?: string | undefined; "max-workers"?: number | undefined; "force-stop"?: Flag | undefined; timeout?: number | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/storage": { params: { node: string; content?: string | undefined; enabled?: Flag | undefined; format?: Flag | undefined; storage?: string | undefined; target?: string | undefined; }; reply: StorageRow[] };
  "GET /nodes/{node}/storage/{storage}/content": { params: { node: string; storage: string; content?: string | undefined; vmid?: number | undefined; }; reply: Volume[] };
  "POST /nodes/{node}/storage/{storage}/content": { params: { node: string; storage: string; vmid: number; filename: string; size: string; format?: "raw" | "qcow2" | "subvol" | "vmdk" | undefined; dryrun?: Flag | undefined; }; reply: string };
  "DELETE /nodes/{node}/storage/{storage}/content/{volume}": { params: { node: string; storage: string; volume: string; delay?: number | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/storage/{storage}/content/{volume}": { params: { node: string; storage: string; volume: string; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/storage/{storage}/download-url": { params: { node: string; storage: string; url: string; content: "iso" | "vztmpl" | "import"; filename: string; checksum?: string | undefined; "checksum-algorithm"?: "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512" | undefined; compression?: string | undefined; "verify-certificates"?: Flag | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/storage/{storage}/export": { params: { node: string; storage: string; volume: string; format?: "raw" | "qcow2" | "vmdk" | "vpc" | "vhdx" | "vdi" | undefined; }; reply: never };
  "GET /nodes/{node}/storage/{storage}/orphans": { params: { node: string; storage: string; }; reply: Orphan[] };
  "GET /nodes/{node}/storage/{storage}/rrddata": { params: { node: string; storage: string; timeframe: "hour" | "day" | "week" | "month" | "year"; cf?: "AVERAGE" | "MAX" | undefined; }; reply: Figures[] };
  "GET /nodes/{node}/storage/{storage}/status": { params: { node: string; storage: string; }; reply: StorageStatus };
  "POST /nodes/{node}/storage/{storage}/upload": { params: { node: string; storage: string; content?: "iso" | "vztmpl" | "import" | "snippets" | undefined; filename?: string | undefined; checksum?: string | undefined; "checksum-algorithm"?: "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512" | undefined; tmpfilename?: string | undefined; wait?: number | undefined; }; reply: string };
  "GET /nodes/{node}/storage/{storage}/uploads": { params: { node: string; storage: string; }; reply: UploadRow[] };
  "POST /nodes/{node}/storage/{storage}/uploads": { params: { node: string; storage: string; size?: number | undefined; content?: "iso" | "vztmpl" | "import" | "snippets" | undefined; filename?: string | undefined; checksum?: string | undefined; "checksum-algorithm"?: "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512" | undefined; dryrun?: Flag | undefined; }; reply: UploadRow };
  "DELETE /nodes/{node}/storage/{storage}/uploads/{upload}": { params: { node: string; storage: string; upload: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /nodes/{node}/storage/{storage}/uploads/{upload}": { params: { node: string; storage: string; upload: string; }; reply: UploadRow };
  "HEAD /nodes/{node}/storage/{storage}/uploads/{upload}": { params: { node: string; storage: string; upload: string; }; reply: never };
  "PATCH /nodes/{node}/storage/{storage}/uploads/{upload}": { params: { node: string; storage: string; upload: string; }; reply: never };
  "GET /nodes/{node}/subscription": { params: { node: string; }; reply: Record<string, unknown> };
  "POST /nodes/{node}/suspendall": { params: { node: string; vms?: string | undefined; "max-workers"?: number | undefined; wait?: number | undefined; dryrun?: Flag | undefined; }; reply: string };
  "GET /nodes/{node}/syslog": { params: { node: string; start?: number | undefined; limit?: number | undefined; since?: string | undefined; until?: string | undefined; service?: string | undefined; }; reply: unknown[] };
  "GET /nodes/{node}/tasks": { params: { node: string; start?: number | undefined; limit?: number | undefined; userfilter?: string | undefined; typefilter?: string | undefined; vmid?: number | undefined; errors?: Flag | undefined; source?: "archive" | "active" | "all" | undefined; since?: number | undefined; until?: number | undefined; statusfilter?: string | undefined; }; reply: TaskRow[] };
  "DELETE /nodes/{node}/tasks/{upid}": { params: { node: string; upid: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /nodes/{node}/tasks/{upid}/log": { params: { node: string; upid: string; start?: number | undefined; limit?: number | undefined; download?: Flag | undefined; }; reply: LogLine[] };
  "GET /nodes/{node}/tasks/{upid}/status": { params: { node: string; upid: string; }; reply: TaskStatus };
  "GET /nodes/{node}/time": { params: { node: string; }; reply: Record<string, unknown> };
  "PUT /nodes/{node}/time": { params: { node: string; timezone: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /nodes/{node}/version": { params: { node: string; }; reply: Record<string, unknown> };
  "DELETE /pools": { params: { poolid: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /pools": { params: { poolid?: string | undefined; type?: "qemu" | "lxc" | "storage" | undefined; }; reply: PoolRow[] };
  "POST /pools": { params: { poolid: string; comment?: string | undefined; dryrun?: Flag | undefined; }; reply: null };
  "PUT /pools": { params: { poolid: string; comment?: string | undefined; vms?: string | undefined; storage?: string | undefined; delete?: Flag | undefined; "allow-move"?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "DELETE /pools/{poolid}": { params: { poolid: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /pools/{poolid}": { params: { poolid: string; type?: "qemu" | "lxc" | "storage" | undefined; }; reply: PoolDetails };
  "PUT /pools/{poolid}": { params: { poolid: string; comment?: string | undefined; vms?: string | undefined; storage?: string | undefined; delete?: Flag | undefined; "allow-move"?: Flag | undefined; dryrun?: Flag | undefined; }; reply: null };
  "GET /storage": { params: { type?: "btrfs" | "cephfs" | "cifs" | "dir" | "esxi" | "iscsi" | "iscsidirect" | "lvm" | "lvmthin" | "nbd" | "nfs" | "pbs" | "rbd" | "zfs" | "zfspool" | undefined; }; reply: unknown[] };
  "POST /storage": { params: { dryrun?: Flag | undefined; } & StorageDefinitionKeys; reply: Record<string, unknown> };
  "DELETE /storage/{storage}": { params: { storage: string; dryrun?: Flag | undefined; }; reply: null };
  "GET /storage/{storage}": { params: { storage: string; }; reply: Record<string, unknown> };
  "PUT /storage/{storage}": { params: { delete?: string | undefined; digest?: string | undefined; storage: string; dryrun?: Flag | undefined; } & StorageOptionsKeys; reply: Record<string, unknown> };
  "GET /version": { params: object; reply: Record<string, unknown> };
}
