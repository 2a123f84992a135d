/** Facts about one thing: words beside values, and how full something is. */

import { Progress } from "@mantine/core";
import type { ReactNode } from "react";

export function Fact(props: { name: string; value: ReactNode }): ReactNode {
  return (
    <>
      <dt>{props.name}</dt>
      <dd>{props.value || "–"}</dd>
    </>
  );
}

export function Gauge(props: { name: string; part: number; text: string }): ReactNode {
  return (
    <div className="gauge">
      <span>{props.name}</span>
      <Progress value={Math.min(100, props.part * 100)} aria-label={props.name} size="lg" />
      <span>{props.text}</span>
    </div>
  );
}
