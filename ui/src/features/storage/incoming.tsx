/** What comes into a storage: files that are sent, and downloads by URL. */

import { Button, Group, Select, TextInput } from "@mantine/core";
import { type ChangeEvent, type ReactNode, useRef, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { FormDrawer } from "../../ui/form";
import type { Place } from "./content";
import { upload } from "./uploads";

export function Incoming(props: { place: Place; allowed: string; onDone: () => void }): ReactNode {
  const { place, allowed, onDone } = props;
  const file = useRef<HTMLInputElement>(null);
  const [byUrl, setByUrl] = useState(false);
  const kinds = ["iso", "import"].filter((kind) => allowed.includes(kind));
  if (!kinds.length) return null;
  const send = (event: ChangeEvent<HTMLInputElement>): void => {
    const input = event.currentTarget;
    for (const chosen of input.files ?? []) void upload(place, /\.(iso|img)$/i.test(chosen.name) ? "iso" : "import", chosen);
    input.value = ""; // the same file may be chosen again
  };
  return (
    <>
      <Group gap={6}>
        <input ref={file} type="file" multiple hidden aria-label={t("storage.file")} onChange={send} />
        <Button size="compact-sm" variant="default" onClick={() => file.current?.click()}>
          {t("storage.upload")}
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => setByUrl(true)}>
          {t("storage.byUrl")}
        </Button>
      </Group>
      {byUrl && <Download place={place} kinds={kinds} onClose={() => { setByUrl(false); onDone(); }} />}
    </>
  );
}

function Download(props: { place: Place; kinds: string[]; onClose: () => void }): ReactNode {
  const [form, setForm] = useState({ url: "", filename: "", content: props.kinds[0] ?? "iso", checksum: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const { checksum, ...rest } = form;
    const more = checksum ? { checksum, "checksum-algorithm": "sha256" as const } : {};
    await ask("POST /nodes/{node}/storage/{storage}/download-url", { ...props.place, ...rest, content: rest.content as "iso", ...more });
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
