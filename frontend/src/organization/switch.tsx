import { Popover, UnstyledButton, VisuallyHidden } from "@mantine/core";
import { useState } from "react";
import { rest, useRest, useSend } from "../api/rest";
import type { Environment, Role } from "../gql/graphql";
import { ROLES } from "../shell/roles";
import { ChevronIcon, TickIcon } from "../ui/icons";
import { FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { Wait } from "../ui/wait";
import styles from "./parts.module.css";

export interface Choice {
  id: string;
  name: string;
  environment: Environment;
  role: Role;
}

export const TestPill = () => (
  <Pill tone="warning" testId="test-environment">
    TEST
  </Pill>
);

/** What can't be overlooked while one acts in a test environment. */
export function TestBand({ environment }: { environment: Environment }) {
  if (environment !== "TEST") return null;
  return (
    <section className={styles["band"]} aria-label="Environment" data-testid="test-band">
      Test environment: nothing here is for use
    </section>
  );
}

/** The choices; one is chosen by a new document, so that nothing of the other stays in memory. */
export function Choices({ current, onChosen }: { current: string; onChosen: () => void }) {
  const { data, failure, reload } = useRest<{ organizations: Choice[] | null }>(
    "/auth/organizations",
  );
  const { busy, failure: refused, run } = useSend();
  if (!data) {
    return failure ? (
      <FailureNote
        title="The organizations could not be loaded"
        failure={failure}
        onRetry={() => void reload()}
      />
    ) : (
      <Wait heights={[36, 36]} label="Loading the organizations" />
    );
  }
  const organizations = data.organizations ?? [];
  return (
    <>
      {refused && <FailureNote title="You act for the same as before" failure={refused} />}
      <ul aria-label="Organizations">
        {organizations.map((o) => (
          <li key={o.id}>
            <UnstyledButton
              className={styles["choice"]}
              aria-current={o.id === current ? "true" : undefined}
              disabled={busy}
              data-testid="organization-choice"
              onClick={() => {
                if (o.id === current) return onChosen();
                void run(() => rest("/auth/organization", { organization: o.id })).then(
                  (done) => done && onChosen(),
                );
                return undefined;
              }}
            >
              <span>
                {o.id === current ? <b>{o.name}</b> : o.name}{" "}
                <span className="soft meta">{ROLES[o.role]}</span>
              </span>
              <span className={styles["marks"]}>
                {o.environment === "TEST" && <TestPill />}
                {o.id === current && <TickIcon />}
              </span>
            </UnstyledButton>
          </li>
        ))}
      </ul>
      {organizations.length < 2 && (
        <p className={`${styles["only"]} soft meta`}>You belong to no other organization.</p>
      )}
    </>
  );
}

/** For whom one acts, and the way to act for another. */
export function OrganizationSwitch({
  organization,
}: {
  organization: { id: string; name: string; environment: Environment };
}) {
  const [opened, setOpened] = useState(false);
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-start"
      width={280}
      shadow="md"
      withinPortal={false}
      trapFocus
      returnFocus
    >
      <Popover.Target>
        <UnstyledButton
          className={styles["switch"]}
          onClick={() => setOpened((now) => !now)}
          data-testid="organization"
        >
          <span className={styles["switchName"]}>{organization.name}</span>{" "}
          {organization.environment === "TEST" && <TestPill />}
          <VisuallyHidden>: switch the organization</VisuallyHidden>
          <ChevronIcon />
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown p={0}>
        {opened && (
          <Choices current={organization.id} onChosen={() => window.location.assign("/")} />
        )}
      </Popover.Dropdown>
    </Popover>
  );
}
