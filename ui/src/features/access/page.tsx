/** Who may do what: users with their tokens, groups, roles, and the grants that tie them to paths. */

import { Button, Code, Modal, PasswordInput, Select, Tabs, TextInput } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";

import { call } from "../../api/client";
import { go, usePlace } from "../../lib/router";
import { FormDrawer } from "../../ui/form";
import { Table } from "../../ui/table";
import { Factors } from "./factors";
import { useList } from "./lists";
import { Realms } from "./realms";

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

const VIEWS = [
  { id: "users", label: "Users and tokens" },
  { id: "grants", label: "Grants" },
  { id: "roles", label: "Roles" },
  { id: "factors", label: "Second factors" },
  { id: "realms", label: "Realms" },
];

export function AccessPage(): ReactNode {
  const view = usePlace().parts[1] ?? "users";
  return (
    <section className="page">
      <header>
        <h2>Permissions</h2>
      </header>
      <Tabs value={view} onChange={(next) => go("access", next ?? "users")}>
        <Tabs.List>
          {VIEWS.map((one) => (
            <Tabs.Tab key={one.id} value={one.id}>
              {one.label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
      </Tabs>
      <div className="page-body">
        {view === "users" && <Users />}
        {view === "grants" && <Grants />}
        {view === "roles" && <Roles />}
        {view === "factors" && <Factors />}
        {view === "realms" && <Realms />}
      </div>
    </section>
  );
}

function Users(): ReactNode {
  const { rows, again } = useList<User>("/access/users", { full: 1 });
  const [adding, setAdding] = useState(false);
  const [tokenFor, setTokenFor] = useState<string | null>(null);
  return (
    <>
      <Table
        label="Users" rows={rows} keyOf={(user) => user.userid} empty="There are no users."
        columns={[
          { title: "User", show: (user) => user.userid },
          { title: "Comment", show: (user) => user.comment },
          { title: "Groups", show: (user) => user.groups },
          { title: "State", show: (user) => (user.enable === 0 ? "disabled" : "enabled") },
          { title: "Tokens", show: (user) => user.tokens?.map((token) => token.tokenid).join(", ") },
          {
            title: "", show: (user) => (
              <Button size="compact-xs" variant="subtle" onClick={() => setTokenFor(user.userid)}>
                New token
              </Button>
            ),
          },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          New user
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
    <FormDrawer title="New user" submit="Make the user" onSubmit={submit} onClose={props.onClose}>
      <TextInput label="Name" required value={form.userid} onChange={(e) => set({ userid: e.currentTarget.value })} description="In the realm pve unless one is given: name@realm" data-autofocus />
      <PasswordInput label="Password" required autoComplete="new-password" value={form.password} onChange={(e) => set({ password: e.currentTarget.value })} />
      <TextInput label="Comment" value={form.comment} onChange={(e) => set({ comment: e.currentTarget.value })} />
    </FormDrawer>
  );
}

function NewToken(props: { user: string; onClose: () => void }): ReactNode {
  const [name, setName] = useState("");
  const [made, setMade] = useState<{ "full-tokenid": string; value: string } | null>(null);
  const shown = useRef(false); // the form closes after it was sent: then the secret is to be read
  if (made) {
    return (
      <Modal opened onClose={props.onClose} title="The new token" centered>
        <p>Its secret is shown this once:</p>
        <Code block>{`${made["full-tokenid"]}=${made.value}`}</Code>
      </Modal>
    );
  }
  const submit = async (): Promise<void> => {
    setMade(await call("POST", `/access/users/${encodeURIComponent(props.user)}/token/${encodeURIComponent(name)}`));
    shown.current = true;
  };
  return (
    <FormDrawer title={`New token of ${props.user}`} submit="Make the token" onSubmit={submit} onClose={() => shown.current || props.onClose()}>
      <TextInput label="Name" required value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
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
        label="Grants" rows={rows} keyOf={(grant) => `${grant.path} ${grant.ugid} ${grant.roleid}`} empty="Nothing is granted."
        columns={[
          { title: "Path", show: (grant) => grant.path },
          { title: "To", show: (grant) => `${grant.type} ${grant.ugid}` },
          { title: "Role", show: (grant) => grant.roleid },
          { title: "Below it too", show: (grant) => (grant.propagate ? "yes" : "no") },
          { title: "", show: (grant) => <Button size="compact-xs" variant="subtle" color="red" onClick={() => void take(grant)}>Take away</Button> },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          New grant
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
    <FormDrawer title="New grant" submit="Grant it" onSubmit={submit} onClose={props.onClose}>
      <TextInput label="Path" required value={form.path} onChange={(e) => set({ path: e.currentTarget.value })} description="/, /vms/100, /storage/local, /pool/NAME" />
      <Select label="User or token" required searchable data={names} value={form.user || null} onChange={(user) => set({ user: user ?? "" })} />
      <Select label="Role" required searchable data={roles.rows.map((role) => role.roleid)} value={form.role || null} onChange={(role) => set({ role: role ?? "" })} />
    </FormDrawer>
  );
}

function Roles(): ReactNode {
  const { rows } = useList<Role>("/access/roles");
  return (
    <Table
      label="Roles" rows={rows} keyOf={(role) => role.roleid} empty="There are no roles."
      columns={[
        { title: "Role", show: (role) => role.roleid },
        { title: "Made by", show: (role) => (role.special ? "the platform" : "you") },
        { title: "Privileges", show: (role) => role.privs.replaceAll(",", ", ") },
      ]}
    />
  );
}
