package platform

import (
	"reflect"
	"testing"

	"github.com/quorate/quorate/internal/store"
)

// TestPlatformHasEveryUseCase: a name that two services had would be neither's
// on Platform. What works in another's transaction is no use case, and checks
// no capability.
func TestPlatformHasEveryUseCase(t *testing.T) {
	all, tx := reflect.TypeFor[*Platform](), reflect.TypeFor[*store.Tx]()
	services := 0
	for field := range all.Elem().Fields() {
		if !field.Anonymous {
			continue
		}
		services++
		for method := range field.Type.Methods() {
			if _, ok := all.MethodByName(method.Name); !ok {
				t.Errorf("%s: Platform has no %s", field.Name, method.Name)
			}
			for in := range method.Type.Ins() {
				if in == tx {
					t.Errorf("%s: %s takes a transaction: make it a function", field.Name, method.Name)
				}
			}
		}
	}
	if services < 10 {
		t.Errorf("only %d services were looked at", services)
	}
}
