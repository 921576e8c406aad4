// Package orgtools has the commands on organizations at the platform: customers,
// members, groups, invitations, API tokens and the audit log.
package orgtools

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// do runs an operation and writes its data: as JSON, or by show.
func do[T any](ctx context.Context, f cli.APIFlags, std cli.Streams, query string, variables map[string]any, show func(T) error) error {
	if f.JSON {
		var data map[string]json.RawMessage
		if err := f.Query(ctx, query, variables, &data); err != nil {
			return err
		}
		return cli.WriteAnswer(std.Out, data)
	}
	var out T
	if err := f.Query(ctx, query, variables, &out); err != nil {
		return err
	}
	return show(out)
}

// input makes an input object, without what is empty.
func input(pairs map[string]any) map[string]any {
	in := map[string]any{}
	for k, v := range pairs {
		switch v := v.(type) {
		case string:
			if v != "" {
				in[k] = v
			}
		case []string:
			if len(v) > 0 {
				in[k] = v
			}
		default:
			in[k] = v
		}
	}
	return map[string]any{"input": in}
}

// onceKey makes a command that is repeated by hand make something anew, and one
// that a network repeats not.
func onceKey(given string) string {
	if given != "" {
		return given
	}
	return rand.Text()
}

// page is a page of a list, as the API gives it.
type page[T any] struct {
	Edges []struct {
		Node T `json:"node"`
	} `json:"edges"`
	PageInfo struct {
		HasNextPage bool   `json:"hasNextPage"`
		EndCursor   string `json:"endCursor"`
	} `json:"pageInfo"`
}

// list reads all pages of a list: name with the fields of its entries.
func list[T any](ctx context.Context, f cli.APIFlags, name, arguments, fields string, most int) ([]T, error) {
	all := []T{}
	after := ""
	for len(all) < most {
		query := fmt.Sprintf(`query($first: Int!, $after: Cursor) { page: %s(first: $first, after: $after%s) { edges { node { %s } } pageInfo { hasNextPage endCursor } } }`, name, arguments, fields)
		variables := map[string]any{"first": min(100, most-len(all))}
		if after != "" {
			variables["after"] = after
		}
		var out struct{ Page page[T] }
		if err := f.Query(ctx, query, variables, &out); err != nil {
			return nil, err
		}
		for _, e := range out.Page.Edges {
			all = append(all, e.Node)
		}
		if !out.Page.PageInfo.HasNextPage || len(out.Page.Edges) == 0 {
			break
		}
		after = out.Page.PageInfo.EndCursor
	}
	return all, nil
}

const mostListed = 10000

// say writes a line of its own, whatever the texts in it are.
func say(std cli.Streams, format string, a ...any) error {
	for i, v := range a {
		if s, ok := v.(string); ok {
			a[i] = cli.Printable(s)
		}
	}
	_, err := fmt.Fprintf(std.Out, format+"\n", a...)
	return err
}

// when shows a time to the second; "-" where there is none.
func when(s *string) string {
	if s == nil {
		return "-"
	}
	if at, err := time.Parse(time.RFC3339Nano, *s); err == nil {
		return at.UTC().Format(time.RFC3339)
	}
	return *s
}

func orDash(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return *s
}
