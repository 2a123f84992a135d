/** One's second factors: an authenticator program by its QR code, security keys, recovery keys. */

import { Button, Code, Modal, PasswordInput, TextInput } from "@mantine/core";
import { type ReactNode, useMemo, useRef, useState } from "react";
import { renderSVG } from "uqr";

import { ApiError, ask } from "../../api/client";
import { whoami } from "../../api/session";
import { t, word } from "../../i18n";
import { time } from "../../lib/format";
import { canUseKeys, makeKey } from "../../lib/webauthn";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { newSecret, otpauth } from "./totp";

type Open = { what: "totp" } | { what: "key" } | { what: "recovery" } | { what: "remove"; id: string; name: string } | null;
const ADD = "POST /access/tfa/{userid}";

export function Factors(props: { user: string }): ReactNode {
  const { user } = props;
  const { rows, again, loaded } = useList("GET /access/tfa/{userid}", { userid: user });
  const [open, setOpen] = useState<Open>(null);
  const close = (): void => {
    setOpen(null);
    again();
  };
  return (
    <section>
      <h3>{t("settings.factors")}</h3>
      <p className="hint">{t("settings.factorsHelp")}</p>
      {loaded && (
        <Table
          label={t("settings.factors")} rows={rows} keyOf={(factor) => factor.id} empty={t("settings.noFactors")}
          columns={[
            { title: t("settings.factor"), show: (factor) => word("settings", `kind_${factor.type}`, factor.type) },
            { title: t("settings.description"), show: (factor) => factor.description },
            { title: t("settings.made"), show: (factor) => time(factor.created) },
            {
              title: "", show: (factor) => (
                <Button size="compact-xs" variant="subtle" color="red" onClick={() => setOpen({ what: "remove", id: factor.id, name: factor.description || factor.type })}>
                  {t("settings.remove")}
                </Button>
              ),
            },
          ]}
        />
      )}
      <p className="row-actions">
        <Button size="compact-sm" onClick={() => setOpen({ what: "totp" })}>
          {t("settings.addTotp")}
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => setOpen({ what: "key" })}>
          {t("settings.addKey")}
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => setOpen({ what: "recovery" })}>
          {t("settings.addRecovery")}
        </Button>
      </p>
      {open?.what === "totp" && <AddTotp user={user} onClose={close} />}
      {open?.what === "key" && <AddKey user={user} onClose={close} />}
      {open?.what === "recovery" && <AddRecovery user={user} onClose={close} />}
      {open?.what === "remove" && <RemoveFactor user={user} id={open.id} name={open.name} onClose={close} />}
    </section>
  );
}

/** Who changes logins proves it once more; root@pam need not. */
function Own(props: { value: string; set: (value: string) => void }): ReactNode {
  if (whoami() === "root@pam") return null;
  return <PasswordInput label={t("settings.yourPassword")} required autoComplete="current-password" value={props.value} onChange={(e) => props.set(e.currentTarget.value)} />;
}

function AddTotp(props: { user: string; onClose: () => void }): ReactNode {
  const { user } = props;
  const [form, setForm] = useState({ value: "", description: "", password: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const [secret] = useState(() => newSecret());
  const totp = otpauth(user, location.hostname, secret);
  const picture = useMemo(() => `data:image/svg+xml,${encodeURIComponent(renderSVG(totp, { border: 2 }))}`, [totp]);
  const submit = async (): Promise<void> => {
    await ask(ADD, { userid: user, type: "totp", totp, value: form.value, description: form.description, password: form.password || undefined });
  };
  return (
    <FormDrawer title={t("settings.addTotp")} submit={t("settings.add")} onSubmit={submit} onClose={props.onClose}>
      <p className="hint">{t("settings.scan")}</p>
      <img src={picture} alt={t("settings.qr")} width={200} height={200} className="qr" />
      <Code block>{secret}</Code>
      <TextInput label={t("settings.code")} required inputMode="numeric" autoComplete="one-time-code" value={form.value} onChange={(e) => set({ value: e.currentTarget.value })} data-autofocus />
      <TextInput label={t("settings.description")} required description={t("settings.which")} value={form.description} onChange={(e) => set({ description: e.currentTarget.value })} />
      <Own value={form.password} set={(password) => set({ password })} />
    </FormDrawer>
  );
}

function AddKey(props: { user: string; onClose: () => void }): ReactNode {
  const { user } = props;
  const [form, setForm] = useState({ description: "", password: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const given = { userid: user, type: "webauthn" as const, description: form.description, password: form.password || undefined };
    const first = await ask(ADD, given);
    await ask(ADD, { ...given, ...(await fromKey(first.challenge ?? "")) });
  };
  return (
    <FormDrawer title={t("settings.addKey")} submit={t("settings.add")} onSubmit={submit} onClose={props.onClose}>
      <p className="hint">{t(canUseKeys() ? "settings.keyHelp" : "settings.keyUnprotected")}</p>
      <TextInput label={t("settings.description")} required description={t("settings.whichKey")} value={form.description} onChange={(e) => set({ description: e.currentTarget.value })} data-autofocus />
      <Own value={form.password} set={(password) => set({ password })} />
    </FormDrawer>
  );
}

async function fromKey(asked: string): Promise<{ challenge: string; value: string }> {
  try {
    return await makeKey(asked);
  } catch (raised) {
    const { name, message } = raised as DOMException;
    throw new ApiError(0, { code: "webauthn", message: t("login.keyUnused"), cause: message, evidence: name });
  }
}

function AddRecovery(props: { user: string; onClose: () => void }): ReactNode {
  const { user, onClose } = props;
  const [password, setPassword] = useState("");
  const [keys, setKeys] = useState<string[] | null>(null);
  const shown = useRef(false); // the form closes after it was sent: then the keys are to be read
  if (keys) {
    return (
      <Modal opened onClose={onClose} title={t("settings.keysTitle")} centered>
        <p>{t("settings.keysOnce")}</p>
        <Code block>{keys.join("\n")}</Code>
      </Modal>
    );
  }
  const submit = async (): Promise<void> => {
    const made = await ask(ADD, { userid: user, type: "recovery", password: password || undefined });
    setKeys(made.recovery ?? []);
    shown.current = true;
  };
  return (
    <FormDrawer title={t("settings.addRecovery")} submit={t("settings.addRecovery")} onSubmit={submit} onClose={() => shown.current || onClose()}>
      <Own value={password} set={setPassword} />
    </FormDrawer>
  );
}

/** Take a factor of anybody away whom one may change. */
export function RemoveFactor(props: { user: string; id: string; name: string; onClose: () => void }): ReactNode {
  const { user, id, name, onClose } = props;
  const [password, setPassword] = useState("");
  const submit = async (): Promise<void> => {
    await ask("DELETE /access/tfa/{userid}/{id}", { userid: user, id, password: password || undefined });
  };
  return (
    <FormDrawer title={t("settings.removeTitle", { name })} submit={t("settings.remove")} onSubmit={submit} onClose={onClose}>
      <p>{t("settings.removeLoss")}</p>
      <Own value={password} set={setPassword} />
    </FormDrawer>
  );
}
