import { Button, PasswordInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";

import type { Problem } from "../../api/client";
import { comeBack, leaveFor, login, realms, SecondFactor, type Session } from "../../api/session";
import { canUseKeys, type KeyRequest, useKey } from "../../lib/webauthn";
import { problemFrom } from "../../actions/run";
import { t } from "../../i18n";
import { ProblemPanel } from "../../ui/problem";
import { saidText } from "../../ui/said";

const LAST = "tarmac-last-user";

export function Login(props: { onSession: (session: Session) => void }): ReactNode {
  const [last] = useState(() => (localStorage.getItem(LAST) ?? "root@pam").split("@"));
  const known = useQuery({ queryKey: ["realms"], queryFn: realms });
  const [user, setUser] = useState(last[0] ?? "");
  const [chosen, setRealm] = useState<string | null>(localStorage.getItem(LAST) ? (last[1] ?? null) : null);
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [second, setSecond] = useState<SecondFactor | null>(null);
  const [code, setCode] = useState("");

  const all = known.data ?? [{ realm: "pam", type: "pam" }];
  const providers = all.filter((one) => one.type === "openid");
  const withPassword = all.filter((one) => one.type !== "openid");
  const offered = withPassword.find((one) => one.realm === chosen) ?? withPassword.find((one) => one.default);
  const realm = offered?.realm ?? "pam";

  /** One step of a login: its end, its next step, or why not. */
  const attempt = async (step: () => Promise<Session | null>): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      const session = await step();
      if (session) props.onSession(session);
    } catch (raised) {
      if (raised instanceof SecondFactor) setSecond(raised);
      else {
        setSecond(null);
        setProblem(raised instanceof DOMException ? keyProblem(raised) : problemFrom(raised, t("login.login")));
      }
    } finally {
      setBusy(false);
    }
  };

  useEffect(() => void attempt(comeBack), []);

  const name = user.includes("@") ? user : `${user}@${realm}`;
  const finish = async (step: Promise<Session>): Promise<Session> => {
    const session = await step;
    localStorage.setItem(LAST, name);
    return session;
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const kind = /^\d{6}$/.test(code) ? "totp" : "recovery";
    void attempt(() => finish(second ? second.ask(kind, code) : login(name, password)));
  };
  const touch = (factor: SecondFactor, asked: KeyRequest): void =>
    void attempt(async () => finish(factor.ask("webauthn", await useKey(asked))));

  return (
    <main className="login">
      <form onSubmit={submit} aria-label={t("login.login")}>
        <h1>Tarmac</h1>
        <TextInput label={t("login.user")} value={user} onChange={(e) => setUser(e.currentTarget.value)} autoComplete="username" />
        <PasswordInput
          label={t("login.password")} value={password} autoFocus autoComplete="current-password"
          onChange={(e) => setPassword(e.currentTarget.value)}
        />
        <Select
          label={t("login.realm")} value={realm} allowDeselect={false} onChange={setRealm}
          data={withPassword.map((r) => ({
            value: r.realm, label: r.comment ? `${r.realm} (${saidText(r.comment)})` : r.realm,
          }))}
        />
        {second && (
          <TextInput
            label={t("login.code")} required={!second.key} autoFocus autoComplete="one-time-code" value={code}
            onChange={(e) => setCode(e.currentTarget.value)} description={t("login.codeHelp")}
          />
        )}
        <Button type="submit" loading={busy} fullWidth>
          {t("login.login")}
        </Button>
        {second?.key && canUseKeys() && (
          <Button variant="default" loading={busy} fullWidth onClick={() => second.key && touch(second, second.key)}>
            {t("login.useKey")}
          </Button>
        )}
        {providers.map((one) => (
          <Button
            key={one.realm} variant="default" loading={busy} fullWidth
            onClick={() => void attempt(async () => { await leaveFor(one.realm); return null; })}
          >
            {t("login.loginWith", { name: one.comment || one.realm })}
          </Button>
        ))}
        {problem && <ProblemPanel problem={problem} />}
      </form>
    </main>
  );
}

function keyProblem(raised: DOMException): Problem {
  return {
    code: "webauthn", message: t("login.keyUnused"), cause: raised.message, evidence: raised.name,
    fixes: [{ text: t("login.keyAgain") }],
  };
}
