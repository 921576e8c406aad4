// Package httpd is the platform's one HTTP face: the GraphQL endpoint, the
// sign-in endpoints, the RPC services of the customers' links, the dashboard's
// files, and health.
//
// Every request passes the same chain, outermost first: a request id, the
// access log and metrics, recovery from panics, security headers. What changes
// something on the authority of a cookie must come from our own pages: the
// browser's Sec-Fetch-Site and Origin headers are checked, and bodies must be
// JSON, which no foreign form can send.
//
// Requests are of two sorts. Short ones are bounded in time and are let finish
// when the server stops. Long ones (WebSockets, event streams, the links' long
// polls) are told to end by their context when the server begins to stop, so
// that a stop takes as long as the slowest short request and no more;
// WebSockets get a close frame.
package httpd
