import { Button, PasswordInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";

import type { Problem } from "../../api/client";
import { login, realms, SecondFactor, type Session } from "../../api/session";
import { problemFrom } from "../../actions/run";
import { t } from "../../i18n";
import { ProblemPanel } from "../../ui/problem";

const LAST = "tarmac-last-user";

export function Login(props: { onSession: (session: Session) => void }): ReactNode {
  const [last] = useState(() => (localStorage.getItem(LAST) ?? "root@pam").split("@"));
  const known = useQuery({ queryKey: ["realms"], queryFn: realms });
  const [user, setUser] = useState(last[0] ?? "");
  const [realm, setRealm] = useState(last[1] ?? "pam");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [second, setSecond] = useState<SecondFactor | null>(null);
  const [code, setCode] = useState("");

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      const name = user.includes("@") ? user : `${user}@${realm}`;
      const kind = /^\d{6}$/.test(code) ? "totp" : "recovery";
      const session = await (second ? second.ask(kind, code) : login(name, password));
      localStorage.setItem(LAST, name);
      props.onSession(session);
    } catch (raised) {
      if (raised instanceof SecondFactor) setSecond(raised);
      else {
        setSecond(null);
        setProblem(problemFrom(raised, t("login.login")));
      }
    } finally {
      setBusy(false);
    }
  };

  return (
    <main className="login">
      <form onSubmit={(event) => void submit(event)} aria-label={t("login.login")}>
        <h1>Tarmac</h1>
        <TextInput label={t("login.user")} value={user} onChange={(e) => setUser(e.currentTarget.value)} autoComplete="username" />
        <PasswordInput
          label={t("login.password")} value={password} autoFocus autoComplete="current-password"
          onChange={(e) => setPassword(e.currentTarget.value)}
        />
        <Select
          label={t("login.realm")} value={realm} allowDeselect={false} onChange={(value) => setRealm(value ?? "pam")}
          data={(known.data ?? [{ realm: "pam", type: "pam" }]).map((r) => ({
            value: r.realm, label: r.comment ? `${r.realm} (${r.comment})` : r.realm,
          }))}
        />
        {second && (
          <TextInput
            label={t("login.code")} required autoFocus autoComplete="one-time-code" value={code}
            onChange={(e) => setCode(e.currentTarget.value)} description={t("login.codeHelp")}
          />
        )}
        <Button type="submit" loading={busy} fullWidth>
          {t("login.login")}
        </Button>
        {problem && <ProblemPanel problem={problem} />}
      </form>
    </main>
  );
}
