import { sentence } from "./errors";

/** Why a sign-in was refused; shown as it is. */
export class SignInError extends Error {}

const headers = { "content-type": "application/json", accept: "application/json" };

/** What is wrong and what to do; null: the answer is not the platform's. */
async function messageOf(response: Response): Promise<string | null> {
  try {
    const { error } = (await response.json()) as { error?: { message?: unknown; fix?: unknown } };
    if (typeof error?.message !== "string" || error.message === "") return null;
    const fix = typeof error.fix === "string" ? sentence(error.fix) : "";
    return `${sentence(error.message)} ${fix}`.trim();
  } catch {
    return null;
  }
}

/** Starts a session, kept in a cookie that scripts can't read; or `code` comes next. */
export async function signIn(email: string, password: string): Promise<"in" | "code"> {
  let response: Response;
  try {
    response = await fetch("/auth/login", {
      method: "POST",
      headers,
      credentials: "same-origin",
      body: JSON.stringify({ email, password }),
    });
  } catch {
    throw new SignInError("The platform does not answer. Try again in a moment.");
  }
  if (response.ok) {
    const body = (await response.json().catch(() => ({}))) as { secondFactor?: boolean };
    return body.secondFactor === true ? "code" : "in";
  }
  if (response.status === 429) {
    throw new SignInError("Too many attempts. Wait a minute, then try again.");
  }
  const message = await messageOf(response);
  throw new SignInError(
    message ??
      (response.status === 401
        ? "Unknown e-mail address or wrong password."
        : "Signing in failed. Try again in a moment."),
  );
}

export async function signOut(): Promise<void> {
  await fetch("/auth/logout", { method: "POST", headers, credentials: "same-origin", body: "{}" });
}

/** Whether the session holds; null when the platform does not answer. */
export async function signedIn(): Promise<boolean | null> {
  try {
    const response = await fetch("/auth/session", {
      headers: { accept: "application/json" },
      credentials: "same-origin",
    });
    if (response.ok) return true;
    return response.status === 401 ? false : null;
  } catch {
    return null;
  }
}
