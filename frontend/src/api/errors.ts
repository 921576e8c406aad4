import { CombinedError } from "urql";

/** What a page needs to know of a failure to show it and to get past it. */
export interface Failure {
  /** Stable code, for example `FORBIDDEN`; `NETWORK` when there was no answer. */
  code: string;
  message: string;
  /** What to do about it; empty when the platform does not say. */
  fix: string;
  /** Names the request in the platform's logs. */
  requestId: string | null;
  /** Figures of the platform: the `field` at fault, the present `revision`. */
  details?: Record<string, unknown>;
}

interface GraphQLErrorLike {
  message: string;
  extensions?: Record<string, unknown> | undefined;
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function capitalized(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Messages of the platform are lower case; on a page they are sentences. */
export function sentence(message: string): string {
  const capital = capitalized(message.trim());
  if (capital === "") return "";
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}

function detailsOf(value: unknown): Pick<Failure, "details"> {
  return typeof value === "object" && value !== null
    ? { details: value as Record<string, unknown> }
    : {};
}

function ofGraphQL(error: GraphQLErrorLike, requestId: string | null): Failure {
  return {
    code: text(error.extensions?.["code"]) ?? "INTERNAL",
    message: sentence(error.message),
    fix: sentence(text(error.extensions?.["fix"]) ?? ""),
    requestId: text(error.extensions?.["requestId"]) ?? requestId,
    ...detailsOf(error.extensions?.["details"]),
  };
}

function unanswered(message: string, requestId: string | null): Failure {
  return { code: "NETWORK", message, fix: "Try again in a moment.", requestId };
}

function ofResponse(response: Response | undefined, requestId: string | null): Failure {
  switch (response?.status) {
    case 401:
      return {
        code: "UNAUTHENTICATED",
        message: "Your session has ended.",
        fix: "Sign in again.",
        requestId,
      };
    case 429:
      return {
        code: "THROTTLED",
        message: "Too many requests came from you.",
        fix: "Wait a minute, then try again.",
        requestId,
      };
    case undefined:
      return unanswered("The platform does not answer.", requestId);
    default:
      return unanswered(`The platform answers with status ${response?.status}.`, requestId);
  }
}

/** The failure behind what urql or a subscription threw; `NETWORK` leaves open whether it was done. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CombinedError) {
    const response = error.response as Response | undefined;
    const requestId = response?.headers?.get("x-request-id") ?? null;
    const first = error.graphQLErrors[0];
    return first ? ofGraphQL(first, requestId) : ofResponse(response, requestId);
  }
  if (Array.isArray(error) && error[0] && typeof error[0].message === "string") {
    return ofGraphQL(error[0] as GraphQLErrorLike, null);
  }
  return ofResponse(undefined, null);
}
