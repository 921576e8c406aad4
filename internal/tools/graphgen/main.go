// Command graphgen makes package graph out of graph/schema by gqlgen, with
// templates that are changed so that a field which a row or a model merely holds
// costs next to nothing. It is run from the repository's root:
// go run ./internal/tools/graphgen
package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
)

//go:embed object.gotpl
var object string

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "graphgen:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg, err := config.LoadConfig("gqlgen.yml")
	if err != nil {
		return fmt.Errorf("run it from the repository's root: %w", err)
	}
	dir, err := changed()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg.SkipValidation = true // what it makes is written anew below
	var seen noted
	if err := api.Generate(cfg, api.AddPlugin(&seen)); err != nil {
		return err
	}
	return templates.Render(templates.Options{
		PackageName: cfg.Exec.Package, Filename: cfg.Exec.Filename, Data: seen.data, RegionTags: true, GeneratedHeader: true,
		Packages: cfg.Packages, TemplateFS: os.DirFS(dir), PruneOptions: cfg.GetPruneOptions(),
		Funcs: template.FuncMap{"direct": direct, "lean": lean, "noticed": noticed},
	})
}

// noted keeps what gqlgen knows of the schema and the code.
type noted struct{ data *codegen.Data }

func (*noted) Name() string { return "graphgen" }

func (n *noted) GenerateCode(data *codegen.Data) error {
	n.data = data
	return nil
}

// changed gives a folder with gqlgen's templates as they are used here.
func changed() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/99designs/gqlgen").Output()
	if err != nil {
		return "", fmt.Errorf("find gqlgen: %w", err)
	}
	dir, err := os.MkdirTemp("", "graphgen")
	if err != nil {
		return "", err
	}
	all := map[string][][2]string{
		"api!.gotpl": nil, "internal!.gotpl": nil, "args.gotpl": nil, "input.gotpl": nil, "interface.gotpl": nil, "generated!.gotpl": nil, "directives_.gotpl": nil,
		"object.gotpl": nil, "field.gotpl": nil, "type.gotpl": nil,
	}
	all["field.gotpl"] = [][2]string{
		{"{{- range $object := .Objects }}{{- range $field := $object.Fields }}\n\nfunc {{$.FuncReceiver}}_{{$object.Name}}_{{$field.Name}}(",
			"{{- range $object := .Objects }}{{- range $field := $object.Fields }}\n\n" + leanField + "func {{$.FuncReceiver}}_{{$object.Name}}_{{$field.Name}}("},
		{"{{- /* Scalar/enum fields without args", "{{- end }}\n\n{{- /* Scalar/enum fields without args"},
		// Of the entries of a list all have the same arguments.
		{"\t\tif fc.Args, err = {{$.ECDot}}{{ $field.ArgsFunc }}(ctx, {{$.ECArg}}field.ArgumentMap(ec.Variables)); err != nil {\n\t\t\tec.Error(ctx, err)\n\t\t\treturn fc, err\n\t\t}\n",
			"\t\tif fc.Args = ec.collected.arguments(field.Field); fc.Args == nil {\n\t\t\tif fc.Args, err = {{$.ECDot}}{{ $field.ArgsFunc }}(ctx, {{$.ECArg}}field.ArgumentMap(ec.Variables)); err != nil {\n\t\t\t\tec.Error(ctx, err)\n\t\t\t\treturn fc, err\n\t\t\t}\n\t\t\tec.collected.keepArguments(field.Field, fc.Args)\n\t\t}\n"},
	}
	all["type.gotpl"] = [][2]string{
		{"graphql.MarshalSliceConcurrently(ctx, len(v), {{ $.Config.Exec.WorkerLimit }}, {{ $.Config.OmitPanicHandler }}, func(ctx context.Context, i int) graphql.Marshaler {\n\t\t\t\t\t\tfc := graphql.GetFieldContext(ctx)\n\t\t\t\t\t\tfc.Result = &v[i]\n",
			"ec.list(ctx, len(v), func(ctx context.Context, i int) graphql.Marshaler {\n"},
	}
	all["internal!.gotpl"] = [][2]string{
		// Nobody reads inputs out of a context.
		{"inputUnmarshalMap := graphql.BuildUnmarshalerMap(\n\t\t{{- range $input := .Inputs -}}\n\t\t\t{{ if not $input.HasUnmarshal }}\n\t\t\t\t{{$.ECDot}}unmarshalInput{{ $input.Name }},\n\t\t\t{{- end }}\n\t\t{{- end }}\n\t)\n", ""},
		{"ctx = graphql.WithUnmarshalerMap(ctx, inputUnmarshalMap)\n", ""},
		{"\t*graphql.ExecutionContextState[ResolverRoot, DirectiveRoot, ComplexityRoot]\n}", "\t*graphql.ExecutionContextState[ResolverRoot, DirectiveRoot, ComplexityRoot]\n\tcollected collected\n}"},
	}
	for name, changes := range all {
		src, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "codegen", name))
		if err != nil {
			return "", err
		}
		text := string(src)
		if name == "object.gotpl" {
			// Roots and streams stay as they are: there is one of them in an answer.
			if text, err = ownObjects(text); err != nil {
				return "", err
			}
		}
		for _, c := range changes {
			if !strings.Contains(text, c[0]) {
				return "", fmt.Errorf("%s has no %q: gqlgen has changed", name, c[0])
			}
			text = strings.ReplaceAll(text, c[0], c[1])
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// ownObjects has objects that are no roots made by a template of our own.
func ownObjects(text string) (string, error) {
	const stream, rest = "{{- if .Stream }}", "{{- else }}\n\nfunc {{$.FuncReceiver}}_{{$object.Name}}(ctx context.Context, {{$.ECFuncParam}}sel ast.SelectionSet{{ if not"
	if strings.Count(text, stream) != 1 || strings.Count(text, rest) != 1 {
		return "", fmt.Errorf("object.gotpl is not as expected: gqlgen has changed")
	}
	return strings.Replace(text, rest, "{{- else if not $object.Root }}\n"+object+rest, 1), nil
}

// leanField writes a field that is an object or several: nothing but its place in
// the answer, its value and telling the resolvers of it is needed. It ends where
// the template of any other field begins.
const leanField = `{{- if lean $field }}
func {{$.FuncReceiver}}_{{$object.Name}}_{{$field.Name}}(ctx context.Context, {{$.ECFuncParam}}field graphql.CollectedField, obj {{$object.Reference | ref}}) (ret graphql.Marshaler) {
	fc, err := {{$.ECDot}}{{ $field.FieldContextFunc }}(ctx, {{$.ECArg}}field)
	if err != nil {
		return graphql.Null
	}
	ctx = graphql.WithFieldContext(ctx, fc)
	defer func() {
		if r := recover(); r != nil {
			ec.Error(ctx, ec.Recover(ctx, r))
			ret = graphql.Null
		}
	}()
	{{- if $field.IsVariable }}
	v := {{$field.GoReceiverName}}.{{$field.GoFieldName}}
	{{- else }}
	v, err := {{ if $field.IsResolver }}ec.Resolvers.{{ $field.ShortInvocation }}{{ else }}{{$field.GoReceiverName}}.{{$field.GoFieldName}}({{ $field.CallArgs }}){{ end }}
	if err != nil {
		ec.Error(ctx, graphql.AddFieldLocationToError(ctx, err))
		return graphql.Null
	}
	{{- end }}
	{{- if noticed $field }}
	ec.notice(ctx, v)
	{{- end }}
	return {{$.ECDot}}{{ $field.TypeReference.MarshalFunc }}(ctx, {{$.ECArg}}field.Selections, v)
}
{{- else if not (and (direct $field) (direct $field).Always) }}
`
