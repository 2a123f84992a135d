/** What the server says of a change before it is made: what becomes of each key, when, and why not at once. */

import type { ReactNode } from "react";

import { t } from "../../../i18n";
import { Said } from "../../../ui/said";
import { titleOf } from "./option";
import type { Plan, Told, When as Moment } from "./use";

export function Outlook(props: { plan: Plan | null }): ReactNode {
  const { plan } = props;
  if (!plan) return null;
  const { changes = [], effects, refusal } = plan;
  const others = effects.filter((text) => !changes.some((one) => text.startsWith(`${one.key}: `)));
  return (
    <ul className="outlook" aria-label={t("config.willHappen")}>
      {changes.map((one) => (
        <li key={one.key}>
          <When at={one.when} /> {becomes(one)} {one.reason && <Reason text={one.reason} />}
        </li>
      ))}
      {refusal && !changes.length && (
        <li>
          <When at="stop" /> <Said text={refusal.message} /> <Reason text={refusal.cause ?? ""} />
        </li>
      )}
      {others.map((text) => (
        <li key={text}>
          <Said text={text} />
        </li>
      ))}
    </ul>
  );
}

/** `Memory: 128 becomes 192`. */
export function becomes(one: Told): string {
  return t("config.becomes", { what: titleOf(one.key), old: one.old ?? t("config.unset"), new: one.new ?? t("config.unset") });
}

export function When(props: { at: Moment }): ReactNode {
  const mark = { now: "●", reboot: "↻", stop: "■" }[props.at];
  return (
    <span className={`when when-${props.at}`} title={t(`config.whenHelp_${props.at}`)}>
      <span aria-hidden="true">{mark}</span> {t(`config.when_${props.at}`)}
    </span>
  );
}

function Reason(props: { text: string }): ReactNode {
  return (
    <span className="hint">
      (<Said text={props.text} />)
    </span>
  );
}
