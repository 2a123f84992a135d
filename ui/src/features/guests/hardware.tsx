/** A guest's configuration: what is, what waits for the next start, and changes with their plan before they are made. */

import { Button, Code, Group, Modal, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import type { Problem } from "../../api/client";
import { t } from "../../i18n";
import { ProblemPanel } from "../../ui/problem";
import { change, type Pending, pendingOf, plan } from "./api";

export function Hardware(props: { path: string }): ReactNode {
  const { path } = props;
  const [edited, setEdited] = useState<Pending | null>(null);
  const rows = useQuery({ queryKey: ["pending", path], queryFn: () => pendingOf(path), refetchInterval: 5000 });
  const shown = (rows.data ?? []).filter((row) => row.key !== "digest");
  return (
    <div className="hardware">
      <table>
        <thead>
          <tr>
            <th>{t("hardware.setting")}</th>
            <th>{t("hardware.now")}</th>
            <th>{t("hardware.next")}</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={row.key}>
              <th scope="row">{row.key}</th>
              <td>{row.value ?? "–"}</td>
              <td className="waits">{row.pending ?? (row.delete ? t("hardware.removed") : "")}</td>
              <td>
                <Button size="compact-xs" variant="subtle" onClick={() => setEdited(row)}>
                  {t("hardware.change")}
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <Group mt="sm">
        <Button size="compact-sm" variant="default" onClick={() => setEdited({ key: "" })}>
          {t("hardware.addSetting")}
        </Button>
      </Group>
      {edited && <Edit path={path} row={edited} onClose={() => setEdited(null)} />}
    </div>
  );
}

function Edit(props: { path: string; row: Pending; onClose: () => void }): ReactNode {
  const { path, row, onClose } = props;
  const queries = useQueryClient();
  const [key, setKey] = useState(row.key);
  const [value, setValue] = useState(String(row.pending ?? row.value ?? ""));
  const [problem, setProblem] = useState<Problem | null>(null);
  const [seen, setSeen] = useState<{ steps: { title: string }[]; effects: string[] } | null>(null);

  const words = { [key]: value };
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      setProblem(null);
      await work();
    } catch (raised) {
      setProblem(problemFrom(raised, key));
    }
  };
  const look = (): Promise<void> => attempt(async () => setSeen(await plan(path, words)));
  const save = (): Promise<void> =>
    attempt(async () => {
      await change(path, words);
      await queries.invalidateQueries({ queryKey: ["pending", path] });
      onClose();
    });

  return (
    <Modal opened onClose={onClose} title={row.key ? t("hardware.changeTitle", { key: row.key }) : t("hardware.addSetting")} centered>
      {!row.key && <TextInput label={t("hardware.setting")} value={key} onChange={(event) => setKey(event.currentTarget.value)} />}
      <TextInput
        label={t("hardware.value")} value={value} data-autofocus
        onChange={(event) => {
          setValue(event.currentTarget.value);
          setSeen(null);
        }}
      />
      {seen && (
        <section className="plan" aria-label={t("hardware.willHappen")}>
          <p>
            <Code>{t("hardware.becomes", { key, old: String(row.value ?? "–"), new: value })}</Code>
          </p>
          <ul>
            {[...seen.effects, ...seen.steps.map((step) => step.title)].map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </section>
      )}
      {problem && <ProblemPanel problem={problem} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={() => void look()}>
          {t("hardware.preview")}
        </Button>
        <Button onClick={() => void save()}>{t("hardware.save")}</Button>
      </Group>
    </Modal>
  );
}
