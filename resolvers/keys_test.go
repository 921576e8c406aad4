package resolvers_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/quorate/quorate/graph/schema"
)

// TestKeysAreTried: of each mutation that takes an idempotency key a case sends
// one twice with the same input,
// and is answered.
func TestKeysAreTried(t *testing.T) {
	elsewhere := map[string]string{
		"createIdentityProvider": "asks a provider: TestProviderRights",
	}
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	mutation := regexp.MustCompile(`mutation[^{]*\{ *(\w+)(\(input: .*idempotencyKey: "[^"]*")`)
	tried := map[string]int{} // by the mutation and its input, in each file
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		asked := ""
		for _, f := range txtar.Parse(b).Files {
			if f.Name != "expected" {
				asked = string(f.Data)
			} else if m := mutation.FindStringSubmatch(asked); m != nil && !strings.Contains(string(f.Data), `"errors": [`) {
				input := strings.Split(m[2], ", clientMutationId")[0]
				if tried[name+m[1]+input]++; tried[name+m[1]+input] == 2 {
					tried[m[1]]++
				}
			}
		}
	}
	for _, f := range s.Mutation.Fields {
		if f.Name[0] == '_' || s.Types[f.Arguments[0].Type.Name()].Fields.ForName("idempotencyKey") == nil {
			continue
		}
		if _, ok := elsewhere[f.Name]; ok == (tried[f.Name] > 0) {
			t.Errorf("%s: %d cases send a key twice", f.Name, tried[f.Name])
		}
	}
}
