import type { Client } from "urql";
import { ViewerQuery } from "../api/viewer";

/** The viewer is asked for at most once in this time. */
const AGAIN_MS = 1_000;

/**
 * Keeps what the pages know of who looks: his rights may change meanwhile, and
 * nobody tells. They are asked for whenever the window gets the focus, and by
 * look, for when something is forbidden; changed is called where they are
 * others. Before there is a viewer nothing is asked.
 */
export function followViewer(client: Client, changed: () => void) {
  let last = Number.NEGATIVE_INFINITY;

  async function ask(before: unknown) {
    const after = await client
      .query(ViewerQuery, {}, { requestPolicy: "network-only" })
      .toPromise();
    if (after.data && JSON.stringify(after.data) !== JSON.stringify(before)) changed();
  }

  function look() {
    if (Date.now() - last < AGAIN_MS) return;
    const known = client.readQuery(ViewerQuery, {}, { requestPolicy: "cache-only" });
    if (!known?.data) return;
    last = Date.now();
    void ask(known.data);
  }

  function shown() {
    if (document.visibilityState === "visible") look();
  }

  window.addEventListener("focus", look);
  document.addEventListener("visibilitychange", shown);
  return {
    look,
    stop: () => {
      window.removeEventListener("focus", look);
      document.removeEventListener("visibilitychange", shown);
    },
  };
}
