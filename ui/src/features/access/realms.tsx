/** Realms: where users come from; those of a directory can be brought here again. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import { call, type Problem } from "../../api/client";
import type { Realm } from "../../api/session";
import { ProblemPanel } from "../../ui/problem";
import { Table } from "../../ui/table";
import { useList } from "./lists";

const WORDS: Record<string, string> = {
  pam: "users of the machine", pve: "users of this platform", openid: "OpenID Connect", ldap: "LDAP",
  ad: "Active Directory",
};

export function Realms(): ReactNode {
  const { rows } = useList<Realm>("/access/domains");
  const [problem, setProblem] = useState<Problem | null>(null);
  const sync = async (realm: string): Promise<void> => {
    try {
      setProblem(null);
      await call("POST", `/access/domains/${encodeURIComponent(realm)}/sync`, { scope: "both" });
    } catch (raised) {
      setProblem(problemFrom(raised, realm));
    }
  };
  return (
    <>
      {problem && <ProblemPanel problem={problem} onClose={() => setProblem(null)} />}
      <Table
        label="Realms" rows={rows} keyOf={(row) => row.realm} empty="There are no realms."
        columns={[
          { title: "Realm", show: (row) => row.realm },
          { title: "Type", show: (row) => WORDS[row.type] ?? row.type },
          { title: "Comment", show: (row) => row.comment },
          { title: "Proposed at login", show: (row) => (row.default ? "yes" : "") },
          {
            title: "", show: (row) => ["ldap", "ad"].includes(row.type) && (
              <Button size="compact-xs" variant="subtle" onClick={() => void sync(row.realm)}>
                Synchronize
              </Button>
            ),
          },
        ]}
      />
    </>
  );
}
