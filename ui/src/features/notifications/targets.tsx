/** Targets: made, tried out, switched off, removed. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { TargetRow } from "../../api/types";
import { t, word } from "../../i18n";
import { ActButton } from "../../ui/act";
import { AskButton } from "../../ui/confirm";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { EditTarget, type Kind, NewTarget } from "./target-form";

export function Targets(): ReactNode {
  const { rows, again } = useList("GET /cluster/notifications/targets", {});
  const [adding, setAdding] = useState(false);
  const [edited, setEdited] = useState<TargetRow | null>(null);
  const turn = async (target: TargetRow): Promise<void> => {
    await ask(`PUT /cluster/notifications/endpoints/${target.type as Kind}/{name}`, { name: target.name, disable: !target.disable });
    again();
  };
  return (
    <section>
      <h3>{t("notifications.targets")}</h3>
      <p className="hint">{t("notifications.targetsHelp")}</p>
      <div className="scroll">
        <Table
          label={t("notifications.targets")} rows={rows} keyOf={(target) => target.name} empty={t("notifications.noTargets")}
          columns={[
            { title: t("notifications.name"), show: (target) => target.name },
            { title: t("notifications.kind"), show: (target) => word("notifications", `kind_${target.type}`, target.type) },
            { title: t("notifications.comment"), show: (target) => target.comment },
            { title: t("notifications.state"), show: (target) => (target.disable ? t("notifications.off") : t("notifications.on")) },
            {
              title: "", show: (target) => (
                <div className="row-actions">
                  <ActButton
                    label={t("notifications.test")} done={t("notifications.tested")}
                    act={() => ask("POST /cluster/notifications/targets/{name}/test", { name: target.name })}
                  />
                  <Button size="compact-xs" variant="subtle" onClick={() => setEdited(target)}>
                    {t("common.change")}
                  </Button>
                  <ActButton label={target.disable ? t("notifications.turnOn") : t("notifications.turnOff")} act={() => turn(target)} />
                  <AskButton
                    label={t("notifications.remove")} onDone={again}
                    question={{
                      title: t("notifications.removeTitle", { name: target.name }), loss: t("notifications.removeLoss"), yes: t("notifications.remove"),
                      act: () => ask(`DELETE /cluster/notifications/endpoints/${target.type as Kind}/{name}`, { name: target.name }),
                    }}
                  />
                </div>
              ),
            },
          ]}
        />
      </div>
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("notifications.newTarget")}
        </Button>
      </p>
      {edited && <EditTarget name={edited.name} kind={edited.type as Kind} onClose={() => { setEdited(null); again(); }} />}
      {adding && <NewTarget onClose={() => { setAdding(false); again(); }} />}
    </section>
  );
}
