// Package webhook signs messages and sends them over HTTP, in the manner of the
// Standard Webhooks specification, version 1. It knows no event and no database.
//
// Whom it calls is decided by the address that is dialled, after the name was
// resolved: a name that leads elsewhere the second time leads nowhere.
package webhook
