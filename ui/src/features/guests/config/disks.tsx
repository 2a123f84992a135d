/** What can be done with a guest's disks and media: add, grow, move, detach, attach again, remove, change the medium. */

import { Button, Checkbox, NumberInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { call } from "../../../api/client";
import { t } from "../../../i18n";
import { useAll } from "../../../store/inventory";
import { ChangeForm } from "./change";
import { PartsControl } from "./edit";
import { DISKS, find, freeKey, titleOf } from "./option";
import { parse, print } from "./property";
import { TaskForm } from "./task";
import type { Config } from "./use";

export type DiskWork = "grow" | "move" | "give" | "medium" | "detach" | "attach" | "remove";
type Bus = (typeof DISKS)[number];

interface Common {
  path: string;
  node: string;
  config: Config;
  onClose: () => void;
}

const REMOVABLE = /^(net|serial)\d+$|^(efidisk0|rng0|watchdog|cipassword|ipconfig\d+)$/;

/** The storages that take disks. */
export function useImageStorages(): string[] {
  return useAll().filter((one) => one.type === "storage" && one.content?.includes("images")).map((one) => one.storage ?? "");
}

export function partsOf(name: string, config: Config): Record<string, string> {
  const row = config.rows.get(name);
  return parse(String(row?.pending ?? row?.value ?? ""), find(name)?.option.fields ?? []);
}

export function isMedium(parts: Record<string, string>): boolean {
  return parts["media"] === "cdrom" || /cloudinit/.test(parts["file"] ?? "");
}

export function DiskVerbs(props: { name: string; config: Config; onChoose: (work: DiskWork) => void }): ReactNode {
  const { name, config, onChoose } = props;
  if (!config.rows.get(name)) return null;
  const verbs = verbsOf(name, config);
  return verbs.map((work) => (
    <Button
      key={work} size="compact-xs" variant="subtle" {...(work === "remove" ? { color: "red" } : {})}
      onClick={() => onChoose(work)} aria-label={`${t(`config.work_${work}`)}: ${titleOf(name)}`}
    >
      {t(`config.work_${work}`)}
    </Button>
  ));
}

function verbsOf(name: string, config: Config): DiskWork[] {
  const bus = find(name)?.option.name ?? "";
  if (bus === "unused") return ["attach", "give", "remove"];
  if (REMOVABLE.test(name)) return ["remove"];
  if (!(DISKS as readonly string[]).includes(bus)) return [];
  const parts = partsOf(name, config);
  if (/cloudinit/.test(parts["file"] ?? "")) return ["remove"];
  return isMedium(parts) ? ["medium", "remove"] : ["grow", "move", "give", "detach"];
}

export function DiskForm(props: Common & { work: DiskWork; name: string }): ReactNode {
  const { work, name, ...common } = props;
  if (work === "grow") return <Grow {...common} name={name} />;
  if (work === "move") return <Move {...common} name={name} />;
  if (work === "give") return <Give {...common} name={name} />;
  if (work === "medium") return <Medium {...common} name={name} />;
  if (work === "attach") return <Attach {...common} name={name} />;
  const { path, config, onClose } = common;
  return (
    <ChangeForm title={`${t(`config.work_${work}`)}: ${titleOf(name)}`} path={path} config={config} wish={{ set: {}, delete: [name] }} submit={t(`config.work_${work}`)} onClose={onClose}>
      <p>{work === "detach" ? t("config.detachHelp") : name.startsWith("unused") ? t("config.removeHelp") : ""}</p>
    </ChangeForm>
  );
}

function Grow(props: Common & { name: string }): ReactNode {
  const { name, path, config, onClose } = props;
  const [more, setMore] = useState(8);
  return (
    <TaskForm title={t("config.growTitle", { what: titleOf(name) })} method="PUT" guest={path} path="resize" params={{ disk: name, size: `+${more}G` }} submit={t("config.work_grow")} onClose={onClose} onDone={config.again}>
      <NumberInput size="xs" label={t("config.growBy")} description={t("config.sizeNow", { size: partsOf(name, config)["size"] ?? "?" })} min={1} value={more} onChange={(value) => setMore(Number(value))} data-autofocus />
    </TaskForm>
  );
}

function Move(props: Common & { name: string }): ReactNode {
  const { name, path, config, onClose } = props;
  const storages = useImageStorages();
  const here = (partsOf(name, config)["file"] ?? "").split(":")[0] ?? "";
  const [form, setForm] = useState({ storage: storages.find((one) => one !== here) ?? here, format: "", delete: true });
  const params = { disk: name, storage: form.storage, ...(form.format ? { format: form.format } : {}), delete: form.delete };
  return (
    <TaskForm title={t("config.moveTitle", { what: titleOf(name) })} method="POST" guest={path} path="move_disk" params={params} submit={t("config.work_move")} onClose={onClose} onDone={config.again}>
      <Select size="xs" label={t("config.storage")} data={storages} value={form.storage} allowDeselect={false} onChange={(storage) => setForm({ ...form, storage: storage ?? "" })} />
      <Select size="xs" label={t("config.format")} data={[{ value: "", label: t("config.sameFormat") }, "qcow2", "raw"]} value={form.format} allowDeselect={false} onChange={(format) => setForm({ ...form, format: format ?? "" })} />
      <Checkbox size="xs" label={t("config.moveDelete")} checked={form.delete} onChange={(e) => setForm({ ...form, delete: e.currentTarget.checked })} />
    </TaskForm>
  );
}

function Give(props: Common & { name: string }): ReactNode {
  const { name, path, config, onClose } = props;
  const [form, setForm] = useState({ guest: "" as number | string, key: name });
  const vmid = Number(form.guest);
  const params = vmid >= 100 && form.key ? { disk: name, "target-vmid": vmid, "target-disk": form.key } : null;
  return (
    <TaskForm title={t("config.giveTitle", { what: titleOf(name) })} method="POST" guest={path} path="move_disk" params={params} submit={t("config.work_give")} onClose={onClose} onDone={config.again}>
      <div className="fields">
        <NumberInput size="xs" label={t("config.giveTo")} min={100} value={form.guest} onChange={(guest) => setForm({ ...form, guest })} data-autofocus />
        <TextInput size="xs" label={t("config.giveAs")} value={form.key} onChange={(e) => setForm({ ...form, key: e.currentTarget.value })} />
      </div>
    </TaskForm>
  );
}

/** The ISO images of all storages of the node. */
function useIsoImages(node: string): string[] {
  const stores = useAll().filter((one) => one.type === "storage" && one.content?.includes("iso")).map((one) => one.storage ?? "");
  const found = useQuery({
    queryKey: ["isos", node, stores.join()],
    queryFn: async () => {
      const lists = await Promise.all(stores.map((id) => call<{ volid: string }[]>("GET", `/nodes/${node}/storage/${id}/content`, { content: "iso" })));
      return lists.flat().map((volume) => volume.volid);
    },
  });
  return found.data ?? [];
}

function Medium(props: Common & { name: string }): ReactNode {
  const { name, path, node, config, onClose } = props;
  const fields = find(name)?.option.fields ?? [];
  const parts = partsOf(name, config);
  const isos = useIsoImages(node);
  const [file, setFile] = useState(parts["file"] ?? "none");
  const { size: _size, ...kept } = parts;
  const wish = file === parts["file"] ? null : { set: { [name]: print({ ...kept, file }, fields) } };
  return (
    <ChangeForm title={t("config.mediumTitle", { what: titleOf(name) })} path={path} config={config} wish={wish} onClose={onClose}>
      <Select size="xs" searchable label={t("config.medium")} value={file} allowDeselect={false} data={[{ value: "none", label: t("config.noMedium") }, ...new Set([...isos, ...(file === "none" ? [] : [file])])]} onChange={(next) => setFile(next ?? "none")} />
    </ChangeForm>
  );
}

function Attach(props: Common & { name: string }): ReactNode {
  const { name, path, config, onClose } = props;
  const [bus, setBus] = useState<Bus>("scsi");
  const key = freeKey(bus, new Set(config.rows.keys()));
  const volume = String(config.rows.get(name)?.value ?? "");
  return (
    <ChangeForm title={t("config.attachTitle", { what: volume })} path={path} config={config} wish={key ? { set: { [key]: volume } } : null} submit={t("config.work_attach")} onClose={onClose}>
      <Select size="xs" label={t("config.bus")} data={[...DISKS]} value={bus} allowDeselect={false} onChange={(next) => setBus((next ?? "scsi") as Bus)} />
    </ChangeForm>
  );
}

export function AddDisk(props: Common): ReactNode {
  const { path, node, config, onClose } = props;
  const storages = useImageStorages();
  const [form, setForm] = useState({ bus: "scsi" as Bus, storage: "", size: 32, more: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const storage = form.storage || storages[0] || "";
  const key = freeKey(form.bus, new Set(config.rows.keys()));
  const fields = find(`${form.bus}0`)?.option.fields ?? [];
  const text = [`${storage}:${form.size}`, form.more].filter(Boolean).join(",");
  return (
    <ChangeForm title={t("config.add_disk")} path={path} config={config} wish={key && storage ? { set: { [key]: text } } : null} submit={t("common.add")} onClose={onClose}>
      <div className="fields">
        <NumberInput size="xs" label={t("config.size")} min={1} value={form.size} onChange={(size) => set({ size: Number(size) })} data-autofocus />
        <Select size="xs" label={t("config.storage")} data={storages} value={storage} allowDeselect={false} onChange={(next) => set({ storage: next ?? "" })} />
        <Select size="xs" label={t("config.bus")} data={[...DISKS]} value={form.bus} allowDeselect={false} onChange={(next) => set({ bus: (next ?? "scsi") as Bus, more: "" })} />
      </div>
      <details>
        <summary>{t("config.allElse")}</summary>
        <PartsControl node={node} option={form.bus} fields={fields} value={form.more} onChange={(more) => set({ more })} />
      </details>
    </ChangeForm>
  );
}

export function AddMedium(props: Common & { kind: "cdrom" | "cloudinit" }): ReactNode {
  const { kind, path, node, config, onClose } = props;
  const isos = useIsoImages(node);
  const storages = useImageStorages();
  const [choice, setChoice] = useState<string | null>(null);
  const [bus, setBus] = useState<Bus>("ide");
  const key = freeKey(bus, new Set(config.rows.keys()));
  const choices = kind === "cdrom" ? ["none", ...isos] : storages;
  const chosen = choice ?? choices[0] ?? "";
  const text = kind === "cdrom" ? `${chosen},media=cdrom` : `${chosen}:cloudinit`;
  return (
    <ChangeForm title={t(`config.add_${kind}`)} path={path} config={config} wish={key ? { set: { [key]: text } } : null} submit={t("common.add")} onClose={onClose}>
      <div className="fields">
        <Select size="xs" searchable label={kind === "cdrom" ? t("config.medium") : t("config.storage")} data={choices.map((one) => ({ value: one, label: one === "none" ? t("config.noMedium") : one }))} value={chosen} allowDeselect={false} onChange={setChoice} />
        <Select size="xs" label={t("config.bus")} data={["ide", "sata", "scsi"]} value={bus} allowDeselect={false} onChange={(next) => setBus((next ?? "ide") as Bus)} />
      </div>
    </ChangeForm>
  );
}
