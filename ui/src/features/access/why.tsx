/** Why somebody may or may not: the question, the verdict, and every grant that was looked at. */

import { Button, TextInput } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import { ask, type Problem } from "../../api/client";
import { whoami } from "../../api/session";
import type { WhyReply } from "../../api/types";
import { t } from "../../i18n";
import { ProblemPanel } from "../../ui/problem";
import { Said } from "../../ui/said";
import { Table } from "../../ui/table";

/** `path`: what stands in the form at first. */
export function Why(props: { path?: string }): ReactNode {
  const [form, setForm] = useState({ userid: whoami(), path: props.path ?? "/vms/100", privs: "VM.PowerMgmt" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const [verdict, setVerdict] = useState<WhyReply | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setProblem(null);
    setVerdict(null);
    try {
      setVerdict(await ask("GET /access/why", form));
    } catch (raised) {
      setProblem(problemFrom(raised, form.path));
    }
  };
  return (
    <>
      <p className="hint">{t("access.whyHelp")}</p>
      <form className="line-form" onSubmit={(event) => void submit(event)}>
        <TextInput label={t("access.whyWho")} required value={form.userid} onChange={(e) => set({ userid: e.currentTarget.value })} />
        <TextInput label={t("access.path")} required value={form.path} onChange={(e) => set({ path: e.currentTarget.value })} />
        <TextInput label={t("access.whyPrivs")} required value={form.privs} onChange={(e) => set({ privs: e.currentTarget.value })} />
        <Button type="submit">{t("access.whyAsk")}</Button>
      </form>
      {problem && <ProblemPanel problem={problem} />}
      {verdict && (
        <section aria-live="polite" className="card-like">
          <p className={verdict.allowed ? "good" : "bad"}>
            {verdict.allowed ? `✓ ${t("access.whyYes", { user: verdict.userid })}` : `✕ ${t("access.whyNo", { user: verdict.userid })}`}
          </p>
          <ul>
            {verdict.privileges.map((one) => (
              <li key={one.privilege}>
                {one.privilege}: <Said text={one.text} />
              </li>
            ))}
          </ul>
          <Table
            label={t("access.looked")} rows={verdict.grants} keyOf={(grant) => `${grant.path} ${grant.ugid} ${grant.roleid} ${grant.why}`} empty={t("access.noLooked")}
            columns={[
              { title: t("access.path"), show: (grant) => grant.path },
              { title: t("access.to"), show: (grant) => grant.ugid },
              { title: t("access.role"), show: (grant) => grant.roleid },
              { title: t("access.counts"), show: (grant) => (grant.counts ? t("common.yes") : t("common.no")) },
              { title: t("access.reason"), show: (grant) => <Said text={grant.why} /> },
            ]}
          />
        </section>
      )}
    </>
  );
}
