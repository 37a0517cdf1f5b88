import { type RefObject, useEffect, useRef, useState } from "react";

/** Whether an element has been in sight, or close to it; stays true. */
export function useSeen<E extends Element>(): [RefObject<E | null>, boolean] {
  const host = useRef<E>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const element = host.current;
    if (!element || seen) return;
    const observer = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && setSeen(true),
      { rootMargin: "300px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [seen]);
  return [host, seen];
}
