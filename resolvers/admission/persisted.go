package admission

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/resolvers/documents"
	"github.com/quorate/quorate/resolvers/present"
)

// Persisted lets clients send a document's digest in its place (automatic
// persisted queries): {"extensions": {"persistedQuery": {"version": 1,
// "sha256Hash": "…"}}}. A document is kept once it was sent with its digest, is
// valid and within the limits, and somebody is known to ask. Where documents are
// registered, callers without an API token may execute no others.
type Persisted struct {
	Cache      documents.Cache
	Registered *documents.Registered // nil: any document
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
} = Persisted{}

// ExtensionName names the extension.
func (Persisted) ExtensionName() string { return "Persisted" }

// Validate has nothing to check.
func (Persisted) Validate(graphql.ExecutableSchema) error { return nil }

const (
	// PersistedKey is the extension that names a document.
	PersistedKey = "persistedQuery"
	// codeNotPersisted is what clients of the protocol look for, and then send the
	// document.
	codeNotPersisted license.Code = "PERSISTED_QUERY_NOT_FOUND"
)

// digestOf reads the digest that a request names; "" for none.
func digestOf(extensions map[string]any) (string, *license.Error) {
	all, ok := extensions[PersistedKey].(map[string]any)
	if !ok {
		if extensions[PersistedKey] != nil {
			return "", invalidPersisted()
		}
		return "", nil
	}
	digest, ok := all["sha256Hash"].(string)
	if !ok || len(digest) != len(documents.Digest("")) || fmt.Sprint(all["version"]) != "1" {
		return "", invalidPersisted()
	}
	return digest, nil
}

func invalidPersisted() *license.Error {
	return license.Errorf(license.CodeInvalidInput, `send {"version": 1, "sha256Hash": "<sha-256 of the document in lower-case hex>"}`,
		"the extension `%s` can't be read", PersistedKey)
}

// MutateOperationParameters finds the document of a digest.
func (p Persisted) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	digest, err := digestOf(params.Extensions)
	switch {
	case err != nil:
		return present.Final(err)
	case digest == "":
	case params.Query == "":
		if params.Query = p.find(ctx, digest); params.Query == "" {
			return present.Final(license.Errorf(codeNotPersisted, "send the document together with its digest", "PersistedQueryNotFound"))
		}
	case documents.Digest(params.Query) != digest:
		return present.Final(license.Errorf(license.CodeInvalidInput, "take SHA-256 of the document as it is sent", "the digest is another document's"))
	}
	if p.Registered == nil || byToken(ctx) {
		return nil
	}
	if _, ok := p.Registered.Get(documents.Digest(params.Query)); !ok {
		return present.Final(license.Errorf(license.CodeForbidden, "send a registered document, or ask with an API token",
			"only documents that were registered may be executed here"))
	}
	return nil
}

func (p Persisted) find(ctx context.Context, digest string) string {
	if p.Registered != nil {
		if text, ok := p.Registered.Get(digest); ok {
			return text
		}
	}
	text, _ := p.Cache.Get(ctx, digest)
	return text
}

// keep keeps the document of an operation that is about to be executed.
func (p Persisted) keep(ctx context.Context, op *graphql.OperationContext) {
	if _, err := auth.From(ctx); err != nil {
		return // who isn't known crowds nobody's documents out
	}
	if digest, _ := digestOf(op.Extensions); digest != "" {
		p.Cache.Add(ctx, digest, op.RawQuery)
	}
}

func byToken(ctx context.Context) bool {
	by, err := auth.From(ctx)
	return err == nil && by.Kind == auth.KindToken
}
