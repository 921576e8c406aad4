package resolvers_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"
)

// audited watches which mutations write into the audit log: each that is
// carried out in any case has to, at least once. One that finds everything done
// already writes nothing.
type audited struct {
	mu   sync.Mutex
	told map[string]bool // by mutation
}

func newAudited(t *testing.T) *audited {
	a := &audited{told: map[string]bool{}}
	t.Cleanup(func() {
		for name, told := range a.told {
			if !told {
				t.Errorf("no case in which %s is carried out leaves an entry in the audit log", name)
			}
		}
	})
	return a
}

var mutationField = regexp.MustCompile(`\b([a-z]\w+)\(input:`)

// around runs a request, and looks whether the audit log has grown by it.
func (a *audited) around(w *world, query string, run func() []byte) []byte {
	if !strings.HasPrefix(strings.TrimSpace(query), "mutation") {
		return run()
	}
	entries := func() int { return w.store.Client().AuditEntry.Query().CountX(w.system()) }
	before := entries()
	answer := run()
	if strings.Contains(string(answer), `"errors"`) {
		return answer
	}
	grown := entries() > before
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range mutationField.FindAllStringSubmatch(query, -1) {
		a.told[m[1]] = a.told[m[1]] || grown
	}
	return answer
}
