import { useRouterState } from "@tanstack/react-router";

/** False as soon as one is on one's way to another page, whose code may take a while to come. */
export function useHere(): boolean {
  return useRouterState({
    select: (s) => s.location.pathname === s.resolvedLocation?.pathname,
  });
}
