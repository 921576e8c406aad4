// Package schema has the public API's definition, for programs that are made
// from it.
package schema

import (
	"embed"
	"fmt"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed *.graphqls
var files embed.FS

// Load parses the definition.
func Load() (*ast.Schema, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var sources []*ast.Source
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		sources = append(sources, &ast.Source{Name: e.Name(), Input: string(text)})
	}
	s, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		return nil, fmt.Errorf("the API's definition: %w", err)
	}
	return s, nil
}
