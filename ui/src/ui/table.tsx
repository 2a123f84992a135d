/** A short table of facts; long lists are `Rows`. */

import type { ReactNode } from "react";

export interface Column<T> {
  title: string;
  show: (row: T) => ReactNode;
}

export function Table<T>(props: {
  label: string;
  rows: readonly T[];
  keyOf: (row: T) => string;
  columns: readonly Column<T>[];
  empty: string;
}): ReactNode {
  const { label, rows, keyOf, columns, empty } = props;
  if (!rows.length) return <p className="hint">{empty}</p>;
  return (
    <table className="facts" aria-label={label}>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column.title} scope="col">
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map((column) => (
              <td key={column.title}>{column.show(row)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
