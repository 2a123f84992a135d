/** One storage: how full it is, what it holds, and what comes in. */

import { Button, Group, Progress, Select, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ChangeEvent, type ReactNode, useRef, useState } from "react";

import { problemFrom } from "../../actions/run";
import { call, type Problem } from "../../api/client";
import { t } from "../../i18n";
import { bytes, percent, time } from "../../lib/format";
import { useAll } from "../../store/inventory";
import { FormDrawer } from "../../ui/form";
import { ProblemPanel } from "../../ui/problem";
import { Rows } from "../../ui/rows";
import { upload } from "./upload";

interface Volume {
  volid: string;
  content: string;
  format: string;
  size: number;
  used?: number;
  vmid?: number;
  ctime?: number;
}

export function StoragePage(props: { storage: string }): ReactNode {
  const row = useAll().find((one) => one.type === "storage" && one.storage === props.storage);
  const path = `/nodes/${row?.node}/storage/${props.storage}`;
  const queries = useQueryClient();
  const [problem, setProblem] = useState<Problem | null>(null);
  const content = useQuery({
    queryKey: ["content", path], queryFn: () => call<Volume[]>("GET", `${path}/content`), enabled: row !== undefined,
    refetchInterval: 10_000,
  });
  if (!row) return <p className="hint">{t("storage.missing")}</p>;
  const again = (): void => void queries.invalidateQueries({ queryKey: ["content", path] });
  const remove = async (volume: Volume): Promise<void> => {
    try {
      await call("DELETE", `${path}/content/${encodeURIComponent(volume.volid)}`, { wait: 30 });
      again();
    } catch (raised) {
      setProblem(problemFrom(raised, volume.volid));
    }
  };
  return (
    <section className="page">
      <header>
        <h2>{props.storage}</h2>
        <span className="hint">
          {t("storage.usedOf", { used: bytes(row.disk), all: bytes(row.maxdisk), part: percent(row.disk, row.maxdisk) })}
        </span>
        <Incoming path={path} allowed={row.content ?? ""} onDone={again} />
      </header>
      <Progress value={row.maxdisk ? (100 * (row.disk ?? 0)) / row.maxdisk : 0} aria-label={t("storage.used")} />
      {problem && <ProblemPanel problem={problem} onClose={() => setProblem(null)} />}
      <Rows
        items={content.data ?? []} keyOf={(volume) => volume.volid} label={t("storage.volumes")}
        empty={<p className="hint">{t("storage.empty")}</p>}
      >
        {(volume) => (
          <div className="volume-line">
            <span>{volume.volid}</span>
            <span>{volume.content}</span>
            <span>{volume.format}</span>
            <span>{bytes(volume.size)}</span>
            <span>{volume.vmid}</span>
            <span>{time(volume.ctime)}</span>
            {volume.vmid === undefined && (
              <Button size="compact-xs" variant="subtle" color="red" onClick={() => void remove(volume)}>
                {t("storage.delete")}
              </Button>
            )}
          </div>
        )}
      </Rows>
    </section>
  );
}

function Incoming(props: { path: string; allowed: string; onDone: () => void }): ReactNode {
  const { path, allowed, onDone } = props;
  const file = useRef<HTMLInputElement>(null);
  const [part, setPart] = useState<number | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [byUrl, setByUrl] = useState(false);
  const kinds = ["iso", "import"].filter((kind) => allowed.includes(kind));
  if (!kinds.length) return null;
  const send = async (event: ChangeEvent<HTMLInputElement>): Promise<void> => {
    const chosen = event.currentTarget.files?.[0];
    if (!chosen) return;
    setProblem(null);
    try {
      await upload(path, /\.(iso|img)$/i.test(chosen.name) ? "iso" : "import", chosen, setPart);
      onDone();
    } catch (raised) {
      setProblem(problemFrom(raised, chosen.name));
    } finally {
      setPart(null);
    }
  };
  return (
    <>
      <Group gap={6}>
        <input ref={file} type="file" hidden aria-label={t("storage.file")} onChange={(event) => void send(event)} />
        <Button size="compact-sm" variant="default" loading={part !== null} onClick={() => file.current?.click()}>
          {t("storage.upload")}
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => setByUrl(true)}>
          {t("storage.byUrl")}
        </Button>
      </Group>
      {part !== null && <Progress value={part * 100} aria-label={t("storage.upload")} style={{ width: "8rem" }} />}
      {problem && <ProblemPanel problem={problem} onClose={() => setProblem(null)} />}
      {byUrl && <Download path={path} kinds={kinds} onClose={() => { setByUrl(false); onDone(); }} />}
    </>
  );
}

function Download(props: { path: string; kinds: string[]; onClose: () => void }): ReactNode {
  const [form, setForm] = useState({ url: "", filename: "", content: props.kinds[0] ?? "iso", checksum: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const { checksum, ...rest } = form;
    const more = checksum ? { checksum, "checksum-algorithm": "sha256" } : {};
    await call("POST", `${props.path}/download-url`, { ...rest, ...more });
  };
  const named = (url: string): string => form.filename || (url.split("/").pop() ?? "");
  return (
    <FormDrawer title={t("storage.byUrl")} submit={t("storage.download")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("storage.url")} required type="url" value={form.url} onChange={(e) => set({ url: e.currentTarget.value })} onBlur={() => set({ filename: named(form.url) })} data-autofocus />
      <TextInput label={t("storage.fileName")} required value={form.filename} onChange={(e) => set({ filename: e.currentTarget.value })} />
      <Select label={t("storage.kind")} data={props.kinds} value={form.content} allowDeselect={false} onChange={(value) => set({ content: value ?? "iso" })} />
      <TextInput label={t("storage.checksum")} value={form.checksum} onChange={(e) => set({ checksum: e.currentTarget.value })} />
    </FormDrawer>
  );
}
