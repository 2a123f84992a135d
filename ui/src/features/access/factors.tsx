/** The second factors of all whom one may see: who is well protected, and a way back in for who has lost a key. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { t, word } from "../../i18n";
import { time } from "../../lib/format";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { RemoveFactor } from "../settings/factors";

export function Factors(): ReactNode {
  const { rows, again } = useList("GET /access/tfa", {});
  const [removing, setRemoving] = useState<{ user: string; id: string; name: string } | null>(null);
  const flat = rows.flatMap(({ userid, entries }) => entries.map((entry) => ({ userid, entry })));
  return (
    <>
      <Table
        label={t("access.view_factors")} rows={flat} keyOf={(row) => `${row.userid} ${row.entry.id}`} empty={t("access.noFactors")}
        columns={[
          { title: t("access.user"), show: (row) => row.userid },
          { title: t("access.kind"), show: (row) => word("settings", `kind_${row.entry.type}`, row.entry.type) },
          { title: t("access.comment"), show: (row) => row.entry.description },
          { title: t("settings.made"), show: (row) => time(row.entry.created) },
          { title: t("access.state"), show: (row) => t(row.entry.enable === 0 ? "access.disabled" : "access.enabled") },
          {
            title: "", show: ({ userid, entry }) => (
              <Button
                size="compact-xs" variant="subtle" color="red"
                onClick={() => setRemoving({ user: userid, id: entry.id, name: entry.description || entry.type })}
              >
                {t("settings.remove")}
              </Button>
            ),
          },
        ]}
      />
      {removing && <RemoveFactor {...removing} onClose={() => { setRemoving(null); again(); }} />}
    </>
  );
}
