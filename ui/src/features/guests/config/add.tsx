/** New devices other than disks: a network card, a serial port, the store of UEFI's variables. */

import { Select } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { t } from "../../../i18n";
import { ChangeForm } from "./change";
import { useImageStorages } from "./disks";
import { PartsControl } from "./edit";
import { find, freeKey } from "./option";
import type { Config } from "./use";

interface Common {
  path: string;
  node: string;
  config: Config;
  onClose: () => void;
}

export function AddCard(props: Common): ReactNode {
  const { path, node, config, onClose } = props;
  const key = freeKey("net", new Set(config.rows.keys()));
  const [text, setText] = useState("virtio");
  return (
    <ChangeForm title={t("config.add_net")} path={path} config={config} wish={key ? { set: { [key]: text } } : null} submit={t("common.add")} onClose={onClose}>
      <PartsControl node={node} option="net" fields={find("net0")?.option.fields ?? []} value={text} onChange={setText} />
    </ChangeForm>
  );
}

export function AddPlain(props: Common & { device: "serial" | "efidisk0" }): ReactNode {
  const { device, path, config, onClose } = props;
  const storages = useImageStorages();
  const [storage, setStorage] = useState<string | null>(null);
  const key = device === "serial" ? freeKey("serial", new Set(config.rows.keys())) : device;
  const text = device === "serial" ? "socket" : `${storage ?? storages[0] ?? ""}:1,efitype=4m`;
  return (
    <ChangeForm title={t(`config.add_${device}`)} path={path} config={config} wish={key ? { set: { [key]: text } } : null} submit={t("common.add")} onClose={onClose}>
      {device === "efidisk0" && (
        <Select size="xs" label={t("config.storage")} data={storages} value={storage ?? storages[0] ?? null} allowDeselect={false} onChange={setStorage} />
      )}
    </ChangeForm>
  );
}
