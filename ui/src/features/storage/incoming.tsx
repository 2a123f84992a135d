/** What comes into a storage: files that are sent, and downloads by URL. */

import { Button, Group, Progress, Select, TextInput } from "@mantine/core";
import { type ChangeEvent, type ReactNode, useRef, useState } from "react";

import { problemFrom } from "../../actions/run";
import { call, type Problem } from "../../api/client";
import { t } from "../../i18n";
import { FormDrawer } from "../../ui/form";
import { ProblemPanel } from "../../ui/problem";
import { upload } from "./upload";

export function Incoming(props: { path: string; allowed: string; onDone: () => void }): ReactNode {
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
