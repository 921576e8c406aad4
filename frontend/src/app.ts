import { newClient } from "./api/client";
import { newRouter } from "./router";
import { followViewer } from "./shell/viewer";
import { toSignIn } from "./signin/target";

/** The dashboard's parts, tied together; stop unties them. */
export function newApp() {
  const client = newClient(toSignIn, () => viewer.look());
  const router = newRouter(client, () => viewer.look());
  const viewer = followViewer(client, () => void router.invalidate());
  return { client, router, stop: viewer.stop };
}
