package roles

import (
	"strings"
	"testing"
)

// What the demo prints can be pasted into a second terminal.
func TestWelcomeShowsCommandsToPaste(t *testing.T) {
	text := welcome(map[string]string{
		"url": "http://u", "email": "e@x", "password": "secret", "graphql": "http://u/graphql", "token": "qrt_t", "licenseServer": "http://s",
	}, "bin/quorate", "data/demo")
	for _, want := range []string{
		"Dashboard       http://u\n", "Sign in         e@x   password secret\n", "GraphQL         http://u/graphql\n",
		"API token       qrt_t\n", "License server  http://s ",
		"\n  export QUORATE_URL=http://u QUORATE_SERVER=http://s QUORATE_TOKEN=qrt_t\n",
		"\n  bin/quorate order 131-4837572 10\n", "\n  bin/quorate rollout start 131-4837572 --wait\n", "\n  bin/quorate ls\n",
		"its data stays in data/demo.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "%!") {
		t.Errorf("a value is missing in\n%s", text)
	}
}
