import { useState } from "react";
import { PasswordField } from "../ui/password";

/** How short a password may be that one chooses, in bytes. */
const LEAST_PASSWORD = 12;

/** What is wrong with a password that one chooses; empty: nothing. */
export function passwordMistake(password: string): string {
  const bytes = new TextEncoder().encode(password).length;
  if (bytes < LEAST_PASSWORD) return `Use at least ${LEAST_PASSWORD} characters.`;
  return bytes > 256 ? "Use at most 256 characters." : "";
}

/** What is wrong with its repetition; empty: nothing. */
export function repetitionMistake(password: string, again: string): string {
  return password === again ? "" : "Type the same password twice.";
}

export interface NewPassword {
  password: string;
  again: string;
  /** Whether it may be sent. */
  good: boolean;
  setPassword: (to: string) => void;
  setAgain: (to: string) => void;
  /** As if nothing had been typed. */
  clear: () => void;
}

/** A password that one chooses, typed twice. */
export function useNewPassword(): NewPassword {
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const clear = () => {
    setPassword("");
    setAgain("");
  };
  const good = passwordMistake(password) === "" && repetitionMistake(password, again) === "";
  return { password, again, good, setPassword, setAgain, clear };
}

/** Its two fields. What is wrong with it is told once somebody has `tried` to send it. */
export function NewPasswordFields({
  of,
  label,
  shows = "the password",
  tried,
}: {
  of: NewPassword;
  label: string;
  /** What the first one's button shows, in words. */
  shows?: string;
  tried: boolean;
}) {
  const mistake = tried ? passwordMistake(of.password) : "";
  const differs = tried && !mistake ? repetitionMistake(of.password, of.again) : "";
  return (
    <>
      <PasswordField
        label={label}
        description={`At least ${LEAST_PASSWORD} characters`}
        autoComplete="new-password"
        value={of.password}
        error={mistake || undefined}
        shows={shows}
        onChange={of.setPassword}
      />
      <PasswordField
        label={`${label} again`}
        autoComplete="new-password"
        value={of.again}
        error={differs || undefined}
        shows="the repeated password"
        onChange={of.setAgain}
      />
    </>
  );
}
