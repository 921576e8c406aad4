// A real OpenID Connect provider on loopback for tests of signing in by one.
// node oidc.mjs REDIRECT_URI… prints its issuer. Everybody may sign in by any
// password; whose e-mail address is verified, the login tells.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "quorate",
        client_secret: "a secret of the client",
        redirect_uris: process.argv.slice(2),
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
    ],
    pkce: { required: () => true },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["a key of the test"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        name: `Person ${id}`,
        email: id.includes("@") ? id : `${id}@example.com`,
        email_verified: !id.startsWith("unverified"),
      }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
