import { Button, PasswordInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";

import type { Problem } from "../../api/client";
import { login, realms, SecondFactor, type Session } from "../../api/session";
import { problemFrom } from "../../actions/run";
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
        setProblem(problemFrom(raised, "login"));
      }
    } finally {
      setBusy(false);
    }
  };

  return (
    <main className="login">
      <form onSubmit={(event) => void submit(event)} aria-label="Log in">
        <h1>Tarmac</h1>
        <TextInput label="User" value={user} onChange={(e) => setUser(e.currentTarget.value)} autoComplete="username" />
        <PasswordInput
          label="Password" value={password} autoFocus autoComplete="current-password"
          onChange={(e) => setPassword(e.currentTarget.value)}
        />
        <Select
          label="Realm" value={realm} allowDeselect={false} onChange={(value) => setRealm(value ?? "pam")}
          data={(known.data ?? [{ realm: "pam", type: "pam" }]).map((r) => ({
            value: r.realm, label: r.comment ? `${r.realm} (${r.comment})` : r.realm,
          }))}
        />
        {second && (
          <TextInput
            label="Code" required autoFocus autoComplete="one-time-code" value={code}
            onChange={(e) => setCode(e.currentTarget.value)} description="From your authenticator, or a recovery key"
          />
        )}
        <Button type="submit" loading={busy} fullWidth>
          Log in
        </Button>
        {problem && <ProblemPanel problem={problem} />}
      </form>
    </main>
  );
}
