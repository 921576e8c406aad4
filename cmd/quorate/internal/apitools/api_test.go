package apitools

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/graph/schema"
	"github.com/quorate/quorate/internal/license"
)

func load(t *testing.T) *ast.Schema {
	t.Helper()
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEveryOperation of the API can be asked for: with a value for each of its
// inputs its request is one that the API takes, and its help names them all.
func TestEveryOperation(t *testing.T) {
	s := load(t)
	n := 0
	for _, root := range []*ast.Definition{s.Query, s.Mutation} {
		for _, f := range root.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			n++
			op, err := find(s, f.Name)
			if err != nil {
				t.Fatal(err)
			}
			for _, all := range []bool{false, true} {
				var args []string
				for _, i := range op.inputs {
					if i.required || all {
						args = append(args, "--"+kebab(i.name)+"="+valueFor(s, i.of))
					}
				}
				in := &inputs{op: op, flags: &cli.APIFlags{}}
				if err := in.parse(args); err != nil {
					t.Errorf("%s: %v", f.Name, err)
					continue
				}
				doc, errs := gqlparser.LoadQueryWithRules(s, op.query("", in.variables()), rules.NewDefaultRules())
				if errs != nil {
					t.Errorf("%s: %v\n%s", f.Name, errs, op.query("", in.variables()))
					continue
				}
				if _, err := validator.VariableValues(s, doc.Operations[0], in.variables()); err != nil {
					t.Errorf("%s %v: %v", f.Name, args, err)
				}
			}
			var help bytes.Buffer
			if err := op.help(&help); err != nil {
				t.Fatal(err)
			}
			for _, i := range op.inputs {
				if i.name != "clientMutationId" && !strings.Contains(help.String(), "--"+kebab(i.name)+" ") {
					t.Errorf("the help of %s doesn't tell of --%s", f.Name, kebab(i.name))
				}
			}
			if !strings.Contains(help.String(), "Example:\n  quorate api "+f.Name) {
				t.Errorf("the help of %s has no example", f.Name)
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d operations", n)
	}
}

func valueFor(s *ast.Schema, of *ast.Type) string {
	switch d := s.Types[of.Name()]; {
	case d.Kind == ast.InputObject:
		fields := map[string]any{}
		for _, f := range d.Fields {
			if f.Type.NonNull && f.DefaultValue == nil {
				var v any = "x"
				if f.Type.Name() == "Int" {
					v = 1
				}
				if f.Type.Elem != nil {
					v = []any{v}
				}
				fields[f.Name] = v
			}
		}
		b, err := json.Marshal(fields)
		if err != nil {
			panic(err)
		}
		return string(b)
	case d.Kind == ast.Enum:
		return strings.ToLower(d.EnumValues[0].Name)
	case d.Name == "Int":
		return "1"
	case d.Name == "Boolean":
		return "true"
	}
	return "2027-01-01T00:00:00Z"
}

// asked is a platform that answers what it is told to, and keeps what it was asked.
type asked struct {
	query     string
	variables map[string]any
	token     string
}

func platform(t *testing.T, answer string) (*asked, string) {
	t.Helper()
	a := &asked{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Query     string
			Variables map[string]any
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		*a = asked{body.Query, body.Variables, r.Header.Get("Authorization")}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	return a, s.URL
}

func TestCall(t *testing.T) {
	a, url := platform(t, `{"data": {"createItem": {"item": {"id": "itm_1", "name": "A\u001b[31m", "text": null, "accessList": [], "tmr": true}}}}`)
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("for ships"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := &API{APIFlags: cli.APIFlags{URL: "http://127.0.0.1:1", Token: "wrong"}, Args: []string{
		"createItem", "--product", "6000010:14", "--name=A", "--tmr", "--quantity", "0x10", "--access-list", "user:anna", "--accessList", "user:ben",
		"--text", "@" + file, "--secret-data", "@-", "--null", "expiration", "--url", url, "--token=qrt_x", "--select", "item { id }",
	}}
	if err := c.Run(t.Context(), cli.Streams{In: strings.NewReader("c2VjcmV0"), Out: &out}); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"input": map[string]any{
		"product": "6000010:14", "name": "A", "tmr": true, "quantity": 16.0, "accessList": []any{"user:anna", "user:ben"},
		"text": "for ships", "secretData": "c2VjcmV0", "expiration": nil,
	}}
	if !reflect.DeepEqual(a.variables, want) || a.token != "Bearer qrt_x" || a.query != "mutation($input: CreateItemInput!) { createItem(input: $input) { item { id } } }" {
		t.Errorf("asked %+v", a)
	}
	if got := out.String(); got != "item:\n  id: itm_1\n  name: A?[31m\n  text: -\n  accessList: none\n  tmr: true\n" {
		t.Errorf("shown as %q", got)
	}
	out.Reset()
	c.Args = append(c.Args, "--json")
	if err := c.Run(t.Context(), cli.Streams{In: strings.NewReader(""), Out: &out}); err != nil || !json.Valid(out.Bytes()) || !strings.HasPrefix(out.String(), `{"item"`) {
		t.Errorf("%s, %v", out.String(), err)
	}
}

func TestCallRefused(t *testing.T) {
	_, url := platform(t, `{"data": null, "errors": [{"message": "the firm code 6000010 is taken", "extensions": {"code": "CONFLICT", "fix": "choose another code"}}]}`)
	for _, c := range []struct {
		args []string
		code license.Code
		says string
	}{
		{[]string{"createFrim"}, license.CodeInvalidInput, "createFrim"},
		{[]string{"tmrGroupChanged"}, license.CodeInvalidInput, "subscription"},
		{[]string{"__schema"}, license.CodeInvalidInput, "__schema"},
		{[]string{"createFirm", "--code", "6000010"}, license.CodeInvalidInput, "--name is missing"},
		{[]string{"createFirm", "--code", "x", "--name", "A"}, license.CodeInvalidInput, "whole number"},
		{[]string{"createFirm", "--code"}, license.CodeInvalidInput, "needs a value"},
		{[]string{"createFirm", "6000010"}, license.CodeInvalidInput, "not a flag"},
		{[]string{"createFirm", "--colour", "red"}, license.CodeInvalidInput, "--colour"},
		{[]string{"createFirm", "--null", "colour"}, license.CodeInvalidInput, "--colour"},
		{[]string{"decideContainer", "--container", "c", "--decision", "burn"}, license.CodeInvalidInput, "ACCEPT, BLOCK"},
		{[]string{"createRolloutPlan", "--name", "x", "--waves", "{"}, license.CodeInvalidInput, "JSON"},
		{[]string{"createFirm", "--code", "6000010", "--name", "A"}, license.CodeConflict, "taken"},
	} {
		a := &API{APIFlags: cli.APIFlags{URL: url, Token: "qrt_x"}, Args: c.args}
		err := a.Run(t.Context(), cli.Streams{Out: &bytes.Buffer{}})
		if license.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}

func TestList(t *testing.T) {
	for _, json := range []bool{false, true} {
		var out bytes.Buffer
		c := &API{APIFlags: cli.APIFlags{JSON: json}}
		if err := c.Run(t.Context(), cli.Streams{Out: &out}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"createFirm", "rollouts", "Give a firm another name."} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s is not listed:\n%s", want, out.String())
			}
		}
	}
}
