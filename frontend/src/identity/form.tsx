import { NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { CreateIdentityProviderMutation, UpdateIdentityProviderMutation } from "../api/identity";
import { useAct } from "../containers/act";
import { DialogForm } from "../containers/form";
import type { Role } from "../gql/graphql";
import styles from "../organization/parts.module.css";
import { Secret } from "../organization/secret";
import { ROLES } from "../shell/roles";
import { PasswordField } from "../ui/password";
import {
  changeOf,
  type Draft,
  draftOf,
  inputOf,
  mistakesOf,
  NEW,
  type Provider,
  redirectAddress,
} from "./model";

const JOINS: readonly (Role | "")[] = ["", "VIEWER", "OPERATOR", "ADMINISTRATOR"];

/** The platform's names of fields, where they are not the form's. */
const FIELDS: Record<string, keyof Draft> = { clientSecret: "secret" };

/** A new provider, or what one is to be. Enforcing is a step of its own, once it has been tried. */
export function ProviderForm({
  provider,
  onDone,
}: {
  provider: Provider | null;
  onDone: () => void;
}) {
  const [, create] = useMutation(CreateIdentityProviderMutation);
  const [, update] = useMutation(UpdateIdentityProviderMutation);
  const { busy, failure, run } = useAct();
  const [draft, setDraft] = useState<Draft>(provider ? draftOf(provider) : NEW);
  const [tried, setTried] = useState(false);
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const mistakes = mistakesOf(draft);
  const told = failure?.details?.["field"];
  const at = typeof told === "string" ? (FIELDS[told] ?? told) : "";
  const error = (field: keyof Draft) =>
    (tried ? mistakes[field] : undefined) ?? (at === field ? failure?.message : undefined);
  const moved = provider !== null && draft.issuer.trim() !== provider.issuer;
  const submit = async () => {
    setTried(true);
    if (Object.keys(mistakes).length > 0) return;
    const done = await run((key) =>
      provider
        ? update({ input: changeOf(provider, draft, provider.enforced) })
        : create({ input: { ...inputOf(draft), enforced: false, idempotencyKey: key } }),
    );
    if (done) onDone();
  };
  return (
    <DialogForm
      failed={provider ? "The provider was not changed" : "The provider was not added"}
      failure={failure}
      busy={busy}
      submit={provider ? "Save" : "Add"}
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <p>
        Whoever runs the issuer can sign in as any of your members: take one that your organization
        trusts with everything here.
      </p>
      <TextInput
        label="Name"
        description="As the sign-in page shows it, for example Company account"
        value={draft.name}
        error={error("name")}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      <TextInput
        label="Issuer"
        description="For example https://id.example.com; it is asked at once"
        type="url"
        value={draft.issuer}
        error={error("issuer")}
        onChange={(event) => set({ issuer: event.currentTarget.value })}
      />
      {moved && (
        <p role="status" className={styles["warning"]}>
          Another issuer needs its own secret, and whom the present one signed in is signed out.
        </p>
      )}
      <TextInput
        label="Client id"
        description="The id under which the provider knows this platform"
        autoComplete="off"
        value={draft.clientId}
        error={error("clientId")}
        onChange={(event) => set({ clientId: event.currentTarget.value })}
      />
      <PasswordField
        label="Client secret"
        shows="the client secret"
        description={
          provider
            ? "Never shown again. Left empty, the present one stays"
            : "Never shown again. Left empty, there is none"
        }
        autoComplete="off"
        value={draft.secret}
        error={error("secret")}
        onChange={(secret) => set({ secret })}
      />
      <TextInput
        label="E-mail domains"
        description="Whom the sign-in page offers it to, for example example.com, example.org"
        autoComplete="off"
        value={draft.domains}
        error={error("domains")}
        onChange={(event) => set({ domains: event.currentTarget.value })}
      />
      <NativeSelect
        label="Persons of these domains who are no members yet"
        value={draft.joinRole}
        error={error("joinRole")}
        onChange={(event) => set({ joinRole: event.currentTarget.value as Role | "" })}
        data={JOINS.map((r) => ({
          value: r,
          label: r === "" ? "Must be invited" : `Join by themselves as ${ROLES[r].toLowerCase()}`,
        }))}
      />
      <div className={styles["section"]}>
        <p>Enter this redirect address at the provider:</p>
        <Secret
          value={redirectAddress(window.location.origin)}
          label="Redirect address"
          testId="redirect-address"
        />
      </div>
    </DialogForm>
  );
}
