// Package telemetry is what operators see of a process: request ids in logs,
// metrics for Prometheus, and traces by OpenTelemetry.
//
// A request has one id from its edge on: X-Request-Id is taken over from the
// caller where it is short and plain, made else, given back, and stands in every
// log record that is written with the request's context. Traces follow W3C Trace
// Context over HTTP, RPC, jobs and the work of the link; they are off unless the
// standard environment names a receiver.
//
// Neither labels nor attributes hold what a user typed, whose it is, or a secret:
// names are those of the schema, of procedures, of job kinds, and codes.
package telemetry
