import { Button, Loader } from "@mantine/core";
import { type ErrorComponentProps, Link, useRouter } from "@tanstack/react-router";
import { failureOf } from "../api/errors";
import { FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import styles from "./fallback.module.css";

export function NotFound() {
  useTitle("Not found");
  return (
    <section className={styles["page"]}>
      <p className="mono soft">404</p>
      <h1>There is nothing at this address</h1>
      <p>It may have been removed, or it belongs to an organization that you can't see.</p>
      <Button component={Link} to="/" variant="default">
        Go to the start page
      </Button>
    </section>
  );
}

/** An organization or side that the viewer is no member of. */
export function NotYours({ organization }: { organization: string }) {
  useTitle("No access");
  return (
    <section className={styles["page"]} data-testid="no-access">
      <p className="mono soft">403</p>
      <h1>You are not a member of this organization</h1>
      <p>
        You act for {organization}. To see this page you need the role <b>viewer</b> in the
        organization that it belongs to; its owner or an administrator can invite you.
      </p>
      <Button component={Link} to="/" variant="default">
        Go to {organization}
      </Button>
    </section>
  );
}

export function LoadFailure({ error }: ErrorComponentProps) {
  useTitle("Error");
  const router = useRouter();
  return (
    <section className={styles["page"]}>
      <FailureNote
        title="The page could not be loaded"
        failure={failureOf(error)}
        onRetry={() => void router.invalidate()}
      />
    </section>
  );
}

export function Starting() {
  return (
    <div className={styles["starting"]} role="status" aria-label="Loading">
      <Loader size="sm" />
    </div>
  );
}
