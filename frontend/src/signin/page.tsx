import { zodResolver } from "@hookform/resolvers/zod";
import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { useForm, useWatch } from "react-hook-form";
import * as z from "zod/mini";
import { refusedBy, rest } from "../api/rest";
import { SignInError, signedIn, signIn } from "../api/session";
import { Mark } from "../ui/icons";
import { useTitle } from "../ui/title";
import styles from "./page.module.css";
import { safeTarget } from "./target";

const schema = z.object({
  email: z.string().check(z.trim(), z.email("Enter your e-mail address.")),
  password: z.string().check(z.minLength(1, "Enter your password.")),
});

/** Why an identity provider could not sign in, by the code that the platform came back with. */
const FAILED: Record<string, string> = {
  FORBIDDEN:
    "You are no member of the organization, or its identity provider does not vouch for your e-mail address. Ask an administrator of the organization to invite you.",
  UNAVAILABLE: "The identity provider can't be reached. Try again in a moment.",
  NOT_FOUND: "There is no such identity provider any more.",
  THROTTLED: "Many sign in by this identity provider at the moment. Try again.",
};

export interface Offered {
  id: string;
  name: string;
  organization: string;
}

/** The way to the organization's own sign-in, by the domain of the e-mail address. */
function Providers({
  typed,
  email,
  target,
}: {
  /** The address as it stands in its field: what was offered for another one is not shown. */
  typed: string;
  email: () => Promise<string | null>;
  target: string;
}) {
  const [found, setFound] = useState<{ email: string; offered: Offered[] } | null>(null);
  const offered = found?.email === typed.trim() ? found.offered : null;
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const look = async () => {
    const address = await email();
    if (!address) return;
    setBusy(true);
    setProblem("");
    try {
      const { providers } = await rest<{ providers: Offered[] }>("/auth/providers", {
        email: address,
      });
      setFound({ email: address, offered: providers });
    } catch (error) {
      setProblem(refusedBy(error).message);
    }
    setBusy(false);
  };
  return (
    <div className={styles["providers"]}>
      {offered?.map((p, i) => (
        <Button
          key={p.id}
          // oxlint-disable-next-line jsx-a11y/no-autofocus -- it takes the place of the button that was pressed.
          autoFocus={i === 0}
          component="a"
          href={`/auth/oidc/start?provider=${encodeURIComponent(p.id)}&to=${encodeURIComponent(target)}`}
          variant="default"
          fullWidth
          data-testid="provider"
        >
          {p.name} of {p.organization}
        </Button>
      ))}
      {offered?.length === 0 && (
        <p role="status">
          No organization has an identity provider for this address. Use your password.
        </p>
      )}
      {problem && <p role="alert">{problem}</p>}
      {!offered?.length && (
        <Button variant="subtle" fullWidth loading={busy} onClick={() => void look()}>
          Use your organization’s account
        </Button>
      )}
    </div>
  );
}

/** The second step: what the authenticator shows, or a recovery code. */
function CodeForm({ onIn, onBack }: { onIn: () => void; onBack: (why: string) => void }) {
  const [code, setCode] = useState("");
  const [refusal, setRefusal] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    if (code.trim() === "") return setRefusal("Enter the code.");
    setBusy(true);
    setRefusal("");
    try {
      await rest("/auth/code", { code });
      onIn();
    } catch (error) {
      const failure = refusedBy(error);
      if (failure.code === "UNAUTHENTICATED" && !/code is wrong/i.test(failure.message)) {
        return onBack(failure.message);
      }
      setCode("");
      setRefusal(`${failure.message} ${failure.fix}`);
    }
    return setBusy(false);
  };
  return (
    <form
      className={styles["card"]}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <p className={styles["brand"]}>
        <Mark /> Quorate
      </p>
      <h1>Enter your code</h1>
      {refusal && (
        <p role="alert" className={styles["refusal"]}>
          {refusal}
        </p>
      )}
      <TextInput
        label="Code"
        description="From your authenticator, or one of your recovery codes"
        autoComplete="one-time-code"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the page is nothing but this form.
        autoFocus
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
      <Button type="submit" loading={busy} fullWidth h={36}>
        Sign in
      </Button>
      <Button variant="subtle" fullWidth onClick={() => onBack("")}>
        Start again
      </Button>
    </form>
  );
}

export function SignInPage({
  to,
  failed,
}: {
  to: string | undefined;
  failed?: string | undefined;
}) {
  useTitle("Sign in");
  const target = safeTarget(to, window.location.origin);
  const [refusal, setRefusal] = useState<string | null>(
    failed ? (FAILED[failed] ?? "The identity provider did not sign you in. Try again.") : null,
  );
  const [second, setSecond] = useState(false);
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: { email: "", password: "" },
  });
  const { errors, isSubmitting } = form.formState;
  const typed = useWatch({ control: form.control, name: "email" });
  // A new document, so that nothing of another session stays in memory.
  const enter = () => window.location.replace(target);

  useEffect(() => {
    void signedIn().then((yes) => yes && window.location.replace(target));
  }, [target]);

  const submit = form.handleSubmit(async ({ email, password }) => {
    setRefusal(null);
    try {
      if ((await signIn(email, password)) === "code") setSecond(true);
      else enter();
    } catch (error) {
      setRefusal(error instanceof SignInError ? error.message : "Signing in failed. Try again.");
      form.resetField("password");
      form.setFocus("password");
    }
  });

  if (second) {
    return (
      <main className={styles["page"]}>
        <CodeForm
          onIn={enter}
          onBack={(why) => {
            setRefusal(why || null);
            form.resetField("password");
            setSecond(false);
          }}
        />
      </main>
    );
  }
  return (
    <main className={styles["page"]}>
      <form className={styles["card"]} onSubmit={submit} noValidate>
        <p className={styles["brand"]}>
          <Mark /> Quorate
        </p>
        <h1>Sign in</h1>
        {refusal && (
          <p role="alert" className={styles["refusal"]}>
            {refusal}
          </p>
        )}
        <TextInput
          label="E-mail address"
          type="email"
          autoComplete="username"
          // oxlint-disable-next-line jsx-a11y/no-autofocus -- the page is nothing but this form.
          autoFocus
          error={errors.email?.message}
          {...form.register("email")}
        />
        <PasswordInput
          label="Password"
          autoComplete="current-password"
          error={errors.password?.message}
          aria-invalid={errors.password ? true : undefined}
          visibilityToggleFocusable
          visibilityToggleButtonProps={{ "aria-label": "Show the password" }}
          {...form.register("password")}
        />
        <Button type="submit" loading={isSubmitting} fullWidth h={36}>
          Sign in
        </Button>
        <Providers
          typed={typed}
          target={target}
          email={async () =>
            (await form.trigger("email")) ? form.getValues("email").trim() : null
          }
        />
      </form>
    </main>
  );
}
