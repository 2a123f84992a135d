/** Realms: where users come from; those of a directory can be brought here again. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import { ask, type Problem } from "../../api/client";
import type { RealmRow } from "../../api/types";
import { t, word } from "../../i18n";
import { AskButton } from "../../ui/confirm";
import { useList } from "../../ui/list";
import { ProblemPanel } from "../../ui/problem";
import { Table } from "../../ui/table";
import { HistoryLink } from "../history/link";
import { EditRealm, KINDS, NewRealm } from "./realm-form";

export function Realms(): ReactNode {
  const { rows, again } = useList("GET /access/domains", {});
  const [adding, setAdding] = useState(false);
  const [edited, setEdited] = useState<RealmRow | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const sync = async (realm: string): Promise<void> => {
    try {
      setProblem(null);
      const { "sync-defaults-options": told = "" } = await ask("GET /access/domains/{realm}", { realm });
      await ask("POST /access/domains/{realm}/sync", { realm, ...(/\bscope=/.test(String(told)) ? {} : { scope: "both" as const }) });
    } catch (raised) {
      setProblem(problemFrom(raised, realm));
    }
  };
  return (
    <>
      {problem && <ProblemPanel problem={problem} onClose={() => setProblem(null)} />}
      <Table
        label={t("access.view_realms")} rows={rows} keyOf={(row) => row.realm} empty={t("access.noRealms")}
        columns={[
          { title: t("access.realm"), show: (row) => row.realm },
          { title: t("access.kind"), show: (row) => word("access", `realm_${row.type}`, row.type) },
          { title: t("access.comment"), show: (row) => row.comment },
          { title: t("access.proposed"), show: (row) => (row.default ? t("access.yes") : "") },
          {
            title: "", show: (row) => (
              <div className="row-actions">
                {(row.type === "ldap" || row.type === "ad") && (
                  <Button size="compact-xs" variant="subtle" onClick={() => void sync(row.realm)}>
                    {t("access.synchronize")}
                  </Button>
                )}
                <Button size="compact-xs" variant="subtle" onClick={() => setEdited(row)}>
                  {t("access.edit")}
                </Button>
                <HistoryLink kind="realm" name={row.realm} />
                {KINDS.includes(row.type) && (
                  <AskButton
                    label={t("access.removeUser")} onDone={again}
                    question={{
                      title: t("access.removeRealmTitle", { realm: row.realm }), loss: t("access.removeRealmLoss"), yes: t("access.removeUser"),
                      act: () => ask("DELETE /access/domains/{realm}", { realm: row.realm }),
                    }}
                  />
                )}
              </div>
            ),
          },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("access.newRealm")}
        </Button>
      </p>
      {edited && <EditRealm row={edited} onClose={() => { setEdited(null); again(); }} />}
      {adding && <NewRealm onClose={() => { setAdding(false); again(); }} />}
    </>
  );
}
