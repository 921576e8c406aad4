package graph

import (
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/quorate/quorate/internal/license"
)

// MarshalTime writes a time as GraphQL's Time scalar.
func MarshalTime(t time.Time) graphql.Marshaler { return graphql.MarshalTime(t) }

// UnmarshalTime reads what a client gives as a time. Error: CodeInvalidInput.
func UnmarshalTime(v any) (time.Time, error) {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.IsZero() {
		return time.Time{}, license.Errorf(license.CodeInvalidInput, "write it as 2026-12-01T00:00:00Z", "this is not a date and time")
	}
	return t, nil
}
