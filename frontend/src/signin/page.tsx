import { zodResolver } from "@hookform/resolvers/zod";
import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { useForm } from "react-hook-form";
import * as z from "zod/mini";
import { SignInError, signedIn, signIn } from "../api/session";
import { Mark } from "../ui/icons";
import { useTitle } from "../ui/title";
import styles from "./page.module.css";
import { safeTarget } from "./target";

const schema = z.object({
  email: z.string().check(z.trim(), z.email("Enter your e-mail address.")),
  password: z.string().check(z.minLength(1, "Enter your password.")),
});

export function SignInPage({ to }: { to: string | undefined }) {
  useTitle("Sign in");
  const target = safeTarget(to, window.location.origin);
  const [refusal, setRefusal] = useState<string | null>(null);
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: { email: "", password: "" },
  });
  const { errors, isSubmitting } = form.formState;

  useEffect(() => {
    // A new document, so that nothing of another session stays in memory.
    void signedIn().then((yes) => yes && window.location.replace(target));
  }, [target]);

  const submit = form.handleSubmit(async ({ email, password }) => {
    setRefusal(null);
    try {
      await signIn(email, password);
      window.location.replace(target);
    } catch (error) {
      setRefusal(error instanceof SignInError ? error.message : "Signing in failed. Try again.");
      form.resetField("password");
      form.setFocus("password");
    }
  });

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
          visibilityToggleButtonProps={{ "aria-label": "Show the password" }}
          {...form.register("password")}
        />
        <Button type="submit" loading={isSubmitting} fullWidth h={36}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
