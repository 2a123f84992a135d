/** A long list of rows of one height, of which only those in sight are in the page. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useRef } from "react";

export const ROW = 28;

export function Rows<T>(props: {
  items: readonly T[];
  keyOf: (item: T) => string;
  label: string;
  role?: "grid" | "tree" | "list";
  onKeyDown?: (event: KeyboardEvent) => void;
  empty?: ReactNode;
  children: (item: T, index: number) => ReactNode;
}): ReactNode {
  const { items, keyOf, label, role = "list", onKeyDown, empty, children } = props;
  const place = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => place.current,
    estimateSize: () => ROW,
    overscan: 10,
    getItemKey: (index) => keyOf(items[index] as T),
    useFlushSync: false,
  });
  return (
    <div className="rows" ref={place} tabIndex={0} onKeyDown={onKeyDown} role={role === "list" && !items.length ? undefined : role} aria-label={label}>
      {items.length === 0 && empty}
      <div style={{ height: rows.getTotalSize(), position: "relative" }} role="presentation">
        {rows.getVirtualItems().map((row) => (
          <div
            key={row.key}
            role={role === "list" ? "listitem" : "presentation"}
            className="row-place"
            style={{ height: ROW, transform: `translateY(${row.start}px)` }}
          >
            {children(items[row.index] as T, row.index)}
          </div>
        ))}
      </div>
    </div>
  );
}
