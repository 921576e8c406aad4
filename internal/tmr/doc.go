// Package tmr is the live group of a TMR server: three backends, watched by
// stream, and the virtual container that two of three of them make.
//
// A goroutine per backend keeps one stream open. The backend sends its
// licenses at once, again at each change, and beats in between; a stream that
// ends, or is silent for longer than the patience, makes the backend absent
// and drops every connection to it, so that no later call waits for a dead
// one. Then it is dialled again, and again, with a short backoff.
//
// Each observation goes through license.Merge under one lock, and each view
// that differs from the one before is appended to a bounded history. Readers
// keep their own place in it by version, so no view is left out for anybody
// and a slow reader costs nothing; one that is slower than the history is
// long gets an error that says so.
//
// Activate marks a backend as activating before anything changes there, and
// Verify clears the mark once the backend serves what the update brought,
// steadily. In between the other two carry the license and the backend is
// shown as "-", so each stage of an update is one view. A mark that nobody
// clears ends by itself.
//
// Calls that open keys, read data or use secrets are spread over the backends
// that hold the license, or the data, and tried on another one where one fails.
//
// Unit meters are kept on two of three backends, fenced by the leader's epoch:
// package meters. A backend that comes back is brought up to date.
//
// The backends tell their clocks with each beat; Moment makes the group's time of
// them.
package tmr
