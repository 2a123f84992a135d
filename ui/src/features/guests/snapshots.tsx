/** A guest's points in time as the tree that they are, with NOW in its place. What a step costs is said before it. */

import { Button, Checkbox, Group, Modal, Textarea, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import { call, type Method, type Plan, type Problem } from "../../api/client";
import type { SnapshotRow as Snapshot } from "../../api/types";
import { t } from "../../i18n";
import { time } from "../../lib/format";
import { soon } from "../../store/feed";
import { apiPath, type Resource } from "../../store/inventory";
import { useTasksOf } from "../../store/tasks";
import { FormDrawer } from "../../ui/form";
import { ProblemPanel } from "../../ui/problem";
import { Said } from "../../ui/said";
import { CloneForm } from "./clone";

interface Work {
  title: string;
  method: Method;
  path: string;
  yes: string;
}

const NOW = "current";

export function Snapshots(props: { row: Resource; running: boolean }): ReactNode {
  const { row, running } = props;
  const path = apiPath(row);
  const queries = useQueryClient();
  const [taking, setTaking] = useState(false);
  const [work, setWork] = useState<Work | null>(null);
  const [cloned, setCloned] = useState<string | null>(null);
  const version = useTasksOf(path.split("/").pop() ?? "");
  const list = useQuery({
    queryKey: ["snapshots", path, version], queryFn: () => call<Snapshot[]>("GET", `${path}/snapshot`), placeholderData: (old) => old,
  });
  const again = (): void => {
    void queries.invalidateQueries({ queryKey: ["snapshots", path] });
    soon();
  };
  const remove = (name: string): Work => ({
    title: t("snapshots.removeTitle", { name }), method: "DELETE", path: `${path}/snapshot/${name}`, yes: t("snapshots.removeYes"),
  });
  const back = (name: string): Work => ({
    title: t("snapshots.backTitle", { name }), method: "POST", path: `${path}/snapshot/${name}/rollback`, yes: t("snapshots.backYes"),
  });
  return (
    <div className="hardware">
      <table className="facts" aria-label={t("snapshots.list")} role="table">
        <thead role="rowgroup">
          <tr role="row">
            {[t("snapshots.snapshot"), t("snapshots.taken"), t("snapshots.memory"), t("snapshots.description"), ""].map((title) => (
              <th key={title} role="columnheader">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {ordered(list.data ?? []).map(({ snapshot, depth }) => (
            <tr key={snapshot.name} role="row">
              <th scope="row" role="rowheader" style={{ paddingInlineStart: 8 + depth * 16 }}>
                {snapshot.name === NOW ? <strong>{t("snapshots.now")}</strong> : snapshot.name}
              </th>
              <td role="cell" data-title={t("snapshots.taken")}>
                {time(snapshot.snaptime)}
              </td>
              <td role="cell" data-title={t("snapshots.memory")}>
                {snapshot.name !== NOW && (snapshot.vmstate ? t("snapshots.kept") : "–")}
              </td>
              <td role="cell" data-title={t("snapshots.description")}>
                {snapshot.name !== NOW && snapshot.description}
              </td>
              <td role="cell">
                {snapshot.name !== NOW && (
                  <Group gap={4}>
                    <Button size="compact-xs" variant="subtle" onClick={() => setWork(back(snapshot.name))}>
                      {t("snapshots.back")}
                    </Button>
                    <Button size="compact-xs" variant="subtle" onClick={() => setCloned(snapshot.name)}>
                      {t("clone.clone")}
                    </Button>
                    <Button size="compact-xs" variant="subtle" color="red" onClick={() => setWork(remove(snapshot.name))}>
                      {t("snapshots.remove")}
                    </Button>
                  </Group>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <Group mt="sm">
        <Button size="compact-sm" onClick={() => setTaking(true)}>
          {t("snapshots.take")}
        </Button>
      </Group>
      {taking && <Take path={path} running={running} onClose={() => { setTaking(false); again(); }} />}
      {cloned !== null && <CloneForm row={row} snapshot={cloned} onClose={() => setCloned(null)} />}
      {work && <Confirm work={work} onClose={() => { setWork(null); again(); }} />}
    </div>
  );
}

/** Parents before children, with their depth; NOW stands below what it goes on from. */
export function ordered(rows: readonly Snapshot[]): { snapshot: Snapshot; depth: number }[] {
  const names = new Set(rows.map((row) => row.name));
  const below = (parent: string | undefined, depth: number): { snapshot: Snapshot; depth: number }[] =>
    rows
      .filter((row) => (row.parent && names.has(row.parent) ? row.parent : undefined) === parent)
      .sort((a, b) => Number(a.name === NOW) - Number(b.name === NOW) || (a.snaptime ?? 0) - (b.snaptime ?? 0))
      .flatMap((snapshot) => [{ snapshot, depth }, ...below(snapshot.name, depth + 1)]);
  return below(undefined, 0);
}

function Take(props: { path: string; running: boolean; onClose: () => void }): ReactNode {
  const [form, setForm] = useState({ snapname: "", description: "", vmstate: false });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    await call("POST", `${props.path}/snapshot`, { ...form, vmstate: form.vmstate || undefined, wait: 2 });
  };
  return (
    <FormDrawer title={t("snapshots.take")} submit={t("snapshots.takeYes")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("snapshots.name")} required value={form.snapname} onChange={(e) => set({ snapname: e.currentTarget.value })} data-autofocus />
      <Textarea label={t("snapshots.description")} value={form.description} onChange={(e) => set({ description: e.currentTarget.value })} />
      {props.running && (
        <Checkbox
          label={t("snapshots.withMemory")} checked={form.vmstate} onChange={(e) => set({ vmstate: e.currentTarget.checked })}
          description={t("snapshots.withMemoryHelp")}
        />
      )}
    </FormDrawer>
  );
}

function Confirm(props: { work: Work; onClose: () => void }): ReactNode {
  const { work, onClose } = props;
  const [problem, setProblem] = useState<Problem | null>(null);
  const plan = useQuery({
    queryKey: ["plan", work.path, work.method], queryFn: () => call<Plan>(work.method, work.path, { dryrun: 1 }), gcTime: 0,
  });
  const act = async (): Promise<void> => {
    try {
      await call(work.method, work.path, { wait: 2 });
      onClose();
    } catch (raised) {
      setProblem(problemFrom(raised, work.title));
    }
  };
  const refused = plan.error ? problemFrom(plan.error, work.title) : null;
  return (
    <Modal opened onClose={onClose} title={work.title} centered>
      <ul className="plan" aria-label={t("snapshots.willHappen")}>
        {[...(plan.data?.effects ?? []), ...(plan.data?.steps ?? []).map((step) => step.title)].map((text) => (
          <li key={text}>
            <Said text={text} />
          </li>
        ))}
      </ul>
      {(problem ?? refused) && <ProblemPanel problem={(problem ?? refused) as Problem} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose}>
          {t("common.keep")}
        </Button>
        <Button color="red" onClick={() => void act()}>
          {work.yes}
        </Button>
      </Group>
    </Modal>
  );
}
