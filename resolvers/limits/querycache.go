package limits

import (
	"context"

	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
)

// QueryCache keeps parsed and validated documents. Large ones are not kept, so
// that its size is bounded in bytes too.
type QueryCache struct{ *lru.LRU[*ast.QueryDocument] }

const (
	mostCachedQueries = 1_000
	mostCachedQuery   = 16 << 10
)

// NewQueryCache is empty.
func NewQueryCache() QueryCache {
	return QueryCache{lru.New[*ast.QueryDocument](mostCachedQueries)}
}

// Add keeps a document.
func (c QueryCache) Add(ctx context.Context, query string, doc *ast.QueryDocument) {
	if len(query) <= mostCachedQuery {
		c.LRU.Add(ctx, query, doc)
	}
}
