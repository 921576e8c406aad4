// Package schema defines the tables: what was decided and what has happened.
//
// Every entity is owned by an organization through one of the two tenant
// mixins (Shared: a vendor and perhaps a customer; Owned: one organization) or
// is global, and a test in internal/store lists which is which. The schema has
// no hooks and no policies: the tenant guard of internal/store is put on the
// client when it is opened. Ids are "<prefix>_<uuidv7>", so the prefix tells
// the table and the order of ids is the order of making.
package schema
