/** Forms of actions that are for one guest as well as for many. */

import { Checkbox, TagsInput, Textarea, TextInput } from "@mantine/core";
import { type ReactNode, useMemo, useState } from "react";

import { actionById } from "../../actions/registry";
import { run } from "../../actions/run";
import { t } from "../../i18n";
import { type Resource, titleOf } from "../../store/inventory";
import { FormDrawer } from "../../ui/form";

interface Props {
  rows: readonly Resource[];
  onClose: () => void;
}

export function whatOf(rows: readonly Resource[]): string {
  const [first] = rows;
  return rows.length === 1 && first ? titleOf(first) : t("guests.count", { n: rows.length });
}

export function SnapshotForm(props: Props): ReactNode {
  const { rows, onClose } = props;
  const [form, setForm] = useState({ snapname: "", description: "", vmstate: false });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const action = actionById("snapshot");
    if (action) void run(action, rows, { ...form, description: form.description || undefined, vmstate: form.vmstate || undefined });
  };
  return (
    <FormDrawer title={t("many.snapshot", { what: whatOf(rows) })} submit={t("snapshots.takeYes")} onSubmit={submit} onClose={onClose}>
      <TextInput label={t("snapshots.name")} required pattern="[A-Za-z][A-Za-z0-9_\-]+" maxLength={40} value={form.snapname} onChange={(e) => set({ snapname: e.currentTarget.value })} data-autofocus />
      <Textarea label={t("snapshots.description")} value={form.description} onChange={(e) => set({ description: e.currentTarget.value })} />
      {rows.some((row) => row.status === "running") && (
        <Checkbox label={t("snapshots.withMemory")} description={t("snapshots.withMemoryHelp")} checked={form.vmstate} onChange={(e) => set({ vmstate: e.currentTarget.checked })} />
      )}
    </FormDrawer>
  );
}

/** Tags that all of them get, and tags that all of them lose. */
export function TagForm(props: Props): ReactNode {
  const { rows, onClose } = props;
  const known = useMemo(() => [...new Set(rows.flatMap(tagsOf))].sort(), [rows]);
  const [add, setAdd] = useState<string[]>([]);
  const [drop, setDrop] = useState<string[]>([]);
  const submit = async (): Promise<void> => {
    const action = actionById("tag");
    const after = (row: Resource): string => [...new Set([...tagsOf(row), ...add])].filter((tag) => !drop.includes(tag)).join(";");
    if (action) void run(action, rows, (row) => (after(row) ? { tags: after(row) } : { delete: "tags" }));
  };
  return (
    <FormDrawer title={t("many.tag", { what: whatOf(rows) })} submit={t("common.save")} onSubmit={submit} onClose={onClose}>
      <TagsInput label={t("many.addTags")} splitChars={[",", ";", " "]} value={add} onChange={setAdd} data-autofocus />
      {known.length > 0 && (
        <fieldset className="tag-list">
          <legend>{t("many.dropTags")}</legend>
          {known.map((tag) => (
            <Checkbox
              key={tag} size="xs" label={tag} checked={drop.includes(tag)}
              onChange={(event) => setDrop(event.currentTarget.checked ? [...drop, tag] : drop.filter((one) => one !== tag))}
            />
          ))}
        </fieldset>
      )}
    </FormDrawer>
  );
}

function tagsOf(row: Resource): string[] {
  return row.tags?.split(";").filter(Boolean) ?? [];
}
