/** A value that follows another one at most once in a while: for what is asked again when something changes. */

import { useEffect, useRef, useState } from "react";

export function useThrottled<T>(value: T, ms: number): T {
  const [shown, setShown] = useState(value);
  const at = useRef(0);
  useEffect(() => {
    const left = Math.max(0, at.current + ms - performance.now());
    const timer = setTimeout(() => {
      at.current = performance.now();
      setShown(value);
    }, left);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return shown;
}
