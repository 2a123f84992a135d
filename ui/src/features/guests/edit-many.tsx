/** Settings of several guests at once: what is to be changed, and what that does to each before it is done. */

import { Button, Select } from "@mantine/core";
import { type ReactNode, useEffect, useMemo, useState } from "react";

import { actionById } from "../../actions/registry";
import { run } from "../../actions/run";
import { t } from "../../i18n";
import { apiPath, type Resource, titleOf as guestOf } from "../../store/inventory";
import { FormDrawer } from "../../ui/form";
import { Rows } from "../../ui/rows";
import { saidText } from "../../ui/said";
import { ValueControl } from "./config/edit";
import { titleOf } from "./config/option";
import { becomes, When } from "./config/outlook";
import { backOf, foresee, type Outcome, sharedKeys, wishOf } from "./config/shared";
import { type Config, paramsOf, planOf, type Told } from "./config/use";
import { whatOf } from "./many";

const PAUSE_MS = 250;
const NONE: Config = { rows: new Map(), digest: "", again: () => {} };

export function EditForm(props: { rows: readonly Resource[]; onClose: () => void }): ReactNode {
  const { rows, onClose } = props;
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const outcomes = useOutcomes(rows, values);
  const wish = wishOf(values);
  const drop = (name: string): void => setValues(({ [name]: _gone, ...kept }) => kept);
  const submit = async (): Promise<void> => {
    const action = actionById("edit");
    const back = new Map([...outcomes].map(([id, one]) => [id, backOf(one.plan?.changes)]));
    const before = (row: Resource) => {
      const old = back.get(row.id);
      return old ? paramsOf(old) : null;
    };
    if (action && wish) void run(action, rows, paramsOf(wish), before);
  };
  const groups = sharedKeys().map(([group, keys]) => ({
    group: t(`config.group_${group}`), items: keys.filter((key) => !(key in values)).map((key) => ({ value: key, label: titleOf(key) })),
  }));
  return (
    <FormDrawer title={t("many.edit", { what: whatOf(rows) })} submit={t("common.save")} disabled={!wish} onSubmit={submit} onClose={onClose} wide>
      {Object.entries(values).map(([name, value]) => (
        <div key={name} className="change">
          <ValueControl node={rows[0]?.node ?? ""} name={name} value={value} config={NONE} onChange={(text) => setValues((old) => ({ ...old, [name]: text }))} />
          <Button size="compact-xs" variant="subtle" onClick={() => drop(name)} aria-label={t("many.leaveKey", { what: titleOf(name) })}>
            {t("many.leave")}
          </Button>
        </div>
      ))}
      <Select
        label={t("many.setting")} description={t("many.settingHelp")} searchable data={groups.filter((one) => one.items.length)} value={null}
        onChange={(name) => name && setValues((old) => ({ ...old, [name]: "" }))} data-autofocus
      />
      {wish && <ForeseenOfAll rows={rows} outcomes={outcomes} />}
    </FormDrawer>
  );
}

/** What the server foresees for each, a moment after the last key. */
function useOutcomes(rows: readonly Resource[], values: Readonly<Record<string, string>>): ReadonlyMap<string, Outcome> {
  const [outcomes, setOutcomes] = useState<ReadonlyMap<string, Outcome>>(new Map());
  useEffect(() => {
    setOutcomes(new Map());
    const wish = wishOf(values);
    if (!wish) return undefined;
    const gone = new AbortController();
    const tell = (one: Outcome): void => setOutcomes((old) => new Map(old).set(one.row.id, one));
    const timer = setTimeout(() => void foresee(rows, (row) => planOf(apiPath(row), wish), gone.signal, tell), PAUSE_MS);
    return () => {
      gone.abort();
      clearTimeout(timer);
    };
  }, [rows, values]);
  return outcomes;
}

interface Line {
  key: string;
  guest: string;
  change?: Told;
  outcome?: Outcome;
}

/** What each of many would become, and when. */
export function ForeseenOfAll(props: { rows: readonly Resource[]; outcomes: ReadonlyMap<string, Outcome> }): ReactNode {
  const { rows, outcomes } = props;
  const lines = useMemo(() => rows.flatMap((row) => linesOf(row, outcomes.get(row.id))), [rows, outcomes]);
  const refused = [...outcomes.values()].filter((one) => one.problem).length;
  return (
    <section aria-label={t("config.willHappen")}>
      <p role="status" className="hint">
        {t("many.foreseen", { done: outcomes.size, all: rows.length })} {refused > 0 && t("many.refused", { n: refused })}
      </p>
      <div className="batch-rows" style={{ height: 28 * Math.min(lines.length, 12) }}>
        <Rows items={lines} keyOf={(line) => line.key} label={t("config.willHappen")}>
          {(line) => (
            <div className="batch-line">
              <span>{line.guest}</span>
              <Foreseen line={line} />
            </div>
          )}
        </Rows>
      </div>
    </section>
  );
}

function linesOf(row: Resource, outcome: Outcome | undefined): Line[] {
  const common = { guest: guestOf(row), ...(outcome ? { outcome } : {}) };
  const changes = outcome?.plan?.changes ?? [];
  if (!changes.length) return [{ key: row.id, ...common }];
  return changes.map((change) => ({ key: `${row.id} ${change.key}`, change, ...common }));
}

function Foreseen(props: { line: Line }): ReactNode {
  const { change, outcome } = props.line;
  if (!outcome) return <span className="hint-line">{t("many.asking")}</span>;
  if (outcome.problem) {
    const text = [outcome.problem.message, ...Object.values(outcome.problem.errors ?? {})].map(saidText).join(" ");
    return (
      <span className="bad" title={text}>
        {t("many.refusal")} {text}
      </span>
    );
  }
  if (!change) return <span className="hint-line">{t("many.same")}</span>;
  const text = [becomes(change), change.reason ? saidText(change.reason) : ""].filter(Boolean).join(" – ");
  return (
    <span title={text}>
      <When at={change.when} /> {text}
    </span>
  );
}
