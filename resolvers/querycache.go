package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
)

// queryCache keeps parsed and validated documents. Large ones are not kept, so
// that its size is bounded in bytes too.
type queryCache struct{ *lru.LRU[*ast.QueryDocument] }

const (
	mostCachedQueries = 1_000
	mostCachedQuery   = 16 << 10
)

func newQueryCache() queryCache {
	return queryCache{lru.New[*ast.QueryDocument](mostCachedQueries)}
}

// Add keeps a document.
func (c queryCache) Add(ctx context.Context, query string, doc *ast.QueryDocument) {
	if len(query) <= mostCachedQuery {
		c.LRU.Add(ctx, query, doc)
	}
}
