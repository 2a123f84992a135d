/** The hardware of a guest, and its options: both are groups of settings, each changed in its place. */

import { Button, Group, Menu } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { t } from "../../../i18n";
import { apiPath, type Resource } from "../../../store/inventory";
import { AddCard, AddPlain } from "./add";
import { AddDisk, AddMedium, DiskForm, DiskVerbs, type DiskWork } from "./disks";
import { type Group as GroupName, HARDWARE, optionsOf } from "./option";
import { keysOf, SettingRow } from "./rows";
import { type Config, useConfig } from "./use";

export function Hardware(props: { row: Resource }): ReactNode {
  return <Settings row={props.row} groups={HARDWARE} devices />;
}

export function Options(props: { row: Resource }): ReactNode {
  return <Settings row={props.row} groups={["general", "more"]} />;
}

export function Settings(props: { row: Resource; groups: readonly GroupName[]; devices?: boolean }): ReactNode {
  const { row, groups, devices } = props;
  const path = apiPath(row);
  const config = useConfig(path, row.vmid ?? 0);
  const [adding, setAdding] = useState<Device | null>(null);
  if (!config) return null;
  const done = (): void => setAdding(null);
  const common = { path, node: row.node ?? "", config, onClose: done };
  return (
    <div className="settings">
      {devices && <AddMenu onChoose={setAdding} config={config} />}
      {adding === "disk" && <AddDisk {...common} />}
      {(adding === "cdrom" || adding === "cloudinit") && <AddMedium key={adding} {...common} kind={adding} />}
      {adding === "net" && <AddCard {...common} />}
      {(adding === "serial" || adding === "efidisk0") && <AddPlain {...common} device={adding} />}
      {groups.map((group) => (
        <SettingGroup key={group} group={group} row={row} path={path} config={config} />
      ))}
    </div>
  );
}

const DEVICES = ["disk", "cdrom", "cloudinit", "net", "serial", "efidisk0"] as const;
type Device = (typeof DEVICES)[number];

function AddMenu(props: { onChoose: (device: Device) => void; config: Config }): ReactNode {
  const offered = DEVICES.filter((device) => device !== "efidisk0" || !props.config.rows.has("efidisk0"));
  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <Button size="compact-sm" className="add">
          {t("config.add")}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {offered.map((device) => (
          <Menu.Item key={device} onClick={() => props.onChoose(device)}>
            {t(`config.add_${device}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

/** `also`: keys that have a line although they are not set. */
export function SettingGroup(props: { group: GroupName; row: Resource; path: string; config: Config; also?: readonly string[] }): ReactNode {
  const { group, row, path, config, also = [] } = props;
  const set = optionsOf(group).flatMap((option) => keysOf(option, config)).filter((key) => key !== "efidisk0" || config.rows.has(key));
  const keys = [...new Set([...set, ...also])];
  if (!keys.length) return null;
  return (
    <section aria-label={t(`config.group_${group}`)}>
      <h3>{t(`config.group_${group}`)}</h3>
      <ul className="setting-list">
        {keys.map((key) => (
          <Line key={key} name={key} row={row} path={path} config={config} />
        ))}
      </ul>
    </section>
  );
}

/** A line; disks and media have verbs of their own, what can be taken out has one for that. */
function Line(props: { name: string; row: Resource; path: string; config: Config }): ReactNode {
  const { name, row, path, config } = props;
  const [work, setWork] = useState<DiskWork | null>(null);
  const node = row.node ?? "";
  const close = (): void => setWork(null);
  return (
    <SettingRow
      name={name} path={path} node={node} config={config} verbs={<DiskVerbs name={name} config={config} onChoose={setWork} />}
      form={work && <Group><DiskForm work={work} name={name} path={path} node={node} config={config} onClose={close} /></Group>}
    />
  );
}
