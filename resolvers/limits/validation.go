package limits

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/quorate/quorate/resolvers/present"
)

// MutateOperationParameters refuses documents that would take long to validate:
// anybody may send one, and nothing ends it.
func (l Limits) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if l.Known.LRU != nil {
		if _, ok := l.Known.Get(ctx, params.Query); ok {
			return nil
		}
	}
	words, times := lexer.New(&ast.Source{Input: params.Query}), map[string]int{}
	for range MostTokens {
		word, err := words.ReadToken()
		if err != nil || word.Kind == lexer.EOF {
			break // the parser tells what is wrong
		}
		if word.Kind != lexer.Name {
			continue
		}
		if len(word.Value) > longestName {
			return present.Final(tooLarge("the query has a name of more than %d characters", longestName))
		}
		if times[word.Value]++; times[word.Value] > mostRepeats {
			return present.Final(tooLarge("the query has one name more than %d times", mostRepeats))
		}
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: params.Query}, MostTokens)
	if err != nil {
		return nil // as above
	}
	if len(doc.Fragments) > mostFragments {
		return present.Final(tooLarge("the query has more than %d fragments", mostFragments))
	}
	// Some rules go along every way that leads through fragments.
	ways := ways{fragments: doc.Fragments, within: map[string]bool{}}
	for _, o := range doc.Operations {
		ways.count(o.SelectionSet)
	}
	for _, f := range doc.Fragments {
		ways.count(f.SelectionSet)
	}
	if ways.visits > mostWays {
		return present.Final(tooLarge("the query has more than %d fields", mostVisits))
	}
	return nil
}

// mostWays bounds the fields of a document that validation comes to: those of its
// operations with fragments spread out, and those of the fragments by themselves.
const mostWays = 2 * mostVisits

type ways struct {
	fragments ast.FragmentDefinitionList
	within    map[string]bool // the fragments that are being spread
	visits    int
}

func (w *ways) count(set ast.SelectionSet) {
	for _, s := range set {
		if w.visits++; w.visits > mostWays {
			return
		}
		switch s := s.(type) {
		case *ast.Field:
			w.count(s.SelectionSet)
		case *ast.InlineFragment:
			w.count(s.SelectionSet)
		case *ast.FragmentSpread:
			f := w.fragments.ForName(s.Name)
			if f == nil || w.within[s.Name] {
				continue // validation tells
			}
			w.within[s.Name] = true
			w.count(f.SelectionSet)
			delete(w.within, s.Name)
		}
	}
}

// mostFaults is after how many faults of a document no more are looked for: each
// is told with what is spelt alike, which takes more time than an operation that
// is right.
const mostFaults = 20

// Validation are the rules of GraphQL, and one of ours, for one document: they
// end with its faults.
func Validation() *rules.Rules {
	all := rules.NewDefaultRules()
	all.AddRule("PageDirection", pageDirection)
	faults := 0
	for name, rule := range all.GetInner() {
		all.ReplaceRule(name, func(observers *core.Events, addError core.AddErrFunc) {
			rule(observers, func(options ...core.ErrorOption) {
				if faults++; faults <= mostFaults {
					addError(options...)
				}
			})
		})
	}
	// By its name it comes before the others.
	all.AddRule(" Enough", func(observers *core.Events, _ core.AddErrFunc) {
		enough := func(w *core.Walker) {
			if faults >= mostFaults {
				w.Observers = &core.Events{}
			}
		}
		observers.OnOperation(func(w *core.Walker, _ *ast.OperationDefinition) { enough(w) })
		observers.OnField(func(w *core.Walker, _ *ast.Field) { enough(w) })
		observers.OnFragment(func(w *core.Walker, _ *ast.FragmentDefinition) { enough(w) })
		observers.OnInlineFragment(func(w *core.Walker, _ *ast.InlineFragment) { enough(w) })
		observers.OnFragmentSpread(func(w *core.Walker, _ *ast.FragmentSpread) { enough(w) })
		observers.OnDirective(func(w *core.Walker, _ *ast.Directive) { enough(w) })
		observers.OnValue(func(w *core.Walker, _ *ast.Value) { enough(w) })
		observers.OnVariable(func(w *core.Walker, _ *ast.VariableDefinition) { enough(w) })
	})
	return all
}

// pageDirection lets `last: 10` alone mean the last ten: `first` has a default,
// which would make it both. It completes the document before it is cached, so
// that all who read the arguments later agree.
func pageDirection(observers *core.Events, _ core.AddErrFunc) {
	observers.OnField(func(_ *core.Walker, f *ast.Field) {
		if f.Definition == nil || !paged(f.Definition) || f.Arguments.ForName("first") != nil {
			return
		}
		if last := f.Arguments.ForName("last"); last == nil || last.Value.Kind == ast.NullValue {
			return
		}
		f.Arguments = append(f.Arguments, &ast.Argument{
			Name: "first", Position: f.Position,
			Value: &ast.Value{Kind: ast.NullValue, Raw: "null", Position: f.Position},
		})
	})
}
