/** A new guest on one page: a name, an image, a size, and Create. The rest has good defaults and can be changed later. */

import { Button, Checkbox, Drawer, NumberInput, PasswordInput, SegmentedControl, Select, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import { call, type Params, type Problem } from "../../api/client";
import type { Volume } from "../../api/types";
import { t } from "../../i18n";
import { go } from "../../lib/router";
import { soon } from "../../store/feed";
import { useAll } from "../../store/inventory";
import { ProblemPanel } from "../../ui/problem";

const SIZES = {
  small: { cores: 1, memory: 1024, disk: 10 },
  medium: { cores: 2, memory: 4096, disk: 32 },
  large: { cores: 4, memory: 8192, disk: 64 },
} as const;
type Size = keyof typeof SIZES | "own";

export function CreateGuest(props: { onClose: () => void }): ReactNode {
  const resources = useAll();
  const node = resources.find((row) => row.type === "node")?.node ?? "";
  const stores = resources.filter((row) => row.type === "storage");
  const images = stores.filter((row) => /import|iso/.test(row.content ?? ""));
  const volumes = useQuery({ queryKey: ["images", images.map((row) => row.id)], queryFn: () => sources(node, images.map((r) => r.storage ?? "")) });
  const [form, setForm] = useState({ name: "", source: "", size: "small" as Size, cores: 1, memory: 1024, disk: 10, storage: "", keys: "", password: "", start: true });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const storage = form.storage || stores.find((row) => row.content?.includes("images"))?.storage || "";
  const size = form.size === "own" ? form : SIZES[form.size];
  const image = isImage(form.source);

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      const vmid = await call<string>("GET", "/cluster/nextid");
      await call<string>("POST", `/nodes/${node}/qemu`, paramsOf(vmid, { ...form, ...size, storage }));
      soon();
      props.onClose();
      go("qemu", vmid, "tasks");
    } catch (raised) {
      setProblem(problemFrom(raised, t("create.title")));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Drawer opened onClose={props.onClose} position="right" size="md" title={t("create.title")}>
      <form onSubmit={(event) => void submit(event)} className="form">
        <TextInput label={t("create.name")} required value={form.name} onChange={(e) => set({ name: e.currentTarget.value })} data-autofocus />
        <Select
          label={t("create.from")} searchable placeholder={t("create.fromNothing")} clearable value={form.source || null}
          data={(volumes.data ?? []).map((volume) => volume.volid)} onChange={(value) => set({ source: value ?? "" })}
          description={t("create.fromHelp")}
        />
        <SegmentedControl
          fullWidth size="xs" value={form.size} onChange={(value) => set({ size: value as Size })} aria-label={t("create.size")}
          data={[...Object.entries(SIZES).map(([id, s]) => ({ value: id, label: t("create.sizeOf", { cpus: s.cores, memory: s.memory / 1024 }) })), { value: "own", label: t("create.own") }]}
        />
        {form.size === "own" && (
          <>
            <NumberInput label={t("create.cpus")} min={1} value={form.cores} onChange={(v) => set({ cores: Number(v) })} />
            <NumberInput label={t("create.memory")} min={16} value={form.memory} onChange={(v) => set({ memory: Number(v) })} />
            {!image && <NumberInput label={t("create.disk")} min={1} value={form.disk} onChange={(v) => set({ disk: Number(v) })} />}
          </>
        )}
        <p className="hint">{image ? t("create.diskOfImage") : t("create.diskOf", { size: size.disk })}</p>
        {image && (
          <>
            <PasswordInput
              label={t("create.password")} autoComplete="new-password" value={form.password} onChange={(e) => set({ password: e.currentTarget.value })}
              description={t("create.loginHelp")}
            />
            <Textarea label={t("create.keys")} autosize minRows={2} value={form.keys} onChange={(e) => set({ keys: e.currentTarget.value })} />
          </>
        )}
        <details>
          <summary>{t("create.allElse")}</summary>
          <Select label={t("create.storage")} value={storage} onChange={(value) => set({ storage: value ?? "" })} data={stores.filter((row) => row.content?.includes("images")).map((row) => row.storage ?? "")} />
        </details>
        <Checkbox label={t("create.start")} checked={form.start} onChange={(e) => set({ start: e.currentTarget.checked })} />
        {problem && <ProblemPanel problem={problem} />}
        <Button type="submit" loading={busy}>
          {t("create.create")}
        </Button>
      </form>
    </Drawer>
  );
}

/** A disk to copy, rather than a medium to install from. */
function isImage(source: string): boolean {
  return source !== "" && !source.includes(":iso/");
}

async function sources(node: string, storages: string[]): Promise<Volume[]> {
  const lists = await Promise.all(storages.map((id) => call<Volume[]>("GET", `/nodes/${node}/storage/${id}/content`)));
  return lists.flat().filter((volume) => volume.content === "import" || volume.content === "iso");
}

interface Wish {
  name: string;
  source: string;
  storage: string;
  cores: number;
  memory: number;
  disk: number;
  keys: string;
  password: string;
  start: boolean;
}

function paramsOf(vmid: string, wish: Wish): Params {
  const image = isImage(wish.source);
  const iso = wish.source !== "" && !image;
  return {
    vmid,
    name: wish.name,
    cores: wish.cores,
    memory: wish.memory,
    ostype: "l26",
    agent: "1",
    serial0: "socket",
    scsihw: "virtio-scsi-single",
    scsi0: image ? `${wish.storage}:0,import-from=${wish.source}` : `${wish.storage}:${wish.disk}`,
    ...(iso ? { ide2: `${wish.source},media=cdrom` } : {}),
    ...(image ? { ide2: `${wish.storage}:cloudinit`, ipconfig0: "ip=dhcp" } : {}),
    ...(image && wish.password ? { cipassword: wish.password } : {}),
    ...(image && wish.keys ? { sshkeys: encodeURIComponent(wish.keys.trim()) } : {}),
    net0: "virtio",
    start: wish.start,
  };
}
