/** Who may do what: users with their tokens, groups, roles, and the grants that tie them to paths. */

import { Button, Code, Modal, PasswordInput, Select, Tabs, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useRef, useState } from "react";

import { call } from "../../api/client";
import { t } from "../../i18n";
import { go, usePlace } from "../../lib/router";
import { FormDrawer } from "../../ui/form";
import { Table } from "../../ui/table";

interface User {
  userid: string;
  enable?: number;
  expire?: number;
  comment?: string;
  groups?: string;
  tokens?: { tokenid: string; privsep?: number; comment?: string }[];
}
interface Grant {
  path: string;
  ugid: string;
  type: "user" | "group" | "token";
  roleid: string;
  propagate: number;
}
interface Role {
  roleid: string;
  privs: string;
  special?: number;
}

const VIEWS = ["users", "grants", "roles"] as const;

export function AccessPage(): ReactNode {
  const view = usePlace().parts[1] ?? "users";
  return (
    <section className="page">
      <header>
        <h2>{t("access.title")}</h2>
      </header>
      <Tabs value={view} onChange={(next) => go("access", next ?? "users")}>
        <Tabs.List>
          {VIEWS.map((one) => (
            <Tabs.Tab key={one} value={one}>
              {t(`access.view_${one}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
      </Tabs>
      <div className="page-body">
        {view === "users" && <Users />}
        {view === "grants" && <Grants />}
        {view === "roles" && <Roles />}
      </div>
    </section>
  );
}

function useList<T>(path: string, params: Record<string, number> = {}): { rows: T[]; again: () => void } {
  const queries = useQueryClient();
  const found = useQuery({ queryKey: [path], queryFn: () => call<T[]>("GET", path, params) });
  return { rows: found.data ?? [], again: () => void queries.invalidateQueries({ queryKey: [path] }) };
}

function Users(): ReactNode {
  const { rows, again } = useList<User>("/access/users", { full: 1 });
  const [adding, setAdding] = useState(false);
  const [tokenFor, setTokenFor] = useState<string | null>(null);
  return (
    <>
      <Table
        label={t("access.users")} rows={rows} keyOf={(user) => user.userid} empty={t("access.noUsers")}
        columns={[
          { title: t("access.user"), show: (user) => user.userid },
          { title: t("access.comment"), show: (user) => user.comment },
          { title: t("access.groups"), show: (user) => user.groups },
          { title: t("access.state"), show: (user) => (t(user.enable === 0 ? "access.disabled" : "access.enabled")) },
          { title: t("access.tokens"), show: (user) => user.tokens?.map((token) => token.tokenid).join(", ") },
          {
            title: "", show: (user) => (
              <Button size="compact-xs" variant="subtle" onClick={() => setTokenFor(user.userid)}>
                {t("access.newToken")}
              </Button>
            ),
          },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("access.newUser")}
        </Button>
      </p>
      {adding && <NewUser onClose={() => { setAdding(false); again(); }} />}
      {tokenFor && <NewToken user={tokenFor} onClose={() => { setTokenFor(null); again(); }} />}
    </>
  );
}

function NewUser(props: { onClose: () => void }): ReactNode {
  const [form, setForm] = useState({ userid: "", password: "", comment: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const userid = form.userid.includes("@") ? form.userid : `${form.userid}@pve`;
    await call("POST", "/access/users", { ...form, userid, comment: form.comment || undefined });
  };
  return (
    <FormDrawer title={t("access.newUser")} submit={t("access.makeUser")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("access.name")} required value={form.userid} onChange={(e) => set({ userid: e.currentTarget.value })} description={t("access.nameHelp")} data-autofocus />
      <PasswordInput label={t("access.password")} required autoComplete="new-password" value={form.password} onChange={(e) => set({ password: e.currentTarget.value })} />
      <TextInput label={t("access.comment")} value={form.comment} onChange={(e) => set({ comment: e.currentTarget.value })} />
    </FormDrawer>
  );
}

function NewToken(props: { user: string; onClose: () => void }): ReactNode {
  const [name, setName] = useState("");
  const [made, setMade] = useState<{ "full-tokenid": string; value: string } | null>(null);
  const shown = useRef(false); // the form closes after it was sent: then the secret is to be read
  if (made) {
    return (
      <Modal opened onClose={props.onClose} title={t("access.theToken")} centered>
        <p>{t("access.secretOnce")}</p>
        <Code block>{`${made["full-tokenid"]}=${made.value}`}</Code>
      </Modal>
    );
  }
  const submit = async (): Promise<void> => {
    setMade(await call("POST", `/access/users/${encodeURIComponent(props.user)}/token/${encodeURIComponent(name)}`));
    shown.current = true;
  };
  return (
    <FormDrawer title={t("access.newTokenOf", { user: props.user })} submit={t("access.makeToken")} onSubmit={submit} onClose={() => shown.current || props.onClose()}>
      <TextInput label={t("access.name")} required value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
    </FormDrawer>
  );
}

function Grants(): ReactNode {
  const { rows, again } = useList<Grant>("/access/acl");
  const [adding, setAdding] = useState(false);
  const take = async (grant: Grant): Promise<void> => {
    await call("PUT", "/access/acl", { path: grant.path, roles: grant.roleid, [`${grant.type}s`]: grant.ugid, delete: 1 });
    again();
  };
  return (
    <>
      <Table
        label={t("access.grants")} rows={rows} keyOf={(grant) => `${grant.path} ${grant.ugid} ${grant.roleid}`} empty={t("access.noGrants")}
        columns={[
          { title: t("access.path"), show: (grant) => grant.path },
          { title: t("access.to"), show: (grant) => `${t(`access.kind_${grant.type}`)} ${grant.ugid}` },
          { title: t("access.role"), show: (grant) => grant.roleid },
          { title: t("access.below"), show: (grant) => (t(grant.propagate ? "common.yes" : "common.no")) },
          { title: "", show: (grant) => <Button size="compact-xs" variant="subtle" color="red" onClick={() => void take(grant)}>{t("access.takeAway")}</Button> },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("access.newGrant")}
        </Button>
      </p>
      {adding && <NewGrant onClose={() => { setAdding(false); again(); }} />}
    </>
  );
}

function NewGrant(props: { onClose: () => void }): ReactNode {
  const users = useList<User>("/access/users", { full: 1 });
  const roles = useList<Role>("/access/roles");
  const [form, setForm] = useState({ path: "/", user: "", role: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const to = form.user.includes("!") ? "tokens" : "users";
    await call("PUT", "/access/acl", { path: form.path, roles: form.role, [to]: form.user });
  };
  const names = users.rows.flatMap((user) => [user.userid, ...(user.tokens ?? []).map((token) => `${user.userid}!${token.tokenid}`)]);
  return (
    <FormDrawer title={t("access.newGrant")} submit={t("access.grantIt")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("access.path")} required value={form.path} onChange={(e) => set({ path: e.currentTarget.value })} description="/, /vms/100, /storage/local, /pool/NAME" />
      <Select label={t("access.userOrToken")} required searchable data={names} value={form.user || null} onChange={(user) => set({ user: user ?? "" })} />
      <Select label={t("access.role")} required searchable data={roles.rows.map((role) => role.roleid)} value={form.role || null} onChange={(role) => set({ role: role ?? "" })} />
    </FormDrawer>
  );
}

function Roles(): ReactNode {
  const { rows } = useList<Role>("/access/roles");
  return (
    <Table
      label={t("access.roles")} rows={rows} keyOf={(role) => role.roleid} empty={t("access.noRoles")}
      columns={[
        { title: t("access.role"), show: (role) => role.roleid },
        { title: t("access.madeBy"), show: (role) => (t(role.special ? "access.platform" : "access.you")) },
        { title: t("access.privileges"), show: (role) => role.privs.replaceAll(",", ", ") },
      ]}
    />
  );
}
