/** Groups and their members. */

import { Button, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { GroupRow } from "../../api/types";
import { t } from "../../i18n";
import { AskButton } from "../../ui/confirm";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { HistoryLink } from "../history/link";

export function Groups(): ReactNode {
  const { rows, again } = useList("GET /access/groups", {});
  const [edited, setEdited] = useState<GroupRow | "new" | null>(null);
  return (
    <>
      <Table
        label={t("access.groups")} rows={rows} keyOf={(group) => group.groupid} empty={t("access.noGroups")}
        columns={[
          { title: t("access.name"), show: (group) => group.groupid },
          { title: t("access.comment"), show: (group) => group.comment },
          { title: t("access.members"), show: (group) => group.users?.replaceAll(",", ", ") },
          {
            title: "", show: (group) => (
              <div className="row-actions">
                <Button size="compact-xs" variant="subtle" onClick={() => setEdited(group)}>
                  {t("access.edit")}
                </Button>
                <HistoryLink kind="group" name={group.groupid} />
                <AskButton
                  label={t("access.removeUser")} onDone={again}
                  question={{
                    title: t("access.removeGroupTitle", { name: group.groupid }), loss: t("access.removeGroupLoss"), yes: t("access.removeUser"),
                    act: () => ask("DELETE /access/groups/{groupid}", { groupid: group.groupid }),
                  }}
                />
              </div>
            ),
          },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setEdited("new")}>
          {t("access.newGroup")}
        </Button>
      </p>
      {edited && <Edit group={edited === "new" ? null : edited} onClose={() => { setEdited(null); again(); }} />}
    </>
  );
}

function Edit(props: { group: GroupRow | null; onClose: () => void }): ReactNode {
  const { group, onClose } = props;
  const [form, setForm] = useState({ groupid: group?.groupid ?? "", comment: group?.comment ?? "", users: group?.users ?? "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const { groupid, comment } = form;
    if (group) await ask("PUT /access/groups/{groupid}", { groupid, comment });
    else await ask("POST /access/groups", { groupid, comment: comment || undefined });
    await membership(groupid, named(group?.users ?? ""), named(form.users));
  };
  const title = group ? t("access.editGroup", { name: group.groupid }) : t("access.newGroup");
  return (
    <FormDrawer title={title} submit={group ? t("access.save") : t("access.makeGroup")} onSubmit={submit} onClose={onClose}>
      {!group && <TextInput label={t("access.name")} required value={form.groupid} onChange={(e) => set({ groupid: e.currentTarget.value })} data-autofocus />}
      <TextInput label={t("access.comment")} value={form.comment} onChange={(e) => set({ comment: e.currentTarget.value })} />
      <TextInput label={t("access.members")} description={t("access.membersHelp")} value={form.users} onChange={(e) => set({ users: e.currentTarget.value })} />
    </FormDrawer>
  );
}

function named(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** Members are kept with the users: who comes in gets the group, who goes is given what is left. */
async function membership(groupid: string, before: readonly string[], after: readonly string[]): Promise<void> {
  for (const userid of after.filter((one) => !before.includes(one))) await ask("PUT /access/users/{userid}", { userid, groups: groupid, append: 1 });
  const gone = before.filter((one) => !after.includes(one));
  if (!gone.length) return;
  const users = await ask("GET /access/users", { full: 1 });
  for (const userid of gone) {
    const groups = named(users.find((user) => user.userid === userid)?.groups ?? "").filter((one) => one !== groupid);
    await ask("PUT /access/users/{userid}", { userid, groups: groups.join(",") });
  }
}
