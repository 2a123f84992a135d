/** A short table of facts; long lists are `Rows`. On a phone each row is a block, its fields below each other: the roles say
 * what it still is. */

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
    <table className="facts" aria-label={label} role="table">
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th key={column.title} scope="col" role="columnheader">
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row">
            {columns.map((column) => (
              <td key={column.title} role="cell" data-title={column.title || undefined}>
                {column.show(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
