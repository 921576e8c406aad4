// Package property has the enumerations and the JSON column types of the schema.
// They are named as the public API names them, so both generators bind to
// them; the package depends on nothing that is generated.
package property
