// Package migrations has the versioned SQL that makes the schema, one folder
// per dialect. The files are made by internal/tools/migrategen, never changed
// afterwards, and applied by internal/store.
package migrations

import "embed"

// SQLite and PostgreSQL hold the files of the two dialects.
//
//nolint:gochecknoglobals // embedded files are variables
var (
	//go:embed sqlite/*
	SQLite embed.FS
	//go:embed postgres/*
	PostgreSQL embed.FS
)
