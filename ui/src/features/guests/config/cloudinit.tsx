/** What a guest is told at its first boot: the settings, the documents that come of them or replace them, the medium. */

import { Button, Group, SegmentedControl, Textarea } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../../actions/run";
import { call, type Problem } from "../../../api/client";
import { t } from "../../../i18n";
import { apiPath, type Resource } from "../../../store/inventory";
import { useTasksOf } from "../../../store/tasks";
import { toast } from "../../../store/toasts";
import { ProblemPanel } from "../../../ui/problem";
import type { Pending } from "../api";
import { partsOf } from "./disks";
import { DISKS, find, titleOf } from "./option";
import { SettingGroup } from "./tab";
import { useConfig } from "./use";

const KINDS = ["user", "network", "meta", "vendor"] as const;
type Kind = (typeof KINDS)[number];

export function CloudInit(props: { row: Resource }): ReactNode {
  const { row } = props;
  const path = apiPath(row);
  const config = useConfig(path, row.vmid ?? 0);
  if (!config) return null;
  const keys = [...config.rows.keys()];
  const drive = keys.some((key) => isDisk(key) && /cloudinit/.test(partsOf(key, config)["file"] ?? ""));
  const cards = keys.filter((key) => /^net\d+$/.test(key)).map((key) => key.replace("net", "ipconfig"));
  return (
    <div className="settings">
      {drive ? <Medium path={path} vmid={row.vmid ?? 0} /> : <p className="hint">{t("cloudinit.noDrive")}</p>}
      <SettingGroup group="cloudinit" row={row} path={path} config={config} also={cards} />
      <Documents path={path} vmid={row.vmid ?? 0} />
    </div>
  );
}

function isDisk(key: string): boolean {
  return (DISKS as readonly string[]).includes(find(key)?.option.name ?? "");
}

/** What the medium does not say yet, and the way to write it anew. */
function Medium(props: { path: string; vmid: number }): ReactNode {
  const { path, vmid } = props;
  const queries = useQueryClient();
  const version = useTasksOf(String(vmid));
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const rows = useQuery({ queryKey: ["cloudinit", path, version], queryFn: () => call<Pending[]>("GET", `${path}/cloudinit`), placeholderData: (old) => old });
  const changed = (rows.data ?? []).filter((row) => row.pending !== undefined || row.delete);
  const write = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      await call("PUT", `${path}/cloudinit`);
      await queries.invalidateQueries({ queryKey: ["cloudinit", path] });
      toast(t("cloudinit.written"));
    } catch (raised) {
      setProblem(problemFrom(raised, t("cloudinit.write")));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section aria-label={t("cloudinit.medium")}>
      <h3>{t("cloudinit.medium")}</h3>
      <Group gap={8}>
        <span className={changed.length ? "waits" : "hint"}>
          {changed.length ? t("cloudinit.lacks", { what: changed.map((row) => titleOf(row.key)).join(", ") }) : t("cloudinit.upToDate")}
        </span>
        <Button size="compact-sm" variant="default" loading={busy} onClick={() => void write()}>
          {t("cloudinit.write")}
        </Button>
      </Group>
      <p className="hint">{t("cloudinit.when")}</p>
      {problem && <ProblemPanel problem={problem} />}
    </section>
  );
}

function Documents(props: { path: string; vmid: number }): ReactNode {
  const { path, vmid } = props;
  const [kind, setKind] = useState<Kind>("user");
  const version = useTasksOf(String(vmid));
  const own = useQuery({ queryKey: ["documents", path], queryFn: () => call<Partial<Record<Kind, string>>>("GET", `${path}/cloudinit/documents`) });
  const made = useQuery({
    queryKey: ["dump", path, kind, version, own.data?.[kind]], queryFn: () => call<string>("GET", `${path}/cloudinit/dump`, { type: kind }),
    // While it is asked for again, what there was stays, and what somebody types in it.
    placeholderData: (old, before) => (before?.queryKey[2] === kind ? old : undefined),
  });
  const text = own.data?.[kind] ?? made.data;
  return (
    <section aria-label={t("cloudinit.documents")}>
      <h3>{t("cloudinit.documents")}</h3>
      <SegmentedControl size="xs" value={kind} onChange={(next) => setKind(next as Kind)} data={KINDS.map((one) => ({ value: one, label: t(`cloudinit.kind_${one}`) }))} aria-label={t("cloudinit.document")} />
      {text !== undefined && own.data && <Document key={`${kind} ${String(kind in own.data)}`} path={path} kind={kind} own={kind in own.data} text={text} />}
    </section>
  );
}

function Document(props: { path: string; kind: Kind; own: boolean; text: string }): ReactNode {
  const { path, kind, own, text } = props;
  const queries = useQueryClient();
  const [typed, setTyped] = useState<string | null>(null);
  const [note, setNote] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setProblem(null);
    setNote("");
    try {
      await work();
      await queries.invalidateQueries({ queryKey: ["documents", path] });
    } catch (raised) {
      setProblem(problemFrom(raised, t(`cloudinit.kind_${kind}`)));
    }
  };
  const put = (): Promise<void> =>
    attempt(async () => {
      const checked = await call<{ schema: boolean; note: string }>("PUT", `${path}/cloudinit/documents/${kind}`, { content: typed ?? text });
      setNote(checked.schema ? t("cloudinit.checked") : checked.note);
      setTyped(null);
    });
  const back = (): Promise<void> => attempt(async () => void (await call("DELETE", `${path}/cloudinit/documents/${kind}`)));
  return (
    <div className="change document">
      <p className="hint">{t(own ? "cloudinit.own" : "cloudinit.generated")}</p>
      <Textarea
        aria-label={t(`cloudinit.kind_${kind}`)} autosize minRows={6} maxRows={24} spellCheck={false} value={typed ?? text}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
      {note && <p role="status">{note}</p>}
      {problem && <ProblemPanel problem={problem} />}
      <Group gap={6} justify="flex-end">
        {own && (
          <Button size="compact-sm" variant="default" onClick={() => void back()}>
            {t("cloudinit.toGenerated")}
          </Button>
        )}
        <Button size="compact-sm" disabled={typed === null || typed === text} onClick={() => void put()}>
          {t("cloudinit.use")}
        </Button>
      </Group>
    </div>
  );
}
