/** A long list of rows of one height, of which only those in sight are in the page. */

import { type KeyboardEvent, type MouseEvent, type ReactNode, useDeferredValue, useEffect, useLayoutEffect, useRef, useState } from "react";

export const ROW = 28;
const MORE = 10; // rows above and below, so that scrolling shows none blank

interface Props<T> {
  items: readonly T[];
  /** What is known by more than its place in the list: what has the focus keeps it when others come before it. */
  keyOf?: (item: T) => string;
  label: string;
  role?: "grid" | "tree" | "list";
  onKeyDown?: (event: KeyboardEvent) => void;
  /** A click on the row with this index. */
  onPick?: (index: number, event: MouseEvent) => void;
  onOpen?: (index: number) => void;
  /** Which of the items are in sight now, whenever it is others. */
  onSight?: (items: readonly T[]) => void;
  empty?: ReactNode;
  children: (item: T, index: number) => ReactNode;
}

export function Rows<T>(props: Props<T>): ReactNode {
  const { items, keyOf, label, role = "list", onKeyDown, onPick, onOpen, onSight, empty, children } = props;
  const place = useRef<HTMLDivElement>(null);
  const [first, setFirst] = useState(0);
  const [shown, setShown] = useState(0);
  useLayoutEffect(() => {
    const box = place.current;
    if (!box) return undefined;
    const measure = (): void => setShown(Math.ceil(box.clientHeight / ROW));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  // What is out of sight follows once what is in sight is painted.
  const painted = useDeferredValue(items);
  const later = keyOf ? items : painted;
  const top = Math.max(0, Math.min(first, items.length - shown));
  const from = Math.max(0, top - MORE);
  const end = Math.min(items.length, top + shown + 1);
  const last = Math.min(items.length, end + MORE);
  const sight = useRef(onSight);
  sight.current = onSight;
  useEffect(() => sight.current?.(items.slice(top, end)), [items, top, end]);
  const indexOf = (event: MouseEvent): number => Number((event.target as HTMLElement).closest<HTMLElement>("[data-index]")?.dataset["index"] ?? -1);
  return (
    <div
      className="rows" ref={place} tabIndex={0} role={role === "list" && !items.length ? undefined : role} aria-label={label}
      onKeyDown={onKeyDown} onScroll={(event) => setFirst(Math.floor(event.currentTarget.scrollTop / ROW))}
      onClick={onPick && ((event) => indexOf(event) >= 0 && onPick(indexOf(event), event))}
      onDoubleClick={onOpen && ((event) => indexOf(event) >= 0 && onOpen(indexOf(event)))}
    >
      {items.length === 0 && empty}
      <div style={{ height: items.length * ROW, position: "relative" }} role="presentation">
        {Array.from({ length: last - from }, (_, i) => {
          const index = from + i;
          const item = (index >= top && index < end ? items : later)[index];
          return item === undefined ? null : (
            <div
              key={keyOf ? keyOf(item) : index}
              data-index={index}
              role={role === "list" ? "listitem" : "presentation"}
              className="row-place"
              style={{ transform: `translateY(${index * ROW}px)` }}
            >
              {children(item, index)}
            </div>
          );
        })}
      </div>
    </div>
  );
}
