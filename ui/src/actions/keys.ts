/** The keys of the actions on the guest that is open. */

import { useEffect } from "react";

import { go } from "../lib/router";
import type { Resource } from "../store/inventory";
import { type Action, fitting } from "./registry";

/** While a guest is open its actions' keys work; not while something is typed or a console has the keyboard. */
export function useActionKeys(row: Resource | undefined, choose: (action: Action) => void): void {
  useEffect(() => {
    if (!row) return undefined;
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if ((event.target as HTMLElement).closest("input, textarea, select, .console-layer, [role=dialog]")) return;
      const pressed = event.shiftKey ? `Shift+${event.key.toUpperCase()}` : event.key;
      const action = fitting([row]).find((one) => one.key === pressed);
      if (action) choose(action);
      else if (pressed === "c") go("qemu", row.vmid ?? 0, "console");
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [row, choose]);
}
