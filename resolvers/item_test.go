package resolvers_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// TestItemDataIsNeverShown: data is written and changed, and refused in every
// way. No answer and no log has it, whoever asks for whatever.
func TestItemDataIsNeverShown(t *testing.T) {
	w := newWorld(t)
	protected, secret := "canary in the protected data", "canary in the secret data"
	text := base64.StdEncoding.EncodeToString
	var answers strings.Builder
	do := func(viewer, query string, variables map[string]any) string {
		t.Helper()
		raw, err := json.Marshal(variables)
		if err != nil {
			t.Fatal(err)
		}
		body := ask(w.serve(viewer), request{Query: query, Variables: raw}).Body.String()
		answers.WriteString(body)
		return body
	}
	const update = `mutation($r: Int!, $p: String, $s: String) { updateItem(input: {item: "itm_1", revision: $r, protectedData: $p, secretData: $s}) { item { hasProtectedData protectedDataName hasSecretData revision } } }`
	body := do("owner", update, map[string]any{"r": 1, "p": text([]byte(protected)), "s": text([]byte(secret))})
	if !strings.Contains(body, `"hasProtectedData":true`) || !strings.Contains(body, `"hasSecretData":true`) {
		t.Fatal(body)
	}
	// The same content again is no change.
	if again := do("owner", update, map[string]any{"r": 2, "p": text([]byte(protected)), "s": text([]byte(secret))}); again != body {
		t.Errorf("%s\nbecame\n%s", body, again)
	}
	long := strings.Repeat(secret, license.MostData/len(secret)+1)
	for _, v := range []map[string]any{
		{"r": 1, "s": text([]byte(secret))},              // of an older revision
		{"r": 2, "s": secret},                            // not Base64
		{"r": 2, "s": text([]byte(secret)) + secret},     // nor this
		{"r": 2, "p": text([]byte(long))},                // too long
		{"r": 2, "s": map[string]any{secret: protected}}, // not text
		{"r": 2, "s": []string{text([]byte(secret))}},    // nor this
		{"r": secret, "s": text([]byte(secret))},         // no number beside it
	} {
		if body := do("owner", update, v); !strings.Contains(body, `"errors"`) {
			t.Errorf("%v: %s", v, body)
		}
	}
	for _, viewer := range []string{"viewer", "customer", "stranger", "nobody"} {
		do(viewer, update, map[string]any{"r": 2, "s": text([]byte(secret))})
		do(viewer, `{ items { edges { node { id text hasSecretData protectedDataName } } } node(id: "itm_1") { ... on Item { name hasSecretData } } }`, nil)
	}
	do("owner", `{ items { edges { node { secretData protectedData secretName sealed } } } }`, nil)
	for where, content := range map[string]string{"an answer": answers.String(), "a log": w.log.String()} {
		for _, d := range []string{protected, secret} {
			for _, form := range []string{d, text([]byte(d))[:24], hex.EncodeToString([]byte(d)), fmt.Sprint([]byte(d))} {
				if strings.Contains(content, form) {
					t.Errorf("%s has the data: %s", where, content)
				}
			}
		}
	}
}
