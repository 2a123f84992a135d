/** Guests that become templates, with what the server says of each before: one that runs must be shut down for it. */

import { Text } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";

import { actionById, labelOf, lossOf } from "../../actions/registry";
import { run } from "../../actions/run";
import { call, type Params } from "../../api/client";
import { t } from "../../i18n";
import { apiPath, type Resource } from "../../store/inventory";
import { FormDrawer } from "../../ui/form";
import { ProblemPanel } from "../../ui/problem";
import { needsOff } from "./config/change";
import { Outlook } from "./config/outlook";
import { foresee, type Outcome } from "./config/shared";
import type { Plan } from "./config/use";
import { WhileOff } from "./config/while-off";
import { ForeseenOfAll } from "./edit-many";
import { whatOf } from "./many";

const action = actionById("template");
const make = <T,>(row: Resource, params: Params = {}): Promise<T> => call<T>("POST", `${apiPath(row)}/template`, params);

export function TemplateForm(props: { rows: readonly Resource[]; onClose: () => void }): ReactNode {
  const { rows, onClose } = props;
  const outcomes = useOutcomes(rows);
  const [off, setOff] = useState(false);
  if (!action) return null;
  const able = rows.filter((row) => outcomes.get(row.id)?.plan?.when === "now");
  const [only] = rows;
  const alone = rows.length === 1 && only ? { row: only, ...outcomes.get(only.id) } : null;
  const submit = async (): Promise<void> => void run(action, able);
  return (
    <FormDrawer title={t("action.onWhat", { action: labelOf(action), what: whatOf(rows) })} submit={labelOf(action)} disabled={!able.length || off} onSubmit={submit} onClose={onClose} wide={!alone}>
      <Text>{lossOf(action)}</Text>
      {!alone && <ForeseenOfAll rows={rows} outcomes={outcomes} />}
      {alone?.plan && <Outlook plan={alone.plan} />}
      {alone?.problem && <ProblemPanel problem={alone.problem} at={alone.row} />}
      {alone && (off || needsOff(alone.plan ?? null)) && (
        <WhileOff path={apiPath(alone.row)} what={labelOf(action)} apply={() => make(alone.row)} staysOff onDone={onClose} onBusy={setOff} />
      )}
    </FormDrawer>
  );
}

function useOutcomes(rows: readonly Resource[]): ReadonlyMap<string, Outcome> {
  const [outcomes, setOutcomes] = useState<ReadonlyMap<string, Outcome>>(new Map());
  useEffect(() => {
    const gone = new AbortController();
    const tell = (one: Outcome): void => setOutcomes((old) => new Map(old).set(one.row.id, one));
    void foresee(rows, (row) => make<Plan>(row, { dryrun: 1 }), gone.signal, tell);
    return () => gone.abort();
  }, [rows]);
  return outcomes;
}
