/** Who may do what with a guest: the grants that reach it, and why somebody may or may not. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { t } from "../../i18n";
import type { Resource } from "../../store/inventory";
import { useList } from "../../ui/list";
import { GrantTable, NewGrant } from "../access/grants";
import { Why } from "../access/why";

export function Permissions(props: { row: Resource }): ReactNode {
  const { row } = props;
  const grants = useList("GET /access/acl", {});
  const [granting, setGranting] = useState(false);
  const path = `/vms/${row.vmid}`;
  const itsOwn = [path, ...(row.pool ? [`/pool/${row.pool}`] : [])];
  const above = ["/", "/vms", "/pool"];
  const reaching = grants.rows.filter((grant) => itsOwn.includes(grant.path) || (grant.propagate && above.includes(grant.path)));
  return (
    <div className="settings">
      <p className="hint">{t("guests.reaching")}</p>
      <GrantTable rows={reaching} again={grants.again} />
      <p>
        <Button size="compact-sm" onClick={() => setGranting(true)}>
          {t("access.newGrant")}
        </Button>
      </p>
      {granting && <NewGrant path={path} onClose={() => { setGranting(false); grants.again(); }} />}
      <h3>{t("access.view_why")}</h3>
      <Why path={path} />
    </div>
  );
}
