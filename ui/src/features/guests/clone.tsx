/** Clones of a guest: one or many, standing on its template, whole copies, or going on from its memory. */

import { Button, Drawer, NumberInput, SegmentedControl, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";

import { problemFrom } from "../../actions/run";
import { ended as settled } from "../../actions/settle";
import { call, type Params, type Problem } from "../../api/client";
import { t, word } from "../../i18n";
import { soon } from "../../store/feed";
import { apiPath, type Resource, titleOf, useAll } from "../../store/inventory";
import { ProblemPanel } from "../../ui/problem";
import { Said } from "../../ui/said";
import { Table } from "../../ui/table";
import { statusOf as taskStatus, type TaskStatus } from "../tasks/tasks";
import { statusOf } from "./api";

type Way = "instant" | "linked" | "full";

/** Of the guest as it is, or as it was at a snapshot: then its disks, whole. */
export function CloneForm(props: { row: Resource; snapshot?: string; onClose: () => void }): ReactNode {
  const { row, snapshot, onClose } = props;
  const path = apiPath(row);
  const storages = useAll().filter((one) => one.type === "storage" && one.content?.includes("images"));
  const status = useQuery({ queryKey: ["status", path], queryFn: () => statusOf(path) });
  const running = row.status === "running" && !row.template;
  const ways: Way[] = snapshot !== undefined ? ["full"] : [
    ...(status.data?.live ? ["instant" as const] : []),
    ...(row.template ? ["linked" as const] : []),
    "full",
    ...(running ? ["instant" as const] : []),
  ];
  const [form, setForm] = useState({ way: null as Way | null, name: `${row.name ?? "clone"}-{n}`, count: 1, storage: "" });
  const [begun, setBegun] = useState<{ upid: string; at: number } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const way = form.way ?? ways[0] ?? "full";
  // What it means for a guest that runs: how long it stands, say, or why it cannot be.
  const plan = useQuery({
    queryKey: ["instant-plan", path],
    queryFn: () => call<{ effects: string[] }>("POST", `${path}/clone`, { instant: 1, dryrun: 1 }),
    enabled: running && way === "instant",
    retry: false,
  });

  const refused = way === "instant" && plan.error ? problemFrom(plan.error, "") : null;

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setProblem(null);
    const at = performance.now();
    try {
      const upid = await call<string>("POST", `${path}/clone`, { ...paramsOf(way, form), ...(snapshot === undefined ? {} : { snapname: snapshot }) });
      setBegun({ upid, at });
      soon();
    } catch (raised) {
      setProblem(problemFrom(raised, t("clone.clone")));
    }
  };

  return (
    <Drawer opened onClose={onClose} position="right" size={begun ? "xl" : "md"} title={snapshot === undefined ? t("clone.title", { guest: titleOf(row) }) : t("clone.titleAt", { guest: titleOf(row), snapshot })}>
      {begun ? (
        <Stopwatch node={row.node ?? ""} {...begun} onClose={onClose} />
      ) : (
        <form onSubmit={(event) => void submit(event)} className="form">
          <SegmentedControl
            fullWidth value={way} onChange={(value) => set({ way: value as Way })} aria-label={t("clone.kind")}
            data={ways.map((id) => ({ value: id, label: t(`clone.${id}`) }))}
          />
          <p className="hint">{t(`clone.${way}Help`)}</p>
          {way === "instant" && plan.data?.effects.map((line) => <p className="hint" key={line}><Said text={line} /></p>)}
          <NumberInput label={t("clone.count")} min={1} max={100} value={form.count} onChange={(count) => set({ count: Number(count) })} data-autofocus />
          <TextInput label={t("clone.name")} required value={form.name} onChange={(e) => set({ name: e.currentTarget.value })} description={t("clone.nameHelp", { index: "{n}", number: "{vmid}" })} />
          {way === "full" && (
            <Select label={t("clone.storage")} placeholder={t("clone.storageSame")} clearable value={form.storage || null} data={storages.map((one) => one.storage ?? "")} onChange={(value) => set({ storage: value ?? "" })} />
          )}
          {(problem ?? refused) && <ProblemPanel problem={(problem ?? refused) as Problem} />}
          <Button type="submit">{t("clone.clone")}</Button>
        </form>
      )}
    </Drawer>
  );
}

function paramsOf(way: Way, form: { name: string; count: number; storage: string }): Params {
  return {
    name: form.count === 1 ? form.name.replaceAll(/-?\{n\}/g, "") : form.name,
    ...(form.count > 1 ? { count: form.count } : {}),
    ...(way === "instant" ? { instant: 1 } : way === "full" ? { full: 1 } : {}),
    ...(way === "full" && form.storage ? { storage: form.storage } : {}),
  };
}

interface Made {
  vmid: number;
  seconds: Record<string, number>;
}

/** In the order in which they are done. */
const STEPS = ["overlay", "start", "restore", "agent", "answered", "identity", "done"];

/** Counts from the click to the end of the work, and shows what took how long. */
function Stopwatch(props: { node: string; upid: string; at: number; onClose: () => void }): ReactNode {
  const { node, upid, at, onClose } = props;
  const [now, setNow] = useState(at);
  const [status, setStatus] = useState<TaskStatus | undefined>(undefined);
  const ended = status !== undefined;
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 50);
    const stop = (): void => clearInterval(timer);
    void settled(upid).then(() => {
      stop();
      setNow(performance.now());
      soon();
      void taskStatus({ node, upid }).then(setStatus);
    });
    return stop;
  }, [node, upid]);
  const made = clonesOf(status);
  const told = Object.keys(made[0]?.seconds ?? {});
  const steps = [...STEPS.filter((step) => told.includes(step)), ...told.filter((step) => !STEPS.includes(step))];
  return (
    <section aria-label={t("clone.clones")} aria-live="polite">
      <p className="stopwatch" role="timer">
        {t("common.seconds", { n: ((now - at) / 1000).toFixed(2) })}
      </p>
      <p>{ended ? status.exitstatus : t("clone.working")}</p>
      {status?.error && <ProblemPanel problem={status.error} />}
      <Table
        label={t("clone.made")} rows={made} keyOf={(one) => String(one.vmid)} empty=""
        columns={[
          { title: t("clone.number"), show: (one) => one.vmid },
          ...steps.map((step) => ({ title: word("clone", step, step), show: (one: Made) => t("common.seconds", { n: one.seconds[step]?.toFixed(2) ?? "–" }) })),
        ]}
      />
      <Button onClick={onClose} variant="default" mt="sm">
        {t("common.close")}
      </Button>
    </section>
  );
}

function clonesOf(status: TaskStatus | undefined): Made[] {
  const { vmids = [], times = {} } = status?.result ?? {};
  return vmids.map((vmid) => ({ vmid, seconds: times[String(vmid)] ?? {} }));
}
