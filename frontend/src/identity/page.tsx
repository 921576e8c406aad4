import { Button } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { useMutation } from "urql";
import { failureOf } from "../api/errors";
import {
  DeleteIdentityProviderMutation,
  IdentityProvidersQuery,
  UpdateIdentityProviderMutation,
} from "../api/identity";
import { useKept } from "../api/kept";
import { useAct } from "../containers/act";
import type { Environment, Role } from "../gql/graphql";
import { nodes } from "../members/model";
import { Confirm, type Question } from "../organization/confirm";
import styles from "../organization/parts.module.css";
import { Secret } from "../organization/secret";
import { mayChooseProvider, NEEDS_OWNER, ROLES } from "../shell/roles";
import { Dialog } from "../ui/dialog";
import { Empty, FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { ProviderForm } from "./form";
import { changeOf, draftOf, type Provider, signInLink } from "./model";

const route = getRouteApi("/$side/$organization");

function Line({
  provider: p,
  may,
  onEdit,
  onTry,
  onEnforce,
  onDelete,
}: {
  provider: Provider;
  may: boolean;
  onEdit: () => void;
  onTry: () => void;
  onEnforce: () => void;
  onDelete: () => void;
}) {
  return (
    <li className={styles["row"]} data-testid="identity-provider">
      <span className={styles["what"]}>
        <b>{p.name}</b>
        <span className="soft">
          <span className="mono">{p.issuer}</span>, client{" "}
          <span className="mono">{p.clientId}</span>
        </span>
        <span className="soft">
          {p.domains.length === 0
            ? "Not offered on the sign-in page: its link alone leads to it"
            : `Offered to ${p.domains.join(", ")}`}
          {p.joinRole
            ? `; who is no member yet joins as ${ROLES[p.joinRole].toLowerCase()}`
            : "; members must be invited"}
        </span>
      </span>
      <span className={styles["acts"]}>
        {p.enforced ? (
          <Pill tone="ok">Enforced</Pill>
        ) : (
          <Pill tone="idle">Passwords count too</Pill>
        )}
        {may && (
          <>
            <Button variant="default" aria-label={`Try ${p.name}`} onClick={onTry}>
              Try
            </Button>
            <Button variant="default" aria-label={`Edit ${p.name}`} onClick={onEdit}>
              Edit
            </Button>
            <Button
              variant="default"
              aria-label={p.enforced ? `Stop enforcing ${p.name}` : `Enforce ${p.name}`}
              onClick={onEnforce}
            >
              {p.enforced ? "Stop enforcing" : "Enforce…"}
            </Button>
            <Button variant="default" aria-label={`Remove ${p.name}`} onClick={onDelete}>
              Remove
            </Button>
          </>
        )}
      </span>
    </li>
  );
}

const ENFORCING = (
  <ul className={styles["points"]}>
    <li>
      All members but owners can’t use passwords here from then on, whatever their address, and who
      came by one is signed out at once.
    </li>
    <li>
      Whom the provider does not know, or whose address it does not vouch for, is locked out; while
      it can’t be reached, all of them are.
    </li>
    <li>Owners keep their passwords, and can end this. Try the provider first.</li>
  </ul>
);

const REMOVING = (
  <ul className={styles["points"]}>
    <li>Whom it signed in is signed out at once: you too, if it signed you in.</li>
    <li>
      Who joined by it has no password, and is locked out until another provider vouches for the
      same address. All of them stay members.
    </li>
  </ul>
);

export function ProviderList({
  viewerRole,
  environment,
}: {
  viewerRole: Role;
  environment: Environment;
}) {
  const [{ data, error }, refetch] = useKept({
    query: IdentityProvidersQuery,
    requestPolicy: "cache-and-network",
  });
  const [, update] = useMutation(UpdateIdentityProviderMutation);
  const [, remove] = useMutation(DeleteIdentityProviderMutation);
  const { busy, failure, run, forget } = useAct();
  const [question, setQuestion] = useState<Question | null>(null);
  /** Null: a new one; undefined: none. */
  const [edited, setEdited] = useState<Provider | null | undefined>(undefined);
  const [tried, setTried] = useState<Provider | null>(null);
  const again = () => refetch({ requestPolicy: "network-only" });
  const ask = (asked: Question) => {
    forget();
    setQuestion(asked);
  };
  const test = environment === "TEST";
  const may = mayChooseProvider(viewerRole) && !test;
  const providers = nodes(data?.identityProviders.edges);
  const enforce = (p: Provider) => {
    const act = () => run(() => update({ input: changeOf(p, draftOf(p), !p.enforced) }));
    if (!p.enforced) {
      ask({
        title: `Have members sign in by ${p.name} alone?`,
        text: ENFORCING,
        act: "Enforce",
        failed: "Nothing was changed",
        run: act,
      });
      return;
    }
    ask({
      title: `Stop enforcing ${p.name}?`,
      text: "Members who have a password can sign in by it again.",
      act: "Stop enforcing",
      harmless: true,
      failed: "Nothing was changed",
      run: act,
    });
  };
  return (
    <>
      <div className={styles["head"]}>
        <h1>Identity providers</h1>
        {may && <Button onClick={() => setEdited(null)}>Add a provider</Button>}
      </div>
      <p className="soft">
        An OpenID Connect provider signs your members in by the accounts that they have there.
        {!mayChooseProvider(viewerRole) && ` ${NEEDS_OWNER}`}
        {test &&
          " A test environment has none of its own: set it up in the live environment, it counts here too."}
      </p>
      {error && (
        <FailureNote
          title={
            data ? "What is shown may be out of date" : "The identity providers could not be loaded"
          }
          failure={failureOf(error)}
          onRetry={again}
        />
      )}
      {!data && !error && <Wait heights={[64]} label="Loading the identity providers" />}
      {data && providers.length === 0 && !test && (
        <Empty title="No identity provider yet">
          <p className="soft">Members sign in by their passwords.</p>
        </Empty>
      )}
      <ul className={styles["list"]} aria-label="Identity providers">
        {providers.map((p) => (
          <Line
            key={p.id}
            provider={p}
            may={may}
            onEdit={() => setEdited(p)}
            onTry={() => setTried(p)}
            onEnforce={() => enforce(p)}
            onDelete={() =>
              ask({
                title: `Remove ${p.name}?`,
                text: REMOVING,
                act: "Remove",
                failed: "The provider was not removed",
                run: () => run(() => remove({ input: { identityProvider: p.id } })),
              })
            }
          />
        ))}
      </ul>
      <Dialog
        opened={edited !== undefined}
        onClose={() => setEdited(undefined)}
        title={edited ? `Edit ${edited.name}` : "Add an identity provider"}
        held
      >
        {edited !== undefined && (
          <ProviderForm
            provider={edited}
            onDone={() => {
              setEdited(undefined);
              again();
            }}
          />
        )}
      </Dialog>
      <Dialog
        opened={tried !== null}
        onClose={() => setTried(null)}
        title={`Try ${tried?.name ?? ""}`}
      >
        {tried && (
          <div className={styles["section"]}>
            <p>
              Open this link in a private window: here it would end your session. Whoever is a
              member, or may join, comes in by it; it can be given to them as it is.
            </p>
            <Secret
              value={signInLink(window.location.origin, tried)}
              label="The link to sign in by it"
              testId="sign-in-link"
              focused
            />
          </div>
        )}
      </Dialog>
      <Confirm
        question={question}
        busy={busy}
        failure={failure}
        onClose={() => {
          setQuestion(null);
          forget();
          again();
        }}
      />
    </>
  );
}

export function ProvidersPage() {
  useTitle("Identity providers");
  const { viewer } = route.useRouteContext();
  return (
    <div className={styles["page"]} data-testid="identity-providers-page">
      <ProviderList viewerRole={viewer.role} environment={viewer.organization.environment} />
    </div>
  );
}
