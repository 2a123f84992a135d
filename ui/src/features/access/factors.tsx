/** One's own second factors, and those of others whom one may change: security keys, codes, recovery keys. */

import { Button, Code, Modal, PasswordInput, Select, TextInput } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";

import { ApiError, call } from "../../api/client";
import { whoAmI } from "../../api/session";
import { canUseKeys, makeKey } from "../../lib/webauthn";
import { FormDrawer } from "../../ui/form";
import { Table } from "../../ui/table";
import { useList } from "./lists";

interface Entry {
  id: string;
  type: string;
  description?: string;
  created: number;
  enable?: number;
}

const WORDS: Record<string, string> = { webauthn: "security key", totp: "codes of a program", recovery: "recovery keys" };

export function Factors(): ReactNode {
  const { rows, again } = useList<{ userid: string; entries: Entry[] }>("/access/tfa");
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<{ userid: string; entry: Entry } | null>(null);
  const flat = rows.flatMap(({ userid, entries }) => entries.map((entry) => ({ userid, entry })));
  return (
    <>
      <Table
        label="Second factors" rows={flat} keyOf={(row) => `${row.userid} ${row.entry.id}`} empty="Nobody has a second factor."
        columns={[
          { title: "User", show: (row) => row.userid },
          { title: "Kind", show: (row) => WORDS[row.entry.type] ?? row.entry.type },
          { title: "Description", show: (row) => row.entry.description },
          { title: "Since", show: (row) => new Date(row.entry.created * 1000).toLocaleDateString() },
          { title: "State", show: (row) => (row.entry.enable === 0 ? "disabled" : "enabled") },
          {
            title: "", show: (row) => (
              <Button size="compact-xs" variant="subtle" color="red" onClick={() => setRemoving(row)}>
                Remove
              </Button>
            ),
          },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          New second factor
        </Button>
      </p>
      {adding && <NewFactor onClose={() => { setAdding(false); again(); }} />}
      {removing && <Removal {...removing} onClose={() => { setRemoving(null); again(); }} />}
    </>
  );
}

function NewFactor(props: { onClose: () => void }): ReactNode {
  const me = whoAmI();
  const [form, setForm] = useState({ type: "webauthn", description: "", password: "" });
  const [keys, setKeys] = useState<string[] | null>(null);
  const shown = useRef(false); // the form closes after it was sent: then the keys are to be read
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const path = `/access/tfa/${encodeURIComponent(me)}`;
  if (keys) {
    return (
      <Modal opened onClose={props.onClose} title="Your recovery keys" centered>
        <p>Each is good once, and they are shown this once:</p>
        <Code block>{keys.join("\n")}</Code>
      </Modal>
    );
  }
  const submit = async (): Promise<void> => {
    const given = { type: form.type, description: form.description || undefined, password: form.password || undefined };
    const first = await call<{ challenge?: string; recovery?: string[] }>("POST", path, given);
    if (first.recovery) {
      shown.current = true;
      setKeys(first.recovery);
    } else if (first.challenge) await call("POST", path, { ...given, ...(await fromKey(first.challenge)) });
  };
  return (
    <FormDrawer title={`New second factor of ${me}`} submit="Add it" onSubmit={submit} onClose={() => shown.current || props.onClose()}>
      <Select
        label="Kind" allowDeselect={false} value={form.type} onChange={(type) => set({ type: type ?? "webauthn" })}
        data={[{ value: "webauthn", label: "Security key or passkey" }, { value: "recovery", label: "Recovery keys" }]}
        description={canUseKeys() ? "It belongs to the name under which this page is open." : "This page is not protected, so the browser uses no keys."}
      />
      <TextInput label="Description" value={form.description} onChange={(e) => set({ description: e.currentTarget.value })} />
      <Confirmation value={form.password} onChange={(password) => set({ password })} />
    </FormDrawer>
  );
}

async function fromKey(asked: string): Promise<{ challenge: string; value: string }> {
  try {
    return await makeKey(asked);
  } catch (raised) {
    const { name, message } = raised as DOMException;
    throw new ApiError(0, { code: "webauthn", message: "The security key was not used.", cause: message, evidence: name });
  }
}

function Removal(props: { userid: string; entry: Entry; onClose: () => void }): ReactNode {
  const [password, setPassword] = useState("");
  const { userid, entry } = props;
  const path = `/access/tfa/${encodeURIComponent(userid)}/${encodeURIComponent(entry.id)}`;
  const submit = async (): Promise<void> => {
    await call("DELETE", path, { password: password || undefined });
  };
  return (
    <FormDrawer title={`Remove ${WORDS[entry.type] ?? entry.type} of ${userid}`} submit="Remove it" onSubmit={submit} onClose={props.onClose}>
      <Confirmation value={password} onChange={setPassword} />
    </FormDrawer>
  );
}

/** Who changes logins proves it once more; root@pam need not. */
function Confirmation(props: { value: string; onChange: (value: string) => void }): ReactNode {
  if (whoAmI() === "root@pam") return null;
  return (
    <PasswordInput
      label="Your own password" required autoComplete="current-password" value={props.value}
      onChange={(e) => props.onChange(e.currentTarget.value)}
    />
  );
}
