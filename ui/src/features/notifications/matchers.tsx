/** Matchers: by severity and field, to which targets. */

import { Button, Select, Textarea, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { MatcherRow } from "../../api/types";
import { t } from "../../i18n";
import { ActButton } from "../../ui/act";
import { AskButton } from "../../ui/confirm";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";

export function Matchers(): ReactNode {
  const { rows, again } = useList("GET /cluster/notifications/matchers", {});
  const [adding, setAdding] = useState(false);
  const turn = async (matcher: MatcherRow): Promise<void> => {
    await ask("PUT /cluster/notifications/matchers/{name}", { name: matcher.name, disable: !matcher.disable });
    again();
  };
  return (
    <section>
      <h3>{t("notifications.matchers")}</h3>
      <p className="hint">{t("notifications.matchersHelp")}</p>
      <div className="scroll">
        <Table
          label={t("notifications.matchers")} rows={rows} keyOf={(matcher) => matcher.name} empty={t("notifications.noMatchers")}
          columns={[
            { title: t("notifications.name"), show: (matcher) => matcher.name },
            { title: t("notifications.what"), show: what },
            { title: t("notifications.to"), show: (matcher) => matcher.target?.join(", ") },
            { title: t("notifications.state"), show: (matcher) => (matcher.disable ? t("notifications.off") : t("notifications.on")) },
            {
              title: "", show: (matcher) => (
                <div className="row-actions">
                  <ActButton label={matcher.disable ? t("notifications.turnOn") : t("notifications.turnOff")} act={() => turn(matcher)} />
                  <AskButton
                    label={t("notifications.remove")} onDone={again}
                    question={{
                      title: t("notifications.removeTitle", { name: matcher.name }), loss: t("notifications.removeLoss"), yes: t("notifications.remove"),
                      act: () => ask("DELETE /cluster/notifications/matchers/{name}", { name: matcher.name }),
                    }}
                  />
                </div>
              ),
            },
          ]}
        />
      </div>
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("notifications.newMatcher")}
        </Button>
      </p>
      {adding && <NewMatcher onClose={() => { setAdding(false); again(); }} />}
    </section>
  );
}

function what(matcher: MatcherRow): string {
  return [...(matcher["match-severity"] ?? []), ...(matcher["match-field"] ?? [])].join(", ") || t("notifications.everything");
}

function NewMatcher(props: { onClose: () => void }): ReactNode {
  const targets = useList("GET /cluster/notifications/targets", {});
  const [form, setForm] = useState({ name: "", target: "", severities: "error", fields: "", comment: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const severities = form.severities.split(/[\s,]+/).filter(Boolean).join(",");
    await ask("POST /cluster/notifications/matchers", {
      name: form.name, target: [form.target], comment: form.comment || undefined,
      "match-severity": severities ? [severities] : undefined, "match-field": form.fields.split("\n").map((line) => line.trim()).filter(Boolean),
    });
  };
  return (
    <FormDrawer title={t("notifications.newMatcher")} submit={t("notifications.makeMatcher")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("notifications.name")} required value={form.name} onChange={(e) => set({ name: e.currentTarget.value })} data-autofocus />
      <Select label={t("notifications.to")} required data={targets.rows.map((target) => target.name)} value={form.target || null} onChange={(target) => set({ target: target ?? "" })} />
      <TextInput label={t("notifications.severities")} description={t("notifications.severitiesHelp")} value={form.severities} onChange={(e) => set({ severities: e.currentTarget.value })} />
      <Textarea label={t("notifications.fields")} description={t("notifications.fieldsHelp")} autosize minRows={2} value={form.fields} onChange={(e) => set({ fields: e.currentTarget.value })} />
      <TextInput label={t("notifications.comment")} value={form.comment} onChange={(e) => set({ comment: e.currentTarget.value })} />
    </FormDrawer>
  );
}
