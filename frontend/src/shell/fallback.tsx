import { Button, Loader } from "@mantine/core";
import { type ErrorComponentProps, Link, useRouter } from "@tanstack/react-router";
import { CombinedError } from "urql";
import { type Failure, failureOf } from "../api/errors";
import { rest, useRest, useSend } from "../api/rest";
import type { Environment } from "../gql/graphql";
import type { Choice } from "../organization/switch";
import { FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import styles from "./fallback.module.css";

interface Acting {
  name: string;
  environment: Environment;
}

/** A test environment has the name of its vendor. */
function nameOf({ name, environment }: Acting): string {
  return environment === "TEST" ? `${name} (test environment)` : name;
}

/** Outside of the shell, which else makes the page's main part. */
export function NothingHere() {
  return (
    <main>
      <NotFound />
    </main>
  );
}

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

/** Of an organization that the viewer does not act for now: one of his others, or none of his. */
export function NotYours({ wanted, actsFor }: { wanted: string; actsFor: Acting }) {
  useTitle("No access");
  const { data, failure, reload } = useRest<{ organizations: Choice[] | null }>(
    "/auth/organizations",
  );
  const { busy, failure: refused, run } = useSend();
  const other = data?.organizations?.find((o) => o.id === wanted);
  const home = (
    <Button component={Link} to="/" variant="default">
      Go to {nameOf(actsFor)}
    </Button>
  );
  return (
    <main className={styles["page"]} data-testid="no-access">
      {!data && !failure && <Wait heights={[28, 60, 36]} label="Loading your organizations" />}
      {failure && (
        <FailureNote
          title="Your organizations could not be loaded"
          failure={failure}
          onRetry={() => void reload()}
        />
      )}
      {other && (
        <>
          <h1>This page belongs to {nameOf(other)}</h1>
          <p>You act for {nameOf(actsFor)} now, in all windows of this browser.</p>
          {refused && <FailureNote title="You act for the same as before" failure={refused} />}
          <div className={styles["ways"]}>
            <Button
              loading={busy}
              data-testid="act-for"
              onClick={() =>
                // A new document, so that nothing of the other stays in memory.
                void run(() => rest("/auth/organization", { organization: wanted })).then(
                  (done) => done && window.location.reload(),
                )
              }
            >
              Act for {nameOf(other)}
            </Button>
            {home}
          </div>
        </>
      )}
      {data && !other && (
        <>
          <p className="mono soft">403</p>
          <h1>You are not a member of this organization</h1>
          <p>
            You act for {nameOf(actsFor)}. To see this page you need the role <b>viewer</b> in the
            organization that it belongs to; its owner or an administrator can invite you.
          </p>
          {home}
        </>
      )}
    </main>
  );
}

/** Outside of the shell. */
export function NothingLoaded(props: ErrorComponentProps) {
  return (
    <main>
      <LoadFailure {...props} />
    </main>
  );
}

const BROKEN: Failure = {
  code: "INTERNAL",
  message: "The dashboard has a fault here.",
  fix: "Load the page again; if it stays so, tell who runs the platform.",
  requestId: null,
};

/** Whether a page's code did not come, in the words of the browsers. */
function codeMissing(error: unknown): boolean {
  return (
    error instanceof TypeError &&
    /dynamically imported module|module script failed/i.test(error.message)
  );
}

export function LoadFailure({ error }: ErrorComponentProps) {
  useTitle("Error");
  const asked = error instanceof CombinedError || Array.isArray(error);
  const router = useRouter();
  return (
    <section className={styles["page"]}>
      <h1 className="hidden">Error</h1>
      <FailureNote
        title="The page could not be loaded"
        failure={asked || codeMissing(error) ? failureOf(error) : BROKEN}
        // Browsers do not ask a second time for code that they did not get.
        onRetry={() => (asked ? void router.invalidate() : window.location.reload())}
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
