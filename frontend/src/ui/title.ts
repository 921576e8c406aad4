import { useEffect } from "react";

/** Names the page in the window's title. */
export function useTitle(title: string | undefined): void {
  useEffect(() => {
    document.title = title ? `${title} · Quorate` : "Quorate";
  }, [title]);
}
