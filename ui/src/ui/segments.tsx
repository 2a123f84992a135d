/** One of a few, side by side. (Mantine's measures each of its parts when it is drawn: a forced layout on every page of a
 * guest.) */

import { type ReactNode, useId } from "react";

export function Segments<T extends string>(props: {
  label: string;
  value: T;
  choices: readonly { value: T; text: string }[];
  onChange: (value: T) => void;
}): ReactNode {
  const name = useId();
  return (
    <div role="radiogroup" aria-label={props.label} className="segments">
      {props.choices.map(({ value, text }) => (
        <label key={value}>
          <input type="radio" name={name} checked={value === props.value} onChange={() => props.onChange(value)} /> {text}
        </label>
      ))}
    </div>
  );
}
