/** Realms: where users come from; those of a directory can be brought here again. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import { ask, type Problem } from "../../api/client";
import { t, word } from "../../i18n";
import { AskButton } from "../../ui/confirm";
import { useList } from "../../ui/list";
import { ProblemPanel } from "../../ui/problem";
import { Table } from "../../ui/table";
import { KINDS, NewRealm } from "./new-realm";

export function Realms(): ReactNode {
  const { rows, again } = useList("GET /access/domains", {});
  const [adding, setAdding] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const sync = async (realm: string): Promise<void> => {
    try {
      setProblem(null);
      await ask("POST /access/domains/{realm}/sync", { realm, scope: "both" });
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
            title: "", show: (row) => (KINDS as readonly string[]).includes(row.type) && (
              <div className="row-actions">
                {row.type !== "openid" && (
                  <Button size="compact-xs" variant="subtle" onClick={() => void sync(row.realm)}>
                    {t("access.synchronize")}
                  </Button>
                )}
                <AskButton
                  label={t("access.removeUser")} onDone={again}
                  question={{
                    title: t("access.removeRealmTitle", { realm: row.realm }), loss: t("access.removeRealmLoss"), yes: t("access.removeUser"),
                    act: () => ask("DELETE /access/domains/{realm}", { realm: row.realm }),
                  }}
                />
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
      {adding && <NewRealm onClose={() => { setAdding(false); again(); }} />}
    </>
  );
}
