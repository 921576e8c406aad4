/** A path of this site to go to after signing in; anything else gives `/`. */
export function safeTarget(to: unknown, origin: string): string {
  if (typeof to !== "string" || !to.startsWith("/")) return "/";
  try {
    const url = new URL(to, origin);
    if (url.origin !== origin || url.pathname === "/login") return "/";
    return url.pathname + url.search + url.hash;
  } catch {
    return "/";
  }
}

/** Leaves for the sign-in page; what was open comes back after it. */
export function toSignIn(): void {
  const { pathname, search, hash } = window.location;
  if (pathname === "/login") return;
  const to = pathname + search + hash;
  window.location.assign(to === "/" ? "/login" : `/login?to=${encodeURIComponent(to)}`);
}
