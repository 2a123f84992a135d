/** Matchers: by severity and field, to which targets. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { MatcherRow } from "../../api/types";
import { t } from "../../i18n";
import { ActButton } from "../../ui/act";
import { AskButton } from "../../ui/confirm";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { EditMatcher, NewMatcher } from "./matcher-form";

export function Matchers(): ReactNode {
  const { rows, again } = useList("GET /cluster/notifications/matchers", {});
  const [adding, setAdding] = useState(false);
  const [edited, setEdited] = useState<string | null>(null);
  const turn = async (matcher: MatcherRow): Promise<void> => {
    await ask("PUT /cluster/notifications/matchers/{name}", { name: matcher.name, disable: !matcher.disable });
    again();
  };
  return (
    <section>
      <h3>{t("notifications.matchers")}</h3>
      <p className="hint">{t("notifications.matchersHelp")}</p>
      <div className="scroll">
        <Table
          label={t("notifications.matchers")} rows={rows} keyOf={(matcher) => matcher.name} empty={t("notifications.noMatchers")}
          columns={[
            { title: t("notifications.name"), show: (matcher) => matcher.name },
            { title: t("notifications.what"), show: what },
            { title: t("notifications.to"), show: (matcher) => matcher.target?.join(", ") },
            { title: t("notifications.state"), show: (matcher) => (matcher.disable ? t("notifications.off") : t("notifications.on")) },
            {
              title: "", show: (matcher) => (
                <div className="row-actions">
                  <Button size="compact-xs" variant="subtle" onClick={() => setEdited(matcher.name)}>
                    {t("common.change")}
                  </Button>
                  <ActButton label={matcher.disable ? t("notifications.turnOn") : t("notifications.turnOff")} act={() => turn(matcher)} />
                  <AskButton
                    label={t("notifications.remove")} onDone={again}
                    question={{
                      title: t("notifications.removeTitle", { name: matcher.name }), loss: t("notifications.removeLoss"), yes: t("notifications.remove"),
                      act: () => ask("DELETE /cluster/notifications/matchers/{name}", { name: matcher.name }),
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
          {t("notifications.newMatcher")}
        </Button>
      </p>
      {edited && <EditMatcher name={edited} onClose={() => { setEdited(null); again(); }} />}
      {adding && <NewMatcher onClose={() => { setAdding(false); again(); }} />}
    </section>
  );
}

function what(matcher: MatcherRow): string {
  return [...(matcher["match-severity"] ?? []), ...(matcher["match-field"] ?? [])].join(", ") || t("notifications.everything");
}
